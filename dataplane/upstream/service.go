package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
)

// Service is a service as its settings say, on the live state that belongs to its name and to its targets. Its methods may be
// called by several goroutines.
type Service struct {
	// Set once.
	config   Config
	registry *Registry
	identity identity
	state    *state
	tls      *tls.Config

	// watch is set once, nil for targets that are listed; guarded by registry.mu.
	watch *watch

	// Atomic: nil as long as no target is known.
	current atomic.Pointer[set]

	// holders is guarded by registry.mu.
	holders int
}

// newTarget makes a target and its pools.
func (r *Registry) newTarget(key targetKey, tlsConfig *tls.Config) *Target {
	t := &Target{key: key}
	if key.maxOpen > 0 {
		t.slots = make(chan struct{}, key.maxOpen)
	}
	t.transport = newTargetTransport(key, r.dialer, tlsConfig)
	return t
}

// newTransport makes a pool.
func newTransport(key targetKey, d *dialer, tlsConfig *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	switch key.protocol {
	case HTTP1:
		protocols.SetHTTP1(true)
		tlsConfig.NextProtos = []string{"http/1.1"}
	case HTTP2:
		protocols.SetHTTP2(true)
		tlsConfig.NextProtos = []string{"h2"}
	case HTTP2Cleartext:
		protocols.SetUnencryptedHTTP2(true)
	case Automatic:
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		tlsConfig.NextProtos = []string{"h2", "http/1.1"}
	}
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := connectContext(ctx, defaultConnectTimeout)
			defer cancel()
			return d.dial(ctx, network, address)
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := connectContext(ctx, defaultConnectTimeout)
			defer cancel()
			return d.dialTLS(ctx, network, address, tlsConfig)
		},
		TLSClientConfig:       tlsConfig,
		MaxIdleConnsPerHost:   key.maxIdle,
		IdleConnTimeout:       key.idleTimeout,
		ExpectContinueTimeout: time.Second,
		// Bodies pass as they are.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}
}

// Targets are the service's targets now.
func (s *Service) Targets() []*Target {
	set := s.current.Load()
	if set == nil {
		return nil
	}
	targets := make([]*Target, len(set.members))
	for i := range set.members {
		targets[i] = set.members[i].target
	}
	return targets
}

// RoundTrip sends a request to a target, and writes the head of the response into the caller's memory, who releases it. It follows
// no redirect. A *[DialError] within the failure means that nothing was sent. The response is left as it was if there is a failure.
func (s *Service) RoundTrip(t *Target, call *http1.Call, response *Response) *http1.Failure {
	if call.ConnectTimeout == 0 {
		call.ConnectTimeout = s.config.ConnectTimeout
	}
	return t.transport.roundTrip(t, call, response)
}

// Upgrades tells whether connections to the service can switch protocols (RFC 9110, section 7.8).
func (s *Service) Upgrades() bool {
	return s.config.Protocol == HTTP1 || s.config.Protocol == Automatic
}

// connections is how many are idle, and how many are open; -1 if nobody knows, as with HTTP/2.
func (t *Target) connections() (idle, open int) {
	if t.transport.pool == nil || t.transport.newHTTP2 != nil {
		return -1, -1
	}
	return t.transport.pool.Size()
}

// Forget closes the connections that are idle, as one does who met several that had ended.
func (t *Target) Forget() { t.transport.forget() }

// close closes what no exchange uses.
func (t *Target) close() { t.transport.close() }

// Release gives up the caller's hold. When nobody holds the service any more, what is only its own is closed; connections that
// serve a request close after it.
func (s *Service) Release() { s.registry.release(s) }

// list gives the service the targets of its settings. The caller holds the registry's mu.
func (s *Service) list() error {
	c := &s.config
	keys := make([]targetKey, 0, len(c.Targets))
	for i, target := range c.Targets {
		key, err := c.target(target.URL)
		if err != nil {
			return &FieldError{fmt.Sprintf("targets[%d].url", i), err}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return &FieldError{"targets", errors.New("there are none")}
	}
	members := make([]member, len(keys))
	for i, key := range keys {
		members[i] = s.member(key, c.Targets[i].Weight, c.Targets[i].Zone)
	}
	s.current.Store(newSet(members, c, s.registry.zone))
	return nil
}
