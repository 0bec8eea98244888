package proxy

import (
	"io"
	"net/http"
	"testing"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
)

// breakRoute puts a policy that panics on the route of a path.
func breakRoute(t *testing.T, s *snapshot.Snapshot, path string, phase plugin.Phase) {
	t.Helper()
	route, ok := s.Match("a", http.MethodGet, path, nil, nil)
	if !ok {
		t.Fatal("no route")
	}
	policy := plugin.NewPolicy("faulty", "faulty", phase, false, faulty{})
	route.Chain = plugin.NewChain([]plugin.Choice{{Phase: phase, Places: [3]*plugin.Bindings{{Everyone: []*plugin.Policy{policy}}}}})
}

// Whatever breaks in a policy, nobody comes through who should not.
func TestPoliciesThatPanicLetNobodyThrough(t *testing.T) {
	t.Parallel()
	up := server(t, func(_ http.ResponseWriter, r *http.Request) { t.Error("the upstream got", r.URL) })
	for name, phase := range map[string]plugin.Phase{
		"authentication": plugin.Authentication, "limit": plugin.Limit, "transformation": plugin.Transformation,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			s := r.compile(simple(up.URL), nil)
			breakRoute(t, s, "/x", phase)
			r.proxy.Install(snapshot.Installation{Stable: s})
			if got := r.get("/x"); got.StatusCode != http.StatusInternalServerError || got.reason() != "internal" {
				t.Error(got.StatusCode, got.reason())
			}
		})
	}
}

// unsound panics where it would only have to judge.
type unsound struct{}

func (unsound) Judge(*plugin.Exchange) plugin.Verdict { panic("a policy's fault") }

// A policy in shadow changes nothing, also when it is broken.
func TestAPolicyInShadowMayPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	s := r.compile(simple(server(t, echo("up")).URL), nil)
	route, ok := s.Match("a", http.MethodGet, "/x", nil, nil)
	if !ok {
		t.Fatal("no route")
	}
	policy := plugin.NewPolicy("unsound", "unsound", plugin.Limit, true, unsound{})
	route.Chain = plugin.NewChain([]plugin.Choice{{Phase: plugin.Limit, Places: [3]*plugin.Bindings{{Everyone: []*plugin.Policy{policy}}}}})
	r.proxy.Install(snapshot.Installation{Stable: s})
	if got := r.get("/x"); got.StatusCode != http.StatusOK || policy.Judged(plugin.ReasonInternal) != 1 {
		t.Error(got.StatusCode, got.reason(), policy.Judged(plugin.ReasonInternal))
	}
}

// A panic costs its own stream, and not the others of the connection.
func TestAPanicCostsOneStream(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	up := server(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		_, _ = io.WriteString(w, "whole")
	})
	r := newRig(t, nil)
	s := r.compile(resources{"services/up": service(up.URL), "routes/good": route("up", "/good"), "routes/bad": route("up", "/bad")}, nil)
	breakRoute(t, s, "/bad", plugin.Transformation)
	r.proxy.Install(snapshot.Installation{Stable: s})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols, MaxConnsPerHost: 1}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(path string) answer {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Error(err)
		}
		return r.send(client, request)
	}
	good := make(chan answer)
	go func() { good <- ask("/good") }()
	<-arrived
	for range 3 {
		if got := ask("/bad"); got.StatusCode != http.StatusInternalServerError || got.ProtoMajor != 2 {
			t.Error(got.Proto, got.StatusCode)
		}
	}
	close(goOn)
	if got := <-good; got.StatusCode != http.StatusOK || got.body != "whole" {
		t.Error(got.StatusCode, got.body)
	}
}
