package up

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/local"
)

// programs makes a folder that looks like a clone with its programs built.
func programs(t *testing.T) *Config {
	t.Helper()
	clone := t.TempDir()
	c := &Config{BinDir: filepath.Join(clone, "bin"), StateDir: filepath.Join(clone, "state"), Agents: 2, Progress: io.Discard}
	if err := os.MkdirAll(c.BinDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{programControlPlane, programAgent} {
		if err := os.WriteFile(c.program(name), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	c := programs(t)
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(c.BinDir), "deploy", "demo"); c.DemoDir != want {
		t.Errorf("the demo is in %s, want %s", c.DemoDir, want)
	}
	if err := os.Remove(c.program(programAgent)); err != nil {
		t.Fatal(err)
	}
	if err := c.complete(); err == nil || !strings.Contains(err.Error(), "tidegate-agent is not in "+c.BinDir) || strings.Contains(err.Error(), programControlPlane) {
		t.Errorf("error %v", err)
	}
	c.Agents = 33
	if err := c.complete(); err == nil || !strings.Contains(err.Error(), "--agents") {
		t.Errorf("error %v", err)
	}
}

func TestPortsFollowTheirFirst(t *testing.T) {
	t.Parallel()
	held, err := local.HoldPorts(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Release() })
	free := held.Ports
	l, err := Ports{Admin: free[0], Proxy: free[1]}.plan(1, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.held.Release() })
	if l.admin != free[0] || l.agent[0].proxy != free[1] {
		t.Errorf("layout %+v, want admin %d and proxy %d", l, free[0], free[1])
	}
	seen := make(map[int]bool)
	for _, port := range []int{l.admin, l.agents, l.ops, l.agent[0].proxy, l.agent[0].tls, l.agent[0].ops, l.upstreams[0], l.upstreams[1]} {
		if port == 0 || seen[port] {
			t.Errorf("port %d in %+v", port, l)
		}
		seen[port] = true
	}
	if row(8080, 2) != 8082 || row(0, 2) != 0 {
		t.Error("rows do not follow their first port")
	}
}

func TestPortsThatAreTakenAreAllNamed(t *testing.T) {
	t.Parallel()
	var taken [2]int
	for i := range taken {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		taken[i] = listener.Addr().(*net.TCPAddr).Port
	}
	_, err := Ports{Admin: taken[0], TLS: taken[1], Proxy: taken[0]}.plan(1, 1, false)
	var port *local.PortTaken
	if !errors.As(err, &port) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{
		strconv.Itoa(taken[0]) + " (admin API and console)", "--admin-port", strconv.Itoa(taken[1]) + " (TLS proxy of agent-1)", "--tls-port",
		"is wanted by both admin API and console and proxy of agent-1", "--ports auto",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestASecondFindsTheFirst(t *testing.T) {
	t.Parallel()
	c := programs(t)
	if _, err := Running(t.Context(), *c); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before the first: %v", err)
	}
	if err := local.MakeDir(c.StateDir); err != nil {
		t.Fatal(err)
	}
	release, running, err := own(t.Context(), c)
	if err != nil || running != nil {
		t.Fatalf("%v %v", running, err)
	}
	if _, err := Running(t.Context(), *c); !errors.Is(err, ErrNotRunning) {
		t.Errorf("while the first starts: %v", err)
	}
	written := &Document{Admin: "http://127.0.0.1:9080", Owner: 42, PIDs: map[string]int{"postgres": 7}}
	if err := written.write(c); err != nil {
		t.Fatal(err)
	}
	found, err := Running(t.Context(), *c)
	if err != nil || found.Owner != 42 || found.PIDs["postgres"] != 7 {
		t.Errorf("found %+v: %v", found, err)
	}
	if info, err := os.Stat(c.file(stateName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state, with a key and a password in it: %v %v", info.Mode(), err)
	}
	release()
	if _, err := Running(t.Context(), *c); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after it was killed: %v", err)
	}
}

func TestASecondWaitsUntilTheFirstIsReady(t *testing.T) {
	t.Parallel()
	c := programs(t)
	if err := local.MakeDir(c.StateDir); err != nil {
		t.Fatal(err)
	}
	release, _, err := own(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := own(ctx, c); err == nil {
		t.Error("two own one state folder")
	}
	release()
	release, running, err := own(t.Context(), c)
	if err != nil || running != nil {
		t.Fatalf("after the first has stopped: %v %v", running, err)
	}
	release()
}

func TestRunLeavesNothingWhenItCannotStart(t *testing.T) {
	t.Parallel()
	c := programs(t)
	c.DatabaseURL = "postgres://nobody@127.0.0.1:1/none" // what would use it ends at once
	c.NoDemo = true
	err := Run(t.Context(), *c, func(*Document, bool) error { return errors.New("it was ready") })
	if err == nil || !strings.Contains(err.Error(), "controlplane") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(c.file(stateName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a state was left: %v", err)
	}
	if release, err := tryLock(t.Context(), c); err != nil {
		t.Errorf("the lock was left: %v", err)
	} else {
		release()
	}
}

func TestTheCertificateIsForThisMachine(t *testing.T) {
	t.Parallel()
	certificate, key, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		t.Error(err)
	}
	block, _ := pem.Decode(certificate)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := parsed.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheDocumentHasTheFieldsThatProgramsRead(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(&Document{Agents: []Agent{{}}, Demo: &Demo{Upstreams: []string{""}}, PIDs: map[string]int{}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"admin":"","agent_address":"","ops":"","token_file":"","context_file":"","state_dir":"","log_dir":"","database_url":"",` +
		`"replicas":null,"agents":[{"name":"","proxy":"","tls":"","ops":"","pid":0}],` +
		`"demo":{"upstreams":[""],"key":"","curl":"","certificate":""},"pids":{},"owner_pid":0}`
	if string(encoded) != want {
		t.Errorf("got %s", encoded)
	}
}
