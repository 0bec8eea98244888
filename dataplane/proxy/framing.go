package proxy

import (
	"bytes"
	"net"
	"strconv"
	"sync/atomic"
)

// framing reads along with the server to find messages whose length can be read in two ways: those with both Content-Length
// and Transfer-Encoding (RFC 9112, section 6.3), which net/http takes and which is how requests are smuggled. It follows the
// stream from message to message, so a body is never taken for a head. When it loses its way it stops looking; net/http
// refuses what is that odd.
type framing struct {
	// Atomic.
	ambiguous atomic.Bool

	// Of the goroutine that reads.
	state   framingState
	line    []byte
	left    uint64
	length  bool
	chunked bool
	first   bool
}

type framingState uint8

const (
	inHead framingState = iota
	inBody
	inChunkSize
	inChunk
	inTrailer
	lost
)

// longestFramingLine is more than any header may have.
const longestFramingLine = 256 << 10

// see takes what arrived.
func (f *framing) see(arrived []byte) {
	for len(arrived) > 0 && f.state != lost {
		if f.state == inBody || f.state == inChunk {
			skipped := min(f.left, uint64(len(arrived)))
			arrived = arrived[skipped:]
			if f.left -= skipped; f.left == 0 {
				f.next()
			}
			continue
		}
		end := bytes.IndexByte(arrived, '\n')
		if end < 0 {
			f.keep(arrived)
			return
		}
		f.keep(arrived[:end])
		arrived = arrived[end+1:]
		f.takeLine(bytes.TrimSuffix(f.line, []byte("\r")))
		f.line = f.line[:0]
	}
}

func (f *framing) keep(part []byte) {
	if len(f.line)+len(part) > longestFramingLine {
		f.state = lost
		return
	}
	f.line = append(f.line, part...)
}

// next goes to what follows a body or a chunk.
func (f *framing) next() {
	if f.state == inChunk {
		f.state = inChunkSize
		return
	}
	f.state, f.length, f.chunked, f.first = inHead, false, false, false
}

func (f *framing) takeLine(line []byte) {
	switch f.state {
	case inHead:
		f.takeHead(line)
	case inChunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 63)
		switch {
		case err != nil:
			f.state = lost
		case n == 0:
			f.state = inTrailer
		default:
			// The chunk's data and the line break behind it.
			f.state, f.left = inChunk, n+2
		}
	case inTrailer:
		if len(line) == 0 {
			f.next()
		}
	case inBody, inChunk, lost:
	}
}

func (f *framing) takeHead(line []byte) {
	if !f.first {
		// Empty lines may stand before a request line (RFC 9112, section 2.2).
		f.first = len(line) > 0
		if bytes.HasPrefix(line, []byte("PRI * HTTP/2")) {
			f.state = lost
		}
		return
	}
	if len(line) == 0 {
		f.endHead()
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
		if err != nil {
			f.state = lost
			return
		}
		f.length, f.left = true, n
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = true
	}
}

func (f *framing) endHead() {
	switch {
	case f.length && f.chunked:
		f.ambiguous.Store(true)
		f.state = lost
	case f.chunked:
		f.state = inChunkSize
	case f.length && f.left > 0:
		f.state = inBody
	default:
		f.next()
	}
}

// watchedConn shows what it reads to its framing.
type watchedConn struct {
	net.Conn
	framing framing
}

// Read implements net.Conn.
func (c *watchedConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	if n > 0 && c.framing.state != lost {
		c.framing.see(buffer[:n])
	}
	return n, err
}

// CloseWrite says that no more will be written.
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
