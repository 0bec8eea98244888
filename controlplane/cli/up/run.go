package up

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/login"
	"tidegate.dev/controlplane/local"
)

// stack is what runs.
type stack struct {
	config     *Config
	layout     *layout
	postgres   *local.Postgres
	supervisor *local.Supervisor
	client     *client.Client
	keepers    sync.WaitGroup // what watches over the parts

	mu       sync.Mutex // guards what follows
	document *Document  // nil until everything runs
}

// stopTimeout bounds the end of everything, after which it is killed.
const stopTimeout = 40 * time.Second

// Run starts everything, calls ready when it serves, and runs until the context ends; then it stops everything. When another
// process runs with the same state folder, ready is called with what that one runs, and Run returns.
func Run(ctx context.Context, config Config, ready func(d *Document, running bool) error) error {
	c := &config
	if err := c.complete(); err != nil {
		return err
	}
	if err := local.MakeDir(c.StateDir); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	release, running, err := own(ctx, c)
	if err != nil {
		return err
	}
	if running != nil {
		return ready(running, true)
	}
	defer release()
	if err := os.RemoveAll(c.file(stateName)); err != nil { // of one that was killed
		return fmt.Errorf("removing the old state: %w", err)
	}
	s := &stack{config: c}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = s.start(ctx)
	if err == nil {
		err = ready(s.snapshot(), false)
	}
	if err == nil {
		err = s.supervisor.Wait(ctx)
	}
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	cancel() // from here on, nothing is brought back
	s.keepers.Wait()
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}

// start starts everything in order. What was started when it fails is stopped by the caller.
func (s *stack) start(ctx context.Context) error {
	c := s.config
	demo := !c.NoDemo && c.has(programDemo)
	if !c.NoDemo && !demo {
		c.say("%s is not in %s: going on without the demo (make build makes it)", programDemo, c.BinDir)
	}
	layout, err := c.Ports.plan(c.ControlPlanes, c.Agents, demo)
	if err != nil {
		return err
	}
	s.layout = layout
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	s.keepers.Go(func() { s.keepPostgres(ctx) })
	s.supervisor = s.newSupervisor()
	for i := range s.layout.replicas() {
		if err := s.startControlPlane(ctx, i); err != nil {
			return err
		}
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	group, parallel := errgroup.WithContext(ctx)
	for i := range s.layout.agent {
		group.Go(func() error { return s.startAgent(parallel, i) })
	}
	for i := range s.layout.upstreams {
		group.Go(func() error { return s.startUpstream(parallel, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d := s.describe()
	if demo {
		if d.Demo, err = s.setUpDemo(ctx, d.Agents); err != nil {
			return fmt.Errorf("setting up the demo: %w", err)
		}
	}
	if err := s.writeContexts(d); err != nil {
		return err
	}
	return s.publish(d)
}

// publish lets others know what runs, from now on with the processes as they are.
func (s *stack) publish(d *Document) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = d
	return d.write(s.config)
}

// snapshot is the document as it is now, for others to keep.
func (s *stack) snapshot() *Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := *s.document
	d.PIDs, d.Agents, d.Replicas = maps.Clone(d.PIDs), slices.Clone(d.Agents), slices.Clone(d.Replicas)
	return &d
}

// runsAs notes that a process was started again.
func (s *stack) runsAs(name string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.document == nil {
		return
	}
	s.document.PIDs[name] = pid
	for i := range s.document.Replicas {
		if s.document.Replicas[i].Name == name {
			s.document.Replicas[i].PID = pid
		}
	}
	for i := range s.document.Agents {
		if s.document.Agents[i].Name == name {
			s.document.Agents[i].PID = pid
		}
	}
	s.config.say("%s: runs again, process %d", name, pid)
	if err := s.document.write(s.config); err != nil {
		s.config.say("%v", err)
	}
}

// connect makes a client with the first admin token, which the control plane wrote.
func (s *stack) connect(ctx context.Context) error {
	token, err := login.ReadToken(s.tokenFile())
	if err != nil {
		return fmt.Errorf("reading the admin token: %w (it is written once, when the database has no token; with a database that others use, put one of its tokens there)", err)
	}
	s.client, err = client.New(client.Config{
		Server: "http://" + address(s.layout.admin), Token: token, UserAgent: "tidegate-up/" + s.config.Version,
	})
	if err != nil {
		return err
	}
	return s.client.Get(ctx, client.Path("sessions", "current"), nil, nil)
}

func (s *stack) tokenFile() string { return s.config.file("admin.token") }

// describe writes down what runs.
func (s *stack) describe() *Document {
	c := s.config
	d := &Document{
		Admin:        "http://" + address(s.layout.admin),
		AgentAddress: address(s.layout.agents),
		Ops:          "http://" + address(s.layout.ops),
		TokenFile:    s.tokenFile(),
		ContextFile:  c.file("context.json"),
		StateDir:     c.StateDir,
		LogDir:       c.file("logs"),
		DatabaseURL:  s.postgres.URL(),
		Owner:        os.Getpid(),
		PIDs:         map[string]int{},
	}
	for i, ports := range s.layout.replicas() {
		name := replicaName(i)
		d.PIDs[name] = s.supervisor.PID(name)
		d.Replicas = append(d.Replicas, Replica{
			Name: name, Admin: "http://" + address(ports.admin), AgentAddress: address(ports.agents), Ops: "http://" + address(ports.ops), PID: d.PIDs[name],
		})
	}
	if pid := s.postgres.State().PID; pid > 0 {
		d.PIDs["postgres"] = pid
	}
	for i, ports := range s.layout.agent {
		pid := s.supervisor.PID(agentName(i))
		d.PIDs[agentName(i)] = pid
		d.Agents = append(d.Agents, Agent{
			Name: agentName(i), Proxy: "http://" + address(ports.proxy), TLS: "https://localhost:" + portOf(ports.tls),
			Ops: "http://" + address(ports.ops), PID: pid,
		})
	}
	for i := range s.layout.upstreams {
		d.PIDs[upstreamName(i)] = s.supervisor.PID(upstreamName(i))
	}
	return d
}

// writeContexts tells the command line whom to speak to: in the state folder, and for the user unless that names another
// server.
func (s *stack) writeContexts(d *Document) error {
	own := login.Context{Server: d.Admin, TokenFile: d.TokenFile, Fleet: fleet}
	if err := login.Write(d.ContextFile, own); err != nil {
		return err
	}
	file := s.config.ContextFile
	if file == "" {
		return nil
	}
	if present, err := login.Read(file); err == nil && present.Server != "" && !present.For(own.Server) {
		s.config.say("%s is logged in to %s and stays so; for this one: tidegate --context %s", file, present.Server, d.ContextFile)
		return nil
	}
	return login.Write(file, own)
}

// stop ends everything in the reverse order. Nothing is left behind.
func (s *stack) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var failures []error
	if s.supervisor != nil {
		s.config.say("stopping")
		failures = append(failures, s.supervisor.Stop(ctx))
	}
	if s.postgres != nil {
		failures = append(failures, s.postgres.Stop(ctx))
	}
	if s.layout != nil {
		failures = append(failures, s.layout.held.Release())
	}
	return errors.Join(append(failures, os.RemoveAll(s.config.file(stateName)))...)
}
