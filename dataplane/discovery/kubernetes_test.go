package discovery_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tidegate.dev/dataplane/discovery"
)

// kubernetes is the part of an API server that has EndpointSlices: lists and watches with resource versions, over TLS and for
// those who have the token.
type kubernetes struct {
	*httptest.Server

	// Guarded by mu. Changed is closed and made anew by each event.
	mu      sync.Mutex
	changed chan struct{}
	version int
	oldest  int // versions before it are gone
	slices  map[string]slice
	events  []event
	broken  int // answers this status to everything
	lists   int
	watches int
	cut     int // watches end at once when it is raised
}

type event struct {
	version int
	kind    string
	object  map[string]any
}

// slice is an EndpointSlice.
type slice struct {
	family    string
	ports     []map[string]any
	endpoints []map[string]any
}

func startKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	k := &kubernetes{changed: make(chan struct{}), version: 100, slices: map[string]slice{}}
	k.Server = httptest.NewTLSServer(k)
	t.Cleanup(func() {
		k.CloseClientConnections()
		k.Close()
	})
	return k
}

// kubeconfig is how to reach it.
func (k *kubernetes) kubeconfig(t *testing.T) string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	content := fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: agent, user: {token: secret}}]
contexts: [{name: it, context: {cluster: here, user: agent}}]
current-context: it
`, k.URL, ca)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *kubernetes) object(name string, s slice, version int) map[string]any {
	return map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": s.family, "ports": s.ports, "endpoints": s.endpoints,
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "resourceVersion": strconv.Itoa(version),
			"labels": map[string]string{"kubernetes.io/service-name": "orders"},
		},
	}
}

// set replaces a slice; without endpoints and ports it is deleted.
func (k *kubernetes) set(name string, s slice) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
	kind := "MODIFIED"
	if _, ok := k.slices[name]; !ok {
		kind = "ADDED"
	}
	k.slices[name] = s
	if s.family == "" {
		kind = "DELETED"
		delete(k.slices, name)
	}
	k.emit(event{k.version, kind, k.object(name, s, k.version)})
}

// emit lets watches have an event. The caller holds mu.
func (k *kubernetes) emit(e event) {
	k.events = append(k.events, e)
	close(k.changed)
	k.changed = make(chan struct{})
}

// forget lets versions up to now be gone, and ends the watches.
func (k *kubernetes) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version += 10
	k.oldest, k.events = k.version, nil
	k.cut++
	close(k.changed)
	k.changed = make(chan struct{})
}

// bookmark tells watches how far they are.
func (k *kubernetes) bookmark() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
	k.emit(event{k.version, "BOOKMARK", map[string]any{
		"kind": "EndpointSlice", "metadata": map[string]any{"resourceVersion": strconv.Itoa(k.version)},
	}})
}

func (k *kubernetes) be(broken int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = broken
	k.cut++
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *kubernetes) counts() (lists, watches int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lists, k.watches
}

func (k *kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code int, message string) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "status": "Failure", "code": code, "message": message})
	}
	switch {
	case k.broken != 0:
		refuse(k.broken, "it is broken")
	case r.Header.Get("Authorization") != "Bearer secret":
		refuse(http.StatusUnauthorized, "Unauthorized")
	case r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" || query.Get("labelSelector") != "kubernetes.io/service-name=orders":
		refuse(http.StatusForbidden, "endpointslices is forbidden")
	case query.Get("watch") == "1":
		k.watches++
		k.serveWatch(w, r)
	default:
		k.lists++
		items := []any{}
		for name, s := range k.slices {
			items = append(items, k.object(name, s, k.version))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "EndpointSliceList", "metadata": map[string]any{"resourceVersion": strconv.Itoa(k.version)}, "items": items,
		})
	}
}

// serveWatch sends events until the client goes or the watch is cut. The caller holds mu.
func (k *kubernetes) serveWatch(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil || r.URL.Query().Get("allowWatchBookmarks") != "true" || r.URL.Query().Get("timeoutSeconds") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	encoder := json.NewEncoder(w)
	if after < k.oldest { // as API servers do it: with an event
		_ = encoder.Encode(map[string]any{"type": "ERROR", "object": map[string]any{
			"kind": "Status", "code": http.StatusGone, "reason": "Expired", "message": "too old resource version",
		}})
		return
	}
	for cut := k.cut; k.cut == cut; {
		for _, e := range k.events {
			if e.version > after {
				after = e.version
				_ = encoder.Encode(map[string]any{"type": e.kind, "object": e.object})
			}
		}
		_ = http.NewResponseController(w).Flush()
		changed := k.changed
		k.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		k.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
}

func ports(number int) []map[string]any {
	return []map[string]any{{"name": "http", "port": number, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}}
}

func ipv4(endpoints ...map[string]any) slice { return slice{"IPv4", ports(8080), endpoints} }

func pod(address string) map[string]any { return podIs(address, true, true, false) }

func podIs(address string, ready, serving, terminating bool) map[string]any {
	return map[string]any{
		"addresses":  []string{address},
		"conditions": map[string]bool{"ready": ready, "serving": serving, "terminating": terminating},
		"zone":       "z1",
	}
}

func inZone(addresses ...string) (all []discovery.Target) {
	for _, address := range addresses {
		all = append(all, discovery.Target{Address: address, Weight: 1, Zone: "z1"})
	}
	return all
}

func runKubernetes(t *testing.T, k *kubernetes, port string) *rig {
	t.Helper()
	e := environment()
	e.Kubeconfig = k.kubeconfig(t)
	return run(t, discovery.Config{Kind: discovery.KindKubernetes, Kubernetes: discovery.KubernetesConfig{
		Namespace: "shop", Service: "orders", Port: port,
	}}, e)
}

func TestEndpointsAreFollowed(t *testing.T) {
	t.Parallel()
	k := startKubernetes(t)
	k.set("orders-1", ipv4(pod("10.0.0.2"), pod("10.0.0.1")))
	r := runKubernetes(t, k, "")
	r.want(t, inZone("10.0.0.1:8080", "10.0.0.2:8080")...)
	k.set("orders-2", ipv4(pod("10.0.0.3")))
	r.want(t, inZone("10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080")...)
	k.set("orders-1", ipv4(pod("10.0.0.2"), podIs("10.0.0.1", false, true, true)))
	r.want(t, inZone("10.0.0.2:8080", "10.0.0.3:8080")...)
	k.set("orders-2", slice{})
	r.want(t, inZone("10.0.0.2:8080")...)
	if lists, watches := k.counts(); lists != 1 || watches != 1 {
		t.Errorf("it was listed %d times and watched %d times", lists, watches)
	}
}

func TestWhichEndpointsCount(t *testing.T) {
	t.Parallel()
	unsaid := map[string]any{"addresses": []string{"10.0.0.1", "10.0.0.99"}}
	ipv6 := slice{"IPv6", ports(8080), []map[string]any{pod("fd00::1")}}
	for name, tt := range map[string]struct {
		slices []slice
		port   string
		want   []discovery.Target
		err    string
	}{
		"nothing said of conditions": {slices: []slice{ipv4(unsaid)}, want: targets("10.0.0.1:8080")},
		"a port by name":             {slices: []slice{ipv4(pod("10.0.0.1"))}, port: "http", want: inZone("10.0.0.1:8080")},
		"a port by number":           {slices: []slice{ipv4(pod("10.0.0.1"))}, port: "8080", want: inZone("10.0.0.1:8080")},
		"a port of UDP":              {slices: []slice{ipv4(pod("10.0.0.1"))}, port: "dns", err: `no TCP port "dns"`},
		"no such port":               {slices: []slice{ipv4(pod("10.0.0.1"))}, port: "9", err: `no TCP port "9"`},
		"ports by pod": {
			slices: []slice{ipv4(pod("10.0.0.1")), {"IPv4", ports(9090), []map[string]any{pod("10.0.0.2")}}}, port: "http",
			want: inZone("10.0.0.1:8080", "10.0.0.2:9090"),
		},
		"two ports and none chosen": {
			slices: []slice{{"IPv4", append(ports(1), ports(2)...), []map[string]any{pod("10.0.0.1")}}}, err: "2 TCP ports",
		},
		"both families":   {slices: []slice{ipv4(pod("10.0.0.1")), ipv6}, want: inZone("10.0.0.1:8080")},
		"IPv6 alone":      {slices: []slice{ipv6}, want: inZone("[fd00::1]:8080")},
		"names":           {slices: []slice{{"FQDN", ports(80), []map[string]any{pod("a.example")}}}, want: inZone("a.example:80")},
		"all are leaving": {slices: []slice{ipv4(podIs("10.0.0.1", false, true, true), podIs("10.0.0.2", false, false, true))}, want: inZone("10.0.0.1:8080")},
		"none is ready":   {slices: []slice{ipv4(podIs("10.0.0.1", false, false, false))}, err: "none of the 1 endpoints is ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := startKubernetes(t)
			for i, s := range tt.slices {
				k.set(fmt.Sprint("orders-", i), s)
			}
			r := runKubernetes(t, k, tt.port)
			if tt.err == "" {
				r.want(t, tt.want...)
				return
			}
			r.until(t, tt.err, func(s discovery.Status) bool { return strings.Contains(s.LastError, tt.err) })
			r.none(t)
		})
	}
}

func TestAVersionThatIsGoneIsListedAnew(t *testing.T) {
	t.Parallel()
	k := startKubernetes(t)
	k.set("orders-1", ipv4(pod("10.0.0.1")))
	r := runKubernetes(t, k, "http")
	r.want(t, inZone("10.0.0.1:8080")...)
	r.until(t, "the watch", func(discovery.Status) bool { _, watches := k.counts(); return watches > 0 })
	k.mu.Lock()
	k.slices["orders-1"] = ipv4(pod("10.0.0.2")) // while nobody watches
	k.mu.Unlock()
	k.forget()
	r.want(t, inZone("10.0.0.2:8080")...)
	if lists, _ := k.counts(); lists != 2 {
		t.Errorf("it was listed %d times", lists)
	}
}

func TestABookmarkIsWhereTheNextWatchBegins(t *testing.T) {
	t.Parallel()
	k := startKubernetes(t)
	k.set("orders-1", ipv4(pod("10.0.0.1")))
	r := runKubernetes(t, k, "http")
	r.want(t, inZone("10.0.0.1:8080")...)
	k.bookmark()
	k.set("orders-1", ipv4(pod("10.0.0.2"))) // comes after it, so when this is here, it was heard
	r.want(t, inZone("10.0.0.2:8080")...)
	k.mu.Lock()
	k.oldest = k.version // all before is gone
	k.mu.Unlock()
	k.be(0) // the watch ends
	k.set("orders-1", ipv4(pod("10.0.0.3")))
	r.want(t, inZone("10.0.0.3:8080")...)
	if lists, _ := k.counts(); lists != 1 {
		t.Errorf("it was listed %d times", lists)
	}
}

func TestWhenKubernetesFailsTheLastEndpointsStay(t *testing.T) {
	t.Parallel()
	k := startKubernetes(t)
	k.set("orders-1", ipv4(pod("10.0.0.1")))
	r := runKubernetes(t, k, "http")
	r.want(t, inZone("10.0.0.1:8080")...)
	k.be(http.StatusInternalServerError)
	if status := r.failing(t, 2); status.Targets != 1 {
		t.Errorf("the status is %+v", status)
	}
	k.set("orders-1", ipv4(podIs("10.0.0.1", false, false, false)))
	k.be(0)
	r.until(t, "that none is ready", func(s discovery.Status) bool { return strings.Contains(s.LastError, "ready") })
	r.none(t)
	k.set("orders-1", ipv4(pod("10.0.0.2")))
	r.want(t, inZone("10.0.0.2:8080")...)
	k.CloseClientConnections()
	k.Close()
	r.failing(t, 1)
	r.none(t)
}

func TestAServiceWithoutEndpointsHasNone(t *testing.T) {
	t.Parallel()
	k := startKubernetes(t)
	k.set("orders-1", ipv4(pod("10.0.0.1")))
	r := runKubernetes(t, k, "http")
	r.want(t, inZone("10.0.0.1:8080")...)
	k.set("orders-1", ipv4())
	r.want(t)
}

func TestOutsideOfAClusterAKubeconfigIsNeeded(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	r := run(t, discovery.Config{Kind: discovery.KindKubernetes, Kubernetes: discovery.KubernetesConfig{Service: "orders"}}, environment())
	if status := r.failing(t, 1); !strings.Contains(status.LastError, "--kubeconfig") {
		t.Errorf("the error is %q", status.LastError)
	}
}
