package harness

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Directory knows where instances of a service are, as the real ones do that gateways ask.
type Directory interface {
	// Set says where the instances are: "127.0.0.1:9001".
	Set(addresses ...string)
	// Fail ends its service: it answers nobody any more.
	Fail()
}

// contents are what a directory says. Changed is closed and made anew by each change; a number counts changes.
type contents struct {
	mu        sync.Mutex
	changed   chan struct{}
	number    int
	addresses []string
}

func newContents() *contents { return &contents{changed: make(chan struct{}), number: 1} }

// Set is [Directory]'s.
func (c *contents) Set(addresses ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number, c.addresses = c.number+1, addresses
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *contents) now() (number int, addresses []string, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number, c.addresses, c.changed
}

// after waits for a change beyond a number. It is false if the client went.
func (c *contents) after(r *http.Request, than int) bool {
	for {
		number, _, changed := c.now()
		if number > than {
			return true
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return false
		}
	}
}

func split(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		panic(err) // the test's own
	}
	port, err = strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return host, port
}

// NameServer is a name server. It has the instances as addresses of orders.test, and as service records of
// _http._tcp.orders.test, both for no time at all.
type NameServer struct {
	*contents
	Address string
	server  *dns.Server
}

// NewNameServer serves over UDP until the test ends.
func NewNameServer(t testing.TB) *NameServer {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // it is there at once
	if err != nil {
		t.Fatalf("starting a name server: %v", err)
	}
	started := make(chan struct{})
	n := &NameServer{contents: newContents(), Address: packets.LocalAddr().String()}
	n.server = &dns.Server{PacketConn: packets, Handler: n, NotifyStartedFunc: func() { close(started) }}
	go func() { _ = n.server.ActivateAndServe() }()
	<-started
	t.Cleanup(n.Fail)
	return n
}

// Fail is [Directory]'s.
func (n *NameServer) Fail() { _ = n.server.Shutdown() }

// ServeDNS is [dns.Handler]'s.
func (n *NameServer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	_, addresses, _ := n.now()
	answer := new(dns.Msg).SetReply(question)
	name, kind := strings.ToLower(question.Question[0].Name), question.Question[0].Qtype
	for i, address := range addresses {
		host, port := split(address)
		node := fmt.Sprintf("node-%d.orders.test.", i)
		record := ""
		switch {
		case kind == dns.TypeA && (name == "orders.test." || name == node):
			record = fmt.Sprintf("%s 0 IN A %s", name, host)
		case kind == dns.TypeSRV && name == "_http._tcp.orders.test.":
			record = fmt.Sprintf("%s 0 IN SRV 0 1 %d %s", name, port, node)
		default:
			continue
		}
		rr, err := dns.NewRR(record)
		if err != nil {
			panic(err) // the test's own
		}
		answer.Answer = append(answer.Answer, rr)
	}
	_ = w.WriteMsg(answer)
}

// Consul is the health endpoint of a Consul agent, for the service orders and those with its token.
type Consul struct {
	*contents
	URL    string
	server *httptest.Server
}

// NewConsul serves until the test ends.
func NewConsul(t testing.TB, token string) *Consul {
	t.Helper()
	c := &Consul{contents: newContents()}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/health/service/orders" || r.Header.Get("X-Consul-Token") != token {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		if index, _ := strconv.Atoi(r.URL.Query().Get("index")); !c.after(r, index) {
			return
		}
		number, addresses, _ := c.now()
		entries := []any{}
		for i, address := range addresses {
			host, port := split(address)
			entries = append(entries, map[string]any{
				"Node":    map[string]any{"Node": itoa(i), "Address": host},
				"Service": map[string]any{"ID": itoa(i), "Service": "orders", "Port": port, "Weights": map[string]int{"Passing": 1}},
			})
		}
		w.Header().Set("X-Consul-Index", itoa(number))
		_ = json.NewEncoder(w).Encode(entries)
	}))
	c.URL = c.server.URL
	t.Cleanup(c.Fail)
	return c
}

// Fail is [Directory]'s.
func (c *Consul) Fail() {
	c.server.CloseClientConnections()
	c.server.Close()
}

// Kubernetes is an API server that has one EndpointSlice, of the service orders in the namespace shop. Instances are told apart
// by address; they share a port.
type Kubernetes struct {
	*contents
	// Kubeconfig is the file that says how to reach it.
	Kubeconfig string
	server     *httptest.Server
}

// NewKubernetes serves until the test ends.
func NewKubernetes(t testing.TB) *Kubernetes {
	t.Helper()
	k := &Kubernetes{contents: newContents()}
	k.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" || query.Get("labelSelector") != "kubernetes.io/service-name=orders":
			http.Error(w, `{"kind": "Status", "message": "forbidden"}`, http.StatusForbidden)
		case query.Get("watch") == "":
			number, slice := k.slice()
			_ = json.NewEncoder(w).Encode(map[string]any{"metadata": map[string]string{"resourceVersion": itoa(number)}, "items": []any{slice}})
		default:
			seen, _ := strconv.Atoi(query.Get("resourceVersion"))
			for _ = http.NewResponseController(w).Flush(); k.after(r, seen); _ = http.NewResponseController(w).Flush() {
				var slice any
				seen, slice = k.slice()
				_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": slice})
			}
		}
	}))
	t.Cleanup(k.Fail)
	k.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "it",
		"clusters": [{"name": "here", "cluster": {"server": %q}}], "contexts": [{"name": "it", "context": {"cluster": "here"}}]}`, k.server.URL)
	if err := os.WriteFile(k.Kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatalf("writing a kubeconfig: %v", err)
	}
	return k
}

func (k *Kubernetes) slice() (number int, slice map[string]any) {
	number, addresses, _ := k.now()
	endpoints, port := []any{}, 0
	for _, address := range addresses {
		var host string
		host, port = split(address)
		endpoints = append(endpoints, map[string]any{"addresses": []string{host}, "conditions": map[string]bool{"ready": true}})
	}
	return number, map[string]any{
		"metadata":    map[string]string{"name": "orders-1", "resourceVersion": itoa(number)},
		"addressType": "IPv4", "endpoints": endpoints, "ports": []any{map[string]any{"name": "http", "port": port, "protocol": "TCP"}},
	}
}

// Fail is [Directory]'s.
func (k *Kubernetes) Fail() {
	k.server.CloseClientConnections()
	k.server.Close()
}

// FileDirectory is a folder with a file of targets.
type FileDirectory struct {
	t testing.TB
	// Folder holds the file, orders.yaml.
	Folder string
}

// NewFileDirectory makes the folder.
func NewFileDirectory(t testing.TB) *FileDirectory {
	return &FileDirectory{t, t.TempDir()}
}

// Set is [Directory]'s.
func (f *FileDirectory) Set(addresses ...string) {
	var list strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&list, "- address: %s\n", address)
	}
	f.write(list.String())
}

// Fail is [Directory]'s: what stands in the file then is no list.
func (f *FileDirectory) Fail() { f.write("- address: nowhere\n") }

func (f *FileDirectory) write(content string) {
	path := filepath.Join(f.Folder, "orders.yaml")
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		f.t.Errorf("writing the file of targets: %v", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Errorf("replacing the file of targets: %v", err)
	}
}
