package http1

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// Loan is a body in the hands of another goroutine than the exchange's, such as a transport's that sends it while the response
// is awaited. It is an io.ReadCloser; Close ends a Read that waits.
type Loan struct {
	body *Body

	// Guarded by mu, which is held while the body is read.
	mu sync.Mutex

	// Atomic.
	closed atomic.Bool
	ended  atomic.Bool
}

// Lend gives the body to another goroutine, until Reclaim.
func (b *Body) Lend() *Loan {
	l := &Loan{body: b}
	b.stream.lent.Store(true)
	return l
}

// Read implements io.Reader.
func (l *Loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return 0, errHalted
	}
	n, err := l.body.Read(p)
	if err != nil {
		l.ended.Store(true)
		l.body.stream.lent.Store(false)
	}
	return n, err
}

// Close implements io.Closer.
func (l *Loan) Close() error {
	if !l.closed.Swap(true) && !l.ended.Load() {
		l.body.stream.halt()
	}
	return nil
}

// Reclaim takes the body back. Whoever reads it afterwards is alone. It returns why the body could not be read, nil if it could.
func (l *Loan) Reclaim() error {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body.stream.lent.Store(false)
	if l.body.stream.halted.Load() {
		l.body.stream.resume()
	}
	if errors.Is(l.body.err, errHalted) {
		l.body.err = nil
	}
	return l.body.err
}

var _ io.ReadCloser = (*Loan)(nil)
