package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	adminui "tidegate.dev/admin-ui"
	"tidegate.dev/controlplane/acme"
	"tidegate.dev/controlplane/admin"
	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/gates"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/notify"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/telemetry"
)

// serve runs a control plane until ctx ends: first what must be there (addresses, database, keys, the first token), then
// every part, each of which ends with the others.
func serve(ctx context.Context, f *flags, log *slog.Logger) error {
	addresses, err := listen(ctx, f)
	if err != nil {
		return err
	}
	defer addresses.close()
	opened, err := openStore(ctx, f, log)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := prepare(ctx, f, opened); err != nil {
		return err
	}
	keys, err := keyring.Open(ctx, opened, f.MasterKeyFile, true)
	if err != nil {
		return fmt.Errorf("opening the keys: %w", err)
	}
	who := identity.New(opened)
	if f.BootstrapTokenFile != "" {
		made, err := who.Bootstrap(ctx, f.BootstrapTokenFile)
		if err != nil {
			return fmt.Errorf("making the first admin token: %w", err)
		}
		if made {
			log.Info("wrote the first admin token", "file", f.BootstrapTokenFile)
		}
	}
	all, err := build(f, log, opened, keys, who)
	if err != nil {
		return err
	}
	log.Info("serving", "version", version, "admin", addresses.admin.Addr().String(),
		"agents", addresses.agent.Addr().String(), "ops", addresses.ops.Addr().String())
	err = all.run(ctx, addresses)
	log.Info("stopped", "cause", fmt.Sprint(context.Cause(ctx)))
	return err
}

// parts are what runs.
type parts struct {
	store      *store.Store
	watcher    *store.Watcher
	admin      *admin.Server
	agents     *fleet.Server
	controller *rollout.Controller
	collector  *telemetry.Collector
	retention  *telemetry.Retention
	issuance   *acme.Manager
	gates      *gates.Runner
	notices    *notify.Sender
	metrics    *prometheus.Registry
	log        *slog.Logger
}

// build makes the parts; none of them begins yet.
func build(f *flags, log *slog.Logger, opened *store.Store, keys *keyring.Keyring, who *identity.Service) (*parts, error) {
	p := &parts{
		store: opened, watcher: store.NewWatcher(opened, log), collector: telemetry.NewCollector(opened, log),
		retention: telemetry.NewRetention(opened, f.Retention, log), metrics: newMetrics(), log: log,
	}
	p.controller = rollout.NewController(rollout.NewPostgres(opened), p.watcher, rollout.ControllerConfig{
		Holder: f.Replica + "/" + rand.Text(), Log: log,
	})
	p.issuance = acme.NewManager(acme.Config{Store: opened, Keyring: keys, Log: log, UserAgent: "tidegate/" + version})
	p.gates = gates.NewRunner(gates.Config{Store: opened, Log: log, UserAgent: "tidegate/" + version})
	p.notices = notify.NewSender(notify.Config{Store: opened, Log: log, UserAgent: "tidegate/" + version})
	console, err := adminui.Files()
	if err != nil {
		return nil, fmt.Errorf("reading the console: %w", err)
	}
	p.admin, err = admin.New(admin.Config{
		Store: opened, Keyring: keys, Identity: who, Config: config.New(opened, keys, rollout.Lookup),
		Rollouts: rollout.NewService(opened, p.watcher), Directory: fleet.NewDirectory(opened, keys),
		Telemetry: telemetry.NewQuerier(opened), Log: log, Metrics: p.metrics, Console: console,
	})
	if err != nil {
		return nil, err
	}
	p.agents, err = fleet.NewServer(fleet.Config{
		Store: opened, Watcher: p.watcher, Keyring: keys, Replica: f.Replica, Hosts: f.AgentHost, Telemetry: p.collector, Log: log,
	})
	if err != nil {
		return nil, err
	}
	leading := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tidegate_rollout_leader", Help: "1 while this replica takes the steps of rollouts.",
	}, func() float64 {
		if p.controller.Leading() {
			return 1
		}
		return 0
	})
	for _, collector := range slices.Concat([]prometheus.Collector{leading}, p.agents.Metrics(), p.collector.Metrics(), p.issuance.Metrics()) {
		if err := p.metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return p, nil
}

// run runs all parts. The first that fails ends the others; a part that is ended by ctx has not failed, whatever it says.
func (p *parts) run(ctx context.Context, addresses *listeners) error {
	group, running := errgroup.WithContext(ctx)
	start := func(name string, part func(context.Context) error) {
		group.Go(func() error {
			err := part(running)
			if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: %w", name, err)
		})
	}
	start("database watcher", p.watcher.Run)
	start("admin API", func(ctx context.Context) error { return p.admin.Run(ctx, addresses.admin) })
	start("agents", func(ctx context.Context) error { return p.agents.Run(ctx, addresses.agent) })
	start("ops", func(ctx context.Context) error { return serveOps(ctx, addresses.ops, opsHandler(p.metrics, p.store)) })
	start("rollout controller", p.controller.Run)
	start("telemetry collector", p.collector.Run)
	start("telemetry retention", p.retention.Run)
	start("certificates", p.issuance.Run)
	start("gates", p.gates.Run)
	start("notifications", p.notices.Run)
	start("expiry of blocks", config.NewExpiry(p.store, p.log).Run)
	start("idempotency keys", func(ctx context.Context) error { return forgetRequests(ctx, p.store, p.log) })
	return group.Wait()
}
