package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an agent's surroundings.
type rig struct {
	cp       *controlplanetest.ControlPlane
	upstream *httptest.Server
	dir      string
	ops      string
	proxy    string
}

func newRig(t *testing.T, handler http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{cp: controlplanetest.Start(t), upstream: httptest.NewServer(handler), dir: t.TempDir()}
	t.Cleanup(r.upstream.Close)
	if err := os.WriteFile(filepath.Join(r.dir, "join.token"), []byte(r.cp.JoinToken()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs the agent as the command line does. stop drains it and gives its error.
func (r *rig) start(t *testing.T, more ...string) (stop func() error) {
	t.Helper()
	r.ops, r.proxy = freeAddress(t), freeAddress(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- dispatch(ctx, append([]string{
			"--control-plane", r.cp.Address, "--state-dir", filepath.Join(r.dir, "state"), "--name", "test",
			"--join-token-file", filepath.Join(r.dir, "join.token"), "--proxy-address", r.proxy, "--tls-address", "127.0.0.1:0",
			"--ops-address", r.ops, "--log-level", "error", "--access-log", filepath.Join(r.dir, "access.log"),
		}, more...))
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	})
	return stop
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// get asks until the answer has the status.
func get(t *testing.T, url string, status int) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; <-tick.C {
		response, err := http.Get(url)
		if err == nil {
			body, reading := io.ReadAll(response.Body)
			if closing := response.Body.Close(); closing != nil || reading != nil {
				t.Fatal(closing, reading)
			}
			if response.StatusCode == status {
				return string(body)
			}
			last = response.Status + " " + string(body)
		} else {
			last = err.Error()
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", url, last)
		}
	}
}

// revisionTo has one route, /hello, to the upstream.
func (r *rig) revisionTo(t *testing.T, number int64) controlplanetest.Revision {
	t.Helper()
	service, err := revision.Encode(&configv1.Service{Url: r.upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	route, err := revision.Encode(&configv1.Route{Service: "hello", Match: &configv1.Match{Paths: []string{"/hello/**"}}})
	if err != nil {
		t.Fatal(err)
	}
	return controlplanetest.Revision{Number: number, Content: revision.NewContent().Apply(revision.Delta{Upserts: []revision.Resource{
		{Key: revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: "hello"}, Body: service},
		{Key: revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: "hello"}, Body: route},
	}})}
}

// serve brings the agent to serve a revision.
func (r *rig) serve(t *testing.T) *controlplanetest.Session {
	t.Helper()
	s := r.cp.Accept(t)
	if listeners := s.Hello.GetListeners(); len(listeners) != 2 || !strings.Contains(strings.Join(listeners, " "), "http://"+r.proxy) {
		t.Errorf("it listens on %v", listeners)
	}
	s.Welcome(t)
	one := r.revisionTo(t, 1)
	s.Content(t, controlplanetest.Revision{Content: revision.NewContent()}, one)
	s.Desire(t, &agentv1.DesiredState{
		Fleet: controlplanetest.Fleet, AgentId: controlplanetest.AgentID, Epoch: 1, Generation: 1, Stable: one.Reference(),
	})
	if ack := s.Acknowledgement(t); ack.GetStatus() != agentv1.Acknowledgement_STATUS_SERVING {
		t.Fatalf("acknowledged %v", ack)
	}
	return s
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestFromJoinTokenToProxiedRequestAndReport(t *testing.T) {
	r := newRig(t, hello)
	stop := r.start(t)
	get(t, "http://"+r.ops+"/readyz", http.StatusServiceUnavailable)
	r.serve(t)
	if body := get(t, "http://"+r.proxy+"/hello/world", http.StatusOK); body != "hello" {
		t.Errorf("the answer is %q", body)
	}
	get(t, "http://"+r.ops+"/readyz", http.StatusOK)
	get(t, "http://"+r.ops+"/healthz", http.StatusOK)
	var shown struct {
		StableRevision int64                      `json:"stable_revision"`
		Stable         map[string]json.RawMessage `json:"stable"`
	}
	if err := json.Unmarshal([]byte(get(t, "http://"+r.ops+"/debug/config", http.StatusOK)), &shown); err != nil ||
		shown.StableRevision != 1 || !strings.Contains(string(shown.Stable["routes/hello"]), "/hello/**") {
		t.Errorf("/debug/config shows %+v, %v", shown, err)
	}
	r.cp.Wait(t, "a report", func() bool {
		for _, report := range r.cp.Reports() {
			for _, cell := range report.GetCells() {
				if cell.GetRoute() == "hello" && cell.GetRevision() == 1 && cell.GetStatusClass() == 2 {
					return true
				}
			}
		}
		return false
	})
	if metrics := get(t, "http://"+r.ops+"/metrics", http.StatusOK); !strings.Contains(metrics, "tidegate_agent_stable_revision 1") ||
		!strings.Contains(metrics, `tidegate_requests_total{arm="stable"`) {
		t.Errorf("metrics:\n%s", metrics)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(filepath.Join(r.dir, "access.log")); err != nil || !strings.Contains(string(log), "/hello/world") {
		t.Errorf("the access log has %q, %v", log, err)
	}
}

func TestARestartWithNoControlPlaneServesBeforeItLetsClientsIn(t *testing.T) {
	r := newRig(t, hello)
	stop := r.start(t)
	r.serve(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.cp.Stop()
	began := time.Now()
	r.start(t)
	get(t, "http://"+r.proxy+"/hello/", http.StatusOK)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the first answer took %v", took)
	}
}

func TestAnExchangeUnderWayEndsAsItBegan(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		_, _ = io.WriteString(w, "late")
	})
	stop := r.start(t)
	r.serve(t)
	answer := make(chan string)
	go func() {
		response, err := http.Get("http://" + r.proxy + "/hello/")
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answer <- string(body)
	}()
	<-arrived
	ended := make(chan error)
	go func() { ended <- stop() }()
	get(t, "http://"+r.ops+"/readyz", http.StatusServiceUnavailable)
	close(goOn)
	if got := <-answer; got != "late" {
		t.Errorf("the answer is %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLocalCommands(t *testing.T) {
	r := newRig(t, hello)
	r.start(t)
	r.serve(t)
	socket := filepath.Join(r.dir, "state", localName)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket has the mode %v, %v", info, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	ask := func(method, path string, status int) (shown struct {
		Pinned         bool  `json:"pinned"`
		StableRevision int64 `json:"stable_revision"`
	},
	) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != status {
			t.Errorf("%s %s: %s", method, path, response.Status)
		}
		if status == http.StatusOK {
			if err := json.NewDecoder(response.Body).Decode(&shown); err != nil {
				t.Error(err)
			}
		}
		return shown
	}
	if shown := ask("GET", "/status", http.StatusOK); shown.StableRevision != 1 || shown.Pinned {
		t.Errorf("status %+v", shown)
	}
	ask("POST", "/rollback", http.StatusConflict)
	ask("POST", "/pin", http.StatusOK)
	ask("POST", "/unpin", http.StatusOK)
	ask("GET", "/pin", http.StatusMethodNotAllowed)
}

func TestWhatKeepsAnAgentFromStartingIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	for name, tt := range map[string]struct {
		arguments []string
		want      string
	}{
		"ops port":     {[]string{"--ops-address", address}, "--ops-address"},
		"proxy port":   {[]string{"--ops-address", "127.0.0.1:0", "--proxy-address", address}, "--proxy-address"},
		"no token":     {[]string{"--ops-address", "127.0.0.1:0", "--proxy-address", "127.0.0.1:0"}, "--join-token-file"},
		"unknown flag": {[]string{"--proxies", "x"}, "proxies"},
		"no URL":       {[]string{"--consul-address", "localhost:8500"}, "--consul-address"},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := append([]string{"--state-dir", t.TempDir(), "--tls-address", "127.0.0.1:0", "--log-level", "error"}, tt.arguments...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := dispatch(ctx, arguments); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want one that names %s", err, tt.want)
			}
		})
	}
}

func TestTwoAgentsDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := dispatch(t.Context(), []string{"--state-dir", dir}); err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("the second got %v", err)
	}
}

func TestConfigurationFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	for content, want := range map[string]string{
		"ops-address: \"not an address\"\nstate-dir: " + t.TempDir() + "\nlabels:\n  zone: a\n": "not an address",
		"metrics: 127.0.0.1:0\n": "metrics",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := dispatch(t.Context(), []string{"--config", path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with\n%s\nthe error is %v, want one that names %q", content, err, want)
		}
	}
}
