package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
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

	// Guarded by mu, which is held while the client is waited for.
	mu      sync.Mutex
	current *tryBody
	began   bool
	// keep says that kept is all that was read.
	keep bool
	kept []byte
	end  error
}

// longestRepeat is how much of a body is kept, so that it can be sent again.
const longestRepeat = 64 << 10

var errBodyClosed = errors.New("the request's body was closed")

// newRequestBody reads from source; length is negative if nobody knows it. What was read is kept on demand.
func newRequestBody(source io.Reader, dog *watchdog, keep bool, length int64) *requestBody {
	b := &requestBody{source: source, dog: dog, keep: keep && length <= longestRepeat}
	if b.keep && length > 0 {
		b.kept = make([]byte, 0, length)
	}
	return b
}

// tryBody is the body as one try reads it.
type tryBody struct {
	body *requestBody
	// offset is how much of what was kept was read.
	offset int
}

// again lets the body be read from its beginning, and from nowhere else any more. It says no if what was read is not there
// any more, or if the last try is still waiting for the client.
func (b *requestBody) again() (*tryBody, bool) {
	if !b.mu.TryLock() {
		return nil, false
	}
	defer b.mu.Unlock()
	if b.failed.Load() || b.began && !b.keep {
		return nil, false
	}
	b.current = &tryBody{body: b}
	return b.current, true
}

// Read implements io.Reader.
func (t *tryBody) Read(buffer []byte) (int, error) {
	b := t.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed.Load() || b.current != t:
		return 0, errBodyClosed
	case t.offset < len(b.kept):
		n := copy(buffer, b.kept[t.offset:])
		t.offset += n
		return n, nil
	case b.end != nil:
		return 0, b.end
	}
	n, err := b.receive(buffer)
	t.offset = len(b.kept)
	return n, err
}

// receive reads from the client. The caller holds mu.
func (b *requestBody) receive(buffer []byte) (int, error) {
	b.began = true
	b.dog.receiving.Store(true)
	n, err := b.source.Read(buffer)
	b.dog.receiving.Store(false)
	b.dog.touch()
	if b.keep && len(b.kept)+n <= longestRepeat {
		b.kept = append(b.kept, buffer[:n]...)
	} else {
		b.keep, b.kept = false, nil
	}
	b.end = err
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.whole.Store(true)
	default:
		b.failed.Store(true)
	}
	return n, err
}

// Close does not close the client's body, so that the request can go to another target.
func (t *tryBody) Close() error { return nil }

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
