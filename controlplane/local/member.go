package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// member is one process of a supervisor over all of its restarts.
type member struct {
	// Set once.
	process    Process
	supervisor *Supervisor
	guard      *guard
	log        *os.File      // nil without LogDir
	ended      chan struct{} // closed when it has ended for good

	mu       sync.Mutex // guards what follows
	current  *running   // nil before the first start and between two
	leader   int        // the process that serves: current's, or its successor
	stopping bool       // no further start
}

// life is one run of the process, from its start until its group and its output have ended.
type life struct {
	child  *running
	output *lines
	began  time.Time
}

// begin starts the process for the first time, waits until it is ready, and leaves a goroutine that watches it.
func (m *member) begin(ctx context.Context) error {
	if err := m.openLog(); err != nil {
		close(m.ended)
		return err
	}
	first, err := m.run()
	if err != nil {
		m.finish()
		return err
	}
	if err := m.awaitReady(ctx, first); err != nil {
		// Not wanted any more, so neither is its polite end.
		m.refuse()
		_ = m.killGroup(first.child.pid)
		m.conclude(first)
		m.finish()
		if said := first.output.last(); said != "" {
			return fmt.Errorf("%w; its last lines:\n%s", err, said)
		}
		return err
	}
	go m.watch(first)
	return nil
}

func (m *member) openLog() (err error) {
	dir := m.supervisor.config.LogDir
	if dir == "" {
		return nil
	}
	if err := MakeDir(dir); err != nil {
		return fmt.Errorf("making the folder of logs: %w", err)
	}
	m.log, err = os.OpenFile(filepath.Join(dir, m.process.Name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	return nil
}

// run starts the program once and puts it on the guard's list.
func (m *member) run() (*life, error) {
	started, err := m.spawn()
	if err != nil {
		return nil, err
	}
	if err := m.guard.add(started.child.pid, "TERM"); err != nil {
		err = errors.Join(err, m.killGroup(started.child.pid))
		m.conclude(started)
		return nil, err
	}
	m.tell(Event{Kind: EventStarted, PID: started.child.pid})
	return started, nil
}

// spawn holds the lock throughout, so that a process either is seen by terminate or is not started.
func (m *member) spawn() (*life, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return nil, ErrStopping
	}
	command := exec.Command(m.process.Path, m.process.Args...) //nolint:noctx // terminate ends it, politely
	command.Env, command.Dir = m.process.Env, m.process.Dir
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := m.supervisor.output.attach(m.process.Name, m.log, command)
	if err != nil {
		return nil, err
	}
	child, err := m.start(command)
	output.started()
	if err != nil {
		output.close()
		return nil, err
	}
	m.current, m.leader = child, child.pid
	return &life{child: child, output: output, began: time.Now()}, nil
}

func (m *member) start(command *exec.Cmd) (*running, error) {
	if !m.process.HandsOver {
		return spawn(command)
	}
	return spawnLineage(command, func(pid int) {
		m.mu.Lock()
		m.leader = pid
		m.mu.Unlock()
		m.tell(Event{Kind: EventSucceeded, PID: pid})
	})
}

// awaitReady asks the probe until it succeeds.
func (m *member) awaitReady(ctx context.Context, started *life) error {
	if m.process.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.process.ReadyTimeout, fmt.Errorf("not ready within %v", m.process.ReadyTimeout))
	defer cancel()
	told := started.began
	for interval := 10 * time.Millisecond; ; interval = min(2*interval, 250*time.Millisecond) {
		probing, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := m.process.Ready(probing)
		cancel()
		if err == nil {
			m.tell(Event{Kind: EventReady, PID: started.child.pid, After: time.Since(started.began)})
			return nil
		}
		if time.Since(told) >= time.Second {
			told = time.Now()
			m.tell(Event{Kind: EventWaiting, PID: started.child.pid, After: time.Since(started.began), Err: err})
		}
		if started.child.endedWithin(interval, ctx.Done()) {
			return fmt.Errorf("ended before it was ready: %w", exitOf(started.child))
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// watch follows the process through its restarts until it ends for good.
func (m *member) watch(current *life) {
	defer m.finish()
	wait := m.supervisor.config.FirstPause
	for {
		<-current.child.done
		m.conclude(current)
		if m.isStopping() {
			return
		}
		err := exitOf(current.child)
		m.tell(Event{Kind: EventExited, PID: current.child.pid, After: time.Since(current.began), Err: err})
		if !m.process.Restart {
			m.fail(err)
			return
		}
		if time.Since(current.began) > time.Minute {
			wait = m.supervisor.config.FirstPause
		}
		if current = m.again(&wait); current == nil {
			return
		}
	}
}

// again starts the process after a pause, and after ever longer ones while it cannot even be started. It gives nil
// when the supervisor stops.
func (m *member) again(wait *time.Duration) *life {
	var failure error
	for {
		m.tell(Event{Kind: EventRetrying, After: *wait, Err: failure})
		if pause(m.supervisor.stopping, *wait) != nil {
			return nil
		}
		*wait = min(2**wait, m.supervisor.config.LongestPause)
		started, err := m.run()
		if err == nil {
			return started
		}
		if errors.Is(err, ErrStopping) {
			return nil
		}
		failure = err
	}
}

// conclude ends what is left of a life whose process has ended or is about to: its group, its output, its place on
// the guard's list.
func (m *member) conclude(ended *life) {
	<-ended.child.done
	_ = m.killGroup(ended.child.pid) // Its children; most often there are none.
	m.guard.remove(ended.child.pid)
	ended.output.drain(2 * time.Second)
	m.mu.Lock()
	m.current = nil
	m.mu.Unlock()
}

func (m *member) finish() {
	if m.log != nil {
		_ = m.log.Close()
	}
	close(m.ended)
}

// terminate ends the process for good.
func (m *member) terminate(ctx context.Context) error {
	child := m.refuse()
	if child != nil {
		m.tell(Event{Kind: EventStopping, PID: child.pid})
		to := child.pid
		if m.process.HandsOver {
			to = -child.pid // Of the group one may be ending while another serves.
		}
		if err := signalProcess(to, syscall.SIGTERM); err != nil {
			return err
		}
		if err := signalProcess(to, syscall.SIGCONT); err != nil { // In case it was halted.
			return err
		}
		if !child.endedWithin(m.process.StopTimeout, ctx.Done()) {
			m.tell(Event{Kind: EventKilled, PID: child.pid, After: m.process.StopTimeout})
			if err := m.killGroup(child.pid); err != nil {
				return err
			}
		}
	}
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case <-m.ended:
	case <-timer.C:
		return fmt.Errorf("%s does not end", m.process.Name)
	}
	if child != nil {
		m.tell(Event{Kind: EventStopped, PID: child.pid})
	}
	return nil
}

// refuse forbids further starts and gives the process that runs.
func (m *member) refuse() *running {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopping = true
	return m.current
}

func (m *member) isStopping() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}

func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return 0
	}
	return m.leader
}

// killGroup ends a process and its descendants. A group that is gone is no error; macOS says EPERM for one of which
// only a process that was not waited for is left.
func (m *member) killGroup(group int) error {
	err := syscall.Kill(-group, syscall.SIGKILL)
	if err == nil || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.EPERM) {
		return nil
	}
	return fmt.Errorf("killing the process group %d: %w", group, err)
}

func (m *member) tell(event Event) {
	event.Process = m.process.Name
	m.supervisor.config.OnEvent(event)
}

// fail reports the first process that ended although nobody asked.
func (m *member) fail(err error) {
	select {
	case m.supervisor.failed <- fmt.Errorf("%s ended: %w", m.process.Name, err):
	default:
	}
}

// errSuccess is how a process ended that should not have ended at all.
var errSuccess = errors.New("exit status 0")

func exitOf(child *running) error {
	if child.err == nil {
		return errSuccess
	}
	return errors.New(strings.TrimSpace(child.err.Error()))
}
