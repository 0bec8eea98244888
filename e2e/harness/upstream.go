package harness

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Upstream is an HTTP server of the test's own, behind the gateway.
type Upstream struct {
	URL      string
	Requests atomic.Int64
	status   atomic.Int64
}

// NewUpstream serves until the test ends. It answers 200 with its name and the path, until told otherwise.
func NewUpstream(t testing.TB, name string) *Upstream {
	t.Helper()
	u := new(Upstream)
	u.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.Requests.Add(1)
		w.Header().Set("X-Upstream", name)
		w.WriteHeader(int(u.status.Load()))
		_, _ = w.Write([]byte(name + " " + r.Method + " " + r.URL.Path))
	}))
	t.Cleanup(server.Close)
	u.URL = server.URL
	return u
}

// Answer makes it answer with a status from now on.
func (u *Upstream) Answer(status int) { u.status.Store(int64(status)) }
