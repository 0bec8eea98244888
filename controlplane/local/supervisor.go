package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Process is a child process to run.
type Process struct {
	Name string   // Name is unique in its supervisor; it prefixes the output and names the log file.
	Path string   // Path of the program.
	Args []string // Args without the program's name. They are public: no secret belongs here.
	Env  []string // Env is the whole environment, "NAME=value". Nil: ours.
	Dir  string   // Dir to run in. Empty: ours.

	// Ready says whether the process serves; Start waits for it. Nil: it is ready once it runs.
	Ready Probe
	// ReadyTimeout bounds that wait. Default: 30 seconds.
	ReadyTimeout time.Duration
	// StopTimeout is how long it may take to end after SIGTERM. Default: 10 seconds.
	StopTimeout time.Duration
	// Restart starts it again whenever it ends after it was ready, with a pause that doubles up to a bound.
	Restart bool
	// HandsOver says that it may start a successor in its own process group and end: it runs as long as one of the group does.
	HandsOver bool
}

// SupervisorConfig says how a supervisor reports. The zero value is valid.
type SupervisorConfig struct {
	// Output receives each line that a process writes, as "name | line". Nil: nowhere. Writes do not overlap.
	Output io.Writer
	// LogDir receives each process's output without prefix in NAME.log, begun anew by Start. Empty: no files.
	LogDir string
	// OnEvent is told what happens. Calls may come from several goroutines and should return soon. May be nil.
	OnEvent func(Event)
	// FirstPause is waited before the first restart; a process that ran for a minute starts from it again.
	// Default: 200 ms.
	FirstPause time.Duration
	// LongestPause bounds the doubling. Default: 10 seconds.
	LongestPause time.Duration
}

// EventKind is what happened to a process.
type EventKind string

// The kinds of events, in the order of a process's life.
const (
	EventStarted   EventKind = "started"   // it runs
	EventWaiting   EventKind = "waiting"   // it is not ready yet; once a second, Err says why
	EventReady     EventKind = "ready"     // its probe succeeded
	EventSucceeded EventKind = "succeeded" // it has handed over to the process PID
	EventExited    EventKind = "exited"    // it ended by itself; Err is how
	EventRetrying  EventKind = "retrying"  // it will be started again after After
	EventStopping  EventKind = "stopping"  // it was asked to end
	EventKilled    EventKind = "killed"    // it did not end in time
	EventStopped   EventKind = "stopped"   // it has ended as asked
)

// Event is one thing that happened to a process.
type Event struct {
	Process string
	Kind    EventKind
	PID     int
	After   time.Duration // After is the time waited so far, or, for EventRetrying, to be waited.
	Err     error
}

// Supervisor starts named child processes, watches them, and stops them in reverse order. Each runs in a process
// group of its own, so that Ctrl-C in a terminal reaches only us and that its own children end with it. When we are
// killed, a guard process ends them all. Methods may be called from several goroutines.
type Supervisor struct {
	config SupervisorConfig
	output *prefixer

	stopping context.Context // ended by Stop: no more restarts
	stop     context.CancelFunc
	failed   chan error // the first process that ended and is not restarted

	mu      sync.Mutex // guards what follows
	guard   *guard     // nil until the first Start
	members []*member  // in the order of Start
}

// ErrStopping is the error of starting a process in a supervisor that stops.
var ErrStopping = errors.New("the supervisor is stopping")

// NewSupervisor prepares a supervisor; nothing runs until Start.
func NewSupervisor(config SupervisorConfig) *Supervisor {
	if config.Output == nil {
		config.Output = io.Discard
	}
	if config.OnEvent == nil {
		config.OnEvent = func(Event) {}
	}
	if config.FirstPause == 0 {
		config.FirstPause = 200 * time.Millisecond
	}
	if config.LongestPause == 0 {
		config.LongestPause = 10 * time.Second
	}
	stopping, stop := context.WithCancel(context.Background())
	return &Supervisor{
		config: config, output: &prefixer{to: config.Output},
		stopping: stopping, stop: stop, failed: make(chan error, 1),
	}
}

// Start runs a process and returns when it is ready. When it is not ready in time, or ends before, it is stopped and
// the error carries its last lines. The context bounds the start only.
func (s *Supervisor) Start(ctx context.Context, process Process) error {
	if process.ReadyTimeout == 0 {
		process.ReadyTimeout = 30 * time.Second
	}
	if process.StopTimeout == 0 {
		process.StopTimeout = 10 * time.Second
	}
	m := &member{process: process, supervisor: s, ended: make(chan struct{})}
	if err := s.join(m); err != nil {
		return err
	}
	err := m.begin(ctx)
	if err != nil {
		s.leave(m)
		return fmt.Errorf("starting %s: %w", process.Name, err)
	}
	return nil
}

// join reserves the process's name and place.
func (s *Supervisor) join(m *member) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Err() != nil {
		return ErrStopping
	}
	for _, other := range s.members {
		if other.process.Name == m.process.Name {
			return fmt.Errorf("starting %s: a process of that name was started already", m.process.Name)
		}
	}
	if s.guard == nil {
		if s.guard, err = newGuard(); err != nil {
			return err
		}
	}
	m.guard = s.guard
	s.members = append(s.members, m)
	return nil
}

func (s *Supervisor) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = slices.DeleteFunc(s.members, func(other *member) bool { return other == m })
}

// Wait returns nil when the context ends or Stop is called, and an error when a process ended that is not restarted.
func (s *Supervisor) Wait(ctx context.Context) error {
	select {
	case err := <-s.failed:
		return err
	case <-ctx.Done():
	case <-s.stopping.Done():
	}
	return nil
}

// PID is the process that runs under the name now; 0 when none does.
func (s *Supervisor) PID(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.process.Name == name {
			return m.pid()
		}
	}
	return 0
}

// Stop ends all processes, the last started first, each before the next: SIGTERM to the process (which may need its
// own children to finish its work), then, when it has ended or its time is up, SIGKILL to all of its group. When the
// context ends, the rest is killed without waiting. Stopping twice is allowed.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.stop()
	s.mu.Lock()
	members := slices.Clone(s.members)
	s.mu.Unlock()
	var failures []error
	for _, m := range slices.Backward(members) {
		failures = append(failures, m.terminate(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = nil
	if s.guard != nil {
		failures = append(failures, s.guard.close())
		s.guard = nil
	}
	return errors.Join(failures...)
}
