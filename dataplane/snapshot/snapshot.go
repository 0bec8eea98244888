package snapshot

import (
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/router"
	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
)

// Snapshot is one revision, ready to serve. It never changes and may be used by any number of goroutines. It is held by
// references: [Compile] gives the first one, [Snapshot.Retain] more, and after the last [Snapshot.Release] what nobody else
// uses is closed.
type Snapshot struct {
	// Set once.
	revision int64
	root     revision.Digest
	content  *revision.Content
	router   *router.Router[*Route]
	services map[string]*held[*service]
	plugins  map[string]*held[*boundPlugin]
	plans    map[string]*held[*plan]
	routes   map[string]*routeSource
	tests    map[string]*configTest
	lane     *lane.Table
	places   places
	numbers  numbers

	// Atomic.
	references atomic.Int64
}

// Route is what a route leads to, everything resolved.
type Route struct {
	Name    string
	Service string
	// Number tells the routes of one snapshot apart: 1 to Snapshot.Numbers.
	Number uint32
	Chain  *plugin.Chain
	// Upstream is held by the snapshot.
	Upstream *upstream.Service
	// HostOfTarget sends the target's host upstream instead of the client's.
	HostOfTarget bool
	// DeadlineHeader carries the time that is left for an exchange, beside grpc-timeout; canonical, empty for none.
	DeadlineHeader string
	Timeouts       Timeouts
	// Split chooses among several backends; the route is that of one of them until then. Nil if there is one only.
	Split *Split
	// Rewrite is nil for none.
	Rewrite *Rewrite
	// Redirect and Direct answer instead of a service; at most one of them is not nil, and then there is no Upstream.
	Redirect *Redirect
	Direct   *DirectResponse
	// Mirror and Fault are nil for none.
	Mirror *Mirror
	Fault  *Fault
	// Criticality says what goes first when not all can be served.
	Criticality overload.Criticality
	// MaxRequestBytes is the longest body that is taken; the largest number if any is.
	MaxRequestBytes int64
}

// Timeouts bound the phases of an exchange.
type Timeouts struct {
	// Connect is 0 unless the route has another than its service, which knows its own.
	Connect        time.Duration
	ResponseHeader time.Duration
	Idle           time.Duration
	// Total is 0 for none.
	Total time.Duration
}

// Revision is the number of the revision.
func (s *Snapshot) Revision() int64 { return s.revision }

// Root is what the revision's content hashes to.
func (s *Snapshot) Root() revision.Digest { return s.root }

// Content is what the snapshot was compiled from.
func (s *Snapshot) Content() *revision.Content { return s.content }

// Numbers is the highest number that a route has.
func (s *Snapshot) Numbers() int { return int(s.numbers.highest) }

// Routes is how many routes there are.
func (s *Snapshot) Routes() int { return s.router.Len() }

// Match finds the route of a request. Host is as sent, path normalised; fields answers conditions, nil has none.
func (s *Snapshot) Match(host, method, path string, fields pattern.Fields, params *router.Params) (*Route, bool) {
	return s.router.Match(host, method, path, fields, params)
}

// Allowed lists the methods with which the request would match. None means that there is no route at all.
func (s *Snapshot) Allowed(host, path string, fields pattern.Fields) []string {
	return s.router.Allowed(host, path, fields)
}

// Plan finds the policies that enforce a plan. It implements plugin.Plans.
func (s *Snapshot) Plan(name string) (policies []*plugin.Policy, ok bool) {
	p, ok := s.plans[name]
	if !ok {
		return nil, false
	}
	return p.value.policies, true
}

// Policies visits the policies that run, plugins only.
func (s *Snapshot) Policies(visit func(*plugin.Policy)) {
	for _, p := range s.plugins {
		if p.value.policy != nil {
			visit(p.value.policy)
		}
	}
}

// Retain takes one more reference. The caller must hold one already.
func (s *Snapshot) Retain() { s.references.Add(1) }

// Release gives one reference back.
func (s *Snapshot) Release() {
	if s.references.Add(-1) == 0 {
		s.letGo()
	}
}

func (s *Snapshot) letGo() {
	for _, entity := range s.services {
		entity.release()
	}
	for _, entity := range s.plugins {
		entity.release()
	}
	for _, entity := range s.plans {
		entity.release()
	}
}

// held is a part that several snapshots share; the last one closes it.
type held[T any] struct {
	value   T
	close   func()
	holders atomic.Int64
}

func hold[T any](value T, closeIt func()) *held[T] {
	h := &held[T]{value: value, close: closeIt}
	h.holders.Store(1)
	return h
}

func (h *held[T]) retain() { h.holders.Add(1) }

func (h *held[T]) release() {
	if h.holders.Add(-1) == 0 {
		h.close()
	}
}

// numbers gives out the routes' numbers. Within one snapshot they are unique; a number that became free is used again.
type numbers struct {
	highest uint32
	free    []uint32
}

func (n *numbers) take() uint32 {
	if last := len(n.free) - 1; last >= 0 {
		number := n.free[last]
		n.free = n.free[:last]
		return number
	}
	n.highest++
	return n.highest
}

func (n *numbers) give(number uint32) { n.free = append(n.free, number) }
