package proxy

import (
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
)

// streamBody is the body of a request of HTTP/2. A transport reads it with a goroutine of its own, maybe still when the exchange
// is over.
type streamBody struct {
	// Set once.
	source io.ReadCloser
	rate   int
	grace  time.Duration

	// Atomic: the try that may read, and whether nobody can read from the source any more.
	current     atomic.Pointer[bodyTry]
	interrupted atomic.Bool

	// Guarded by mu, which is held while the client is waited for.
	mu     sync.Mutex
	budget time.Duration
	limit  int // of what is kept, 0 if nothing is
	kept   []byte
	began  bool
	lost   bool  // what was read is not kept any more
	left   int64 // of what the body may have
	end    error
}

var errBodyClosed = errors.New("the request's body was closed")

func newStreamBody(source io.ReadCloser, limits *Limits) *streamBody {
	return &streamBody{source: source, rate: limits.BodyRate, grace: limits.BodyGrace, budget: limits.BodyGrace, left: math.MaxInt64}
}

// Keep implements requestBody.
func (b *streamBody) Keep(limit int) { b.limit = limit }

// Limit implements requestBody.
func (b *streamBody) Limit(most int64) { b.left = most }

func (b *streamBody) content() ([]byte, bool) {
	if !b.mu.TryLock() {
		return nil, false
	}
	defer b.mu.Unlock()
	return b.kept, b.limit > 0 && errors.Is(b.end, io.EOF)
}

// bodyTry is the body as one try reads it.
type bodyTry struct {
	body *streamBody
	// offset is how much of what was kept was read.
	offset int
	closed atomic.Bool
}

// again implements requestBody. It says no if what was read is not there any more, or if the last try still waits for the
// client.
func (b *streamBody) again() (io.Reader, bool) {
	if !b.mu.TryLock() {
		return nil, false
	}
	defer b.mu.Unlock()
	if b.lost || b.began && b.limit == 0 || b.end != nil && !errors.Is(b.end, io.EOF) {
		return nil, false
	}
	try := &bodyTry{body: b}
	b.current.Store(try)
	return try, true
}

// Read implements io.Reader.
func (t *bodyTry) Read(buffer []byte) (int, error) {
	b := t.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case t.closed.Load() || b.current.Load() != t:
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

// Close implements io.Closer. It ends a Read that waits.
func (t *bodyTry) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	if t.body.mu.TryLock() {
		t.body.mu.Unlock()
	} else if t.body.current.Load() == t {
		t.body.interrupt()
	}
	return nil
}

// interrupt ends a Read that waits, and those that follow.
func (b *streamBody) interrupt() {
	if !b.interrupted.Swap(true) {
		_ = b.source.Close()
	}
}

// receive reads from the client, who has to keep a pace: waiting costs, every byte earns. The caller holds mu.
func (b *streamBody) receive(buffer []byte) (int, error) {
	b.began = true
	began := time.Now()
	late := time.AfterFunc(b.budget, b.interrupt)
	n, err := b.source.Read(buffer)
	late.Stop()
	b.budget = min(b.budget-time.Since(began)+time.Duration(n)*time.Second/time.Duration(b.rate), max(longestSilence, b.grace))
	switch {
	case b.limit == 0:
	case len(b.kept)+n <= b.limit:
		b.kept = append(b.kept, buffer[:n]...)
	default:
		b.limit, b.kept, b.lost = 0, nil, true
	}
	if err != nil && !errors.Is(err, io.EOF) && b.budget <= 0 {
		err = errSlowBody
	}
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, http1.ErrBodyTooLarge
	}
	b.end = err
	return n, err
}

// errSlowBody is what the engine of HTTP/1.1 says too.
var errSlowBody = &http1.Error{Status: http.StatusRequestTimeout, Reason: "the body of the request took too long"}

// longestSilence is how long a body may stand still that was fast enough before.
const longestSilence = 30 * time.Second
