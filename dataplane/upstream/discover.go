package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tidegate.dev/dataplane/discovery"
)

// DiscoveryConfig says who knows the targets.
type DiscoveryConfig struct {
	// Source is asked; without a kind nobody is.
	Source discovery.Config
	// Scheme of every target: http, which is the default, or https.
	Scheme string
	// Path goes in front of the request's.
	Path string
}

// watch follows a directory for all services that ask it the same.
type watch struct {
	// Set once.
	config discovery.Config
	stop   context.CancelFunc
	// answered is closed when something was found first.
	answered chan struct{}
	// ended is closed when nobody wants to know any more.
	ended <-chan struct{}
	began time.Time

	// Guarded by the registry's mu: who wants to know, and what was found last.
	services []*Service
	found    []discovery.Target
}

// follow lets a service have the targets that a directory knows, now and when they change. The caller holds mu.
func (r *Registry) follow(s *Service) error {
	config := s.config.Discovery.Source
	if err := s.config.Protocol.fits(cmp.Or(s.config.Discovery.Scheme, "http")); err != nil {
		return &FieldError{"discovery.scheme", err}
	}
	w := r.watches[config]
	if w == nil {
		source, err := discovery.New(config, r.discovery)
		if err != nil {
			return discoveryError(config.Kind, err)
		}
		w = &watch{config: config, answered: make(chan struct{}), began: time.Now()}
		var ctx context.Context
		ctx, w.stop = context.WithCancel(r.lifetime)
		w.ended = ctx.Done()
		r.watches[config] = w
		if !r.closed {
			r.running.Go(func() { r.watch(ctx, w, source) })
		}
	}
	w.services = append(w.services, s)
	s.watch = w
	if len(w.found) > 0 {
		s.replace(w.found)
	}
	return nil
}

// discoveryError names the setting as the service calls it.
func discoveryError(kind discovery.Kind, err error) error {
	field := "discovery." + string(kind)
	var wrong *discovery.FieldError
	if errors.As(err, &wrong) {
		err = wrong.Err
		if wrong.Field != "" {
			field += "." + wrong.Field
		}
	}
	return &FieldError{field, err}
}

// watch runs the source, which says that there are no targets only if that is beyond doubt: then those that were there may be
// somebody else's by now.
func (r *Registry) watch(ctx context.Context, w *watch, source discovery.Source) {
	err := source.Run(ctx, func(found []discovery.Target) {
		r.mu.Lock()
		var unused []*Target
		w.found = found
		w.tellAnswered()
		for _, s := range w.services {
			unused = append(unused, s.replace(found)...)
		}
		r.mu.Unlock()
		for _, t := range unused {
			t.close()
		}
	})
	if err != nil && ctx.Err() == nil {
		r.log.Error("discovery ended; the last targets stay", "source", w.config.String(), "error", err)
	}
}

// tellAnswered ends the wait for the first answer. The caller holds the registry's mu.
func (w *watch) tellAnswered() {
	select {
	case <-w.answered:
	default:
		close(w.answered)
	}
}

// AwaitTargets waits until every directory that services ask has said where targets are, so that a service does not begin
// without any. For each it waits at most so long from when it was first asked, so that one that never answers is waited for once.
func (r *Registry) AwaitTargets(atMost time.Duration) {
	r.mu.Lock()
	asked := slices.Collect(maps.Values(r.watches))
	r.mu.Unlock()
	for _, w := range asked {
		patience := time.NewTimer(time.Until(w.began.Add(atMost)))
		select {
		case <-w.answered:
		case <-w.ended:
		case <-patience.C:
		}
		patience.Stop()
	}
}

// leave ends a service's interest. The caller holds mu.
func (r *Registry) leave(s *Service) {
	w := s.watch
	if w == nil {
		return
	}
	w.services = slices.DeleteFunc(w.services, func(other *Service) bool { return other == s })
	if len(w.services) == 0 {
		w.stop()
		delete(r.watches, w.config)
	}
}

// replace gives the service the targets that were found, and returns those that nobody holds any more. The caller holds the
// registry's mu.
func (s *Service) replace(found []discovery.Target) (unused []*Target) {
	before := s.current.Load()
	members := make([]member, 0, len(found))
	for _, target := range found {
		m := s.member(s.discovered(target.Address), target.Weight, target.Zone)
		if before != nil {
			m.joined = before.joined(m.target, s.registry.clock.now())
		}
		members = append(members, m)
	}
	if len(members) > 0 {
		s.current.Store(newSet(members, &s.config, s.registry.zone))
	} else {
		s.current.Store(nil)
	}
	if before != nil {
		unused = s.registry.letGo(before.members)
	}
	return unused
}

// joined is when a target came to those that were there already.
func (s *set) joined(t *Target, now int64) int64 {
	for i := range s.members {
		if s.members[i].target == t {
			return s.members[i].joined
		}
	}
	return now
}

// discovered is the key of a target with an address. If addresses stand for a name, the name is what the target is called, and
// what its certificate must say.
func (s *Service) discovered(address string) targetKey {
	c := &s.config
	key := targetKey{
		service: c.Name, scheme: cmp.Or(c.Discovery.Scheme, "http"), host: address, prefix: strings.TrimSuffix(c.Discovery.Path, "/"),
		protocol: c.Protocol, maxIdle: c.MaxIdle, maxOpen: c.MaxOpen, idleTimeout: c.IdleTimeout,
	}
	if c.Discovery.Source.Kind == discovery.KindDNS {
		dns := c.Discovery.Source.DNS
		key.authority = fmt.Sprintf("%s:%d", dns.Name, dns.Port)
	}
	if key.scheme == "https" {
		key.tls = c.tls()
	}
	return key
}

// tls is the service's, with the name that its addresses stand for.
func (c *Config) tls() TLSConfig {
	out := c.TLS
	if c.Discovery.Source.Kind == discovery.KindDNS {
		out.ServerName = cmp.Or(out.ServerName, strings.TrimSuffix(c.Discovery.Source.DNS.Name, "."))
	}
	return out
}

// member makes a member of the targets. The caller holds the registry's mu.
func (s *Service) member(key targetKey, weight uint32, zone string) member {
	tlsConfig := s.tls
	if key.scheme != "https" {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return member{
		target: s.registry.holdTarget(key, tlsConfig), prober: s.registry.holdProber(&s.config, key, tlsConfig),
		weight: max(1, weight), zone: zone,
	}
}
