package proxy

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// noAnswer is a listener whose queue is full, so that what asks for a connection hears nothing.
func noAnswer(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	t.Cleanup(func() { _ = file.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return "http://" + address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// load sends so many requests a second until it is stopped, and counts those that began after a time and did not go well.
type load struct {
	began, failed atomic.Int64
}

func (r *rig) steady(method string, perSecond int, lasting, after time.Duration) *load {
	r.t.Helper()
	counts := new(load)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var group sync.WaitGroup
	for started := time.Now(); time.Since(started) < lasting; <-tick.C {
		late := time.Since(started) >= after
		group.Go(func() {
			request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+"/x", nil)
			if err != nil {
				r.t.Error(err)
				return
			}
			if late {
				counts.began.Add(1)
			}
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
			}
			if late && (err != nil || response.StatusCode != http.StatusOK) {
				counts.failed.Add(1)
			}
		})
	}
	group.Wait()
	return counts
}

// One of three targets is a black hole, and nothing in the configuration helps to find that out: less than one in a hundred
// requests fails after two seconds, be they repeatable or not.
func TestABlackHoleIsFoundByComparison(t *testing.T) {
	t.Parallel()
	holes := map[string]func(testing.TB) string{"takes connections and never answers": blackHole, "takes no connections": noAnswer}
	for name, hole := range holes {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(strings.ToLower(method)+", "+name, func(t *testing.T) {
				t.Parallel()
				slow := func(http.ResponseWriter, *http.Request) {
					pause := time.NewTimer(5 * time.Millisecond)
					<-pause.C
				}
				s := &configv1.Service{}
				for _, url := range []string{server(t, slow).URL, hole(t), server(t, slow).URL} {
					s.Targets = append(s.Targets, &configv1.Target{Url: url})
				}
				// Those that fall into it before it is found need not take the whole test.
				s.Timeouts = &configv1.Timeouts{ResponseHeader: "4s"}
				r := newRig(t, nil)
				r.serve(resources{"services/up": s, "routes/all": route("up", "/**")})
				got := r.steady(method, 100, 5*time.Second, 2*time.Second)
				t.Logf("%d of %d requests failed", got.failed.Load(), got.began.Load())
				if got.failed.Load()*100 >= got.began.Load() || got.began.Load() < 100 {
					t.Errorf("%d of %d requests failed", got.failed.Load(), got.began.Load())
				}
			})
		}
	}
}

// A service that is slow with some requests is left alone: they are not sent twice, nor do they fail.
func TestSlowRequestsAreNotTakenForABlackHole(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	handler := func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			tries.Add(1)
			pause := time.NewTimer(2 * time.Second)
			<-pause.C
		}
	}
	r := newRig(t, nil)
	r.serve(retried(nil, server(t, handler).URL, server(t, handler).URL))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if got := r.get("/slow"); got.StatusCode != http.StatusOK {
				t.Error(got.StatusCode, got.reason())
			}
		})
	}
	group.Go(func() { r.steady(http.MethodGet, 100, 2*time.Second, 0) })
	group.Wait()
	if tries.Load() != 10 {
		t.Error(tries.Load(), "tries of 10 slow requests")
	}
}

// relay passes connections on, until those that are open are frozen: they stay open, and nothing passes any more.
type relay struct {
	url string

	mu     sync.Mutex
	conns  []net.Conn
	frozen map[net.Conn]bool
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{url: "http://" + listener.Addr().String(), frozen: map[net.Conn]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
			if err != nil {
				_ = from.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, from, up)
			r.mu.Unlock()
			group.Go(func() { r.copy(up, from) })
			group.Go(func() { r.copy(from, up) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		for _, conn := range r.conns {
			_ = conn.Close()
		}
		r.mu.Unlock()
		group.Wait()
	})
	return r
}

func (r *relay) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		frozen := r.frozen[from]
		r.mu.Unlock()
		if err != nil && !frozen {
			_ = to.Close()
		}
		if err != nil {
			return
		}
		if !frozen {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
}

func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		r.frozen[conn] = true
	}
}

// The connections to a target lead nowhere any more, and new ones do. Whoever tries whether it is back opens a new one.
func TestConnectionsThatLeadNowhereAreForgotten(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]string{"HTTP/1.1": "", "HTTP/2": "h2c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			fine := plainServer(t, func(http.ResponseWriter, *http.Request) {})
			frozen := newRelay(t, plainServer(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
			r := newRig(t, nil)
			all := retried(nil, fine, frozen.url)
			up := all["services/up"].(*configv1.Service)
			up.Protocol, up.Timeouts = protocol, &configv1.Timeouts{ResponseHeader: "3s"}
			r.serve(all)
			r.steady(http.MethodGet, 200, 500*time.Millisecond, 0)
			frozen.freeze()
			before := requests.Load()
			if before == 0 {
				t.Fatal("it was not used")
			}
			got := r.steady(http.MethodGet, 100, 5*time.Second, 2*time.Second)
			if n := requests.Load() - before; n < 50 || got.failed.Load()*100 >= got.began.Load() {
				t.Errorf("it had %d requests afterwards; %d of %d failed", n, got.failed.Load(), got.began.Load())
			}
		})
	}
}

// plainServer is a server of HTTP/1.1 and of HTTP/2 in clear text.
func plainServer(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}
