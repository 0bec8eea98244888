package snapshot

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func splitOf(weights ...uint32) *Split {
	spec := &configv1.Route{}
	var routes []*Route
	for i, weight := range weights {
		name := fmt.Sprint("service-", i)
		spec.Backends = append(spec.Backends, &configv1.Backend{Service: name, Weight: weight})
		routes = append(routes, &Route{Service: name})
	}
	return newSplit(spec, routes)
}

func TestSharesFollowTheWeights(t *testing.T) {
	t.Parallel()
	const n = 100_000
	weights := []uint32{70, 20, 0, 10}
	s := splitOf(weights...)
	thrown, stuck := map[string]int{}, map[string]int{}
	for i := range n {
		thrown[s.Throw().Service]++
		stuck[s.Stick(fmt.Sprint("user-", i)).Service]++
	}
	for i, weight := range weights {
		share := float64(weight) / 100
		for how, hits := range map[string]map[string]int{"thrown": thrown, "stuck": stuck} {
			got := float64(hits[fmt.Sprint("service-", i)])
			if math.Abs(got-n*share) > 5*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%s: backend %d got %v of %d, want %v", how, i, got, n, n*share)
			}
		}
	}
}

func TestOnlyThoseMoveWhoHaveTo(t *testing.T) {
	t.Parallel()
	before, after := splitOf(60, 30, 10), splitOf(60, 30, 40)
	moved := 0
	for i := range 10_000 {
		value := fmt.Sprint("user-", i)
		from, to := before.Stick(value).Service, after.Stick(value).Service
		if from == to {
			continue
		}
		moved++
		if to != "service-2" {
			t.Fatalf("%s moved from %s to %s, though only service-2 gained", value, from, to)
		}
	}
	if moved < 1500 || moved > 2500 {
		t.Errorf("%d moved, want about 2077", moved)
	}
}

func TestSplitsThatCannotBe(t *testing.T) {
	t.Parallel()
	two := []*configv1.Backend{{Service: "up", Weight: 1}, {Service: "gone", Weight: 1}}
	cases := map[string]struct {
		add  resources
		want string
	}{
		"a missing backend": {resources{"routes/x": &configv1.Route{Backends: two, Match: &configv1.Match{Paths: []string{"/x"}}}}, "routes/x backends[1].service reference"},
		"no weight": {
			resources{"routes/x": &configv1.Route{Backends: []*configv1.Backend{{Service: "up"}}, Match: &configv1.Match{Paths: []string{"/x"}}}},
			"routes/x backends compile",
		},
		"both": {
			resources{"routes/x": &configv1.Route{Service: "up", Backends: two[:1], Match: &configv1.Match{Paths: []string{"/x"}}}},
			"routes/x backends compile",
		},
		"authentication of one service, chosen by consumer": {
			resources{
				"services/other": serviceAt("http://other"),
				"routes/x": &configv1.Route{
					Backends: []*configv1.Backend{{Service: "up", Weight: 1}, {Service: "other", Weight: 1}},
					Sticky:   &configv1.Sticky{By: &configv1.Sticky_Consumer{Consumer: true}}, Match: &configv1.Match{Paths: []string{"/x"}},
				},
				"plugins/auth": &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Service: "other"}},
			},
			"routes/x sticky.consumer compile",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			before := b.must(b.change(revision.NewContent(), resources{"services/up": serviceAt("http://up")}), nil)
			if _, err := b.compile(b.change(before.Content(), c.add), before); described(err) != c.want {
				t.Errorf("got %q, want %q", described(err), c.want)
			}
		})
	}
}

// A route is made anew when any of its backends changes.
func TestAChangedBackendReachesItsRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.must(b.change(revision.NewContent(), resources{
		"services/up": serviceAt("http://up"), "services/other": serviceAt("http://other"),
		"routes/x": &configv1.Route{
			Backends: []*configv1.Backend{{Service: "up", Weight: 1}, {Service: "other", Weight: 1}}, Match: &configv1.Match{Paths: []string{"/x"}},
		},
	}), nil)
	second := b.must(b.change(first.Content(), resources{"services/other": serviceAt("http://elsewhere")}), first)
	route, _ := second.Match("h", "GET", "/x", nil, nil)
	if other, ok := route.Split.Named("other"); !ok || other.Upstream.Targets()[0].Host() != "elsewhere" {
		t.Error("the route still leads to the former target")
	}
}

// described lists what is wrong: resource, field and code.
func described(err error) string {
	var wrong *Error
	if !errors.As(err, &wrong) {
		return fmt.Sprint(err)
	}
	var all []string
	for _, e := range wrong.Errors {
		all = append(all, fmt.Sprint(e.Resource, " ", e.Field, " ", e.Code))
	}
	return strings.Join(all, ", ")
}
