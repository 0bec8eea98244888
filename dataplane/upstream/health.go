package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// HealthType is what a target is asked.
type HealthType string

// The questions. HealthNone asks nothing, and then all targets are taken for healthy.
const (
	HealthNone HealthType = ""
	HealthHTTP HealthType = "http"
	HealthTCP  HealthType = "tcp"
	HealthGRPC HealthType = "grpc"
)

// HealthConfig says how targets are asked.
type HealthConfig struct {
	Type HealthType
	// Path, for HTTP, and Host, if another than the target's.
	Path string
	Host string
	// Service is asked about, for gRPC; empty for the whole server.
	Service string
	// Interval is the pause between two questions, give or take a tenth, Timeout how long an answer may take. 0 means 5 s and
	// 1 s.
	Interval time.Duration
	Timeout  time.Duration
	// UnhealthyAfter failures in a row a target is down, HealthyAfter answers up again. 0 means 2.
	UnhealthyAfter int
	HealthyAfter   int
}

func (c HealthConfig) withDefaults() HealthConfig {
	if c.Type == HealthNone {
		return HealthConfig{}
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.Interval == 0 {
		c.Interval = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = time.Second
	}
	if c.UnhealthyAfter == 0 {
		c.UnhealthyAfter = 2
	}
	if c.HealthyAfter == 0 {
		c.HealthyAfter = 2
	}
	return c
}

// proberKey is what probers are shared by: the target, how it is reached, and what it is asked.
type proberKey struct {
	scheme, host string
	protocol     Protocol
	tls          TLSConfig
	health       HealthConfig
}

// prober asks one target how it is, whatever number of services and snapshots use it.
type prober struct {
	// Set once.
	key       proberKey
	clock     clock
	dialer    *dialer
	transport *http.Transport
	// turns bounds how many probers ask at the same time.
	turns chan struct{}
	stop  context.CancelFunc

	// holders is guarded by the registry's mu.
	holders int

	// Atomic: recovered is when the target was last found up after it was down, 0 for never.
	healthy   atomic.Bool
	recovered atomic.Int64
}

// newProber makes a prober, which runs until stop is called.
func (r *Registry) newProber(key proberKey, tlsConfig *tls.Config) *prober {
	p := &prober{key: key, clock: r.clock, dialer: r.dialer, turns: r.turns}
	p.healthy.Store(true)
	if key.health.Type != HealthTCP {
		p.transport = newTransport(targetKey{protocol: p.protocol()}, r.dialer, tlsConfig.Clone())
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(r.lifetime)
	if !r.closed {
		r.running.Go(func() { p.run(ctx) })
	}
	return p
}

// protocol is the service's, except that gRPC is always HTTP/2.
func (p *prober) protocol() Protocol {
	switch {
	case p.key.health.Type != HealthGRPC:
		return p.key.protocol
	case p.key.scheme == "https":
		return HTTP2
	}
	return HTTP2Cleartext
}

// run asks until ctx is done. The first answer decides alone, so that a target that is down is known at once.
func (p *prober) run(ctx context.Context) {
	interval := p.key.health.Interval
	good, bad := p.key.health.HealthyAfter, p.key.health.UnhealthyAfter-1
	pause := time.NewTimer(rand.N(interval/10 + 1))
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		err := p.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			good, bad = 0, bad+1
		default:
			good, bad = good+1, 0
		}
		p.judge(good, bad)
		pause.Reset(interval*9/10 + rand.N(interval/5+1))
	}
}

func (p *prober) judge(good, bad int) {
	switch healthy := p.healthy.Load(); {
	case healthy && bad >= p.key.health.UnhealthyAfter:
		p.healthy.Store(false)
	case !healthy && good >= p.key.health.HealthyAfter:
		p.recovered.Store(p.clock.now())
		p.healthy.Store(true)
	}
}

// turn asks once, when it is the prober's turn.
func (p *prober) turn(ctx context.Context) error {
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turns }()
	ctx, cancel := context.WithTimeout(ctx, p.key.health.Timeout)
	defer cancel()
	switch p.key.health.Type {
	case HealthTCP:
		return p.connect(ctx)
	case HealthGRPC:
		return p.askGRPC(ctx)
	case HealthHTTP, HealthNone:
	}
	return p.askHTTP(ctx)
}

func (p *prober) connect(ctx context.Context) error {
	address := p.key.host
	if _, _, err := net.SplitHostPort(address); err != nil {
		port := map[string]string{"http": "80", "https": "443"}[p.key.scheme]
		address = net.JoinHostPort(strings.Trim(address, "[]"), port)
	}
	conn, err := p.dialer.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// longestProbe is how much of an answer is read.
const longestProbe = 64 << 10

func (p *prober) askHTTP(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.key.scheme+"://"+p.key.host+p.key.health.Path, nil)
	if err != nil {
		return fmt.Errorf("making the question: %w", err)
	}
	if p.key.health.Host != "" {
		request.Host = p.key.health.Host
	}
	request.Header.Set("User-Agent", "tidegate-health-check")
	status, body, err := p.ask(request)
	if err != nil {
		return err
	}
	if status < 200 || status >= 400 {
		return fmt.Errorf("the answer is %d and %d bytes", status, len(body))
	}
	return nil
}

// askGRPC speaks the health checking protocol of gRPC (grpc/doc/health-checking.md). Its two messages have one field each.
func (p *prober) askGRPC(ctx context.Context) error {
	message := ""
	if service := p.key.health.Service; service != "" {
		message = "\x0a" + string(binary.AppendUvarint(nil, uint64(len(service)))) + service
	}
	frame := "\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(message)))) + message
	url := p.key.scheme + "://" + p.key.host + "/grpc.health.v1.Health/Check"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(frame))
	if err != nil {
		return fmt.Errorf("making the question: %w", err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	status, body, err := p.ask(request)
	if err != nil {
		return err
	}
	const serving = "\x00\x00\x00\x00\x02\x08\x01"
	if status != http.StatusOK || string(body) != serving {
		return errors.New("the answer is not SERVING")
	}
	return nil
}

// ask sends a question over a connection of its own, for one that is open already says little.
func (p *prober) ask(request *http.Request) (status int, body []byte, err error) {
	defer p.transport.CloseIdleConnections()
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return 0, nil, fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, longestProbe))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return response.StatusCode, body, nil
}
