package proxy

import (
	"net/http"
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestAShareOfTheAccessLog(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	const requests = 400
	for name, c := range map[string]struct {
		share    float64
		min, max int
	}{
		"none": {-1, 0, 0}, "a quarter": {0.25, 50, 150}, "all": {1, requests, requests}, "all, by default": {0, requests, requests},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(config *Config) { config.AccessLogSample = c.share })
			r.serve(resources{
				"services/up": service(up.URL), "routes/all": route("up", "/**"), "routes/closed": route("up", "/closed"),
				"plugins/auth": &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Route: "closed"}},
			})
			for range requests {
				r.get("/fine")
			}
			for range 5 {
				r.get("/broken")
				r.get("/closed")
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			log := r.log.text()
			// Five standard deviations of a binomial lie between.
			if n := strings.Count(log, `"path":"/fine"`); n < c.min || n > c.max {
				t.Errorf("%d of %d lines", n, requests)
			}
			if n := strings.Count(log, `"status":500`) + strings.Count(log, `"reason":"key_missing"`); n != 10 {
				t.Errorf("%d of 10 failures", n)
			}
		})
	}
}
