package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/controlplane/local/pgtest"
)

// The Postgres of pgtest outlives the tests, and who watches over it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.(*Postgres).stay"),
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.spawn.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"))
}

func TestAControlPlaneStartsServesAndStops(t *testing.T) {
	databaseURL, _ := pgtest.Schema(t)
	dir := t.TempDir()
	f := parsed(t, "--database-url", databaseURL, "--master-key-file", filepath.Join(dir, "master.key"),
		"--bootstrap-token-file", filepath.Join(dir, "token"))
	log := newLog()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, f, slog.New(slog.NewJSONHandler(log, nil))) }()
	serving := log.wait(t, "serving")

	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + strings.TrimSpace(string(token))
	for _, c := range []struct{ url, authorization, want string }{
		{"http://" + serving["ops"] + "/healthz", "", "ok"},
		{"http://" + serving["ops"] + "/readyz", "", "ok"},
		{"http://" + serving["ops"] + "/metrics", "", "tidegate_build_info"},
		{"http://" + serving["admin"] + "/openapi.json", "", `"openapi": "3.1.0"`},
		{"http://" + serving["admin"] + "/", "", "Tidegate"},
		{"http://" + serving["admin"] + "/v1/fleets/default", bearer, `"default"`},
	} {
		if status, body := fetch(t, c.url, c.authorization); status != http.StatusOK || !strings.Contains(body, c.want) {
			t.Errorf("GET %s: %d %.300s", c.url, status, body)
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("serve ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("serve did not end")
	}
	http.DefaultClient.CloseIdleConnections()
	for _, secret := range []string{strings.TrimSpace(string(token)), databaseURL} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%.12s… is in the log", secret)
		}
	}
}

func TestATakenPortIsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, taken.Close()) }()
	for _, flag := range []string{"--admin-address", "--agent-address", "--ops-address"} {
		f := parsed(t, "--database-url", "postgres://nobody@127.0.0.1:1/none", flag, taken.Addr().String())
		err := serve(t.Context(), f, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), "taken") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestPostgresThatIsAbsentIsWaitedForAndThenNamed(t *testing.T) {
	t.Parallel()
	f := parsed(t, "--database-url", "postgres://tidegate:hunter2@127.0.0.1:1/tidegate", "--database-timeout", "1500ms")
	log := newLog()
	err := serve(t.Context(), f, slog.New(slog.NewJSONHandler(log, nil)))
	if err == nil || !strings.Contains(err.Error(), "--database-timeout 1.5s") {
		t.Errorf("serve = %v", err)
	}
	if strings.Contains(err.Error()+log.String(), "hunter2") {
		t.Errorf("the password shows: %v\n%s", err, log)
	}
	log.wait(t, "Postgres does not answer yet")
}

func TestFlagsComeFromFileEnvironmentAndCommandLineInThisOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tidegate.yaml")
	content := "database-url: postgres://file\nlog-level: warn\nagent-host: [a.example, b.example]\nretention: 48h\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TIDEGATE_LOG_LEVEL", "error")
	t.Setenv("DATABASE_URL", "postgres://environment")
	var got *flags
	err := dispatchTo(t.Context(), []string{"--config", file, "--retention", "24h"}, func(_ context.Context, f *flags) error {
		got = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.DatabaseURL != "postgres://environment" || got.LogLevel != "error" || got.Retention != 24*time.Hour || strings.Join(got.AgentHost, " ") != "a.example b.example" {
		t.Errorf("%+v", got)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		arguments []string
		want      string
	}{
		"no database":    {nil, "--database-url"},
		"unknown flag":   {[]string{"--nope"}, "--nope"},
		"unknown name":   {[]string{"--config", write("a.yaml", "admin-port: x\n")}, `"admin-port"`},
		"not a list":     {[]string{"--config", write("b.yaml", "replica: {a: b}\n")}, `"replica"`},
		"not YAML":       {[]string{"--config", write("c.yaml", "a: [\n")}, "reading the configuration file"},
		"unknown level":  {[]string{"--database-url", "postgres://x", "--log-level", "loud"}, "--log-level"},
		"not a duration": {[]string{"--database-url", "postgres://x", "--retention", "long"}, "--retention"},
	} {
		err := dispatchTo(t.Context(), c.arguments, func(context.Context, *flags) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// parsed reads flags as the program does, with every address on a free port unless it is given.
func parsed(t *testing.T, arguments ...string) *flags {
	t.Helper()
	var got *flags
	free := []string{"--admin-address", "127.0.0.1:0", "--agent-address", "127.0.0.1:0", "--ops-address", "127.0.0.1:0", "--replica", "test"}
	err := dispatchTo(t.Context(), append(free, arguments...), func(_ context.Context, f *flags) error {
		got = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func fetch(t *testing.T, url, authorization string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// recordedLog keeps the lines of a log and lets a test wait for one.
type recordedLog struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan map[string]string
}

func newLog() *recordedLog { return &recordedLog{lines: make(chan map[string]string, 1000)} }

func (l *recordedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var decoded map[string]any
	if err := json.Unmarshal(line, &decoded); err != nil {
		return 0, err
	}
	texts := map[string]string{}
	for name, value := range decoded {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	l.lines <- texts
	return l.text.Write(line)
}

func (l *recordedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *recordedLog) wait(t *testing.T, message string) map[string]string {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line := <-l.lines:
			if line["msg"] == message {
				return line
			}
		case <-deadline:
			t.Fatalf("the log never said %q:\n%s", message, l)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
