package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/discovery"
)

// remember runs a memory until it is stopped, when it is written.
func remember(t *testing.T, path string) (*discovery.Memory, func()) {
	t.Helper()
	memory := discovery.OpenMemory(path, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := memory.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop := func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return memory, stop
}

func TestAfterARestartTheLastTargetsAreThereThoughTheDirectoryIsNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "discovery.json")
	s := startNameServer(t)
	s.set(t, "orders.test. A", "orders.test. 60 IN A 10.0.0.2", "orders.test. 60 IN A 10.0.0.1")
	s.set(t, "orders.test. AAAA")
	e := environment()
	var stop func()
	e.Memory, stop = remember(t, path)
	run(t, dnsConfig(s, "orders.test"), e).want(t, targets("10.0.0.1:80", "10.0.0.2:80")...)
	stop()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}

	s.stop()
	e.Memory, _ = remember(t, path)
	r := run(t, dnsConfig(s, "orders.test"), e)
	r.want(t, targets("10.0.0.1:80", "10.0.0.2:80")...)
	if status := r.failing(t, 1); status.Targets != 2 || !status.LastSuccess.IsZero() {
		t.Errorf("the status is %+v", status)
	}
	other := run(t, dnsConfig(s, "other.test"), e)
	other.failing(t, 1)
	other.none(t)
}

func TestAnAnswerWinsOverTheMemory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "discovery.json")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "[{address: '10.0.0.1:80'}]")
	e := inFolder(dir)
	var stop func()
	e.Memory, stop = remember(t, path)
	run(t, fileConfig("a.yaml"), e).want(t, targets("10.0.0.1:80")...)
	stop()
	write(t, filepath.Join(dir, "a.yaml"), "[{address: '10.0.0.2:80'}]")
	e.Memory, stop = remember(t, path)
	r := run(t, fileConfig("a.yaml"), e)
	r.want(t, targets("10.0.0.2:80")...)
	write(t, filepath.Join(dir, "a.yaml"), "[]")
	r.want(t)
	stop()
	if content, err := os.ReadFile(path); err != nil || strings.Contains(string(content), "10.0.0") {
		t.Errorf("what is gone is kept: %s, %v", content, err)
	}
}

func TestWhatIsTooOldOrBrokenIsNotRemembered(t *testing.T) {
	t.Parallel()
	at := func(age time.Duration) string {
		return fmt.Sprintf(`{"file a.yaml": {"time": %q, "targets": [{"address": "10.0.0.1:80", "weight": 1}]}}`,
			time.Now().Add(-age).Format(time.RFC3339))
	}
	for name, tt := range map[string]struct {
		content string
		known   bool
	}{
		"young":  {at(23 * time.Hour), true},
		"old":    {at(25 * time.Hour), false},
		"broken": {at(0)[:40], false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "discovery.json")
			write(t, path, tt.content)
			e := inFolder(t.TempDir())
			e.Memory, _ = remember(t, path)
			began := time.Now()
			r := run(t, fileConfig("a.yaml"), e)
			if tt.known {
				r.want(t, targets("10.0.0.1:80")...)
				return
			}
			r.until(t, "a second try", func(s discovery.Status) bool { return s.Failures > 1 && time.Since(began) > time.Second })
			r.none(t)
		})
	}
}
