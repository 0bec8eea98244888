package http1

import (
	"bytes"
	"errors"
	"io"
)

// chunkState is where in a chunked body the reader is (RFC 9112, section 7.1).
type chunkState uint8

const (
	atSize chunkState = iota
	inData
	atDataEnd
	inTrailer
)

const (
	// longestChunkLine bounds the size of a chunk with its extensions.
	longestChunkLine = 1 << 10
	// mostExcess bounds what extensions and tiny chunks may cost beyond a reasonable share.
	mostExcess = 16 << 10
)

// readChunked reads content out of chunks, of as many as have arrived.
func (b *Body) readChunked(p []byte) (n int, err error) {
	for {
		if n == len(p) && b.chunks == inData {
			return n, nil
		}
		switch b.chunks {
		case inData:
			// Whatever was read goes to the caller before anybody waits for more.
			var m int
			m, err = b.content(p[n:], n == 0)
			n += m
			b.left -= int64(m)
			if b.left == 0 && err == nil {
				b.chunks = atDataEnd
			}
		default:
			err = b.chunkLine(n == 0)
		}
		switch {
		case b.done:
			return n, io.EOF
		case err == nil:
		case errors.Is(err, errNotBuffered) && n > 0:
			return n, nil
		default:
			return n, unexpected(err)
		}
	}
}

// chunkLine reads one line of the framing.
func (b *Body) chunkLine(wait bool) error {
	line, err := b.line(wait)
	if err != nil {
		return err
	}
	switch b.chunks {
	case atSize:
		return b.chunkSize(line)
	case atDataEnd:
		if len(line) > 0 {
			return errChunkEnd
		}
		b.chunks = atSize
	default:
		return b.trailerLine(line)
	}
	return nil
}

// line takes a line that is whole from the buffer. It is valid until the next read.
func (b *Body) line(wait bool) ([]byte, error) {
	s := b.stream
	for searched := 0; ; {
		unread := s.unread()
		if i := bytes.IndexByte(unread[searched:], '\n'); i >= 0 {
			end := searched + i
			if end == 0 || unread[end-1] != '\r' {
				return nil, errBareLF
			}
			s.r += end + 1
			return unread[:end-1], nil
		}
		if searched = len(unread); searched > b.longestLine() {
			return nil, b.tooLong()
		}
		if b.chunks == atDataEnd && (searched > 1 || searched == 1 && unread[0] != '\r') {
			return nil, errChunkEnd
		}
		if !wait {
			return nil, errNotBuffered
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

func (b *Body) longestLine() int {
	if b.chunks == inTrailer {
		return b.limits.HeaderBytes
	}
	return longestChunkLine
}

func (b *Body) tooLong() error {
	if b.chunks == inTrailer {
		return errTrailerTooLarge
	}
	return errChunkExtension
}

// chunkSize reads the size of a chunk: hexadecimal digits, then nothing or extensions, which mean nothing here. White space
// before extensions is bad (RFC 9112, section 7.1.1) and refused.
func (b *Body) chunkSize(line []byte) error {
	digits := 0
	size := int64(0)
	for digits < len(line) && classes[line[digits]]&hexByte != 0 {
		if digits == 15 {
			return errChunkSize
		}
		c := line[digits]
		value := int64(c - '0')
		if c > '9' {
			value = int64(c|0x20-'a') + 10
		}
		size = size<<4 | value
		digits++
	}
	extension := line[digits:]
	if digits == 0 || len(extension) > 0 && extension[0] != ';' {
		return errChunkSize
	}
	if len(line) > longestChunkLine || !validValue(extension) {
		return errChunkExtension
	}
	if b.excess = max(0, b.excess+len(line)+2-16-2*int(min(size, mostExcess))); b.excess > mostExcess {
		return errChunkExtension
	}
	b.left, b.chunks = size, inData
	if size == 0 {
		b.chunks = inTrailer
	}
	return nil
}

// trailerLine reads a line of the trailer section (RFC 9112, section 7.1.2).
func (b *Body) trailerLine(line []byte) error {
	if len(line) == 0 {
		b.done = true
		return nil
	}
	if b.size += len(line) + 2; b.size > b.limits.HeaderBytes {
		return errTrailerTooLarge
	}
	if b.Trailer.Len() >= b.limits.HeaderCount {
		return errTooManyFields
	}
	if line[0] == ' ' || line[0] == '\t' {
		return errFolding
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], tokenByte) {
		return errFieldName
	}
	value := trim(line[colon+1:])
	if !validValue(value) {
		return errFieldValue
	}
	if notInTrailers.has(identify(line[:colon])) {
		return errTrailerField
	}
	if b.unwanted != nil && b.unwanted(line[:colon]) {
		return nil
	}
	b.Trailer.Add(string(line[:colon]), string(value))
	return nil
}
