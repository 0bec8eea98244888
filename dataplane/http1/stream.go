package http1

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// headRoom is how large a buffer begins, which is enough for most heads.
	headRoom = 4 << 10
	// bodyRoom is the least that must be free behind a head to read a body's pieces.
	bodyRoom = 2 << 10
	// largestKept is how large a buffer may be that is used again, and how large it becomes when much arrives at once.
	largestKept = 32 << 10
	// smallBody is how much of a body goes out together with what is before it, by being copied.
	smallBody = 16 << 10
)

// Waiter is whoever a wait is for.
type Waiter interface {
	// Alive is called every now and then while somebody waits; an error ends the wait.
	Alive() error
}

// abandonedError says that a wait ended because nobody waits for its result any more.
type abandonedError struct{ cause error }

func (e *abandonedError) Error() string { return e.cause.Error() }

// Unwrap returns why.
func (e *abandonedError) Unwrap() error { return e.cause }

// stream is a connection, and the buffers through which messages are read from it and written to it. One goroutine may read
// while another writes.
type stream struct {
	// Set once.
	conn  net.Conn
	raw   syscall.RawConn // nil if nobody can look into the connection without reading from it
	sight sight
	tls   bool
	// portable leaves the socket to net.Conn.
	portable bool

	// Of the goroutine that reads: unread bytes are in[r:w], and what is below floor belongs to a head in use.
	in       []byte
	r, w     int
	floor    int
	until    time.Time // when the wait is over, with the error late; zero for never
	late     error
	waiter   Waiter
	tick     time.Duration
	armed    time.Time // the deadline that the connection has
	ended    bool      // the peer will send no more
	received int64
	moved    int  // how often the buffer was made ready for more
	full     bool // the last read filled the buffer
	emptied  bool // the last read left nothing in the socket

	// Of the goroutine that writes. While rawHeld, a callback of raw holds the socket rawFD for it.
	out        []byte
	rawFD      uintptr
	rawHeld    bool
	armedWrite time.Time
	patience   time.Duration // how long a write may take; bytes beyond it at perSecond
	perSecond  int

	// Atomic: why every wait ends now, and whether reading alone pauses.
	severed atomic.Pointer[severance]
	halted  atomic.Bool
	// Atomic: another goroutine than the exchange's reads.
	lent atomic.Bool
}

func (s *stream) open(conn net.Conn, limits *Limits) {
	s.conn, s.tick, s.patience, s.perSecond = conn, limits.Tick, limits.Silence, limits.BytesPerSecond
	s.portable = limits.Portable
	s.raw, s.tls = rawOf(conn)
	s.sight.open()
}

// severance is why a connection ends, and until when it may be written to.
type severance struct {
	cause error
	until time.Time
}

// sever makes every wait of the connection end now, with cause, and every write after some last words. Any goroutine may call
// it.
func (s *stream) sever(cause error, lastWords time.Duration) {
	severed := &severance{cause, longAgo}
	if lastWords > 0 {
		severed.until = instant().Add(lastWords)
	}
	if s.severed.CompareAndSwap(nil, severed) {
		_ = s.conn.SetReadDeadline(longAgo)
		_ = s.conn.SetWriteDeadline(severed.until)
	}
}

// halt makes the goroutine that reads return errHalted, until resume. Any goroutine may call it.
func (s *stream) halt() {
	s.halted.Store(true)
	_ = s.conn.SetReadDeadline(longAgo)
}

// resume lets reading go on, once nobody reads.
func (s *stream) resume() {
	s.halted.Store(false)
	// Unlike any deadline, so that the next wait sets its own.
	s.armed = longAgo
}

// stopped tells whether reads end at once.
func (s *stream) stopped() bool { return s.severed.Load() != nil || s.halted.Load() }

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// cause is why the stream was severed, nil if it was not.
func (s *stream) cause() error {
	if severed := s.severed.Load(); severed != nil {
		return severed.cause
	}
	return nil
}

// expect sets what the next waits are for, and how long they may take.
func (s *stream) expect(until time.Time, late error, waiter Waiter) {
	s.until, s.late, s.waiter = until, late, waiter
}

// arm sets the deadline of the connection, if the one that it has does not do. Deadlines of ticks are approximate, so that a
// busy connection seldom needs a new one.
func (s *stream) arm(now time.Time) {
	latest, earliest := s.until, s.until
	if s.waiter != nil {
		if tick := now.Add(s.tick); latest.IsZero() || tick.Before(latest) {
			latest = tick
		}
		earliest = now.Add(s.tick / 2)
	} else if !latest.IsZero() {
		earliest = latest.Add(-latest.Sub(now) / 8)
	}
	if s.armed.Equal(latest) || !latest.IsZero() && !s.armed.Before(earliest) && !s.armed.After(latest) {
		return
	}
	s.armed = latest
	_ = s.conn.SetReadDeadline(latest)
	if s.stopped() {
		_ = s.conn.SetReadDeadline(longAgo)
	}
}

// read reads from the connection, as long as the wait may take.
func (s *stream) read(p []byte) (int, error) {
	if s.ended {
		return 0, errEnd
	}
	now := instant()
	for {
		s.arm(now)
		n, err := s.conn.Read(p)
		if n > 0 {
			s.received += int64(n)
			s.emptied = n < len(p)
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			if err == nil {
				continue
			}
			s.ended = true
			return 0, err
		}
		s.armed = longAgo
		now = instant()
		if cause := s.cause(); cause != nil {
			return 0, cause
		}
		if s.halted.Load() {
			return 0, errHalted
		}
		if s.waiter != nil {
			if err := s.waiter.Alive(); err != nil {
				return 0, &abandonedError{err}
			}
		}
		if !s.until.IsZero() && !now.Before(s.until) {
			return 0, s.late
		}
	}
}

// fill reads more into the buffer. Room is made by taking what was read, but no byte below the floor moves.
func (s *stream) fill() error {
	s.moved++
	if s.r == s.w {
		s.r, s.w = s.floor, s.floor
	}
	if s.w == len(s.in) && s.r > s.floor {
		s.w = s.floor + copy(s.in[s.floor:], s.in[s.r:s.w])
		s.r = s.floor
	}
	if s.w == len(s.in) || s.full && len(s.in) < largestKept {
		s.grow(max(headRoom, 2*len(s.in)))
	}
	n, err := s.read(s.in[s.w:])
	s.w += n
	s.full = s.w == len(s.in)
	return err
}

func (s *stream) grow(size int) {
	larger := make([]byte, size)
	copy(larger, s.in[:s.w])
	s.in = larger
}

// unread are the bytes that arrived and nobody took.
func (s *stream) unread() []byte { return s.in[s.r:s.w] }

// begin brings what is unread to the beginning of the buffer, for a head.
func (s *stream) begin() {
	s.floor = 0
	s.w = copy(s.in, s.in[s.r:s.w])
	s.r = 0
}

// takeHead fixes the head, which was read from the beginning of the buffer, and returns it. Bodies are read behind it.
func (s *stream) takeHead(size int) []byte {
	s.r, s.floor = size, size
	if len(s.in)-size < bodyRoom {
		s.grow(len(s.in) + bodyRoom)
	}
	return s.in[:size:size]
}

// shrink lets go of buffers that became large.
func (s *stream) shrink() {
	if len(s.in) > largestKept && s.r == s.w {
		s.in, s.r, s.w, s.floor = nil, 0, 0, 0
	}
	if cap(s.out) > 2*largestKept {
		s.out = nil
	}
}

// flush writes what is pending, and more behind it.
func (s *stream) flush(more []byte) error {
	if len(s.out) > 0 {
		if len(s.out)+len(more) <= 2*smallBody {
			s.out, more = append(s.out, more...), nil
		}
		err := s.write(s.out)
		s.out = s.out[:0]
		if err != nil {
			return err
		}
	}
	if len(more) == 0 {
		return nil
	}
	return s.write(more)
}

// write writes all of p. A peer that takes nothing for as long as the patience is has gone, and one that takes less than the
// least rate too. TLS cannot go on after a deadline, so there the whole has one.
func (s *stream) write(p []byte) error {
	if p = s.writeDirect(p); len(p) == 0 {
		return nil
	}
	allowance := time.Duration(len(p)/s.perSecond) * time.Second
	if s.tls {
		s.armWrite(instant(), s.patience+allowance)
		_, err := s.conn.Write(p)
		return s.written(err)
	}
	now := instant()
	end := now.Add(s.patience + allowance)
	for {
		s.armWrite(now, s.patience)
		n, err := s.conn.Write(p)
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || s.cause() != nil {
			return s.written(err)
		}
		p = p[n:]
		if now = instant(); !now.Before(end) {
			return err
		}
		s.armedWrite = longAgo
	}
}

func (s *stream) written(err error) error {
	if err != nil {
		if cause := s.cause(); cause != nil {
			return cause
		}
	}
	return err
}

// armWrite gives a write the time it may take. The deadline is approximate, so that it is seldom set.
func (s *stream) armWrite(now time.Time, bound time.Duration) {
	if left := s.armedWrite.Sub(now); left >= bound/2 && left <= bound {
		return
	}
	s.armedWrite = now.Add(bound)
	_ = s.conn.SetWriteDeadline(s.armedWrite)
	if severed := s.severed.Load(); severed != nil {
		_ = s.conn.SetWriteDeadline(severed.until)
	}
}
