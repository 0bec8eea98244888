package discovery

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is how a source fares.
type Status struct {
	// Source is what it looks for: "dns orders.example.com:80".
	Source string `json:"source"`
	Kind   Kind   `json:"kind"`
	// Targets is how many it found last.
	Targets int `json:"targets"`
	// LastSuccess is when it got an answer last, LastChange when an answer was another than the one before; zero for never.
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastChange  time.Time `json:"last_change,omitzero"`
	// LastError is what is wrong now; empty if the last answer was good.
	LastError string `json:"last_error,omitempty"`
	// LastFailure is when something was wrong last, Failures how often.
	LastFailure time.Time `json:"last_failure,omitzero"`
	Failures    uint64    `json:"failures"`
}

// Board shows how the sources fare that run. It may be used by several goroutines.
type Board struct {
	mu     sync.Mutex
	states map[*state]struct{}
}

// NewBoard makes an empty board.
func NewBoard() *Board { return &Board{states: map[*state]struct{}{}} }

// Statuses gives how each running source fares, sorted by what it looks for.
func (b *Board) Statuses() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Status, 0, len(b.states))
	for s := range b.states {
		all = append(all, s.status)
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Source, b.Source) })
	return all
}

// enter shows a source from now on. A nil board shows nothing.
func (b *Board) enter(c Config) *state {
	if b == nil {
		b = NewBoard()
	}
	s := &state{board: b, status: Status{Source: c.String(), Kind: c.Kind}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states[s] = struct{}{}
	return s
}

func (b *Board) leave(s *state) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.states, s)
}
