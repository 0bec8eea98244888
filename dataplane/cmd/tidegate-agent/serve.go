package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/identity"
	"tidegate.dev/dataplane/discovery"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/plugin/builtin"
	"tidegate.dev/dataplane/proxy"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
)

// parts are what runs.
type parts struct {
	identity   *identity.Store
	connection *identity.Connection
	agent      *agent.Agent
	proxy      *proxy.Proxy
	upstreams  *upstream.Registry
	sources    *discovery.Board
	accessLog  *telemetry.AccessLog
	metrics    *prometheus.Registry
	ops        net.Listener
	log        *slog.Logger
}

// serve runs an agent until ctx ends, and then drains.
func serve(ctx context.Context, f *flags, log *slog.Logger) error {
	lock, err := lockState(f.StateDir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	accessFile, err := openAccessLog(f.AccessLog)
	if err != nil {
		return err
	}
	if accessFile != nil && accessFile != os.Stdout {
		defer func() { _ = accessFile.Close() }()
	}
	p, err := build(f, accessFile, log)
	if err != nil {
		return err
	}
	defer func() { _ = p.connection.Close() }()
	defer p.upstreams.Close()
	if p.ops, err = listenOps(ctx, f.OpsAddress); err != nil {
		return err
	}
	log.Info("starting", "version", version, "control_plane", f.ControlPlane, "ops", p.ops.Addr().String())
	// Whoever has an identity serves from the disk before the first client is let in.
	if p.identity.Current() != nil {
		if err := p.agent.Recover(ctx); err != nil {
			return errors.Join(err, p.ops.Close())
		}
	}
	err = p.run(ctx, f)
	log.Info("stopped", "cause", fmt.Sprint(context.Cause(ctx)))
	return err
}

// build makes the parts; none of them begins yet.
func build(f *flags, accessFile *os.File, log *slog.Logger) (p *parts, err error) {
	p = &parts{metrics: newMetrics(), sources: discovery.NewBoard(), log: log}
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
			Board: p.sources, Log: log,
		},
	})
	registry := p.upstreams
	counters := telemetry.NewCounters(plugin.ReasonNames())
	if accessFile != nil {
		p.accessLog = telemetry.NewAccessLog(accessFile)
	}
	p.proxy, err = proxy.New(proxy.Config{
		Address: f.ProxyAddress, TLSAddress: f.TLSAddress, TrustedProxies: f.TrustedProxies, DrainTimeout: f.DrainTimeout,
		Lane: table, State: state, Counters: counters, KeyUses: uses, Shadows: shadows, AccessLog: p.accessLog, Log: log,
		Upstreams: registry,
	})
	if err != nil {
		return nil, err
	}
	p.agent = agent.New(agent.Config{
		StateDir: f.StateDir, Version: version, PluginTypes: builtin.Types(), Listeners: p.listeners, Labels: f.Labels,
		Identity: p.identity, Connection: p.connection, Installer: p.proxy, Lane: table, Counters: counters, KeyUses: uses, Shadows: shadows,
		Log: log, DeadMan: f.DeadMan,
		Compile: func(in snapshot.Input) (*snapshot.Snapshot, error) {
			in.Registry, in.State, in.Lane = registry, state, table
			return snapshot.Compile(in)
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
func (p *parts) run(ctx context.Context, f *flags) error {
	stopping := ctx
	group, ctx := errgroup.WithContext(context.WithoutCancel(ctx))
	ctx, end := context.WithCancelCause(ctx)
	group.Go(func() error { return serveOps(ctx, p.ops, opsHandler(stopping, p)) })
	if local, err := listenLocal(ctx, f.StateDir); err != nil {
		p.log.Warn("no local commands", "error", err) // such as a path too long for a socket
	} else {
		group.Go(func() error { return serveOps(ctx, local, localHandler(p.agent, p.log)) })
	}
	if p.accessLog != nil {
		group.Go(func() error { return p.accessLog.Run(ctx) })
	}
	group.Go(func() error {
		serving, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		defer context.AfterFunc(stopping, func() { stop(context.Cause(stopping)) })()
		err := p.proxy.Run(serving)
		end(context.Cause(serving))
		return err
	})
	group.Go(func() error { return p.follow(ctx, f) })
	return group.Wait()
}

// follow keeps the agent in touch with its control plane, once the ports are open: joining the fleet first, if need be.
func (p *parts) follow(ctx context.Context, f *flags) error {
	select {
	case <-p.proxy.Listening():
	case <-ctx.Done():
		return nil
	}
	p.log.Info("listening", "addresses", p.listeners())
	err := p.identity.Join(ctx, identity.Joining{
		ControlPlane: f.ControlPlane, TokenFile: f.JoinTokenFile, Name: f.Name, Labels: f.Labels,
	}, p.log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.agent.Run(ctx) })
	group.Go(func() error { return p.identity.KeepFresh(ctx, p.connection, p.log) })
	return group.Wait()
}
