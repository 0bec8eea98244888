package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tidegate.dev/e2e/harness"
)

// upgradeUpstream answers GETs, tells how much it was sent, and echoes what comes over a WebSocket.
func upgradeUpstream(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	_, _ = fmt.Fprint(w, n)
}

// agentProcess is the process that serves an agent, as it says itself.
func agentProcess(t *testing.T, s *harness.Stack, folder string) int {
	t.Helper()
	var status struct {
		PID       int  `json:"pid"`
		Connected bool `json:"connected"`
	}
	harness.Eventually(t, 20*time.Second, "the agent answers operators and is connected", func() error {
		out, code := s.CLI("agent", "local", "status", "--state-dir", folder, "-o", "json")
		if code != 0 {
			return fmt.Errorf("exit %d: %s", code, out)
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			return err
		}
		if !status.Connected || status.PID == 0 {
			return fmt.Errorf("%+v", status)
		}
		return nil
	})
	return status.PID
}

// TestAnAgentIsUpgradedUnderLoad replaces the agent's process again and again, while clients with and without keep-alive ask it, one
// uploads, and one holds a WebSocket.
func TestAnAgentIsUpgradedUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	useQuickStrategy(t, s)
	up := httptest.NewServer(http.HandlerFunc(upgradeUpstream))
	t.Cleanup(up.Close)
	s.Apply(ordersAt(up.URL))
	agent := s.Ready.Agents[0]
	folder := filepath.Join(s.Dir(), "agents", agent.Name)
	target := agent.Proxy + "/orders/7"

	kept := harness.StartLoad(t, 200, []string{target})
	fresh := harness.StartLoad(t, 50, []string{target}, "Connection: close")
	upload, uploaded := startUpload(t, target)
	socket := openWebSocket(t, strings.Replace(target, "http://", "ws://", 1))
	processes := []int{agentProcess(t, s, folder)}
	for round := range 3 {
		began := time.Now()
		out := s.MustCLI("agent", "local", "upgrade", "--state-dir", folder)
		t.Logf("upgraded in %s", time.Since(began).Round(time.Millisecond))
		next := agentProcess(t, s, folder)
		if next == processes[len(processes)-1] || !strings.Contains(out, strconv.Itoa(next)) {
			t.Fatalf("round %d: process %d serves after %v; the command said %s", round, next, processes, out)
		}
		processes = append(processes, next)
		if round == 0 {
			// What was begun with the first process goes on with it.
			echoesOverWebSocket(t, socket, "after the upgrade")
			_, _ = io.WriteString(upload, strings.Repeat("b", 1000))
			_ = upload.Close()
			if got := <-uploaded; got != "200 2000" {
				t.Errorf("the upload that was under way: %s", got)
			}
			_ = socket.Close(websocket.StatusNormalClosure, "")
		}
	}
	// The control plane still reaches it, and it still reports: a rollout needs both.
	other := harness.NewUpstream(t, "other")
	s.Apply(ordersAt(other.URL), "--strategy", "quick")
	answersFrom(t, target, "other")
	only200(t, "keep-alive", kept)
	only200(t, "new connections", fresh)
	for _, pid := range processes[:len(processes)-1] {
		harness.Eventually(t, 20*time.Second, fmt.Sprintf("process %d has ended", pid), func() error { return gone(pid) })
	}
	// `tidegate up` starts it again if it dies.
	last := processes[len(processes)-1]
	if err := syscall.Kill(last, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 30*time.Second, "the agent runs again", func() error {
		response, err := harness.Get(t.Context(), target)
		if err != nil || response.Status != http.StatusOK {
			return fmt.Errorf("%d, %w", response.Status, err)
		}
		return nil
	})
	if again := agentProcess(t, s, folder); again == last {
		t.Error("a killed process still serves")
	}
}

// TestAnAgentGoesOnWhenItsSuccessorFails gives it successors that do not serve.
func TestAnAgentGoesOnWhenItsSuccessorFails(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	up := httptest.NewServer(http.HandlerFunc(upgradeUpstream))
	t.Cleanup(up.Close)
	s.Apply(ordersAt(up.URL))
	agent := s.Ready.Agents[0]
	folder := filepath.Join(s.Dir(), "agents", agent.Name)
	load := harness.StartLoad(t, 100, []string{agent.Proxy + "/orders/7"})
	before := agentProcess(t, s, folder)

	out, code := s.CLI("agent", "local", "upgrade", "--state-dir", folder, "--program", "/bin/false")
	if code == 0 || !strings.Contains(out, "ended before it was ready") {
		t.Errorf("a successor that ends: exit %d, %s", code, out)
	}
	// One that hangs, until it is killed.
	note := filepath.Join(t.TempDir(), "pid")
	hangs := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\necho $$ > "+note+".new; mv "+note+".new "+note+"\nexec sleep 100\n"), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		out, code := s.CLI("agent", "local", "upgrade", "--state-dir", folder, "--program", hangs)
		ended <- fmt.Sprint(code, " ", out)
	}()
	var pid int
	harness.Eventually(t, 10*time.Second, "the successor starts", func() (err error) {
		text, err := os.ReadFile(note)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "signal: killed") {
		t.Errorf("a successor that is killed: %s", got)
	}
	if now := agentProcess(t, s, folder); now != before {
		t.Errorf("process %d serves, not %d", now, before)
	}
	s.MustCLI("agent", "local", "upgrade", "--state-dir", folder)
	if now := agentProcess(t, s, folder); now == before {
		t.Error("an upgrade after those that failed does not work")
	}
	only200(t, "keep-alive", load)
}

// only200 ends a load when it has sent enough, and checks that all went well.
func only200(t *testing.T, name string, load *harness.Load) {
	t.Helper()
	harness.Eventually(t, 20*time.Second, "enough requests", func() error {
		if counts := load.Counts(); counts["200"] < 100 {
			return fmt.Errorf("%v so far", counts)
		}
		return nil
	})
	if counts := load.Stop(); len(counts) != 1 {
		t.Errorf("%s: %s; want only 200", name, load.Describe())
	}
}

func gone(pid int) error {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err == nil && !strings.Contains(string(stat), ") Z ") {
		return fmt.Errorf("process %d runs", pid)
	}
	return nil
}

// startUpload begins to send; the rest is the caller's to write.
func startUpload(t *testing.T, target string) (rest *io.PipeWriter, answer <-chan string) {
	t.Helper()
	body, rest := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 2000
	done := make(chan string, 1)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	go func() {
		response, err := transport.RoundTrip(request)
		if err != nil {
			done <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		done <- fmt.Sprint(response.StatusCode, " ", string(text))
		if err != nil {
			done <- err.Error()
		}
	}()
	if _, err := io.WriteString(rest, strings.Repeat("a", 1000)); err != nil {
		t.Fatal(err)
	}
	return rest, done
}

func openWebSocket(t *testing.T, target string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), target, nil) //nolint:bodyclose // it is the connection's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	echoesOverWebSocket(t, conn, "before the upgrade")
	return conn
}

func echoesOverWebSocket(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
		t.Errorf("over the WebSocket: %q, %v", got, err)
	}
}
