package local

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// record is what a supervisor reported.
type record struct {
	mu     sync.Mutex
	events []Event
	output strings.Builder
}

func (r *record) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.Write(line)
}

func (r *record) add(event Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.String()
}

// of lists the processes that had such an event, in order.
func (r *record) of(kind EventKind) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, event := range r.events {
		if event.Kind == kind {
			names = append(names, event.Process)
		}
	}
	return names
}

func supervise(t *testing.T, config SupervisorConfig) (*Supervisor, *record) {
	t.Helper()
	seen := &record{}
	config.Output, config.OnEvent = seen, seen.add
	supervisor := NewSupervisor(config)
	t.Cleanup(func() {
		if err := supervisor.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return supervisor, seen
}

func role(name, played string, variables ...string) Process {
	return Process{Name: name, Path: os.Args[0], Env: env(played, variables...)}
}

func start(t *testing.T, supervisor *Supervisor, process Process) {
	t.Helper()
	if err := supervisor.Start(t.Context(), process); err != nil {
		t.Fatal(err)
	}
}

func TestStopGoesInReverseOrderAndKillsWhatIgnoresIt(t *testing.T) {
	t.Parallel()
	supervisor, seen := supervise(t, SupervisorConfig{})
	start(t, supervisor, role("first", "block"))
	stubborn := role("second", "stubborn")
	stubborn.StopTimeout = 100 * time.Millisecond
	start(t, supervisor, stubborn)
	start(t, supervisor, role("third", "block"))
	eventually(t, "the second ignores SIGTERM", func() bool { return strings.Contains(seen.text(), "second | ready\n") })
	running := []int{supervisor.PID("first"), supervisor.PID("second"), supervisor.PID("third")}

	if err := supervisor.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := seen.of(EventStopped); !slices.Equal(got, []string{"third", "second", "first"}) {
		t.Errorf("stopped in the order %v", got)
	}
	if got := seen.of(EventKilled); !slices.Equal(got, []string{"second"}) {
		t.Errorf("killed %v, want the second alone", got)
	}
	for _, pid := range running {
		if pid == 0 || runs(pid) {
			t.Errorf("process %d never ran or still does", pid)
		}
	}
	if err := supervisor.Start(t.Context(), role("late", "block")); !errors.Is(err, ErrStopping) {
		t.Errorf("starting after the stop: %v", err)
	}
}

func TestChildrenOfChildrenDoNotSurvive(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"stop", "exit"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			supervisor, seen := supervise(t, SupervisorConfig{})
			start(t, supervisor, role("parent", "parent"))
			eventually(t, "the parent names its child", func() bool {
				return strings.HasPrefix(seen.text(), "parent | child ") && strings.HasSuffix(seen.text(), "\n")
			})
			number, _, _ := strings.Cut(strings.TrimPrefix(seen.text(), "parent | child "), "\n")
			child, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			if !runs(child) {
				t.Fatal("the child does not run")
			}
			if end == "stop" {
				if err := supervisor.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else if err := signalProcess(supervisor.PID("parent"), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the child ends with its parent", func() bool { return !runs(child) })
		})
	}
}

func TestStopDoesNotWaitLongerThanItsContext(t *testing.T) {
	t.Parallel()
	supervisor, seen := supervise(t, SupervisorConfig{})
	start(t, supervisor, role("stubborn", "stubborn")) // It has ten seconds by default.
	eventually(t, "it ignores SIGTERM", func() bool { return strings.Contains(seen.text(), "ready") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := supervisor.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestStartWaitsForReadiness(t *testing.T) {
	t.Parallel()
	held, err := HoldPorts(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Release() })
	port := held.Ports[0]
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	gate := filepath.Join(t.TempDir(), "gate")
	supervisor, seen := supervise(t, SupervisorConfig{})
	process := role("server", "serve-later", "GATE="+gate, "ADDRESS="+address)
	asked := 0
	process.Ready = func(ctx context.Context) error {
		if asked++; asked == 3 { // Not ready for as long as the gate is closed; then it opens.
			writeFile(t, gate, "", 0o600)
		}
		return TCPProbe(address)(ctx)
	}
	start(t, supervisor, process)
	if asked < 3 {
		t.Errorf("ready after %d probes, before it could be", asked)
	}
	if err := TCPProbe(address)(t.Context()); err != nil {
		t.Error(err)
	}
	if got := seen.of(EventReady); !slices.Equal(got, []string{"server"}) {
		t.Errorf("ready: %v", got)
	}
}

func TestStartReportsWaiting(t *testing.T) {
	t.Parallel()
	supervisor, seen := supervise(t, SupervisorConfig{})
	process := role("slow", "block")
	process.Ready = func(context.Context) error {
		if len(seen.of(EventWaiting)) > 0 {
			return nil
		}
		return errors.New("not yet")
	}
	start(t, supervisor, process)
}

func TestStartFailsWithTheLastLines(t *testing.T) {
	t.Parallel()
	supervisor, _ := supervise(t, SupervisorConfig{})
	process := role("agent 1", "fail")
	process.Ready = func(context.Context) error { return errors.New("nothing listens") }
	process.Restart = true // Not before it was ready once.
	err := supervisor.Start(t.Context(), process)
	for _, part := range []string{"agent 1", "exit status 3", "first line\nno configuration"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	start(t, supervisor, role("agent 1", "block")) // The name is free again.
}

func TestStartGivesUpAtTheDeadlineAndLeavesNothing(t *testing.T) {
	t.Parallel()
	supervisor, seen := supervise(t, SupervisorConfig{})
	process := role("deaf", "stubborn")
	process.ReadyTimeout = 50 * time.Millisecond
	process.Ready = func(context.Context) error { return errors.New("nothing listens") }
	err := supervisor.Start(t.Context(), process)
	if err == nil || !strings.Contains(err.Error(), "not ready within 50ms: nothing listens") {
		t.Errorf("error %v, want what was waited for", err)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if pid := seen.events[0].PID; pid == 0 || runs(pid) {
		t.Errorf("process %d still runs", pid)
	}
}

func TestRestartsWithGrowingPauses(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	supervisor, seen := supervise(t, SupervisorConfig{FirstPause: time.Millisecond, LongestPause: 4 * time.Millisecond, LogDir: logs})
	process := role("agent", "fail")
	process.Restart = true
	start(t, supervisor, process)
	eventually(t, "five starts", func() bool { return len(seen.of(EventStarted)) >= 5 })
	if err := supervisor.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pauses []time.Duration
	for _, event := range seen.events {
		if event.Kind == EventRetrying {
			pauses = append(pauses, event.After/time.Millisecond)
		}
	}
	if want := []time.Duration{1, 2, 4, 4}; !slices.Equal(pauses[:4], want) {
		t.Errorf("paused %v ms, want %v", pauses, want)
	}
	count := len(seen.of(EventStarted))
	if supervisor.PID("agent") != 0 || count != len(seen.of(EventStarted)) {
		t.Error("it was started after the stop")
	}
	log, err := os.ReadFile(filepath.Join(logs, "agent.log"))
	if err != nil || strings.Count(string(log), "first line\nno configuration\n") < 4 {
		t.Errorf("the log has %q, %v", log, err)
	}
	if !strings.Contains(seen.text(), "agent | first line\nagent | no configuration\n") {
		t.Errorf("the output is %q", seen.text())
	}
}

func TestWaitReportsAProcessThatIsNotRestarted(t *testing.T) {
	t.Parallel()
	supervisor, _ := supervise(t, SupervisorConfig{})
	start(t, supervisor, role("once", "fail"))
	if err := supervisor.Wait(t.Context()); err == nil || err.Error() != "once ended: exit status 3" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := supervisor.Wait(ctx); err != nil {
		t.Errorf("at the end of its context: %v", err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	supervisor, _ := supervise(t, SupervisorConfig{})
	start(t, supervisor, role("one", "block"))
	if err := supervisor.Start(t.Context(), role("one", "block")); err == nil {
		t.Error("two processes have one name")
	}
	if err := supervisor.Start(t.Context(), Process{Name: "none", Path: "/nonexistent"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}

func TestStopAtAnyMomentLeavesNothing(t *testing.T) {
	t.Parallel()
	for range 10 {
		supervisor, seen := supervise(t, SupervisorConfig{FirstPause: time.Millisecond})
		var starting sync.WaitGroup
		for _, name := range []string{"one", "two", "three"} {
			process := role(name, "fail")
			process.Restart = true
			if name == "two" {
				process = role(name, "block")
			}
			starting.Go(func() {
				if err := supervisor.Start(t.Context(), process); err != nil && !errors.Is(err, ErrStopping) {
					t.Error(err)
				}
			})
		}
		if err := supervisor.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		starting.Wait()
		for _, event := range seen.events {
			if event.PID != 0 && runs(event.PID) {
				t.Errorf("%s still runs", event.Process)
			}
		}
	}
}

func TestHTTPProbe(t *testing.T) {
	t.Parallel()
	ready := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready {
			http.Error(w, "migrating", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if err := HTTPProbe(server.URL)(t.Context()); err == nil || !strings.Contains(err.Error(), "migrating") {
		t.Errorf("error %v, want the server's reason", err)
	}
	ready = true
	if err := HTTPProbe(server.URL)(t.Context()); err != nil {
		t.Error(err)
	}
}
