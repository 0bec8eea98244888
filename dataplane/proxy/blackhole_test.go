package proxy

import (
	"net"
	"net/http"
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
