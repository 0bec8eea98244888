package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Service is a service's live state: its targets, their pools and failures. Its methods may be called by several goroutines.
type Service struct {
	// Set once.
	config    Config
	targets   []*Target
	rotation  *rotation
	transport *http.Transport
	// upgrades speaks HTTP/1.1 alone, for requests that want to switch protocols; nil if the service speaks HTTP/2 alone.
	upgrades *http.Transport
	registry *Registry
	identity identity

	// Atomic.
	budgets [Windows]budget

	// holders is guarded by registry.mu.
	holders int
}

func newService(c Config, d *dialer) (*Service, error) {
	c = c.withDefaults()
	s := &Service{config: c}
	for i := range s.budgets {
		s.budgets[i].tokens.Store(budgetReserve)
	}
	for i, target := range c.Targets {
		t, err := parseTarget(target, c.Protocol)
		if err != nil {
			return nil, &FieldError{fmt.Sprintf("targets[%d].url", i), err}
		}
		s.targets = append(s.targets, t)
	}
	if len(s.targets) == 0 {
		return nil, &FieldError{"targets", fmt.Errorf("there are none")}
	}
	tlsConfig, err := c.TLS.build()
	if err != nil {
		return nil, &FieldError{"tls.ca_pem", err}
	}
	s.rotation = newRotation(s.targets)
	s.transport = newTransport(c, d, tlsConfig)
	switch c.Protocol {
	case HTTP1:
		s.upgrades = s.transport
	case Automatic:
		http1 := c
		http1.Protocol = HTTP1
		s.upgrades = newTransport(http1, d, tlsConfig.Clone())
	case HTTP2, HTTP2Cleartext:
	}
	return s, nil
}

// newTransport makes the pools, one for each target.
func newTransport(c Config, d *dialer, tlsConfig *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	switch c.Protocol {
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
			ctx, cancel := connectContext(ctx, c.ConnectTimeout)
			defer cancel()
			return d.dial(ctx, network, address)
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := connectContext(ctx, c.ConnectTimeout)
			defer cancel()
			return d.dialTLS(ctx, network, address, tlsConfig)
		},
		TLSClientConfig:       tlsConfig,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		ExpectContinueTimeout: time.Second,
		// Bodies pass as they are.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}
}

// Begin says that a request came for the service, however often it will be tried.
func (s *Service) Begin(window Window) { s.budgets[window].earn(s.config.Retry.BudgetPercent) }

// Pick chooses the target of a request by weighted round robin, past those that failed lately and past avoid, which may be
// nil.
func (s *Service) Pick(window Window, now time.Time, avoid *Target) *Target {
	if len(s.targets) == 1 {
		return s.targets[0]
	}
	return s.pickInTurn(window, now, avoid)
}

// Targets are the service's targets; the caller must not change the slice.
func (s *Service) Targets() []*Target { return s.targets }

// RoundTrip sends a request, whose URL names a target, and returns the head of the response. It follows no redirect. A
// *[DialError] among the errors that it wraps means that nothing was sent.
func (s *Service) RoundTrip(request *http.Request) (*http.Response, error) {
	if s.upgrades != nil && len(request.Header["Upgrade"]) > 0 {
		return s.upgrades.RoundTrip(request)
	}
	return s.transport.RoundTrip(request)
}

// Upgrades tells whether connections to the service can switch protocols (RFC 9110, section 7.8).
func (s *Service) Upgrades() bool { return s.upgrades != nil }

func (s *Service) closeIdle() {
	s.transport.CloseIdleConnections()
	if s.upgrades != nil {
		s.upgrades.CloseIdleConnections()
	}
}

// Release gives up the caller's hold. When nobody holds the service any more, its idle connections are closed; those that
// serve a request close after it.
func (s *Service) Release() { s.registry.release(s) }
