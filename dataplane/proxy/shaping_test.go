package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// shaped is a route to the service up.
func shaped(change func(*configv1.Route), paths ...string) *configv1.Route {
	r := route("up", paths...)
	change(r)
	return r
}

// heard is an upstream that writes down what it was asked.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, fmt.Sprintf("%s %s %s %v mirror=%q", r.Method, r.URL.RequestURI(), body, err, r.Header.Get(copyField)))
	w.WriteHeader(http.StatusTeapot)
}

func (h *heard) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

func TestAMirrorGetsCopies(t *testing.T) {
	t.Parallel()
	main, shadow := &heard{}, &heard{}
	up, mirror := server(t, main.ServeHTTP), server(t, shadow.ServeHTTP)
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": service(up.URL), "services/shadow": service(mirror.URL + "/base"),
		"routes/all":  shaped(func(r *configv1.Route) { r.Mirror = &configv1.Mirror{Service: "shadow"} }, "/**"),
		"routes/none": shaped(func(r *configv1.Route) { r.Mirror = &configv1.Mirror{Service: "shadow", Percent: proto.Float64(0)} }, "/none"),
	})
	long := strings.Repeat("x", 40_000)
	r.get("/a%2Fb?q=1", copyField, "7")
	r.do(http.MethodPost, "/small", "small")
	r.do(http.MethodPost, "/long", long)
	r.do(http.MethodPost, "/longer", strings.Repeat("x", longestCopy+1))
	r.get("/none")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/chunked", io.MultiReader(strings.NewReader("who knows")))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.send(http.DefaultClient, request); got.StatusCode != http.StatusTeapot {
		t.Errorf("the service's answer is %d", got.StatusCode)
	}
	eventually(t, "three copies", func() bool { return len(shadow.list()) == 3 })
	got := shadow.list()
	slices.Sort(got)
	for i, want := range []string{
		`GET /base/a%2Fb?q=1  <nil> mirror="1"`, `POST /base/long ` + long + ` <nil> mirror="1"`, `POST /base/small small <nil> mirror="1"`,
	} {
		if got[i] != want {
			t.Errorf("%.80q, want %.80q", got[i], want)
		}
	}
	if asked := main.list(); len(asked) != 6 || strings.Contains(asked[0], `mirror="7"`) {
		t.Errorf("the service was asked %d times: %.80q", len(asked), asked[0])
	}
}

func TestAMirrorThatHangsTouchesNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var arrived atomic.Int32
	shadow := server(t, func(http.ResponseWriter, *http.Request) {
		arrived.Add(1)
		<-release
	})
	t.Cleanup(func() { close(release) })
	up := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": service(up.URL), "services/shadow": service(shadow.URL),
		"routes/all": shaped(func(r *configv1.Route) { r.Mirror = &configv1.Mirror{Service: "shadow"} }, "/**"),
	})
	for range mostCopies + 50 {
		if got := r.get("/"); got.body != "fine" {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
	}
	m := r.proxy.mirrors
	eventually(t, "all places are taken", func() bool { return arrived.Load() == mostCopies })
	if n := m.dropped.Load(); n != 50 {
		t.Errorf("%d copies were left out, want 50", n)
	}
	before := r.registry.Len()
	r.serve(simple(up.URL))
	if n := r.registry.Len(); n != before {
		t.Errorf("a service was let go of that copies are on their way to: %d services, %d before", n, before)
	}
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the proxy waited %v for copies", took)
	}
	if sent, failed := m.sent.Load(), m.failed.Load(); sent != 0 || failed != mostCopies {
		t.Errorf("%d copies arrived and %d failed", sent, failed)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	up := &heard{}
	r := newRig(t, nil)
	abort := &configv1.FaultAbort{Status: 418}
	fault := func(f *configv1.Fault) *configv1.Route {
		return shaped(func(r *configv1.Route) { r.Fault = f }, "/x/{a}")
	}
	all := resources{
		"services/up":  service(server(t, up.ServeHTTP).URL),
		"routes/slow":  shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Delay: &configv1.FaultDelay{Duration: "300ms"}} }, "/slow"),
		"routes/abort": shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Abort: abort} }, "/abort"),
		"routes/gated": shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Abort: abort, Header: "x-chaos"} }, "/gated"),
		"routes/never": shaped(func(r *configv1.Route) {
			r.Fault = &configv1.Fault{Abort: &configv1.FaultAbort{Status: 418, Percent: proto.Float64(0)}}
		}, "/never"),
		"routes/locked": shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Abort: abort} }, "/locked"),
		"plugins/auth":  &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Route: "locked"}},
		"routes/direct": &configv1.Route{
			DirectResponse: &configv1.DirectResponse{Status: 200}, Match: &configv1.Match{Paths: []string{"/direct"}}, Fault: &configv1.Fault{Abort: abort},
		},
		"routes/x": fault(nil),
	}
	r.serve(all)
	began := time.Now()
	if got := r.get("/slow"); got.StatusCode != http.StatusTeapot || got.reason() != "" || time.Since(began) < 300*time.Millisecond {
		t.Errorf("the delay: %d %q after %v", got.StatusCode, got.reason(), time.Since(began))
	}
	asked := len(up.list())
	for _, path := range []string{"/abort", "/direct"} {
		if got := r.get(path); got.StatusCode != http.StatusTeapot || got.reason() != "fault_injected" || !strings.Contains(got.body, `"status":418`) {
			t.Errorf("%s: %d %q %s", path, got.StatusCode, got.reason(), got.body)
		}
	}
	if got := r.get("/gated", "X-Chaos", ""); got.reason() != "fault_injected" {
		t.Errorf("with the header: %d %q", got.StatusCode, got.reason())
	}
	if got := r.get("/locked"); got.reason() != "key_missing" {
		t.Errorf("before authentication: %d %q", got.StatusCode, got.reason())
	}
	if n := len(up.list()); n != asked {
		t.Errorf("the service was asked %d times", n-asked)
	}
	for _, path := range []string{"/gated", "/never", "/x/y"} {
		if got := r.get(path); got.StatusCode != http.StatusTeapot || got.reason() != "" {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.reason())
		}
	}
	eventually(t, "three faults are counted", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "fault_injected" && k.StatusClass == 4 }) == 3
	})
}

func TestBodiesThatAreTooLong(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	bodies := make(chan error, 8)
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/early" {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		_, err := io.Copy(io.Discard, r.Body)
		bodies <- err
	})
	r := newRig(t, nil)
	r.serve(resources{"services/up": service(up.URL), "routes/all": shaped(func(r *configv1.Route) { r.MaxRequestBytes = 100_000 }, "/**")})
	send := func(client *http.Client, url, path string, n int, known bool) (answer, error) {
		body := io.Reader(bytes.NewReader(make([]byte, n)))
		if !known {
			body = io.MultiReader(body)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return answer{}, err
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		return answer{response, string(text)}, err
	}
	two := h2c(t)
	for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": two} {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				if got, err := send(client, r.url, "/", 100_000, known); err != nil || got.StatusCode != http.StatusOK {
					t.Fatalf("100000 bytes: %v %v", got.Response, err)
				}
				if err := <-bodies; err != nil {
					t.Error(err)
				}
				before := asked.Load()
				got, err := send(client, r.url, "/", 100_001, known)
				if err != nil || got.StatusCode != http.StatusRequestEntityTooLarge || got.reason() != "payload_too_large" {
					t.Fatalf("100001 bytes, known %v: %v %v", known, got.Response, err)
				}
				if known {
					if n := asked.Load(); n != before {
						t.Error("the service was asked though the length was known")
					}
				} else if err := <-bodies; err == nil {
					t.Error("the service took what it got for the whole")
				}
				// A long one is still being sent when the answer comes.
				got, err = send(client, r.url, "/", 30<<20, known)
				if err != nil || got.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("30 MiB, known %v: %v %v", known, got.Response, err)
				}
				if known {
					continue
				}
				if err := <-bodies; err == nil {
					t.Error("the service took what it got for the whole")
				}
			}
			body, more := io.Pipe()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/early", body)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatal(response, err)
			}
			defer func() { _ = response.Body.Close() }()
			go func() { _, _ = more.Write(make([]byte, 200_000)) }()
			if _, err := io.ReadAll(response.Body); err == nil {
				t.Error("a response that had begun is whole")
			}
			if err := <-bodies; err == nil {
				t.Error("the service took what it got for the whole")
			}
			_ = more.Close()
		})
	}
	eventually(t, "what broke off is counted", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "payload_too_large" && k.StatusClass == 2 }) == 2
	})
}

func TestAServiceIsNotAskedForMoreThanItCanDo(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	release := make(chan struct{})
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		running.Add(1)
		<-release
		running.Add(-1)
	})
	r := newRig(t, nil)
	at := func(criticality string, path string) *configv1.Route {
		return shaped(func(r *configv1.Route) { r.Criticality = criticality }, path)
	}
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, AdaptiveConcurrency: &configv1.AdaptiveConcurrency{MinLimit: 10, MaxLimit: 10}},
		"routes/low":  at("sheddable", "/low"), "routes/usual": at("", "/usual"), "routes/high": at("critical", "/high"), "routes/stream": at("", "/stream"),
	})
	// Streams that have begun hold no room.
	for range 20 {
		response, err := http.Get(r.url + "/stream")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	var group sync.WaitGroup
	ask := func(path string, n int) {
		for range n {
			group.Go(func() {
				if got := r.get(path); got.StatusCode != http.StatusOK {
					t.Errorf("%s: %d %s", path, got.StatusCode, got.reason())
				}
			})
		}
	}
	runs := func(n int32) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " run"), func() bool { return running.Load() == n })
	}
	refused := func(path string) {
		t.Helper()
		began := time.Now()
		got := r.get(path)
		if got.StatusCode != http.StatusServiceUnavailable || got.reason() != "overloaded" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.reason())
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("%s was refused after %v", path, took)
		}
	}
	ask("/low", 8)
	runs(8)
	refused("/low")
	ask("/usual", 1)
	runs(9)
	refused("/usual")
	ask("/high", 1)
	runs(10)
	refused("/high")
	close(release)
	group.Wait()
	// An exchange is recorded just after its response is read.
	eventually(t, "the refusals are counted", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "overloaded" }) == 3
	})
}

// h2c is a client that speaks HTTP/2 in clear text.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
