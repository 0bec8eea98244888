package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"tidegate.dev/dataplane/discovery"
)

type identity [sha256.Size]byte

// Registry keeps services for those who use them, and below them what outlives a change of their settings. It is safe for use
// by several goroutines.
type Registry struct {
	// Set once.
	clock  clock
	dialer *dialer
	zone   string
	log    *slog.Logger
	// discovery is where sources of targets run.
	discovery discovery.Environment
	// turns bounds how many probers ask at the same time.
	turns chan struct{}
	// lifetime ends what runs in the background.
	lifetime context.Context
	end      context.CancelCauseFunc

	// running are the goroutines in the background.
	running sync.WaitGroup

	// Guarded by mu.
	mu       sync.Mutex
	closed   bool
	services map[identity]*Service
	states   map[string]*state
	targets  map[targetKey]*Target
	probers  map[proberKey]*prober
	watches  map[discovery.Config]*watch
}

const probesAtOnce = 64

// Environment is what a registry knows of the agent that it is part of.
type Environment struct {
	// Refused are ranges to which no connections are made, beside the link-local and metadata addresses, such as the control
	// plane's. Allowed are exceptions from all that is refused.
	Refused []netip.Prefix
	Allowed []netip.Prefix
	// Zone is where the agent runs; empty if that does not matter.
	Zone string
	// Discovery is what sources of targets need. Without a Dial they have that of upstreams.
	Discovery discovery.Environment
	// Log may be nil.
	Log *slog.Logger
}

// NewRegistry makes an empty registry.
func NewRegistry(e Environment) *Registry {
	r := &Registry{
		clock:    newClock(),
		dialer:   &dialer{refused: slices.Concat(refusedRanges, e.Refused), allowed: slices.Clone(e.Allowed)},
		zone:     e.Zone,
		log:      e.Log,
		turns:    make(chan struct{}, probesAtOnce),
		services: make(map[identity]*Service),
		states:   make(map[string]*state),
		targets:  make(map[targetKey]*Target),
		probers:  make(map[proberKey]*prober),
		watches:  make(map[discovery.Config]*watch),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.discovery = e.Discovery; r.discovery.Dial == nil {
		r.discovery.Dial = r.dialer.dial
	}
	if r.discovery.Log == nil {
		r.discovery.Log = r.log
	}
	r.lifetime, r.end = context.WithCancelCause(context.Background())
	return r
}

var errClosed = errors.New("the registry was closed")

// Close ends what runs in the background, waits for it, and closes the connections that no exchange uses. Services that are
// held can still be used and released, but nobody asks their targets any more how they are.
func (r *Registry) Close() {
	r.end(errClosed)
	r.mu.Lock()
	r.closed = true
	targets := make([]*Target, 0, len(r.targets))
	for _, t := range r.targets {
		targets = append(targets, t)
	}
	r.mu.Unlock()
	r.running.Wait()
	for _, t := range targets {
		t.close()
	}
}

// Acquire returns the service of a configuration, the one that is there if nothing that shapes it changed. The caller
// releases it. An error is a *[FieldError].
func (r *Registry) Acquire(c Config) (*Service, error) {
	c = c.withDefaults()
	id := identity(c.identity())
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[id]
	if s == nil {
		var err error
		if s, err = r.newService(c, id); err != nil {
			return nil, err
		}
		r.services[id] = s
	}
	s.holders++
	return s, nil
}

// newService makes a service on the state and the targets that are there. The caller holds mu.
func (r *Registry) newService(c Config, id identity) (*Service, error) {
	s := &Service{config: c, registry: r, identity: id}
	var err error
	tlsSettings := c.tls()
	if s.tls, err = tlsSettings.build(); err != nil {
		return nil, &FieldError{"tls.ca_pem", err}
	}
	if c.Discovery.Source.Kind != "" {
		err = r.follow(s)
	} else {
		err = s.list()
	}
	if err != nil {
		return nil, err
	}
	if s.state = r.states[c.Name]; s.state == nil {
		s.state = newState()
		r.states[c.Name] = s.state
	}
	s.state.holders++
	s.state.limit(c.Concurrency)
	return s, nil
}

// holdTarget finds a target, or makes it. The caller holds mu.
func (r *Registry) holdTarget(key targetKey, tlsConfig *tls.Config) *Target {
	t := r.targets[key]
	if t == nil {
		t = r.newTarget(key, tlsConfig)
		r.targets[key] = t
	}
	t.holders++
	return t
}

// holdProber finds whoever asks the target how it is, or makes one; nil if nobody shall. The caller holds mu.
func (r *Registry) holdProber(c *Config, target targetKey, tlsConfig *tls.Config) *prober {
	if c.Health.Type == HealthNone {
		return nil
	}
	key := proberKey{target.scheme, target.host, target.protocol, target.tls, c.Health}
	p := r.probers[key]
	if p == nil {
		p = r.newProber(key, tlsConfig)
		r.probers[key] = p
	}
	p.holders++
	return p
}

// letGo gives up what members hold, and returns the targets that nobody holds any more. The caller holds mu.
func (r *Registry) letGo(members []member) (unused []*Target) {
	for _, m := range members {
		if m.prober != nil {
			if m.prober.holders--; m.prober.holders == 0 {
				m.prober.stop()
				delete(r.probers, m.prober.key)
			}
		}
		if m.target.holders--; m.target.holders == 0 {
			delete(r.targets, m.target.key)
			unused = append(unused, m.target)
		}
	}
	return unused
}

func (r *Registry) release(s *Service) {
	for _, t := range r.drop(s) {
		t.close()
	}
}

func (r *Registry) drop(s *Service) (unused []*Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.holders--; s.holders > 0 {
		return nil
	}
	delete(r.services, s.identity)
	if s.state.holders--; s.state.holders == 0 {
		delete(r.states, s.config.Name)
	}
	r.leave(s)
	if set := s.current.Load(); set != nil {
		unused = r.letGo(set.members)
	}
	return unused
}

// Adopt lets a window know what another one knows, of every service and target: failures, ejections, breakers and budgets. A
// candidate begins with what stable knows, and stable takes over from the candidate that it was.
func (r *Registry) Adopt(from, to Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.states {
		s.windows[to].adopt(&s.windows[from])
	}
	for _, t := range r.targets {
		t.windows[to].outlier.adopt(&t.windows[from].outlier)
		t.windows[to].load.adopt(&t.windows[from].load)
	}
}

// Len is the number of services that are held.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.services)
}
