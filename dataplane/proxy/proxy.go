package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/listener"
	"tidegate.dev/dataplane/overload"
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
	shadows   *telemetry.Shadows
	accessLog *telemetry.AccessLog
	log       *slog.Logger
	listening chan struct{}
	gate      *listener.Gate
	tls       *listener.TLS
	monitor   *overload.Monitor
	crowd     *overload.Crowd
	mirrors   *mirrors
	// sample is the share of exchanges in the access log, in parts per million.
	sample uint32
	http1  *http1.Server
	spare  sync.Pool // of *exchange

	// Guarded by installing: one installation at a time.
	installing sync.Mutex

	// Set before listening is closed.
	plain, secure net.Addr
	names         []string
	sockets       []*net.TCPListener
	http2         *http2Server

	// Atomic.
	current atomic.Pointer[generation]
	// former are generations that were replaced and may still serve exchanges.
	former atomic.Pointer[[]weak.Pointer[generation]]

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
		shadows:   config.Shadows,
		accessLog: config.AccessLog,
		log:       config.Log,
		listening: make(chan struct{}),
		monitor:   config.Monitor,
		crowd:     newCrowd(config.MaxExchanges),
		mirrors:   newMirrors(config.Log),
	}
	config.Connections.Full = func() bool { return p.monitor.Memory() == overload.MemoryExhausted }
	p.gate = listener.NewGate(config.Connections)
	var err error
	if p.tls, err = listener.NewTLS(listener.TLSConfig{Identity: p.identity, HTTP2: true, Proof: p.lane.ACMEProof}); err != nil {
		return nil, err
	}
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
	defer p.mirrors.end()
	var err error
	if p.http2, err = p.newHTTP2(lifetime); err != nil {
		return err
	}
	listeners, err := p.listen(ctx)
	if err != nil {
		return err
	}
	var serving errgroup.Group
	for _, l := range listeners {
		serving.Go(func() error { return accept(lifetime, l) })
	}
	served := make(chan error, 1)
	go func() {
		err := serving.Wait()
		p.http1.Wait()
		served <- err
	}()
	close(p.listening)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	look := time.NewTicker(tidyInterval)
	defer look.Stop()
	var tidy tidier
	for {
		select {
		case now := <-tick.C:
			p.state.Sweep(now)
		case now := <-look.C:
			p.tidy(&tidy, now)
		case err := <-served:
			return err
		case <-ctx.Done():
			patience := time.Duration(0)
			if errors.Is(context.Cause(ctx), listener.ErrHandedOver) {
				patience = p.config.DrainTimeout / 2 // nobody waits for this process to end
			}
			return p.drain(lifetime, patience, cut, listeners, served)
		}
	}
}

// drain takes nothing new, waits for what runs, and cuts what is left when the time is up.
func (p *Proxy) drain(lifetime context.Context, patience time.Duration, cut context.CancelCauseFunc, listeners []*listener.Listener, served chan error) error {
	ctx, cancel := context.WithTimeout(lifetime, p.config.DrainTimeout)
	defer cancel()
	for _, l := range listeners {
		l.Close()
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() { _ = p.http1.Drain(ctx, patience) })
	waiting.Go(func() { p.http2.drain(ctx) })
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
