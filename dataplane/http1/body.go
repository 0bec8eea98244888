package http1

import (
	"errors"
	"io"
	"time"
)

// bodyKind is how the length of a body is known (RFC 9112, section 6).
type bodyKind uint8

const (
	noBody bodyKind = iota
	lengthBody
	chunkedBody
	untilCloseBody
)

// errEnd says that the peer sends no more.
var errEnd = io.EOF

// Body is the body of a message that is being received. Read returns io.EOF together with the last bytes if they are known to
// be the last, and io.ErrUnexpectedEOF if the connection ended too early. One goroutine may read it at a time.
type Body struct {
	// Trailer is the trailer section, complete when Read has returned io.EOF.
	Trailer Header
	transfer

	// untouched says that there is no body, of which nobody can have noted anything.
	untouched bool
}

// transfer is what is known of a body and how far it was read.
type transfer struct {
	stream *stream
	limits *Limits
	kind   bodyKind
	left   int64 // of the body, or of the chunk
	chunks chunkState
	excess int // bytes of framing beyond what is reasonable
	done   bool
	err    error

	size int // of the trailer section
	// unwanted tells of fields that are left out of the trailer section; nil for none.
	unwanted func(name []byte) bool

	// pace bounds how slow the peer may be; nil for upstreams, whose silence is bounded.
	paced  bool
	budget time.Duration
	// idle bounds the silence of an unpaced body, and total the whole of it.
	idle    time.Duration
	idleErr error
	total   time.Time
	waiter  Waiter
	// before is called before the first read that may wait: a client may have to be told to go on.
	before func() error

	// most is how much content there may be, if that is bounded, and room how much of it may still come.
	bounded    bool
	most, room int64

	// origin is where the body began; see Rewind. What was read is in kept as long as keep is above 0, and what is behind
	// replay is read once more.
	origin origin
	keep   int
	kept   []byte
	replay int
}

func (b *Body) reset(s *stream, limits *Limits, kind bodyKind, length int64) {
	if b.untouched && kind == noBody {
		// One message without a body after another: nothing was noted of the one before.
		b.stream, b.limits = s, limits
		return
	}
	b.untouched = kind == noBody
	b.Trailer.Reset()
	// By itself, since that clears in place; a transfer with fields would be made beside it and copied.
	b.transfer = transfer{}
	b.stream, b.limits, b.kind, b.left = s, limits, kind, length
	b.done = kind == noBody
	b.budget = limits.BodyGrace
	o := &b.origin
	o.r, o.left, o.done = s.r, length, b.done
	o.received, o.moved = s.received, s.moved
}

// DropTrailers leaves fields out of the trailer section that is yet to come: those whose names, as they are spelt in the message,
// unwanted holds for.
func (b *Body) DropTrailers(unwanted func(name []byte) bool) { b.unwanted = unwanted }

// Done tells whether the body was read to its end.
func (b *Body) Done() bool { return b.done }

// Arrived tells whether what is left of the body can be read without waiting for the peer.
func (b *Body) Arrived() bool { return b.replay == len(b.kept) && b.whole() }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err == nil && b.replay < len(b.kept) {
		n := copy(p, b.kept[b.replay:])
		b.replay += n
		if b.done && b.replay == len(b.kept) {
			return n, io.EOF
		}
		return n, nil
	}
	n, err := b.read(p)
	if b.beyond(n) {
		n, err = 0, ErrBodyTooLarge
	}
	b.remember(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (b *Body) read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.done {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch b.kind {
	case lengthBody:
		return b.readLength(p)
	case chunkedBody:
		return b.readChunked(p)
	default:
		return b.readUntilClose(p)
	}
}

func (b *Body) readLength(p []byte) (int, error) {
	n, err := b.content(p, true)
	b.left -= int64(n)
	if err == nil && b.left == 0 {
		b.done = true
		return n, io.EOF
	}
	return n, unexpected(err)
}

func (b *Body) readUntilClose(p []byte) (int, error) {
	b.left = int64(len(p))
	n, err := b.content(p, true)
	if errors.Is(err, io.EOF) {
		b.done = true
	}
	return n, err
}

// unexpected tells the end of the connection from the end of the body.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// content reads content, at most as much as is left of it: from the buffer, or if that is empty from the connection, past the
// buffer if the caller's is larger.
func (b *Body) content(p []byte, wait bool) (int, error) {
	s := b.stream
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if s.r == s.w {
		if !wait {
			return 0, errNotBuffered
		}
		if len(p) >= bodyRoom {
			return b.paceRead(p)
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.unread())
	s.r += n
	return n, nil
}

// fill reads more into the buffer of the connection, bounded by the pace of the body.
func (b *Body) fill() error {
	began, err := b.expect()
	if err != nil {
		return err
	}
	before := b.stream.received
	err = b.stream.fill()
	b.paid(began, int(b.stream.received-before))
	return err
}

func (b *Body) paceRead(p []byte) (int, error) {
	began, err := b.expect()
	if err != nil {
		return 0, err
	}
	n, err := b.stream.read(p)
	b.paid(began, n)
	return n, err
}

// expect sets how long the next read may take.
func (b *Body) expect() (began time.Time, err error) {
	if b.before != nil {
		before := b.before
		b.before = nil
		if err := before(); err != nil {
			return time.Time{}, err
		}
	}
	began = instant()
	if b.paced {
		b.stream.expect(began.Add(b.budget), errBodyTimeout, nil)
		return began, nil
	}
	until, late := b.total, ErrTimeout
	if idle := began.Add(b.idle); b.idle > 0 && (until.IsZero() || idle.Before(until)) {
		until, late = idle, b.idleErr
	}
	b.stream.expect(until, late, b.waiter)
	return began, nil
}

// paid adjusts the time that is left to a slow peer: waiting costs, every byte earns. The time that nobody read is not the
// peer's, and what was earned is worth no more than the silence that is allowed anyway.
func (b *Body) paid(began time.Time, n int) {
	if !b.paced {
		return
	}
	earned := time.Duration(n) * time.Second / time.Duration(b.limits.BytesPerSecond)
	b.budget = min(b.budget-time.Since(began)+earned, max(b.limits.Silence, b.limits.BodyGrace))
}

// next returns the next piece of content where it lies in the buffer, until the next read; together with io.EOF if it is known
// to be the last. If nothing has arrived it waits, or returns errNotBuffered.
func (b *Body) next(wait bool) (piece []byte, err error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case b.replay < len(b.kept):
		piece, b.replay = b.kept[b.replay:], len(b.kept)
		if b.done {
			err = io.EOF
		}
		return piece, err
	case b.done:
		return nil, io.EOF
	}
	switch b.kind {
	case chunkedBody:
		piece, err = b.nextChunked(wait)
	case untilCloseBody:
		b.left = 1 << 62
		if piece, err = b.take(wait); errors.Is(err, io.EOF) {
			b.done = true
			return nil, err
		}
	default:
		if piece, err = b.take(wait); err == nil && b.left == 0 {
			b.done = true
			err = io.EOF
		} else {
			err = unexpected(err)
		}
	}
	if b.beyond(len(piece)) {
		piece, err = nil, ErrBodyTooLarge
	}
	b.remember(piece)
	if err != nil && !isEnd(err) && !errors.Is(err, errNotBuffered) {
		b.err = err
	}
	return piece, err
}

// isEnd tells of the end of a body. Nobody here wraps it, and errors.Is takes longer than passing on a small body.
func isEnd(err error) bool { return err == io.EOF } //nolint:errorlint // see above

// take takes content from the buffer, at most as much as is left of it.
func (b *Body) take(wait bool) ([]byte, error) {
	s := b.stream
	if s.r == s.w {
		if !wait {
			return nil, errNotBuffered
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
	piece := s.unread()
	piece = piece[:min(int64(len(piece)), b.left)]
	s.r += len(piece)
	b.left -= int64(len(piece))
	return piece, nil
}

// nextChunked finds the next content, and reads the framing behind it as far as it has arrived.
func (b *Body) nextChunked(wait bool) (piece []byte, err error) {
	for b.chunks != inData && !b.done {
		if err := b.chunkLine(wait); err != nil {
			return nil, unexpected(err)
		}
	}
	if b.done {
		return nil, io.EOF
	}
	if piece, err = b.take(wait); err != nil {
		return nil, unexpected(err)
	}
	if b.left > 0 {
		return piece, nil
	}
	b.chunks = atDataEnd
	for b.chunks != inData && !b.done {
		if err := b.chunkLine(false); errors.Is(err, errNotBuffered) {
			return piece, nil
		} else if err != nil {
			return piece, err
		}
	}
	if b.done {
		return piece, io.EOF
	}
	return piece, nil
}

// whole tells whether the rest of a body of known length has arrived.
func (b *Body) whole() bool {
	return b.done || b.kind == lengthBody && b.left <= int64(b.stream.w-b.stream.r)
}

// discard reads on to the end if that is no more than limit bytes, and tells whether it was.
func (b *Body) discard(limit int64) bool {
	if b.kind == lengthBody && b.left > limit {
		return false
	}
	var scratch [512]byte
	b.keep, b.replay = 0, len(b.kept)
	for !b.done && limit >= 0 {
		n, err := b.Read(scratch[:])
		if limit -= int64(n); err != nil {
			break
		}
	}
	return b.done
}
