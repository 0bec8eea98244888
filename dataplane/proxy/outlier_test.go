package proxy

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"tidegate.dev/dataplane/snapshot"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// blackHole takes connections and never answers.
func blackHole(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		conns []net.Conn
	)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

// One of three targets is a black hole: less than one in a hundred requests fails after two seconds.
func TestABlackHoleAmongTheTargets(t *testing.T) {
	t.Parallel()
	fine := func(http.ResponseWriter, *http.Request) {}
	urls := []string{server(t, fine).URL, blackHole(t), server(t, fine).URL}
	cases := map[string]func(*configv1.Service){
		"found out by its requests": func(s *configv1.Service) { s.Retries = &configv1.Retries{PerTry: "1s"} },
		"found out by questions": func(s *configv1.Service) {
			s.HealthCheck = &configv1.HealthCheck{Interval: "500ms", Timeout: "1s"}
			s.Timeouts = &configv1.Timeouts{ResponseHeader: "5s"}
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := retried(nil, urls...)
			change(list["services/up"].(*configv1.Service))
			r := newRig(t, nil)
			r.serve(list)
			// What asks the targets ends with the last snapshot that uses them.
			t.Cleanup(func() { r.proxy.Install(snapshot.Installation{}) })
			found := time.NewTimer(2 * time.Second)
			var group sync.WaitGroup
			for range 8 {
				// These find the black hole, at a price.
				group.Go(func() { r.get("/x") })
				group.Go(func() { r.get("/x") })
			}
			<-found.C
			failed := 0
			for range 300 {
				if got := r.get("/x"); got.StatusCode != http.StatusOK {
					failed++
				}
			}
			group.Wait()
			if failed > 2 {
				t.Errorf("%d of 300 requests failed", failed)
			}
		})
	}
}
