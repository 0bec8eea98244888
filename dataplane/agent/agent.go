// Package agent is the client of the control plane. It holds the configuration stream: takes the fast lane, content and
// desired states, checks who signed them, keeps them on the disk, compiles them off the request path, installs them, and
// only then says that they serve. A state that it cannot serve it refuses with the reason, and keeps what it had. With no
// control plane it serves from the disk.
//
// One goroutine owns all of this; compiling, sending and receiving have goroutines of their own, so that heartbeats go on.
// The package does not know how requests are handled: it gets an Installer.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"tidegate.dev/dataplane/agent/identity"
	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/dataplane/agent/reporter"
	"tidegate.dev/dataplane/guard"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Installer serves what it is given. The proxy is one.
type Installer interface {
	// Install serves from the installation from now on, and takes over the caller's references to its snapshots.
	Install(installation snapshot.Installation)
	// DropCandidate goes back to stable if the candidate of the rollout is served, and says whether it was.
	DropCandidate(rolloutID, reason string) bool
	// Serving is what is served now.
	Serving() snapshot.Installation
}

// Config is what an agent needs. All fields without a default must be set.
type Config struct {
	// StateDir is the agent's folder.
	StateDir string
	// Version, PluginTypes, Listeners and Labels are told to the control plane.
	Version     string
	PluginTypes []string
	Listeners   func() []string
	Labels      map[string]string
	// Identity has enrolled before Recover and Run are called.
	Identity *identity.Store
	// Connection leads to the control plane.
	Connection grpc.ClientConnInterface
	// Move makes the connection anew, to another replica of the control plane if there is one; nil: there is none.
	Move func() error
	// Compile makes a snapshot. The agent sets Revision, Root, Content and Previous of the input. A panic in it is a refusal.
	Compile   func(snapshot.Input) (*snapshot.Snapshot, error)
	Installer Installer
	Lane      *lane.Table
	Counters  *telemetry.Counters
	KeyUses   *telemetry.KeyUses // may be nil
	Shadows   *telemetry.Shadows // may be nil
	// SetTicketSecret takes what the fleet's keys of TLS session tickets are derived from; nil: nobody wants it.
	SetTicketSecret func(secret []byte) error
	Log             *slog.Logger

	// DeadMan is how long a candidate is served without a control plane; 0: one minute.
	DeadMan time.Duration
	// Probation is how soon after taking a revision a death of the process speaks against it; 0: one minute.
	Probation time.Duration
	// GuardInterval is the time between two looks at a candidate; 0: 20 ms. It is longer where looking takes long.
	GuardInterval time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.DeadMan, time.Minute)
	setDefault(&c.Probation, time.Minute)
	setDefault(&c.GuardInterval, 20*time.Millisecond)
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Agent is one process's agent.
type Agent struct {
	// Set once.
	config Config
	bootID string
	log    *slog.Logger
	events chan event
	jobs   chan job
	done   chan outcome
	asks   chan ask
	ended  chan struct{} // closed when the loop ends
	status atomic.Pointer[Status]

	// Of the loop's goroutine alone.
	journal   *journal.Journal
	probation *probation
	actions   *localActions
	guard     *guard.Guard
	evidence  *evidenceFile
	swept     time.Time // when requests that run were last looked at
	baseline  *telemetry.Baseline
	link      *link
	welcomed  bool
	away      time.Time // since when there is no control plane; zero: there is one
	transfer  transfer
	laneReset *laneReset // parts of a lane from nothing that is not whole; nil: none
	failed    failedTransfer
	serving   serving
	working   bool                  // a job is with the compiler
	staleLane bool                  // the fast lane of this link is older than what is held
	waiting   *outcome              // compiled, and not activated before the fast lane has come far enough
	next      *agentv1.DesiredState // arrived while working
	heartbeat time.Duration
	pin       *pin // nil: none
	previewed bool // what is installed counts no units yet
	draining  bool
	refused   string
}

// New makes an agent. It does nothing before Recover or Run.
func New(config Config) *Agent {
	config = config.withDefaults()
	baseline := telemetry.NewBaseline(config.Counters)
	a := &Agent{
		config:   config,
		bootID:   uuid.NewString(),
		log:      config.Log,
		events:   make(chan event),
		jobs:     make(chan job, 1),
		done:     make(chan outcome),
		asks:     make(chan ask),
		ended:    make(chan struct{}),
		guard:    guard.New(config.Counters, baseline),
		baseline: baseline,

		heartbeat: time.Second,
		away:      time.Now(),
	}
	a.probation, a.evidence = newProbation(config.StateDir), newEvidenceFile(config.StateDir)
	a.actions = newLocalActions(config.StateDir)
	a.status.Store(&Status{})
	return a
}

// BootID names this run of the process.
func (a *Agent) BootID() string { return a.bootID }

// Recover reads the disk, compiles what it holds and installs it, so that the agent serves before it has reached the control
// plane. Only what keeps the agent from working at all is an error.
func (a *Agent) Recover(ctx context.Context) error {
	if a.config.Identity.Current() == nil {
		return errors.New("the agent has not enrolled")
	}
	if err := a.openJournal(ctx); err != nil {
		return err
	}
	a.recallEvidence(ctx)
	a.resume(ctx)
	a.publish()
	return nil
}

// Preview is Recover for a process that is about to take over from another, which still writes the journal: it serves what the
// journal says now. Recover follows when the other has let go.
func (a *Agent) Preview(ctx context.Context) error {
	if a.config.Identity.Current() == nil {
		return errors.New("the agent has not enrolled")
	}
	if err := a.takeJournal(ctx, journal.Read); err != nil {
		return err
	}
	a.resume(ctx)
	a.publish()
	return nil
}

// Run follows the control plane and reports to it until ctx is done.
func (a *Agent) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Follow(ctx) })
	group.Go(func() error { return a.Report(ctx) })
	return group.Wait()
}

// Follow holds the stream until ctx is done, and calls Recover first if nobody has. When it returns, the journal is another
// process's to write.
func (a *Agent) Follow(ctx context.Context) error {
	if a.journal == nil || a.journal.ReadOnly() {
		if err := a.Recover(ctx); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.loop(ctx) })
	group.Go(func() error { return a.compileAll(ctx) })
	group.Go(func() error { return a.keepConnected(ctx) })
	group.Go(func() error { return a.writeEvidence(ctx) })
	err := group.Wait()
	a.probation.end() // a process that ends in order has not died
	if err := a.leaveEvidence(); err != nil {
		a.log.WarnContext(ctx, "evidence", "error", err)
	}
	a.letGo()
	return errors.Join(err, a.journal.Close())
}

// Report reports what was counted until ctx is done. Two processes of one agent may do so at a time.
func (a *Agent) Report(ctx context.Context) error { return a.reporter().Run(ctx) }

func (a *Agent) reporter() *reporter.Reporter {
	return reporter.New(reporter.Config{
		StateDir: a.config.StateDir, BootID: a.bootID, Connection: a.config.Connection,
		Counters: a.config.Counters, Baseline: a.baseline, KeyUses: a.config.KeyUses, Shadows: a.config.Shadows, Log: a.log,
	})
}

// letGo gives back the snapshots that the agent itself holds.
func (a *Agent) letGo() {
	select {
	case j := <-a.jobs:
		j.release()
	default:
	}
	a.dropWaiting()
	a.serving.release()
	a.serving = serving{}
}
