package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// instance is one of a service: it answers with its name. The first of several answers to /KIND/hold only when it is let go.
type instance struct {
	address string
	first   bool
	arrived chan struct{}
	release chan struct{}
}

// instances start a service on several addresses of this machine with one port, as in a cluster.
func instances(t *testing.T, n int) []instance {
	t.Helper()
	for {
		listeners := listenOnAll(t, n)
		if listeners == nil {
			continue // a port was somebody's
		}
		all := make([]instance, n)
		for i, listener := range listeners {
			all[i] = instance{listener.Addr().String(), i == 0, make(chan struct{}, 1), make(chan struct{})}
			server := &http.Server{Handler: all[i], ReadHeaderTimeout: time.Minute}
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(func() { _ = server.Close() })
		}
		return all
	}
}

func listenOnAll(t *testing.T, n int) (listeners []net.Listener) {
	t.Helper()
	port := 0
	for i := range n {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.%d:%d", i+1, port))
		if err != nil && port == 0 {
			t.Fatal(err)
		}
		if err != nil {
			for _, other := range listeners {
				_ = other.Close()
			}
			return nil
		}
		listeners = append(listeners, listener)
		_, text, _ := net.SplitHostPort(listener.Addr().String())
		port, _ = strconv.Atoi(text)
	}
	return listeners
}

// ServeHTTP answers.
func (i instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i.first && strings.HasSuffix(r.URL.Path, "/hold") {
		i.arrived <- struct{}{}
		<-i.release
	}
	_, _ = w.Write([]byte(i.address))
}

// Targets appear, move and vanish without a revision, for every kind of directory; when a directory fails, what it said last
// stays, also for an agent that is started again; and nothing of this costs a request.
func TestTargetsComeAndGoWithoutARevision(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	files, kubernetes := harness.NewFileDirectory(t), harness.NewKubernetes(t)
	names, services := harness.NewNameServer(t), harness.NewNameServer(t)
	consul := harness.NewConsul(t, "a-token-for-consul")
	directories := map[string]harness.Directory{
		"dns": names, "dns-srv": services, "consul": consul, "kubernetes": kubernetes, "file": files,
	}
	of := map[string][]instance{}
	for kind, directory := range directories {
		of[kind] = instances(t, 2)
		directory.Set(of[kind][0].address)
	}
	_, port, _ := net.SplitHostPort(of["dns"][0].address)
	agent := s.StartAgent(t, "directories", "--discovery-dir", files.Folder, "--kubeconfig", kubernetes.Kubeconfig)
	if r := s.Admin(http.MethodPut, "/v1/fleets/directories/secrets/consul",
		map[string]any{"spec": map[string]string{"value": "a-token-for-consul"}}, nil); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	s.Apply(fmt.Sprintf(`
fleet: directories
services:
  - name: dns
    discovery: {dns: {host: orders.test, port: %s, resolver: %q, min_refresh: 100ms}}
  - name: dns-srv
    discovery: {dns_srv: {name: _http._tcp.orders.test, resolver: %q, min_refresh: 100ms}}
  - name: consul
    discovery: {consul: {service: orders, address: %q, token_secret: consul}}
  - name: kubernetes
    discovery: {kubernetes: {namespace: shop, service: orders, port: http}}
  - name: file
    discovery: {file: {path: orders.yaml}}
routes:
  - {name: dns, service: dns, match: {paths: [/dns/**]}}
  - {name: dns-srv, service: dns-srv, match: {paths: [/dns-srv/**]}}
  - {name: consul, service: consul, match: {paths: [/consul/**]}}
  - {name: kubernetes, service: kubernetes, match: {paths: [/kubernetes/**]}}
  - {name: file, service: file, match: {paths: [/file/**]}}
`, port, names.Address, services.Address, consul.URL))
	for kind := range directories { // from the first request on
		if r := mustGet(t, agent.Proxy+"/"+kind+"/x"); r.Status != http.StatusOK {
			t.Errorf("%s: %d %s", kind, r.Status, r.Body)
		}
	}
	t.Run("kinds", func(t *testing.T) {
		for kind, directory := range directories {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				follow(t, agent.Agent, kind, directory, of[kind])
			})
		}
	})
	// Now none of them answers. An agent that is started again knows what they said last.
	agent.Restart()
	for kind := range directories {
		served(t, agent.Proxy+"/"+kind, of[kind][1].address)
	}
}

// follow lets the second instance take the place of the first.
func follow(t *testing.T, agent harness.Agent, kind string, directory harness.Directory, all []instance) {
	t.Helper()
	first, second := all[0], all[1]
	url := agent.Proxy + "/" + kind
	served(t, url, first.address)
	directory.Set(first.address, second.address)
	served(t, url, first.address, second.address)

	held := hold(t, url, first)
	load := harness.StartLoad(t, 200, []string{url + "/x"})
	for range 5 {
		directory.Set(second.address)
		served(t, url, second.address)
		directory.Set(first.address, second.address)
		served(t, url, first.address, second.address)
	}
	directory.Set(second.address)
	served(t, url, second.address)
	close(first.release) // what was under way at the first while it left
	if r := <-held; r.Status != http.StatusOK || r.Body != first.address {
		t.Errorf("what was under way was answered %d %s", r.Status, r.Body)
	}

	directory.Fail()
	harness.Eventually(t, 30*time.Second, "the agent notices", func() error { return fails(t, agent, kind) })
	served(t, url, second.address)
	harness.Eventually(t, 30*time.Second, "there was load enough", func() error {
		if n := load.Counts()["200"]; n < 200 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	counts := load.Stop()
	if len(counts) != 1 || counts["200"] == 0 {
		t.Errorf("the answers were %s", load.Describe())
	}
	t.Logf("%d requests while targets came and went", counts["200"])
}

// hold has a request under way at the first instance.
func hold(t *testing.T, url string, first instance) <-chan harness.Response {
	t.Helper()
	answers := make(chan harness.Response, 1)
	for {
		go func() {
			r, err := harness.Get(t.Context(), url+"/hold")
			if err != nil {
				r.Body = err.Error()
			}
			answers <- r
		}()
		select {
		case <-first.arrived:
			return answers
		case r := <-answers: // it came to another one
			if r.Status != http.StatusOK {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
		}
	}
}

// served waits until these addresses serve, and no others.
func served(t *testing.T, url string, addresses ...string) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, strings.Join(addresses, ", ")+" serve", func() error {
		var seen []string
		for range 8 {
			r, err := harness.Get(t.Context(), url+"/x")
			if err != nil || r.Status != http.StatusOK {
				return errors.Join(err, fmt.Errorf("%d %s", r.Status, r.Body))
			}
			seen = append(seen, r.Body)
		}
		slices.Sort(seen)
		if seen = slices.Compact(seen); !slices.Equal(seen, addresses) {
			return fmt.Errorf("%s serve", strings.Join(seen, ", "))
		}
		return nil
	})
}

// fails checks that the agent shows that a directory fails.
func fails(t *testing.T, agent harness.Agent, kind string) error {
	t.Helper()
	r, err := harness.Get(t.Context(), agent.Ops+"/debug/discovery")
	if err != nil {
		return err
	}
	var sources []struct {
		Kind      string `json:"kind"`
		Targets   int    `json:"targets"`
		LastError string `json:"last_error"`
	}
	if err := json.Unmarshal([]byte(r.Body), &sources); err != nil {
		return err
	}
	for _, source := range sources {
		if source.Kind == strings.ReplaceAll(kind, "-", "_") && source.LastError != "" && source.Targets == 1 {
			return nil
		}
	}
	return errors.New(r.Body)
}
