package discovery_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/dataplane/discovery"
)

// consul is a Consul agent's health endpoint: /v1/health/service/NAME with passing, tags, datacenter, token and blocking queries.
type consul struct {
	*httptest.Server

	// Guarded by mu. Changed is closed and made anew by each change.
	mu        sync.Mutex
	changed   chan struct{}
	index     uint64
	token     string
	broken    int // answers this status to everything
	instances []instance
	asked     []string // the indexes that were asked for
}

// instance is one of a service, on a node of its own.
type instance struct {
	node, address string
	port          int
	status        string
	tags          []string
	zone          string
	nodeZone      string
	weight        int
}

func startConsul(t *testing.T, instances ...instance) *consul {
	t.Helper()
	c := &consul{changed: make(chan struct{}), index: 10, instances: instances}
	c.Server = httptest.NewServer(c)
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

// change changes something, and raises the index by one.
func (c *consul) change(how func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	how()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *consul) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	after, _ := strconv.ParseUint(query.Get("index"), 10, 64)
	wait := time.NewTimer(time.Minute)
	defer wait.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, query.Get("index"))
	for c.broken == 0 && after > 0 && c.index == after {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-wait.C:
		case <-r.Context().Done():
		}
		c.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
	w.Header().Set("X-Consul-Index", strconv.FormatUint(c.index, 10))
	switch {
	case c.broken != 0:
		http.Error(w, "no cluster leader", c.broken)
	case c.token != "" && r.Header.Get("X-Consul-Token") != c.token:
		http.Error(w, "ACL not found", http.StatusForbidden)
	case query.Has("dc") && query.Get("dc") != "dc1":
		http.Error(w, "No path to datacenter", http.StatusInternalServerError)
	default:
		_ = json.NewEncoder(w).Encode(c.entries(strings.TrimPrefix(r.URL.Path, "/v1/health/service/"), query["tag"], query.Has("passing")))
	}
}

func (c *consul) entries(service string, tags []string, passing bool) []any {
	entries := []any{}
	for _, i := range c.instances {
		untagged := slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(i.tags, tag) })
		if service != "orders" || untagged || passing && i.status != "" && i.status != "passing" {
			continue
		}
		entries = append(entries, map[string]any{
			"Node": map[string]any{"Node": i.node, "Address": "10.9.9.9", "Meta": map[string]string{"zone": i.nodeZone}},
			"Service": map[string]any{
				"ID": i.node, "Service": service, "Address": i.address, "Port": i.port, "Tags": i.tags,
				"Meta": map[string]string{"zone": i.zone}, "Weights": map[string]int{"Passing": i.weight, "Warning": 1},
			},
			"Checks": []any{map[string]any{"CheckID": "serfHealth", "Status": "passing"}},
		})
	}
	return entries
}

func consulConfig(c *consul) discovery.Config {
	return discovery.Config{Kind: discovery.KindConsul, Consul: discovery.ConsulConfig{Service: "orders", Address: c.URL + "/"}}
}

func TestInstancesThatPassAreFollowed(t *testing.T) {
	t.Parallel()
	c := startConsul(t,
		instance{node: "a", address: "10.0.0.1", port: 80, zone: "east", weight: 10},
		instance{node: "b", port: 81, nodeZone: "west"},
		instance{node: "c", address: "10.0.0.3", port: 80, status: "critical"},
		instance{node: "d", address: "10.0.0.4"})
	r := run(t, consulConfig(c), environment())
	a := discovery.Target{Address: "10.0.0.1:80", Weight: 10, Zone: "east"}
	b := discovery.Target{Address: "10.9.9.9:81", Weight: 1, Zone: "west"}
	r.want(t, a, b)
	c.change(func() { c.instances[2].status = "passing" })
	r.want(t, a, discovery.Target{Address: "10.0.0.3:80", Weight: 1}, b)
	c.change(func() { c.instances = c.instances[:1] })
	r.want(t, a)
	c.change(func() {}) // something of another service
	c.change(func() { c.instances[0].address = "10.0.0.7" })
	r.want(t, discovery.Target{Address: "10.0.0.7:80", Weight: 10, Zone: "east"})
}

func TestWhenConsulFailsTheLastInstancesStay(t *testing.T) {
	t.Parallel()
	c := startConsul(t, instance{node: "a", address: "10.0.0.1", port: 80})
	r := run(t, consulConfig(c), environment())
	r.want(t, targets("10.0.0.1:80")...)
	c.change(func() { c.broken = http.StatusInternalServerError })
	if status := r.failing(t, 2); !strings.Contains(status.LastError, "no cluster leader") {
		t.Errorf("the error is %q", status.LastError)
	}
	c.change(func() { c.broken, c.instances = 0, nil }) // healthy itself, but it knows nobody
	r.until(t, "its answer", func(s discovery.Status) bool { return strings.Contains(s.LastError, "no instance") })
	r.none(t)
	c.change(func() { c.instances = []instance{{node: "b", address: "10.0.0.2", port: 80}} })
	r.want(t, targets("10.0.0.2:80")...)
	c.CloseClientConnections()
	c.Close()
	r.failing(t, 1)
	r.none(t)
}

func TestAnIndexThatGoesBackIsBegunAnew(t *testing.T) {
	t.Parallel()
	c := startConsul(t, instance{node: "a", address: "10.0.0.1", port: 80})
	r := run(t, consulConfig(c), environment())
	r.want(t, targets("10.0.0.1:80")...)
	c.change(func() { c.index, c.instances[0].port = 3, 81 })
	r.want(t, targets("10.0.0.1:81")...)
	c.change(func() { c.instances[0].port = 82 })
	r.want(t, targets("10.0.0.1:82")...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := []string{"", "10", ""}; !slices.Equal(c.asked[:3], want) {
		t.Errorf("the indexes were %q, want at first %q", c.asked, want)
	}
}

func TestTagsAndDatacenterAreAskedFor(t *testing.T) {
	t.Parallel()
	c := startConsul(t, instance{node: "a", address: "10.0.0.1", port: 80, tags: []string{"v1"}},
		instance{node: "b", address: "10.0.0.2", port: 80, tags: []string{"v1", "blue"}})
	config := consulConfig(c)
	config.Consul.Tags = [discovery.MaxTags]string{"blue", "v1"}
	config.Consul.Datacenter = "dc1"
	run(t, config, environment()).want(t, targets("10.0.0.2:80")...)
	config.Consul.Datacenter = "elsewhere"
	run(t, config, environment()).failing(t, 1)
}

func TestOnlyTheConfiguredTokenIsSent(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "the operator's")
	t.Setenv("CONSUL_HTTP_AUTH", "operator:password")
	c := startConsul(t, instance{node: "a", address: "10.0.0.1", port: 80})
	c.token = "the operator's"
	r := run(t, consulConfig(c), environment())
	if status := r.failing(t, 1); !strings.Contains(status.LastError, "403") {
		t.Errorf("the error is %q", status.LastError)
	}
	c.change(func() { c.token = "ours" })
	config, e := consulConfig(c), environment()
	config.Consul.TokenSecret = "consul"
	secrets := make(chan string, 1)
	e.Secret = func(name string) (string, bool) {
		select {
		case secret := <-secrets:
			secrets <- secret
			return secret, name == "consul"
		default:
			return "", false
		}
	}
	r = run(t, config, e)
	if status := r.failing(t, 1); !strings.Contains(status.LastError, `"consul" is not here`) {
		t.Errorf("the error is %q", status.LastError)
	}
	secrets <- "ours\n"
	r.want(t, targets("10.0.0.1:80")...)
}

func TestConsulSendsNobodyElsewhere(t *testing.T) {
	t.Parallel()
	other := startConsul(t, instance{node: "a", address: "10.6.6.6", port: 80})
	redirecting := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/health/service/orders", http.StatusTemporaryRedirect))
	defer redirecting.Close()
	config := consulConfig(other)
	config.Consul.Address = redirecting.URL
	r := run(t, config, environment())
	r.failing(t, 1)
	r.none(t)
}

func TestTheAgentsOwnConsulIsAskedByDefault(t *testing.T) {
	t.Parallel()
	c := startConsul(t, instance{node: "a", address: "10.0.0.1", port: 80})
	config := consulConfig(c)
	config.Consul.Address = ""
	e := environment()
	e.ConsulAddress = c.URL
	e.Dial = refuse // what the operator chose is not for configuration to refuse
	run(t, config, e).want(t, targets("10.0.0.1:80")...)
	config.Consul.Address = c.URL
	if status := run(t, config, e).failing(t, 1); !strings.Contains(status.LastError, errRefused.Error()) {
		t.Errorf("the error is %q", status.LastError)
	}
}
