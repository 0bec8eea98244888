package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// bench is what compilations share.
type bench struct {
	t        testing.TB
	registry *upstream.Registry
	state    *plugin.State
	lane     *lane.Table
	number   int64
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, registry: upstream.NewRegistry(upstream.Environment{}), state: plugin.NewState(), lane: lane.New()}
}

type resources map[string]proto.Message

func keyOf(path string) revision.Key {
	collection, name, _ := strings.Cut(path, "/")
	return revision.Key{Kind: configv1.KindOf(collection), Name: name}
}

// change is the content after upserts, and deletes where the message is nil.
func (b *bench) change(c *revision.Content, all resources) *revision.Content {
	b.t.Helper()
	var delta revision.Delta
	for path, message := range all {
		if message == nil {
			delta.Deletes = append(delta.Deletes, keyOf(path))
			continue
		}
		body, err := revision.Encode(message)
		if err != nil {
			b.t.Fatal(err)
		}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: keyOf(path), Body: body})
	}
	return c.Apply(delta)
}

func (b *bench) compile(c *revision.Content, previous *Snapshot) (*Snapshot, error) {
	b.number++
	return Compile(Input{
		Revision: b.number, Root: c.Root(), Content: c, Previous: previous, Registry: b.registry, State: b.state, Lane: b.lane,
	})
}

func (b *bench) must(c *revision.Content, previous *Snapshot) *Snapshot {
	b.t.Helper()
	s, err := b.compile(c, previous)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func serviceAt(url string) *configv1.Service { return &configv1.Service{Url: url} }

func route(service string, paths ...string) *configv1.Route {
	return &configv1.Route{Service: service, Match: &configv1.Match{Paths: paths}}
}

func limit(t testing.TB, scope *configv1.Scope) *configv1.Plugin {
	return &configv1.Plugin{Type: "rate-limit", Scope: scope, Config: config(t, map[string]any{"requests": 10, "per": "1h"})}
}

func header(t testing.TB, value string, scope *configv1.Scope) *configv1.Plugin {
	return &configv1.Plugin{Type: "header-transform", Scope: scope, Config: config(t, map[string]any{
		"request": map[string]any{"set": []any{map[string]any{"name": "x-which", "value": value}}},
	})}
}

func config(t testing.TB, pairs map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	good := resources{"services/up": serviceAt("http://up"), "routes/all": route("up", "/**")}
	cases := map[string]struct {
		add  resources
		want []string
	}{
		"nothing":                     {nil, nil},
		"a service that is not there": {resources{"routes/x": route("nowhere", "/x")}, []string{"routes/x service reference"}},
		"patterns": {
			resources{"routes/x": &configv1.Route{Service: "up", Match: &configv1.Match{Hosts: []string{"a", "b:80"}, Paths: []string{"/ok", "no"}, Methods: []string{"get"}}}},
			[]string{"routes/x match.hosts[1] compile", "routes/x match.methods[0] compile", "routes/x match.paths[1] compile"},
		},
		"conditions": {
			resources{"routes/x": &configv1.Route{Service: "up", Match: &configv1.Match{
				Paths:   []string{"/ok"},
				Headers: []*configv1.Condition{{Name: "x a", Test: &configv1.Condition_Equals{}}, {Name: "x-b"}},
				Query:   []*configv1.Condition{{Name: "q", Test: &configv1.Condition_Regex{Regex: "("}}},
			}}},
			[]string{"routes/x match.headers[0] compile", "routes/x match.headers[1] compile", "routes/x match.query[0] compile"},
		},
		"no path":                {resources{"routes/x": &configv1.Route{Service: "up"}}, []string{"routes/x match.paths compile"}},
		"a URL":                  {resources{"services/x": serviceAt("ftp://x")}, []string{"services/x url compile"}},
		"a target's URL":         {resources{"services/x": &configv1.Service{Targets: []*configv1.Target{{Url: "http://a"}, {Url: "b"}}}}, []string{"services/x targets[1].url compile"}},
		"durations":              {resources{"services/x": &configv1.Service{Url: "http://x", Timeouts: &configv1.Timeouts{Idle: "soon"}, ConnectionPool: &configv1.ConnectionPool{IdleTimeout: "-1s"}}}, []string{"services/x connection_pool.idle_timeout compile", "services/x timeouts.idle compile"}},
		"authorities":            {resources{"services/x": &configv1.Service{Url: "https://x", Tls: &configv1.UpstreamTls{CaPem: "no"}}}, []string{"services/x tls.ca_pem compile"}},
		"an unknown type":        {resources{"plugins/x": &configv1.Plugin{Type: "teleport"}}, []string{"plugins/x type capability"}},
		"an unknown setting":     {resources{"plugins/x": &configv1.Plugin{Type: "key-auth", Config: config(t, map[string]any{"colour": "red"})}}, []string{"plugins/x config compile"}},
		"a setting":              {resources{"plugins/x": &configv1.Plugin{Type: "rate-limit", Config: config(t, map[string]any{"requests": 1, "per": "x"})}}, []string{"plugins/x config.per compile"}},
		"a plan's limit":         {resources{"plans/x": &configv1.Plan{Limits: []*configv1.Limit{{Requests: 1, Per: "1s"}, {Requests: 0, Per: "1s"}}}}, []string{"plans/x limits[1].requests compile"}},
		"scopes":                 {resources{"plugins/x": header(t, "", &configv1.Scope{Route: "no"}), "plugins/y": header(t, "", &configv1.Scope{Service: "no", Plan: "no"})}, []string{"plugins/x scope.route reference", "plugins/y scope.plan reference", "plugins/y scope.service reference"}},
		"who before it is known": {resources{"plugins/x": &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Consumer: "acme"}}}, []string{"plugins/x scope compile"}},
		"a fast kind":            {resources{"consumers/x": &configv1.Consumer{}}, []string{"consumers/x  capability"}},
		"several at once":        {resources{"routes/x": route("up", "x"), "services/y": serviceAt("")}, []string{"routes/x match.paths[0] compile", "services/y targets compile"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			before := b.must(b.change(revision.NewContent(), good), nil)
			held := b.registry.Len()
			s, err := b.compile(b.change(before.Content(), c.add), before)
			var got []string
			var wrong *Error
			if errors.As(err, &wrong) {
				for _, e := range wrong.Errors {
					got = append(got, fmt.Sprint(e.Resource, " ", e.Field, " ", e.Code))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q (%v)", got, c.want, err)
			}
			if err != nil && (s != nil || b.registry.Len() != held) {
				t.Error("what was refused holds something")
			}
			if _, ok := before.Match("a", "GET", "/x", nil, nil); !ok {
				t.Error("the snapshot before has changed")
			}
		})
	}
	t.Run("bytes that are no message", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		c := revision.NewContent().Apply(revision.Delta{Upserts: []revision.Resource{{Key: keyOf("routes/x"), Body: []byte{0xff}}}})
		if _, err := b.compile(c, nil); err == nil || !strings.Contains(err.Error(), "routes/x") {
			t.Error(err)
		}
	})
	t.Run("a field from the future", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		body, _ := revision.Encode(route("up", "/x"))
		// In the message Match, which is field 2: an unknown field 1000.
		body = append(body, 0x12, 0x03, 0xc0, 0x3e, 0x01)
		c := b.change(revision.NewContent(), good).Apply(revision.Delta{Upserts: []revision.Resource{{Key: keyOf("routes/x"), Body: body}}})
		_, err := b.compile(c, nil)
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.Errors[0].Code != CodeCapability || wrong.Errors[0].Field != "match" {
			t.Error(err)
		}
	})
}

// which runs the chain of a path for a caller, and tells the value that the header-transform which applied has set, and the
// limits that applied.
func which(t testing.TB, s *Snapshot, path string, caller plugin.Caller) (value string, limits string) {
	t.Helper()
	r, ok := s.Match("a", "GET", path, nil, nil)
	if !ok {
		t.Fatal("no route for", path)
	}
	x := &plugin.Exchange{Request: http.Header{}, Response: http.Header{}, Caller: caller, Client: netip.MustParseAddr("192.0.2.1"), Started: time.Now()}
	if v := r.Chain.Request(x, s); v.Refused() {
		t.Fatal(path, v)
	}
	x.Limits.Write(x.Response)
	return x.Request.Get("X-Which"), x.Response.Get("Ratelimit-Policy")
}

func TestTheMostSpecificPluginApplies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := resources{
		"services/a": serviceAt("http://a"), "services/b": serviceAt("http://b"),
		"routes/a1": route("a", "/a/1"), "routes/a2": route("a", "/a/2"), "routes/b": route("b", "/b"),
		"plans/gold":             &configv1.Plan{Limits: []*configv1.Limit{{Requests: 5, Per: "1m"}}},
		"plugins/fleet":          header(t, "fleet", nil),
		"plugins/fleet-acme":     header(t, "fleet acme", &configv1.Scope{Consumer: "acme"}),
		"plugins/fleet-gold":     header(t, "fleet gold", &configv1.Scope{Plan: "gold"}),
		"plugins/service":        header(t, "service", &configv1.Scope{Service: "a"}),
		"plugins/service-gold":   header(t, "service gold", &configv1.Scope{Service: "a", Plan: "gold"}),
		"plugins/route":          header(t, "route", &configv1.Scope{Route: "a1"}),
		"plugins/off":            &configv1.Plugin{Type: "header-transform", Mode: "off", Scope: &configv1.Scope{Route: "b"}},
		"plugins/limit-fleet":    limit(t, nil),
		"plugins/limit-route":    limit(t, &configv1.Scope{Route: "a1"}),
		"plugins/limit-consumer": limit(t, &configv1.Scope{Service: "a", Consumer: "acme"}),
	}
	s := b.must(b.change(revision.NewContent(), all), nil)
	anybody, acme, gold := plugin.Caller{}, plugin.Caller{Consumer: "acme"}, plugin.Caller{Consumer: "other", Plan: "gold"}
	both := plugin.Caller{Consumer: "acme", Plan: "gold"}
	fleetLimit, routeLimit, consumerLimit, planLimit := `"limit-fleet";q=10;w=3600`, `"limit-route";q=10;w=3600`, `"limit-consumer";q=10;w=3600`, `"gold-1m";q=5;w=60`
	cases := map[string]struct {
		path   string
		caller plugin.Caller
		value  string
		limits []string
	}{
		"route over all":                {"/a/1", both, "route", []string{routeLimit, consumerLimit, fleetLimit, planLimit}},
		"service":                       {"/a/2", anybody, "service", []string{fleetLimit}},
		"service over the fleet's acme": {"/a/2", acme, "service", []string{consumerLimit, fleetLimit}},
		"service and plan":              {"/a/2", gold, "service gold", []string{fleetLimit, planLimit}},
		"fleet":                         {"/b", anybody, "fleet", []string{fleetLimit}},
		"fleet and consumer":            {"/b", acme, "fleet acme", []string{fleetLimit}},
		"fleet and plan":                {"/b", gold, "fleet gold", []string{fleetLimit, planLimit}},
		"fleet, consumer over plan":     {"/b", both, "fleet acme", []string{fleetLimit, planLimit}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			value, limits := which(t, s, c.path, c.caller)
			if value != c.value || limits != strings.Join(c.limits, ", ") {
				t.Errorf("%q with %s, want %q with %s", value, limits, c.value, c.limits)
			}
		})
	}
	changed := b.must(b.change(s.Content(), resources{
		"plugins/route": nil, "plugins/service": header(t, "service anew", &configv1.Scope{Service: "a"}), "plugins/limit-fleet": nil,
		"plugins/fleet-acme": header(t, "moved", &configv1.Scope{Route: "b", Consumer: "acme"}), "plans/gold": &configv1.Plan{},
	}), s)
	for path, want := range map[string]string{"/a/1": "service anew", "/a/2": "service anew", "/b": "moved"} {
		if value, limits := which(t, changed, path, acme); value != want || strings.Contains(limits, "limit-fleet") {
			t.Errorf("after the change, %s: %q, want %q; %s", path, value, want, limits)
		}
	}
	if value, _ := which(t, s, "/a/1", acme); value != "route" {
		t.Error("the snapshot before has changed:", value)
	}
}

func TestTimeoutsFallBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.must(b.change(revision.NewContent(), resources{
		"services/plain": serviceAt("http://a"),
		"services/own":   &configv1.Service{Url: "http://a", Host: "upstream", Timeouts: &configv1.Timeouts{Connect: "1s", ResponseHeader: "2s", Total: "1h30m"}},
		"routes/plain":   route("plain", "/plain"),
		"routes/own":     route("own", "/own"),
		"routes/over":    &configv1.Route{Service: "own", Match: &configv1.Match{Paths: []string{"/over"}}, Timeouts: &configv1.Timeouts{Connect: "3s", Idle: "4s"}},
	}), nil)
	for path, want := range map[string]Timeouts{
		"/plain": {ResponseHeader: 30 * time.Second, Idle: 5 * time.Minute},
		"/own":   {ResponseHeader: 2 * time.Second, Idle: 5 * time.Minute, Total: 90 * time.Minute},
		"/over":  {Connect: 3 * time.Second, ResponseHeader: 2 * time.Second, Idle: 4 * time.Second, Total: 90 * time.Minute},
	} {
		r, _ := s.Match("a", "GET", path, nil, nil)
		if r.Timeouts != want || r.HostOfTarget != (path != "/plain") {
			t.Errorf("%s: %+v, want %+v", path, r.Timeouts, want)
		}
	}
}

// TestChangesEqualStartingAnew compares compiling step by step with compiling at once, over random changes.
func TestChangesEqualStartingAnew(t *testing.T) {
	t.Parallel()
	b, random := newBench(t), rand.New(rand.NewPCG(3, 4))
	c := b.change(revision.NewContent(), resources{"services/s0": serviceAt("http://s0"), "services/s1": serviceAt("http://s1")})
	current := b.must(c, nil)
	for step := range 300 {
		changes := resources{}
		for range 1 + random.IntN(4) {
			n := random.IntN(6)
			switch random.IntN(4) {
			case 0:
				changes[fmt.Sprint("services/s", n%2)] = serviceAt(fmt.Sprintf("http://s%d-%d", n%2, random.IntN(3)))
			case 1:
				changes[fmt.Sprint("routes/r", n)] = route(fmt.Sprint("s", random.IntN(2)), fmt.Sprint("/r/", n))
			case 2:
				scopes := []*configv1.Scope{nil, {Service: "s0"}, {Service: "s1", Consumer: "acme"}, {Consumer: "acme"}}
				changes[fmt.Sprint("plugins/p", n)] = header(t, fmt.Sprint("value ", step), scopes[random.IntN(len(scopes))])
			case 3:
				path := fmt.Sprint([]string{"routes/r", "plugins/p"}[random.IntN(2)], n)
				if _, _, there := c.Get(keyOf(path)); there && changes[path] == nil {
					changes[path] = nil
				}
			}
		}
		c = b.change(c, changes)
		next := b.must(c, current)
		current.Release()
		current = next
		fresh := b.must(c, nil)
		compareSnapshots(t, step, current, fresh)
		fresh.Release()
		if t.Failed() {
			return
		}
	}
	current.Release()
	if b.registry.Len() != 0 {
		t.Error("services that nobody uses are held:", b.registry.Len())
	}
}

func compareSnapshots(t *testing.T, step int, got, want *Snapshot) {
	t.Helper()
	if got.Routes() != want.Routes() {
		t.Errorf("step %d: %d routes, want %d", step, got.Routes(), want.Routes())
	}
	numbers := map[uint32]bool{}
	for n := range 6 {
		path := fmt.Sprint("/r/", n)
		a, okA := got.Match("h", "GET", path, nil, nil)
		b, okB := want.Match("h", "GET", path, nil, nil)
		if okA != okB {
			t.Errorf("step %d: %s is matched: %v, want %v", step, path, okA, okB)
		}
		if !okA || !okB {
			continue
		}
		if a.Name != b.Name || a.Service != b.Service || a.Upstream != b.Upstream || a.Timeouts != b.Timeouts {
			t.Errorf("step %d: %s is %+v, want %+v", step, path, a, b)
		}
		if numbers[a.Number] || a.Number == 0 || int(a.Number) > got.Numbers() {
			t.Errorf("step %d: %s has the number %d", step, path, a.Number)
		}
		numbers[a.Number] = true
		for _, caller := range []plugin.Caller{{}, {Consumer: "acme"}} {
			gotValue, _ := which(t, got, path, caller)
			if wantValue, _ := which(t, want, path, caller); gotValue != wantValue {
				t.Errorf("step %d: %s for %q sets %q, want %q", step, path, caller.Consumer, gotValue, wantValue)
			}
		}
	}
}

func TestUnchangedPartsAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.must(b.change(revision.NewContent(), resources{
		"services/a": serviceAt("http://a"), "services/b": serviceAt("http://b"), "routes/a": route("a", "/a"), "routes/b": route("b", "/b"),
	}), nil)
	second := b.must(b.change(first.Content(), resources{"services/b": serviceAt("http://c")}), first)
	a1, _ := first.Match("h", "GET", "/a", nil, nil)
	a2, _ := second.Match("h", "GET", "/a", nil, nil)
	b1, _ := first.Match("h", "GET", "/b", nil, nil)
	b2, _ := second.Match("h", "GET", "/b", nil, nil)
	if a1 != a2 || b1 == b2 || b1.Upstream == b2.Upstream {
		t.Error("a route was made anew, or kept, wrongly")
	}
	if b.registry.Len() != 3 {
		t.Error(b.registry.Len())
	}
	first.Release()
	if b.registry.Len() != 2 {
		t.Error("the former service is held")
	}
}

func FuzzDecode(f *testing.F) {
	body, _ := revision.Encode(route("up", "/x"))
	f.Add(int32(2), body)
	body, _ = revision.Encode(&configv1.Plugin{Type: "rate-limit"})
	f.Add(int32(3), body)
	f.Fuzz(func(t *testing.T, kind int32, body []byte) {
		b := newBench(t)
		c := revision.NewContent().Apply(revision.Delta{Upserts: []revision.Resource{{Key: revision.Key{Kind: configv1.Kind(kind), Name: "x"}, Body: body}}})
		if s, err := b.compile(c, nil); err == nil {
			s.Release()
		} else if b.registry.Len() != 0 {
			t.Error("what was refused holds something")
		}
	})
}

func BenchmarkCompileOneChange(b *testing.B) {
	for _, routes := range []int{100, 10_000} {
		b.Run(fmt.Sprint(routes, " routes"), func(b *testing.B) {
			bench := newBench(b)
			all := resources{"services/a": serviceAt("http://a")}
			for i := range routes {
				all[fmt.Sprint("routes/r", i)] = route("a", fmt.Sprint("/r/", i))
			}
			first := bench.must(bench.change(revision.NewContent(), all), nil)
			contents := []*revision.Content{
				bench.change(first.Content(), resources{"routes/r7": route("a", "/other")}),
				bench.change(first.Content(), resources{"routes/r7": route("a", "/again")}),
			}
			b.ReportAllocs()
			previous, i := first, 0
			for b.Loop() {
				i++
				next := bench.must(contents[i%2], previous)
				previous.Release()
				previous = next
			}
		})
	}
}
