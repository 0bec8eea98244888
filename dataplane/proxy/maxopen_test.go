package proxy

import (
	"net/http"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// max_open bounds what is in use at a target: connections of HTTP/1.1, and streams of HTTP/2.
func TestOnlySoManyOpenAtATarget(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http1", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			arrived, release := make(chan struct{}, 2), make(chan struct{})
			up := plainServer(t, func(_ http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				select {
				case <-release:
				case <-r.Context().Done():
				}
			})
			r := newRig(t, nil)
			r.serve(resources{"services/up": &configv1.Service{
				Url: up, Protocol: protocol, ConnectionPool: &configv1.ConnectionPool{MaxOpen: 1},
				Retries: &configv1.Retries{Attempts: 1}, CircuitBreaker: &configv1.CircuitBreaker{MaxPending: 1},
				Timeouts: &configv1.Timeouts{Connect: "100ms"},
			}, "routes/all": route("up", "/**")})
			first := make(chan answer, 1)
			go func() { first <- r.get("/1") }()
			<-arrived
			if got := r.get("/2"); got.StatusCode != http.StatusServiceUnavailable || got.reason() != "overloaded" {
				t.Errorf("beside one that runs: %d %q", got.StatusCode, got.reason())
			}
			close(release)
			if got := <-first; got.StatusCode != http.StatusOK {
				t.Errorf("the first: %d %s", got.StatusCode, got.reason())
			}
			if got := r.get("/3"); got.StatusCode != http.StatusOK {
				t.Errorf("afterwards: %d %s", got.StatusCode, got.reason())
			}
		})
	}
}
