package upstream

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
)

type identity [sha256.Size]byte

// Registry keeps services for those who use them. It is safe for use by several goroutines.
type Registry struct {
	// Set once.
	dialer *dialer
	// turns bounds how many probers ask at the same time.
	turns chan struct{}

	// Guarded by mu.
	mu       sync.Mutex
	services map[identity]*Service
	probers  map[proberKey]*prober
}

const probesAtOnce = 64

// Addresses says where connections may go.
type Addresses struct {
	// Refused are ranges that are refused beside the link-local and metadata addresses, such as the control plane's.
	Refused []netip.Prefix
	// Allowed are exceptions from all that is refused.
	Allowed []netip.Prefix
}

// NewRegistry makes an empty registry.
func NewRegistry(addresses Addresses) *Registry {
	return &Registry{
		dialer:   &dialer{refused: slices.Concat(refusedRanges, addresses.Refused), allowed: slices.Clone(addresses.Allowed)},
		turns:    make(chan struct{}, probesAtOnce),
		services: make(map[identity]*Service),
		probers:  make(map[proberKey]*prober),
	}
}

// Acquire returns the service of a configuration, the one that is there if nothing that shapes it changed. The caller
// releases it. An error is a *[FieldError].
func (r *Registry) Acquire(c Config) (*Service, error) {
	id := identity(c.identity())
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[id]
	if s == nil {
		var err error
		if s, err = newService(c, r.dialer); err != nil {
			return nil, err
		}
		if err = r.probe(s); err != nil {
			return nil, err
		}
		s.registry, s.identity = r, id
		r.services[id] = s
	}
	s.holders++
	return s, nil
}

func (r *Registry) release(s *Service) {
	r.mu.Lock()
	s.holders--
	last := s.holders == 0
	if last {
		delete(r.services, s.identity)
		r.endProbes(s)
	}
	r.mu.Unlock()
	if last {
		s.closeIdle()
	}
}

// probe has the targets of a service asked how they are, if it wants that. The caller holds mu.
func (r *Registry) probe(s *Service) error {
	if s.config.Health.Type == HealthNone {
		return nil
	}
	for _, t := range s.targets {
		key := proberKey{t.scheme, t.host, s.config.Protocol, s.config.TLS, s.config.Health}
		p := r.probers[key]
		if p == nil {
			var err error
			if p, err = newProber(key, r.dialer, r.turns); err != nil {
				r.endProbes(s)
				return &FieldError{"health_check", err}
			}
			r.probers[key] = p
		}
		p.holders++
		t.prober = p
	}
	return nil
}

// endProbes ends the probers that nobody else holds. The caller holds mu.
func (r *Registry) endProbes(s *Service) {
	for _, t := range s.targets {
		if t.prober == nil {
			continue
		}
		if t.prober.holders--; t.prober.holders == 0 {
			t.prober.stop()
			delete(r.probers, t.prober.key)
		}
	}
}

// Len is the number of services that are held.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.services)
}
