package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

	// Guarded by installing: one installation at a time.
	installing sync.Mutex

	// Set before listening is closed.
	plain, secure net.Addr

	// Atomic.
	current  atomic.Pointer[generation]
	draining atomic.Bool

	tunnels sync.WaitGroup
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
	fronts, err := p.listen(ctx)
	if err != nil {
		return err
	}
	// Exchanges live on while ctx is done, until they are cut.
	lifetime, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(errShutdown)
	var group errgroup.Group
	var servers []*http.Server
	for _, f := range fronts {
		group.Go(func() error { return f.run(lifetime) })
		for _, connections := range []chan net.Conn{f.http1, f.http2} {
			server := p.server(lifetime)
			servers = append(servers, server)
			group.Go(func() error {
				err := server.Serve(&branch{f, connections})
				if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
					return nil
				}
				return fmt.Errorf("serving on %s: %w", f.listener.Addr(), err)
			})
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- group.Wait() }()
	close(p.listening)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.state.Sweep(now)
		case err := <-failed:
			return err
		case <-ctx.Done():
			p.drain(lifetime, fronts, servers, cut)
			return <-failed
		}
	}
}

// drain takes nothing new, waits for what runs, and cuts what is left when the time is up.
func (p *Proxy) drain(lifetime context.Context, fronts []*front, servers []*http.Server, cut context.CancelCauseFunc) {
	p.draining.Store(true)
	ctx, cancel := context.WithTimeout(lifetime, p.config.DrainTimeout)
	defer cancel()
	for _, f := range fronts {
		f.close()
	}
	var waiting sync.WaitGroup
	for _, server := range servers {
		waiting.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				cut(errShutdown)
				p.log.Warn("cutting exchanges that did not end in time", slog.Duration("after", p.config.DrainTimeout))
				_ = server.Close()
			}
		})
	}
	waiting.Wait()
	// The servers have let go of their connections, so no tunnel begins any more.
	defer context.AfterFunc(ctx, func() { cut(errShutdown) })()
	p.tunnels.Wait()
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
		fronts = append(fronts, newFront(listener, nil, p.slots, p.limits.HeaderTimeout))
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
		fronts = append(fronts, newFront(listener, tlsConfig, p.slots, p.limits.HeaderTimeout))
	}
	return fronts, nil
}

func (p *Proxy) server(lifetime context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           p,
		Protocols:         protocols,
		ReadHeaderTimeout: p.limits.HeaderTimeout,
		IdleTimeout:       p.limits.IdleTimeout,
		// What is a little too large gets a proper answer, what is far too large net/http's.
		MaxHeaderBytes: 2 * p.limits.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          p.limits.Streams,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     64 << 10,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
			WriteByteTimeout:              30 * time.Second,
		},
		BaseContext: func(net.Listener) context.Context { return lifetime },
		ConnContext: p.connectionContext,
		ErrorLog:    slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
}
