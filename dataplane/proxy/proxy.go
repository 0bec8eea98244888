package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
)

// Proxy serves clients from what is installed.
type Proxy struct {
	// Set once.
	config    Config
	limits    Limits
	trusted   trustworthy
	lane      *lane.Table
	state     *plugin.State
	upstreams *upstream.Registry
	counters  *telemetry.Counters
	uses      *telemetry.KeyUses
	accessLog *telemetry.AccessLog
	log       *slog.Logger
	listening chan struct{}
	slots     chan struct{}
	// sample is the share of exchanges in the access log, in parts per million.
	sample uint32
	http1  *http1.Server
	spare  sync.Pool // of *exchange

	// Guarded by installing: one installation at a time.
	installing sync.Mutex

	// Set before listening is closed.
	plain, secure net.Addr
	http2         *http2Server

	// Atomic.
	current atomic.Pointer[generation]

	tunnels tunnels
}

// New makes a proxy. It listens when [Proxy.Run] runs.
func New(config Config) (*Proxy, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	setDefault(&config.DrainTimeout, 30*time.Second)
	p := &Proxy{
		config:    config,
		limits:    config.Limits.withDefaults(),
		trusted:   config.TrustedProxies,
		lane:      config.Lane,
		state:     config.State,
		upstreams: config.Upstreams,
		counters:  config.Counters,
		uses:      config.KeyUses,
		accessLog: config.AccessLog,
		log:       config.Log,
		listening: make(chan struct{}),
	}
	p.slots = make(chan struct{}, p.limits.Connections)
	setDefault(&config.AccessLogSample, 1)
	p.sample = uint32(max(config.AccessLogSample, 0) * certain)
	p.spare.New = func() any { return new(exchange) }
	p.http1 = p.newHTTP1()
	return p, nil
}

// Listening is closed when the ports are open.
func (p *Proxy) Listening() <-chan struct{} { return p.listening }

// Address is where HTTP/1.1 and h2c are served; nil before Listening is closed, or if they are not.
func (p *Proxy) Address() net.Addr { return p.plain }

// TLSAddress is where HTTP/1.1 and h2 are served over TLS; nil before Listening is closed, or if they are not.
func (p *Proxy) TLSAddress() net.Addr { return p.secure }

// sweepInterval is how often limits that are whole again are forgotten.
const sweepInterval = 30 * time.Second

// Run serves until ctx is done. Then it takes nothing new, lets exchanges end for as long as the configuration says, and cuts
// what is left.
func (p *Proxy) Run(ctx context.Context) error {
	// Exchanges live on while ctx is done, until they are cut.
	lifetime, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(errShutdown)
	p.http2 = p.newHTTP2(lifetime)
	fronts, err := p.listen(ctx)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- p.serve(lifetime, fronts) }()
	close(p.listening)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.state.Sweep(now)
		case err := <-served:
			return err
		case <-ctx.Done():
			return p.drain(lifetime, cut, fronts, served)
		}
	}
}

// serve serves until the fronts are closed and every connection has ended.
func (p *Proxy) serve(lifetime context.Context, fronts []*front) error {
	var group, library errgroup.Group
	incoming := &source{server: p.http2}
	library.Go(func() error {
		if err := p.http2.server.Serve(incoming); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serving HTTP/2: %w", err)
		}
		return nil
	})
	for _, f := range fronts {
		group.Go(func() error {
			if err := f.run(lifetime); err != nil {
				return fmt.Errorf("serving on %s: %w", f.listener.Addr(), err)
			}
			return nil
		})
	}
	err := group.Wait()
	_ = incoming.Close()
	return errors.Join(err, library.Wait())
}

// drain takes nothing new, waits for what runs, and cuts what is left when the time is up.
func (p *Proxy) drain(lifetime context.Context, cut context.CancelCauseFunc, fronts []*front, served chan error) error {
	ctx, cancel := context.WithTimeout(lifetime, p.config.DrainTimeout)
	defer cancel()
	for _, f := range fronts {
		f.close()
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() { _ = p.http1.Drain(ctx) })
	waiting.Go(func() { _ = p.http2.server.Shutdown(ctx) })
	select {
	case err := <-served:
		cancel()
		return err
	case <-ctx.Done():
	}
	p.log.Warn("cutting exchanges that did not end in time", slog.Duration("after", p.config.DrainTimeout))
	p.http1.Sever(errShutdown)
	p.tunnels.cut(errShutdown)
	cut(errShutdown)
	severing := time.AfterFunc(2*lastWords, p.http2.sever)
	defer severing.Stop()
	return <-served
}

// listen opens the ports.
func (p *Proxy) listen(ctx context.Context) ([]*front, error) {
	var fronts []*front
	closeAll := func() {
		for _, f := range fronts {
			f.close()
		}
	}
	var config net.ListenConfig
	if p.config.Address != "" {
		listener, err := config.Listen(ctx, "tcp", p.config.Address)
		if err != nil {
			return nil, fmt.Errorf("listening on %s (move it with --proxy-address): %w", p.config.Address, err)
		}
		p.plain = listener.Addr()
		fronts = append(fronts, p.newFront(listener, nil))
	}
	if p.config.TLSAddress != "" {
		tlsConfig, err := p.tlsConfig()
		if err != nil {
			closeAll()
			return nil, err
		}
		listener, err := config.Listen(ctx, "tcp", p.config.TLSAddress)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("listening on %s (move it with --tls-address): %w", p.config.TLSAddress, err)
		}
		p.secure = listener.Addr()
		fronts = append(fronts, p.newFront(listener, tlsConfig))
	}
	return fronts, nil
}

// serveHTTP2 serves a connection whose client speaks HTTP/2.
func (p *Proxy) serveHTTP2(conn net.Conn) { p.http2.serve(conn) }

func (p *Proxy) newFront(listener net.Listener, config *tls.Config) *front {
	return &front{
		listener: listener, tls: config, slots: p.slots, timeout: p.limits.HeaderTimeout,
		http1: p.http1.Serve, http2: p.serveHTTP2, closed: make(chan struct{}),
	}
}
