package telemetry

import "sync"

// mailbox holds what is to be said to one agent: how far each of its boots was stored, or why its stream ends. One word that
// was not taken yet stands for all before it, so it is bounded by the boots that one stream reports for.
type mailbox struct {
	ready chan struct{}

	mu       sync.Mutex
	stored   map[string]int64 // by boot
	rejected error
}

func newMailbox() *mailbox {
	return &mailbox{ready: make(chan struct{}, 1), stored: map[string]int64{}}
}

// acknowledge notes that a boot's reports are stored up to a sequence.
func (m *mailbox) acknowledge(boot string, sequence int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stored[boot] = max(m.stored[boot], sequence)
	m.wake()
}

// reject ends the stream.
func (m *mailbox) reject(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejected = err
	m.wake()
}

func (m *mailbox) wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns what is new.
func (m *mailbox) take() (stored map[string]int64, rejected error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, m.stored = m.stored, map[string]int64{}
	return stored, m.rejected
}
