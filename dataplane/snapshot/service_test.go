package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestWhatIsWrongWithAServiceIsNamed(t *testing.T) {
	t.Parallel()
	dns := func(d *configv1.DnsDiscovery) *configv1.Service {
		return &configv1.Service{Discovery: &configv1.Discovery{Source: &configv1.Discovery_Dns{Dns: d}}}
	}
	change := func(set func(*configv1.Service)) *configv1.Service {
		s := serviceAt("http://x")
		set(s)
		return s
	}
	cases := map[string]struct {
		service *configv1.Service
		want    []string
	}{
		"load_balancing.policy": {
			change(func(s *configv1.Service) { s.LoadBalancing = &configv1.LoadBalancing{Policy: "astrology"} }),
			[]string{"load_balancing.policy capability"},
		},
		"a hash of nothing": {
			change(func(s *configv1.Service) { s.LoadBalancing = &configv1.LoadBalancing{Policy: "maglev"} }),
			[]string{"load_balancing.hash_on compile"},
		},
		"lengths of time": {
			change(func(s *configv1.Service) {
				s.CircuitBreaker = &configv1.CircuitBreaker{Window: "x", Open: "y"}
				s.Hedging = &configv1.Hedging{After: "z"}
			}),
			[]string{"circuit_breaker.open compile", "circuit_breaker.window compile", "hedging.after compile"},
		},
		"a name server":   {dns(&configv1.DnsDiscovery{Host: "a.example", Port: 80, Resolver: "nowhere"}), []string{"discovery.dns.resolver compile"}},
		"a name":          {dns(&configv1.DnsDiscovery{Host: "-", Port: 80}), []string{"discovery.dns.host compile"}},
		"a refresh":       {dns(&configv1.DnsDiscovery{Host: "a.example", Port: 80, MinRefresh: "now"}), []string{"discovery.dns.min_refresh compile"}},
		"a directory":     {&configv1.Service{Discovery: &configv1.Discovery{}}, []string{"discovery compile", "targets compile"}},
		"what is spoken":  {change(func(s *configv1.Service) { s.Protocol = "h2" }), []string{"url compile"}},
		"nothing at all":  {change(func(*configv1.Service) {}), nil},
		"a whole service": {whole(), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.compile(b.change(revision.NewContent(), resources{"services/x": c.service}), nil)
			var got []string
			var wrong *Error
			if errors.As(err, &wrong) {
				for _, e := range wrong.Errors {
					got = append(got, fmt.Sprint(e.Field, " ", e.Code))
				}
			}
			slices.Sort(got)
			if !slices.Equal(slices.Compact(got), c.want) {
				t.Errorf("got %q, want %q (%v)", got, c.want, err)
			}
		})
	}
}

// whole is a service with every setting of this kind.
func whole() *configv1.Service {
	return &configv1.Service{
		Targets: []*configv1.Target{{Url: "http://a", Zone: "1"}, {Url: "http://b", Zone: "2"}},
		LoadBalancing: &configv1.LoadBalancing{
			Policy: "ring_hash", HashOn: &configv1.HashOn{Key: &configv1.HashOn_Header{Header: "x-user"}},
			ZoneAwareness: &configv1.ZoneAwareness{MinUsablePercent: 50},
		},
		CircuitBreaker: &configv1.CircuitBreaker{
			ConsecutiveFailures: 3, FailurePercent: 50, MinRequests: 10, Window: "5s", Open: "1s", TrialRequests: 2, MaxConcurrent: 7, MaxPending: 8,
		},
		ConnectionPool: &configv1.ConnectionPool{MaxOpen: 4},
		Hedging:        &configv1.Hedging{After: "50ms"},
		DeadlineHeader: "x-deadline-ms",
	}
}

func TestAServiceAsItIsSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.must(b.change(revision.NewContent(), resources{"services/up": whole(), "routes/all": route("up", "/**")}), nil)
	r, ok := s.Match("a", "GET", "/x", nil, nil)
	if !ok || r.DeadlineHeader != "X-Deadline-Ms" || r.Upstream.HedgeAfter() != 50*time.Millisecond ||
		r.Upstream.HashOn() != (upstream.HashOn{Kind: upstream.HashHeader, Name: "X-User"}) {
		t.Errorf("%+v, %v, %v", r, r.Upstream.HedgeAfter(), r.Upstream.HashOn())
	}
	target := r.Upstream.Targets()[0]
	changed := whole()
	changed.Timeouts = &configv1.Timeouts{Connect: "1s", Idle: "7s"}
	changed.Targets[0].Weight = 3
	changed.CircuitBreaker.Open = "2s"
	next := b.must(b.change(s.Content(), resources{"services/up": changed}), s)
	s.Release()
	if r, _ := next.Match("a", "GET", "/x", nil, nil); r.Upstream.Targets()[0] != target {
		t.Error("a change of settings that do not shape a target makes another one")
	}
	next.Release()
	if b.registry.Len() != 0 {
		t.Error("what nobody holds is kept")
	}
}
