package discovery_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/dataplane/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig runs one source.
type rig struct {
	updates chan []discovery.Target
	board   *discovery.Board
	log     *logLines
}

// environment lets a source connect to wherever it likes.
func environment() discovery.Environment {
	return discovery.Environment{Dial: new(net.Dialer).DialContext}
}

var errRefused = errors.New("this address is refused")

// refuse is a dialer that lets nobody through.
func refuse(context.Context, string, string) (net.Conn, error) { return nil, errRefused }

// run starts a source, which ends with the test.
func run(t *testing.T, c discovery.Config, e discovery.Environment) *rig {
	t.Helper()
	board := discovery.NewBoard()
	t.Cleanup(func() {
		if left := board.Statuses(); len(left) > 0 {
			t.Errorf("the board still shows %v", left)
		}
	})
	return runOn(t, board, c, e)
}

// runOn starts a source beside others.
func runOn(t *testing.T, board *discovery.Board, c discovery.Config, e discovery.Environment) *rig {
	t.Helper()
	r := &rig{updates: make(chan []discovery.Target, 64), board: board, log: &logLines{lines: make(chan string, 256)}}
	e.Board, e.Log = r.board, slog.New(r.log)
	source, err := discovery.New(c, e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- source.Run(ctx, func(targets []discovery.Target) { r.updates <- targets })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the source ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the source does not end")
		}
	})
	return r
}

// want waits for an update, which must be this.
func (r *rig) want(t *testing.T, want ...discovery.Target) {
	t.Helper()
	select {
	case got := <-r.updates:
		if !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("found nothing, want %v; %+v", want, r.board.Statuses())
	}
}

// none checks that there was no update until now.
func (r *rig) none(t *testing.T) {
	t.Helper()
	select {
	case got := <-r.updates:
		t.Fatalf("found %v, want no change", got)
	default:
	}
}

// until waits for a status.
func (r *rig) until(t *testing.T, what string, is func(discovery.Status) bool) discovery.Status {
	t.Helper()
	var status discovery.Status
	wait(t, what, func() bool {
		statuses := r.board.Statuses()
		if len(statuses) == 1 {
			status = statuses[0]
		}
		return len(statuses) == 1 && is(status)
	})
	return status
}

// wait waits until something is so.
func wait(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

// failing waits until the source has failed some more times.
func (r *rig) failing(t *testing.T, times uint64) discovery.Status {
	t.Helper()
	before := r.until(t, "a status", func(discovery.Status) bool { return true }).Failures
	return r.until(t, "failures", func(s discovery.Status) bool { return s.Failures >= before+times })
}

// logLines are the messages of a log, warnings alone.
type logLines struct{ lines chan string }

func (l *logLines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (l *logLines) Handle(_ context.Context, record slog.Record) error {
	l.lines <- record.Message
	return nil
}
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logLines) WithGroup(string) slog.Handler      { return l }

func targets(addresses ...string) (all []discovery.Target) {
	for _, address := range addresses {
		all = append(all, discovery.Target{Address: address, Weight: 1})
	}
	return all
}
