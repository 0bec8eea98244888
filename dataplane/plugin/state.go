package plugin

import (
	"sync"
	"time"
)

// State is the live state of policies, which belongs to the process and not to a configuration: a revision that comes and
// goes loses no count. It is safe for use by several goroutines.
type State struct {
	// Set once.
	began time.Time

	// Guarded by mu.
	mu     sync.Mutex
	usages map[string]*Usages
}

// NewState makes an empty state.
func NewState() *State {
	return &State{began: time.Now(), usages: make(map[string]*Usages)}
}

// Usages returns what has been counted under a name, which tells the plugin, its scope and whose requests are counted
// together. The caller releases it when it does not count under that name any more; another that asks meanwhile, or soon
// after, gets the same.
func (s *State) Usages(name string) *Usages {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usages[name]
	if u == nil {
		u = newUsages(s)
		s.usages[name] = u
	}
	u.holders++
	return u
}

// Sweep forgets subjects whose limits are whole again, and the usages that nobody holds and that have no subject left.
// Somebody calls it about twice a minute.
func (s *State) Sweep(now time.Time) {
	s.mu.Lock()
	all := make(map[string]*Usages, len(s.usages))
	for name, u := range s.usages {
		all[name] = u
	}
	s.mu.Unlock()
	at := now.Sub(s.began)
	for name, u := range all {
		if left := u.sweep(at); left > 0 {
			continue
		}
		s.mu.Lock()
		if u.holders == 0 {
			delete(s.usages, name)
		}
		s.mu.Unlock()
	}
}
