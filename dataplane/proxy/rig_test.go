package proxy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// rig is a proxy on real sockets, and what its tests need to steer it.
type rig struct {
	t        testing.TB
	proxy    *Proxy
	url      string
	secure   string
	lane     *lane.Table
	state    *plugin.State
	registry *upstream.Registry
	counters *telemetry.Counters
	uses     *telemetry.KeyUses
	log      *lines
	stop     func() error

	mu       sync.Mutex
	sequence int64
	revision int64
}

var keyHashKey = []byte("0123456789abcdef0123456789abcdef")

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, lane: lane.New(), state: plugin.NewState(), registry: upstream.NewRegistry(upstream.Environment{}),
		counters: telemetry.NewCounters(plugin.ReasonNames()), uses: telemetry.NewKeyUses(), log: &lines{},
	}
	r.lane.SetKeyHashKey(keyHashKey)
	config := Config{
		Address: "127.0.0.1:0", TLSAddress: "127.0.0.1:0", DrainTimeout: 5 * time.Second,
		Lane: r.lane, State: r.state, Counters: r.counters, KeyUses: r.uses,
		AccessLog: telemetry.NewAccessLog(r.log), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	p, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	r.proxy = p
	ctx, cancel := context.WithCancel(context.Background())
	ended, logged := make(chan error, 1), make(chan struct{})
	logContext, endLog := context.WithCancel(context.Background())
	go func() { ended <- p.Run(ctx) }()
	go func() {
		defer close(logged)
		if config.AccessLog != nil {
			_ = config.AccessLog.Run(logContext)
		}
	}()
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		endLog()
		<-logged
		return err
	})
	select {
	case <-p.Listening():
	case err := <-ended:
		t.Fatal(err)
	}
	r.url = "http://" + p.Address().String()
	r.secure = "https://" + p.TLSAddress().String()
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error("the proxy ended with", err)
		}
	})
	return r
}

// lines is an access log that tests read.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
	// discard keeps nothing.
	discard bool
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.discard {
		return len(b), nil
	}
	return l.all.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// resources is a configuration by kind and name: "routes/orders".
type resources map[string]proto.Message

func content(t testing.TB, all resources) *revision.Content {
	t.Helper()
	var delta revision.Delta
	for path, message := range all {
		collection, name, _ := strings.Cut(path, "/")
		body, err := revision.Encode(message)
		if err != nil {
			t.Fatal(err)
		}
		key := revision.Key{Kind: configv1.KindOf(collection), Name: name}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: body})
	}
	return revision.NewContent().Apply(delta)
}

// compile makes the next revision of all.
func (r *rig) compile(all resources, previous *snapshot.Snapshot) *snapshot.Snapshot {
	r.t.Helper()
	r.mu.Lock()
	r.revision++
	number := r.revision
	r.mu.Unlock()
	c := content(r.t, all)
	s, err := snapshot.Compile(snapshot.Input{
		Revision: number, Root: c.Root(), Content: c, Previous: previous, Registry: r.registry, State: r.state, Lane: r.lane,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// serve installs a configuration for all requests.
func (r *rig) serve(all resources) {
	r.t.Helper()
	r.proxy.Install(snapshot.Installation{Stable: r.compile(all, nil)})
}

// apply sends entries down the fast lane.
func (r *rig) apply(entries ...*agentv1.LaneEntry) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	after := r.sequence
	for _, e := range entries {
		r.sequence++
		e.Sequence = r.sequence
	}
	if err := r.lane.Apply(&agentv1.LaneBatch{Epoch: 1, AfterSequence: after, ThroughSequence: r.sequence, Entries: entries}); err != nil {
		r.t.Fatal(err)
	}
}

// goodKey has the form of a key; the random part and the checksum are fixed.
const goodKey = "tg_00000000000000000000000000000000000000000010HNUPx"

func keyHash(key string) []byte {
	mac := hmac.New(sha256.New, keyHashKey)
	mac.Write([]byte(key))
	return mac.Sum(nil)
}

func keyEntry(id, consumer, key string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_KEY, Name: id, Material: &agentv1.LaneEntry_Key{
		Key: &agentv1.KeyMaterial{Consumer: consumer, Hash: keyHash(key)},
	}}
}

func consumerEntry(name, plan string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_CONSUMER, Name: name, Material: &agentv1.LaneEntry_Consumer{
		Consumer: &agentv1.ConsumerMaterial{Plan: plan},
	}}
}

func removal(kind configv1.Kind, name string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: kind, Name: name, Deleted: true}
}

// server is an upstream.
func server(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func service(url string) *configv1.Service { return &configv1.Service{Url: url} }

func route(service string, paths ...string) *configv1.Route {
	return &configv1.Route{Service: service, Match: &configv1.Match{Paths: paths}}
}

func simple(url string) resources {
	return resources{"services/up": service(url), "routes/all": route("up", "/**")}
}

// answer is a response, read whole.
type answer struct {
	*http.Response
	body string
}

func (a answer) reason() string { return a.Header.Get("X-Tidegate-Reason") }

func (r *rig) get(path string, headers ...string) answer {
	r.t.Helper()
	return r.do(http.MethodGet, path, "", headers...)
}

func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
			continue
		}
		request.Header.Add(headers[i], headers[i+1])
	}
	return r.send(http.DefaultClient, request)
}

func (r *rig) send(client *http.Client, request *http.Request) answer {
	r.t.Helper()
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{response, string(text)}
}

// counted sums the requests of the cells that match.
func (r *rig) counted(match func(telemetry.CellKey) bool) (sum uint64) {
	r.counters.Each(func(key telemetry.CellKey, requests uint64, _ *[telemetry.Buckets]uint64) {
		if match(key) {
			sum += requests
		}
	})
	return sum
}

// cells lists what was counted, for messages.
func (r *rig) cells() (out []string) {
	r.counters.Each(func(key telemetry.CellKey, requests uint64, _ *[telemetry.Buckets]uint64) {
		out = append(out, fmt.Sprintf("%d× %+v", requests, key))
	})
	return out
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("not in time:", what)
		}
		wait := time.NewTimer(2 * time.Millisecond)
		<-wait.C
	}
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
