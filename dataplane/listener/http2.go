package listener

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// HTTP2Limits bound what a client of HTTP/2 may have done at little cost to itself. Zero fields take the defaults.
type HTTP2Limits struct {
	// Resets is how many streams a client may open and take back at once (CVE-2023-44487), and ResetsPerSecond how many more as
	// time passes. A stream that is not taken back makes up for one that is. Defaults 1000 and 33, as nghttp2 has them.
	Resets          int
	ResetsPerSecond int
	// Controls is how many frames without effect a client may send at once: PING, SETTINGS, PRIORITY, empty DATA, and those of
	// unknown types; ControlsPerSecond how many more as time passes. Each DATA frame that it is sent makes up for one, since
	// clients measure their line with PINGs. Defaults 1000 and 100.
	Controls          int
	ControlsPerSecond int
	// Continuations is the number of CONTINUATION frames of one header (CVE-2023-45288), HeaderBytes the size of a header as it is
	// sent. Defaults 32 and 64 KiB.
	Continuations int
	HeaderBytes   int
	// Silence is how long a client may take nothing of what it is sent. Default 30 s.
	Silence time.Duration
}

func (l HTTP2Limits) withDefaults() HTTP2Limits {
	setDefault(&l.Resets, 1000)
	setDefault(&l.ResetsPerSecond, 33)
	setDefault(&l.Controls, 1000)
	setDefault(&l.ControlsPerSecond, 100)
	setDefault(&l.Continuations, 32)
	setDefault(&l.HeaderBytes, 64<<10)
	setDefault(&l.Silence, 30*time.Second)
	return l
}

// Excess is what a client of HTTP/2 did too much of.
type Excess uint8

// What clients of HTTP/2 may do too much of; see [HTTP2Limits].
const (
	ExcessResets Excess = iota
	ExcessControls
	ExcessContinuations
	ExcessHeader
	excesses
	withinLimits = excesses
)

var excessNames = [excesses]string{"resets", "control_frames", "continuations", "header"}

// GuardHTTP2 stands between a client and a server of HTTP/2 as golang.org/x/net/http2 has it. What the client sends is counted, and
// beyond the limits the connection ends with ENHANCE_YOUR_CALM (RFC 9113, section 7). Where that server departs from the RFC, what it
// reads is changed so that it answers as the RFC says:
//   - fields that belong to a connection (section 8.2.2) make it reset the stream, where it would answer with a body;
//   - a setting that is given twice takes its last value (section 6.5), where it would end the connection;
//   - a client that does not speak HTTP/2 reads the end of the connection, where it might read a reset.
//
// It also reads several frames with one system call, and sends several with one. told, if not nil, is called once when a connection ends for an excess.
func GuardHTTP2(conn net.Conn, limits HTTP2Limits, told func(Excess)) net.Conn {
	g := &guarded{Conn: conn, limits: limits.withDefaults(), told: told}
	g.out.open(conn, g.limits.Silence, func(data int) { g.sent.Add(int64(data)) })
	now := time.Now()
	g.resets.fill(g.limits.Resets, now)
	g.controls.fill(g.limits.Controls, now)
	if secure, ok := conn.(tlsConn); ok {
		return &guardedTLS{guarded: g, secure: secure}
	}
	return g
}

// guardedTLS shows the server of HTTP/2 that it is encrypted.
type guardedTLS struct {
	*guarded
	secure tlsConn
}

// ConnectionState is the state of TLS.
func (g *guardedTLS) ConnectionState() tls.ConnectionState { return g.secure.ConnectionState() }

// guarded is a connection of HTTP/2. One goroutine may read while another writes.
type guarded struct {
	net.Conn

	// Set once.
	limits HTTP2Limits
	told   func(Excess)

	// Of the goroutine that reads. Of what was read, in[:ready] may go on, and in[ready:] is not looked at yet; skip bytes more
	// belong to a frame that goes on as it arrives.
	in      []byte
	ready   int
	skip    int
	greeted bool
	lost    bool
	failed  error
	last    uint32 // the highest stream of the client
	block   headerBlock
	resets  budget
	// controls is refilled by what is sent.
	controls budget

	// Safe by itself.
	out sending

	// Atomic.
	sent   atomic.Int64 // DATA frames that the reader has not seen yet
	gone   atomic.Bool  // there is nothing more to read
	linger atomic.Bool
}

const (
	frameHead     = 9
	frameData     = 0x0
	frameHeaders  = 0x1
	framePriority = 0x2
	frameReset    = 0x3
	frameSettings = 0x4
	framePing     = 0x6
	frameGoAway   = 0x7
	frameWindow   = 0x8
	frameContinue = 0x9

	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	// largestFrame is what the server has to allow: more is refused by it (section 4.2).
	largestFrame = 16 << 10
	// readSize is how much is read at once while frames are small. An idle connection holds as much.
	readSize = 512
)

const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// NetConn is the connection below.
func (g *guarded) NetConn() net.Conn { return g.Conn }

// Read implements net.Conn.
func (g *guarded) Read(p []byte) (int, error) {
	for {
		if g.ready > 0 {
			n := copy(p, g.in[:g.ready])
			g.drop(n)
			return n, nil
		}
		if g.failed != nil {
			return 0, g.failed
		}
		if g.lost || g.skip > 0 && len(g.in) == 0 && len(p) >= readSize/2 {
			return g.readThrough(p)
		}
		if err := g.advance(); err != nil {
			g.failed = err
			g.gone.Store(true)
		}
	}
}

// readThrough reads what need not be looked at.
func (g *guarded) readThrough(p []byte) (int, error) {
	if !g.lost {
		p = p[:min(len(p), g.skip)]
	}
	n, err := g.Conn.Read(p)
	if !g.lost {
		g.skip -= n
	}
	if err != nil {
		g.gone.Store(true)
	}
	return n, err
}

// drop takes the first bytes out of the buffer.
func (g *guarded) drop(n int) {
	g.ready -= n
	g.in = g.in[:copy(g.in, g.in[n:])]
	if len(g.in) == 0 && cap(g.in) > readSize {
		g.in = nil
	}
}

// advance looks at what was read, reading more if need be, until something may go on.
func (g *guarded) advance() error {
	switch {
	case g.skip > 0:
		if len(g.in) == 0 {
			if err := g.fill(1); err != nil {
				return err
			}
		}
		g.ready = min(g.skip, len(g.in))
		g.skip -= g.ready
		return nil
	case !g.greeted:
		return g.greet()
	}
	if err := g.fill(frameHead); err != nil {
		return err
	}
	return g.frame()
}

// fill reads until the buffer holds size bytes.
func (g *guarded) fill(size int) error {
	for len(g.in) < size {
		if cap(g.in) < max(size, readSize) {
			g.in = append(make([]byte, 0, max(size, readSize)), g.in...)
		}
		n, err := g.Conn.Read(g.in[len(g.in):cap(g.in)])
		g.in = g.in[:len(g.in)+n]
		if err != nil && len(g.in) < size {
			if errors.Is(err, io.EOF) && len(g.in) > 0 {
				// What is there goes on, for the server to see what it is.
				g.lost, g.ready = true, len(g.in)
				return nil
			}
			return err
		}
	}
	return nil
}

// greet checks the preface (section 3.4). What is none goes on to the server, which ends the connection.
func (g *guarded) greet() error {
	g.greeted = true
	if err := g.fill(len(greeting)); err != nil {
		return err
	}
	if !g.lost && string(g.in[:len(greeting)]) == greeting {
		g.ready = len(greeting)
		return nil
	}
	g.linger.Store(true)
	g.lost, g.ready = true, len(g.in)
	return nil
}

// frame looks at the frame whose head is in the buffer.
func (g *guarded) frame() error {
	if g.lost {
		return nil
	}
	length := int(g.in[0])<<16 | int(g.in[1])<<8 | int(g.in[2])
	kind, flags, stream := g.in[3], g.in[4], binary.BigEndian.Uint32(g.in[5:])&^(1<<31)
	if length > largestFrame {
		// The server refuses it by its head alone.
		g.lost, g.ready = true, len(g.in)
		return nil
	}
	if excess := g.weigh(kind, flags, stream, length); excess != withinLimits {
		return g.calm(excess)
	}
	switch {
	case kind == frameHeaders || kind == frameContinue:
		if err := g.fill(frameHead + length); err != nil || g.lost {
			return err
		}
		length += g.header(kind, flags, length)
	case kind == frameSettings && flags&flagAck == 0:
		if err := g.fill(frameHead + length); err != nil || g.lost {
			return err
		}
		length -= g.settings(length)
	}
	g.ready = min(frameHead+length, len(g.in))
	g.skip = frameHead + length - g.ready
	return nil
}

// weigh counts a frame. It tells what there is too much of, if anything.
func (g *guarded) weigh(kind, flags byte, stream uint32, length int) Excess {
	g.controls.add(int(g.sent.Swap(0)), g.limits.Controls)
	switch kind {
	case frameHeaders:
		if stream > g.last {
			g.last = stream
			// Half of what a reset costs: who takes back every second stream may go on.
			g.resets.addHalf(g.limits.Resets)
		}
		g.block = headerBlock{}
		if length > g.limits.HeaderBytes {
			return ExcessHeader
		}
	case frameContinue:
		g.block.continuations++
		if g.block.continuations > g.limits.Continuations {
			return ExcessContinuations
		}
		if len(g.block.fragments)+length > g.limits.HeaderBytes {
			return ExcessHeader
		}
	case frameReset:
		if !g.resets.take(g.limits.Resets, g.limits.ResetsPerSecond) {
			return ExcessResets
		}
	case frameWindow:
		// It costs the server no more than to read it.
	case frameData:
		if length == 0 && flags&flagEndStream == 0 && !g.controls.take(g.limits.Controls, g.limits.ControlsPerSecond) {
			return ExcessControls
		}
	default:
		if !g.controls.take(g.limits.Controls, g.limits.ControlsPerSecond) {
			return ExcessControls
		}
	}
	return withinLimits
}

// Write implements net.Conn. What is small is sent soon, together with what follows; see [sending].
func (g *guarded) Write(p []byte) (int, error) { return g.out.write(p) }

// SetWriteDeadline implements net.Conn. It does nothing, since what is sent has deadlines here.
func (g *guarded) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn, for reading.
func (g *guarded) SetDeadline(at time.Time) error { return g.SetReadDeadline(at) }

// ErrCalm says that the client of HTTP/2 was too busy.
var ErrCalm = errors.New("the client of HTTP/2 sent too many frames of a kind, and was told to be calm")

const enhanceYourCalm = 0xb

// calm ends the connection: GOAWAY, if it can be written between two frames.
func (g *guarded) calm(excess Excess) error {
	if g.told != nil {
		g.told(excess)
	}
	g.linger.Store(true)
	frame := [frameHead + 8]byte{2: 8, 3: frameGoAway}
	binary.BigEndian.PutUint32(frame[frameHead:], g.last)
	binary.BigEndian.PutUint32(frame[frameHead+4:], enhanceYourCalm)
	g.out.farewell(frame[:])
	return ErrCalm
}

const (
	// closeTime is how long a client that is still there may take for what it was sent; crypto/tls has the same for its last alert.
	closeTime  = 5 * time.Second
	lingerTime = 250 * time.Millisecond
	mostLinger = 256 << 10
)

// Close implements net.Conn. What was written is sent before, if the client takes it. A client that still sends would read a reset in place of the last words, so what it sends is read for a
// moment.
func (g *guarded) Close() error {
	within := closeTime
	if g.gone.Load() || g.linger.Load() {
		within = lingerTime
	}
	g.out.close(within)
	if g.linger.Swap(false) {
		if half, ok := g.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_ = g.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.CopyN(io.Discard, g.Conn, mostLinger)
		}
	}
	return g.Conn.Close()
}

// budget is a token bucket, in halves.
type budget struct {
	halves int
	at     time.Time
}

func (b *budget) fill(most int, now time.Time) { b.halves, b.at = 2*most, now }

func (b *budget) add(n, most int) { b.halves = min(b.halves+2*n, 2*most) }

func (b *budget) addHalf(most int) { b.halves = min(b.halves+1, 2*most) }

// take takes one out. It looks at the time only when the budget seems to be used up.
func (b *budget) take(most, perSecond int) bool {
	if b.halves < 2 {
		now := time.Now()
		earned := int(now.Sub(b.at).Seconds() * float64(perSecond))
		if earned < 1 {
			return false
		}
		b.add(min(earned, most), most)
		b.at = now
	}
	b.halves -= 2
	return true
}
