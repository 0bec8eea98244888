package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func settings(t testing.TB, pairs map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPoliciesOnTheirWay(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	all := simple(up.URL)
	all["plugins/auth"] = &configv1.Plugin{Type: "key-auth"}
	all["plugins/limit"] = &configv1.Plugin{Type: "rate-limit", Config: settings(t, map[string]any{"requests": 3, "per": "1h"})}
	all["plugins/shadow"] = &configv1.Plugin{Type: "rate-limit", Mode: "shadow", Config: settings(t, map[string]any{"requests": 1, "per": "1h"})}
	all["plugins/headers"] = &configv1.Plugin{Type: "header-transform", Config: settings(t, map[string]any{
		"request":  map[string]any{"set": []any{map[string]any{"name": "x-token", "secret": "token"}}},
		"response": map[string]any{"set": []any{map[string]any{"name": "x-seen", "value": "yes"}}},
	})}
	all["plans/gold"] = &configv1.Plan{Limits: []*configv1.Limit{{Requests: 100, Per: "1h"}}}
	r.serve(all)
	r.apply(
		consumerEntry("acme", "gold"), keyEntry("k1", "acme", goodKey),
		&agentv1.LaneEntry{Kind: configv1.Kind_KIND_SECRET, Name: "token", Material: &agentv1.LaneEntry_Secret{Secret: &agentv1.SecretMaterial{Value: "s3cret"}}},
	)
	if got := r.get("/x"); got.StatusCode != http.StatusUnauthorized || got.reason() != "key_missing" || got.Header.Get("Www-Authenticate") == "" {
		t.Error(got.StatusCode, got.Header)
	}
	got := r.get("/x?secret=1", "X-Api-Key", goodKey)
	e := got.echoed(t)
	if e.Header.Get("X-Tidegate-Consumer") != "acme" || e.Header.Get("X-Api-Key") != "" || e.Header.Get("X-Token") != "s3cret" {
		t.Error("upstream:", e.Header)
	}
	if got.Header.Get("X-Seen") != "yes" || got.Header.Get("Ratelimit") != `"limit";r=2;t=1200` ||
		got.Header.Get("Ratelimit-Policy") != `"limit";q=3;w=3600, "gold-1h";q=100;w=3600` {
		t.Error("response:", got.Header)
	}
	for range 2 {
		r.get("/x", "Authorization", "Bearer "+goodKey)
	}
	got = r.get("/x", "X-Api-Key", goodKey)
	if got.StatusCode != http.StatusTooManyRequests || got.reason() != "rate_limited" || got.Header.Get("Retry-After") != "1200" || got.Header.Get("Ratelimit") != `"limit";r=0;t=3600` {
		t.Error(got.StatusCode, got.Header)
	}

	r.proxy.Serving().Stable.Policies(func(p *plugin.Policy) {
		if p.Name == "shadow" && (p.Judged(plugin.ReasonNone) != 1 || p.Judged(plugin.ReasonRateLimited) < 2) {
			t.Errorf("in shadow: %d passed, %d refused", p.Judged(plugin.ReasonNone), p.Judged(plugin.ReasonRateLimited))
		}
	})
	if uses := r.uses.Drain(); len(uses) != 1 || uses[0].Key != "k1" || uses[0].LastUsed%60 != 0 {
		t.Error("key uses:", uses)
	}

	// The consumer moves to a plan that is not there yet.
	r.apply(consumerEntry("acme", "platinum"))
	if got := r.get("/x", "X-Api-Key", goodKey); got.StatusCode != http.StatusForbidden || got.reason() != "consumer_pending" {
		t.Error(got.StatusCode, got.reason())
	}
	checkAccessLog(t, r)
}

func checkAccessLog(t *testing.T, r *rig) {
	t.Helper()
	eventually(t, "the access log", func() bool { return strings.Count(r.log.text(), "\n") >= 6 })
	if text := r.log.text(); strings.Contains(text, goodKey) || strings.Contains(text, "secret") {
		t.Error("the log says too much:", text)
	}
	var line struct {
		RequestID                                                        string `json:"request_id"`
		Method, Path, Route, Service, Target, Arm, Consumer, Key, Reason string
		Status, Revision                                                 int
		TraceID                                                          string  `json:"trace_id"`
		DurationMS                                                       float64 `json:"duration_ms"`
	}
	if err := json.Unmarshal([]byte(strings.Split(r.log.text(), "\n")[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Path != "/x" || line.Status != 200 || line.Route != "all" || line.Service != "up" || line.Target == "" || line.Arm != "stable" ||
		line.Consumer != "acme" || line.Key != "k1" || line.Revision != 1 || len(line.TraceID) != 32 || line.RequestID == "" || line.DurationMS <= 0 {
		t.Errorf("%+v", line)
	}
}

// faulty panics where it is told to.
type faulty struct{ inResponse bool }

func (f faulty) OnRequest(*plugin.Exchange) plugin.Verdict {
	if !f.inResponse {
		panic("a policy's fault")
	}
	return plugin.Continue()
}

func (f faulty) OnResponse(*plugin.Exchange) { panic("a policy's fault") }

func TestAPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	for name, inResponse := range map[string]bool{"request phase": false, "response phase": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			s := r.compile(simple(up.URL), nil)
			policy := plugin.NewPolicy("faulty", "faulty", plugin.Transformation, false, faulty{inResponse})
			broken, ok := s.Match("a", "GET", "/x", nil, nil)
			if !ok {
				t.Fatal("no route")
			}
			broken.Chain = plugin.NewChain([]plugin.Choice{{Phase: plugin.Transformation, Places: [3]*plugin.Bindings{{Everyone: []*plugin.Policy{policy}}}}})
			r.proxy.Install(snapshot.Installation{Stable: s})
			for range 2 {
				if got := r.get("/x"); got.StatusCode != http.StatusInternalServerError || got.reason() != "internal" {
					t.Error(got.StatusCode, got.reason())
				}
			}
			eventually(t, "the record", func() bool {
				return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "internal" }) == 2
			})
		})
	}
}
