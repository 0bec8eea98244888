package http1

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// uploadBuffers hold the pieces of bodies on their way.
var uploadBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// upload sends a body while its connection's goroutine waits for the response, which may come first.
type upload struct {
	carrier *carrier
	body    io.Reader
	chunked bool
	trailer func() *Header
	left    int64

	// Atomic: the body was read to its end, and its last piece is being sent; the client is waited for; when the last piece
	// was sent, as elapsed says it.
	read      atomic.Bool
	receiving atomic.Bool
	sentAt    atomic.Int64

	done chan struct{}
	// Valid when done is closed: err is why the body could not be read, and whole whether all of it was sent.
	err   error
	whole bool
}

// startUpload sends the rest of a body with a goroutine of its own, which ends when the body does or at stop.
func (c *carrier) startUpload(body io.Reader, call *Call) *upload {
	u := &upload{
		carrier: c, body: body, chunked: call.ContentLength < 0, trailer: call.Trailer,
		left: call.ContentLength - c.sent, done: make(chan struct{}),
	}
	if own, ok := body.(*Body); ok {
		own.stream.lent.Store(true)
	}
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.done)
	buffer := uploadBuffers.Get().(*[32 << 10]byte)
	defer uploadBuffers.Put(buffer)
	defer u.giveBack()
	s := &u.carrier.stream
	for {
		u.receiving.Store(true)
		n, err := u.body.Read(buffer[:])
		u.receiving.Store(false)
		ended := errors.Is(err, io.EOF)
		if lerr := u.account(int64(n), ended); lerr != nil {
			err, ended = lerr, false
		}
		if u.chunked {
			s.out = appendChunk(s.out[:0], buffer[:n])
		} else if u.left >= 0 {
			s.out = append(s.out[:0], buffer[:n]...)
		}
		if ended && u.chunked {
			var terr error
			if s.out, terr = appendLastChunk(s.out, u.lastWords()); terr != nil {
				u.err = terr
				s.sever(terr, 0)
				return
			}
		}
		if ended {
			u.read.Store(true)
			u.giveBack()
		}
		// If writing fails the response may still be there to be read, and says why.
		if werr := s.flush(nil); werr != nil {
			return
		}
		u.sentAt.Store(elapsed(instant()))
		if ended {
			u.whole = true
			return
		}
		if err != nil {
			if !errors.Is(err, errHalted) {
				// The upstream must not take what it has for the whole, and nobody has to wait for its answer.
				u.err = err
				s.sever(err, 0)
			}
			return
		}
	}
}

// extend is until when the head of the response may take, now that the time is over which began when nothing was sent.
func (u *upload) extend(call *Call, now time.Time) time.Time {
	if call.HeaderTimeout == 0 || !call.Deadline.IsZero() && !now.Before(call.Deadline) {
		return time.Time{}
	}
	since := after(u.sentAt.Load())
	if u.receiving.Load() {
		since = now
	}
	until := since.Add(call.HeaderTimeout)
	if !call.Deadline.IsZero() && call.Deadline.Before(until) {
		return call.Deadline
	}
	return until
}

// account checks that the body is as long as was announced.
func (u *upload) account(n int64, ended bool) error {
	if u.chunked {
		return nil
	}
	if u.left -= n; u.left < 0 || ended && u.left > 0 {
		return ErrBodyLength
	}
	return nil
}

// giveBack says that nobody reads the client's connection here any more.
func (u *upload) giveBack() {
	if own, ok := u.body.(*Body); ok {
		own.stream.lent.Store(false)
	}
}

// lastWords is the trailer section.
func (u *upload) lastWords() *Header {
	if own, ok := u.body.(*Body); ok {
		return &own.Trailer
	}
	if u.trailer != nil {
		return u.trailer()
	}
	return nil
}

// overtaking is how long the last piece of a body may take that has been answered.
const overtaking = 20 * time.Millisecond

// stop ends the upload, whose answer has come, and tells whether all was sent. Whoever reads the body afterwards is alone.
func (u *upload) stop() (whole bool) {
	own, ok := u.body.(*Body)
	if u.read.Load() {
		// The answer may have overtaken the goroutine, but hardly by much.
		timer := time.NewTimer(overtaking)
		defer timer.Stop()
		select {
		case <-u.done:
		case <-timer.C:
		}
	}
	select {
	case <-u.done:
	default:
		u.carrier.sever(errHalted, 0)
		if ok {
			own.stream.halt()
		} else if closer, ok := u.body.(io.Closer); ok {
			_ = closer.Close()
		}
		<-u.done
		if ok {
			own.stream.resume()
			if errors.Is(own.err, errHalted) {
				own.err = nil
			}
		}
	}
	return u.whole
}
