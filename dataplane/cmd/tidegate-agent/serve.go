package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/identity"
	"tidegate.dev/dataplane/discovery"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/listener"
	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/plugin/builtin"
	"tidegate.dev/dataplane/proxy"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
)

// parts are what runs.
type parts struct {
	flags      *flags
	identity   *identity.Store
	connection *identity.Connection
	agent      *agent.Agent
	proxy      *proxy.Proxy
	monitor    *overload.Monitor
	upstreams  *upstream.Registry
	sources    *discovery.Board
	memory     *discovery.Memory
	accessLog  *telemetry.AccessLog
	metrics    *prometheus.Registry
	ops        *net.TCPListener
	log        *slog.Logger
	succession *succession
}

// serve runs an agent until ctx ends, and then drains.
func serve(ctx context.Context, f *flags, log *slog.Logger) error {
	sockets, predecessor, err := listener.Inherited()
	if err != nil {
		return err
	}
	s := newSuccession(sockets, predecessor)
	defer s.releaseState()
	if predecessor == nil {
		lock, err := lockState(f.StateDir)
		if err != nil {
			return err
		}
		s.lock.Store(lock)
	}
	accessFile, err := openAccessLog(f.AccessLog)
	if err != nil {
		return err
	}
	if accessFile != nil && accessFile != os.Stdout {
		defer func() { _ = accessFile.Close() }()
	}
	p, err := build(f, accessFile, sockets, log)
	if err != nil {
		return err
	}
	p.succession = s
	defer func() { _ = p.connection.Close() }()
	defer p.upstreams.Close()
	if p.ops, err = listenOps(ctx, sockets, f.OpsAddress); err != nil {
		return err
	}
	log.Info("starting", "version", version, "control_plane", f.ControlPlane, "ops", p.ops.Addr().String(), "pid", os.Getpid(),
		"succeeds", predecessor != nil)
	if err := p.recover(ctx); err != nil {
		return errors.Join(err, p.ops.Close())
	}
	err = p.run(ctx)
	cause := context.Cause(ctx)
	if cause == nil && err == nil {
		cause = listener.ErrHandedOver
	}
	log.Info("stopped", "cause", fmt.Sprint(cause), "pid", os.Getpid())
	return err
}

// recover serves from the disk, before the first client is let in, if the agent has an identity.
func (p *parts) recover(ctx context.Context) error {
	switch {
	case p.identity.Current() == nil:
		return nil
	case p.succession.predecessor != nil:
		return p.agent.Preview(ctx)
	}
	return p.agent.Recover(ctx)
}

// build makes the parts; none of them begins yet.
func build(f *flags, accessFile *os.File, sockets *listener.Sockets, log *slog.Logger) (p *parts, err error) {
	p = &parts{
		flags: f, metrics: newMetrics(), sources: discovery.NewBoard(), log: log,
		memory: discovery.OpenMemory(filepath.Join(f.StateDir, "discovery.json"), log),
	}
	if p.identity, err = identity.Open(f.StateDir); err != nil {
		return nil, err
	}
	if p.connection, err = identity.Dial(f.ControlPlane, p.identity); err != nil {
		return nil, fmt.Errorf("%w (--control-plane)", err)
	}
	table, state, uses, shadows := lane.New(), plugin.NewState(), telemetry.NewKeyUses(), telemetry.NewShadows()
	p.upstreams = upstream.NewRegistry(upstream.Environment{
		Refused: f.RefuseUpstreams, Allowed: f.AllowUpstreams, Zone: f.Zone, Log: log,
		Discovery: discovery.Environment{
			Secret: table.Secret, FilesDir: f.DiscoveryDir, Kubeconfig: f.Kubeconfig, ConsulAddress: f.ConsulAddress,
			Board: p.sources, Memory: p.memory, Log: log,
		},
	})
	registry := p.upstreams
	counters := telemetry.NewCounters(plugin.ReasonNames())
	if accessFile != nil {
		p.accessLog = telemetry.NewAccessLog(accessFile)
	}
	plain, err := listener.ParseProxyProtocol(f.ProxyProtocol)
	if err != nil {
		return nil, err
	}
	secure, err := listener.ParseProxyProtocol(f.TLSProxyProtocol)
	if err != nil {
		return nil, err
	}
	group := groupOf("/proc/self/cgroup", "/sys/fs/cgroup")
	memory, err := applyMemoryLimit(f.MemoryLimit, group)
	if err != nil {
		return nil, err
	}
	p.monitor = overload.NewMonitor(overload.MonitorConfig{MemoryLimit: memory, Processors: group.processorLimit()})
	p.proxy, err = proxy.New(proxy.Config{
		Sockets: sockets, ProxyProtocol: plain, TLSProxyProtocol: secure, Connections: listener.Limits{
			Connections: f.MaxConnections, PerClient: f.MaxClientConnections, Handshakes: f.MaxHandshakes, HandshakeQueue: 4 * f.MaxHandshakes,
		},
		Address: f.ProxyAddress, TLSAddress: f.TLSAddress, TrustedProxies: f.TrustedProxies, DrainTimeout: f.DrainTimeout,
		Lane: table, State: state, Counters: counters, KeyUses: uses, Shadows: shadows, AccessLog: p.accessLog, AccessLogSample: f.sample(), Log: log,
		Upstreams: registry, Monitor: p.monitor, MaxExchanges: mostExchanges(f.MaxExchanges, memory, runtime.GOMAXPROCS(0)),
	})
	if err != nil {
		return nil, err
	}
	p.agent = agent.New(agent.Config{
		StateDir: f.StateDir, Version: version, PluginTypes: builtin.Types(), Listeners: p.listeners, Labels: f.Labels,
		Identity: p.identity, Connection: p.connection, Move: p.connection.Move, Installer: p.proxy, Lane: table, Counters: counters, KeyUses: uses, Shadows: shadows,
		Log: log, DeadMan: f.DeadMan, SetTicketSecret: p.proxy.SetTicketSecret,
		Compile: func(in snapshot.Input) (*snapshot.Snapshot, error) {
			in.Registry, in.State, in.Lane = registry, state, table
			compiled, err := snapshot.Compile(in)
			if err == nil {
				registry.AwaitTargets(patience(in)) // so that it serves from its first request on
			}
			return compiled, err
		},
	})
	return p, errors.Join(
		p.metrics.Register(telemetry.NewCollector(counters)),
		p.metrics.Register(agent.NewCollector(p.agent)),
		p.metrics.Register(proxy.NewCollector(p.proxy)),
		p.metrics.Register(upstream.NewCollector(registry)),
		p.metrics.Register(discovery.NewCollector(p.sources)),
	)
}

// patience is how long a revision waits for directories that have not said yet where targets are: not long while nothing is
// served at all.
func patience(in snapshot.Input) time.Duration {
	if in.Previous == nil {
		return time.Second
	}
	return 3 * time.Second
}

// listeners are the addresses that clients reach.
func (p *parts) listeners() (all []string) {
	for scheme, address := range map[string]net.Addr{"http": p.proxy.Address(), "https": p.proxy.TLSAddress()} {
		if address != nil {
			all = append(all, scheme+"://"+address.String())
		}
	}
	return all
}

// run runs all parts. The proxy ends first, after it has drained, so that what it does until then is still reported. A part
// that fails ends the others.
func (p *parts) run(stopping context.Context) error {
	group, ctx := errgroup.WithContext(context.WithoutCancel(stopping))
	ctx, end := context.WithCancelCause(ctx)
	// What a successor takes over ends before the proxy does.
	leading, giveWay := context.WithCancelCause(ctx)
	p.succession.giveWay = giveWay
	if p.accessLog != nil {
		group.Go(func() error { return p.accessLog.Run(ctx) })
	}
	group.Go(func() error {
		serving, stop := context.WithCancelCause(leading)
		defer stop(nil)
		defer context.AfterFunc(stopping, func() { stop(context.Cause(stopping)) })()
		err := p.proxy.Run(serving)
		end(context.Cause(serving))
		return err
	})
	group.Go(func() error { return p.memory.Run(leading) }) // a successor has one of its own
	group.Go(func() error { return p.monitor.Run(ctx) })
	group.Go(func() error { return paceCollector(ctx) })
	group.Go(func() error { return p.lead(leading, stopping) })
	group.Go(func() error { return p.onSignal(leading, stopping) })
	group.Go(func() error {
		select {
		case <-p.succession.joined:
			return p.agent.Report(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

// lead does what only one process of an agent may do, once the ports are open, until leading ends: it answers operators, and keeps
// in touch with the control plane.
func (p *parts) lead(leading, stopping context.Context) error {
	select {
	case <-p.proxy.Listening():
	case <-leading.Done():
		return p.ops.Close()
	}
	p.log.Info("listening", "addresses", p.listeners())
	group, ctx := errgroup.WithContext(leading)
	group.Go(func() error { return serveOps(ctx, p.ops, opsHandler(stopping, p)) })
	group.Go(func() error {
		defer close(p.succession.gaveWay)
		if err := p.takeOver(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		if local, err := listenLocal(ctx, p.flags.StateDir); err != nil {
			p.log.Warn("no local commands", "error", err) // such as a path too long for a socket
		} else {
			group.Go(func() error { return serveOps(ctx, local, p.localHandler()) })
		}
		return p.follow(ctx)
	})
	return group.Wait()
}

// follow keeps the agent in touch with its control plane: joining the fleet first, if need be.
func (p *parts) follow(ctx context.Context) error {
	f := p.flags
	err := p.identity.Join(ctx, identity.Joining{
		ControlPlane: f.ControlPlane, TokenFile: f.JoinTokenFile, Name: f.Name, Labels: f.Labels,
	}, p.log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	close(p.succession.joined)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.agent.Follow(ctx) })
	group.Go(func() error { return p.identity.KeepFresh(ctx, p.connection, p.log) })
	return group.Wait()
}
