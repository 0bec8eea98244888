package snapshot

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func shaped(change func(*configv1.Route)) *configv1.Route {
	r := route("up", "/x")
	change(r)
	return r
}

func TestWhatIsWrongWithShapingIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		route *configv1.Route
		want  []string
	}{
		"nothing": {shaped(func(*configv1.Route) {}), nil},
		"a mirror that is not there": {
			shaped(func(r *configv1.Route) { r.Mirror = &configv1.Mirror{Service: "nowhere"} }),
			[]string{"mirror.service reference"},
		},
		"a delay": {
			shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Delay: &configv1.FaultDelay{Duration: "soon"}} }),
			[]string{"fault.delay.duration compile"},
		},
		"a status": {
			shaped(func(r *configv1.Route) { r.Fault = &configv1.Fault{Abort: &configv1.FaultAbort{Status: 200}} }),
			[]string{"fault.abort.status compile"},
		},
		"an importance": {
			shaped(func(r *configv1.Route) { r.Criticality = "vip" }),
			[]string{"criticality capability"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, err := b.compile(b.change(revision.NewContent(), resources{"services/up": serviceAt("http://up"), "routes/x": c.route}), nil)
			var got []string
			var wrong *Error
			if errors.As(err, &wrong) {
				for _, e := range wrong.Errors {
					got = append(got, fmt.Sprint(e.Field, " ", e.Code))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q (%v)", got, c.want, err)
			}
		})
	}
}

func TestShapingIsCompiled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	content := b.change(revision.NewContent(), resources{
		"services/up": &configv1.Service{Url: "http://up", AdaptiveConcurrency: &configv1.AdaptiveConcurrency{MinLimit: 30, MaxLimit: 40}},
		"services/shadow": &configv1.Service{
			Url: "http://shadow", Host: "upstream", Timeouts: &configv1.Timeouts{Total: "3s"},
		},
		"routes/x": shaped(func(r *configv1.Route) {
			r.Mirror = &configv1.Mirror{Service: "shadow"}
			r.Fault = &configv1.Fault{
				Delay: &configv1.FaultDelay{Duration: "20ms", Percent: proto.Float64(0)}, Abort: &configv1.FaultAbort{Status: 418}, Header: "x-chaos",
			}
			r.MaxRequestBytes, r.Criticality = 1000, "sheddable"
		}),
		"routes/y": route("shadow", "/y"),
	})
	s := b.must(content, nil)
	x, _ := s.Match("a", "GET", "/x", nil, nil)
	y, _ := s.Match("a", "GET", "/y", nil, nil)
	if m := x.Mirror; m == nil || m.Service != "shadow" || m.Upstream != y.Upstream || !m.HostOfTarget || m.Timeout != 3*time.Second || !m.Throw() {
		t.Errorf("the mirror is %+v", m)
	}
	if delay, status := x.Fault.Throw(); delay != 0 || status != 418 || x.Fault.Header != "X-Chaos" {
		t.Errorf("the fault is %v, %d", delay, status)
	}
	if x.MaxRequestBytes != 1000 || x.Criticality != overload.Sheddable || y.MaxRequestBytes != math.MaxInt64 || y.Criticality != overload.Default {
		t.Errorf("the limits are %d and %d, the importance %d and %d", x.MaxRequestBytes, y.MaxRequestBytes, x.Criticality, y.Criticality)
	}
	if y.Upstream.Limiter(1) != nil || x.Upstream.Limiter(1).Limit() != 30 || x.Upstream.Limiter(1) == x.Upstream.Limiter(2) {
		t.Error("limiters are not as the services say")
	}

	// A mirror's service that changes changes the route.
	next := b.must(b.change(content, resources{"services/shadow": serviceAt("http://other")}), s)
	if changed, _ := next.Match("a", "GET", "/x", nil, nil); changed.Mirror.HostOfTarget || changed.Mirror.Upstream == x.Mirror.Upstream {
		t.Error("the mirror is that of before")
	}
	// What the limiter found out belongs to the service, whatever its settings.
	wider := b.must(b.change(content, resources{
		"services/up": &configv1.Service{Url: "http://up:81", AdaptiveConcurrency: &configv1.AdaptiveConcurrency{MinLimit: 50}},
	}), s)
	changed, _ := wider.Match("a", "GET", "/x", nil, nil)
	if l := changed.Upstream.Limiter(1); l != x.Upstream.Limiter(1) {
		t.Error("the limiter is another one")
	}
	if l := changed.Upstream.Limiter(1); l.Limit() != 50 {
		t.Error("the limit is", l.Limit())
	}
}

func TestSharesAreKept(t *testing.T) {
	t.Parallel()
	for of, want := range map[float64]int{0: 0, 0.1: 100, 25: 25_000, 100: 100_000} {
		thrown := 0
		for range 100_000 {
			if percent(&of).throw() {
				thrown++
			}
		}
		if math.Abs(float64(thrown-want)) > 5*math.Sqrt(float64(want)) {
			t.Errorf("%g %% threw %d of 100000", of, thrown)
		}
	}
}
