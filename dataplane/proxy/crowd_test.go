package proxy

import (
	"net/http"
	"sync"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// The agent serves so many requests at once and no more, whichever revision they began in, the most important last to be refused;
// what streams does not count.
func TestOnlySoManyExchangesAtOnce(t *testing.T) {
	t.Parallel()
	const most = 20 // of which a sheddable request leaves four to others, and a usual one one
	release := make(chan struct{})
	arrived := make(chan struct{}, 10*most)
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if r.URL.Path == "/usual/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	r := newRig(t, func(c *Config) { c.MaxExchanges = most })
	all := resources{"services/up": &configv1.Service{Url: up.URL}}
	for _, name := range []string{"critical", "default", "sheddable"} {
		one := route("up", "/"+name+"/**")
		one.Criticality = name
		all["routes/"+name] = one
	}
	all["routes/usual"] = route("up", "/usual/**")
	r.serve(all)

	var asking sync.WaitGroup
	ask := func(path string, n int) {
		for range n {
			asking.Go(func() {
				if got := r.get(path); got.StatusCode != http.StatusOK {
					t.Errorf("%s: %d %s", path, got.StatusCode, got.reason())
				}
			})
			<-arrived
		}
	}
	refused := func(path string) {
		t.Helper()
		served := r.proxy.exchanges()
		got := r.get(path)
		if got.StatusCode != http.StatusServiceUnavailable || got.reason() != "overloaded" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %q, to come again after %q", path, got.StatusCode, got.reason(), got.Header.Get("Retry-After"))
		}
		eventually(t, "who was refused does not count", func() bool { return r.proxy.exchanges() == served })
	}
	ask("/usual/stream", 3)
	eventually(t, "streams do not count", func() bool { return r.proxy.exchanges() == 0 })
	ask("/sheddable/1", 16)
	refused("/sheddable/1")
	ask("/default/1", 1)
	r.serve(all) // another generation
	ask("/default/1", 2)
	refused("/default/1")
	refused("/usual/1")
	ask("/critical/1", 1)
	refused("/critical/1")
	if r.proxy.exchanges() != most {
		t.Errorf("%d exchanges are counted", r.proxy.exchanges())
	}
	close(release)
	asking.Wait()
	eventually(t, "nothing is counted any more", func() bool { return r.proxy.exchanges() == 0 })
	ask("/sheddable/1", 1)
	asking.Wait()
}
