package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// requestBody hands the client's body to the upstream. The transport reads it on a goroutine of its own, maybe still when the
// exchange is over.
type requestBody struct {
	source io.Reader
	dog    *watchdog

	// Atomic: the body was read to its end, and nobody may read any more.
	whole  atomic.Bool
	closed atomic.Bool
	failed atomic.Bool
}

var errBodyClosed = errors.New("the request's body was closed")

// Read implements io.Reader.
func (b *requestBody) Read(buffer []byte) (int, error) {
	if b.closed.Load() {
		return 0, errBodyClosed
	}
	b.dog.receiving.Store(true)
	n, err := b.source.Read(buffer)
	b.dog.receiving.Store(false)
	b.dog.touch()
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.whole.Store(true)
	default:
		b.failed.Store(true)
	}
	return n, err
}

// Close does not close the client's body, so that a request of which nothing was sent can go to another target.
func (b *requestBody) Close() error { return nil }

// lingering is how long the rest of a request is still read that was answered before it was whole.
const lingering = time.Second

// leave ends the exchange's use of the body. The rest is read and thrown away for a while, so that the answer, which has been
// sent, is not lost to a reset by bytes that nobody takes (RFC 9112, section 9.6). In HTTP/2 a stream has an end of its own.
func (b *requestBody) leave(control *http.ResponseController, http1 bool) {
	b.closed.Store(true)
	if b.whole.Load() || b.failed.Load() || !http1 {
		return
	}
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(lingering))
	_, _ = io.Copy(io.Discard, b.source)
}
