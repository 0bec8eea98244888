package headertransform

import (
	"net/http"
	"reflect"
	"testing"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func secrets(t testing.TB) *lane.Table {
	t.Helper()
	table := lane.New()
	err := table.Apply(&agentv1.LaneBatch{ThroughSequence: 1, Entries: []*agentv1.LaneEntry{{
		Sequence: 1, Kind: configv1.Kind_KIND_SECRET, Name: "token",
		Material: &agentv1.LaneEntry_Secret{Secret: &agentv1.SecretMaterial{Value: "s3cret"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestHeadersChange(t *testing.T) {
	t.Parallel()
	table := secrets(t)
	field := func(name, value string) *configv1.HeaderField { return &configv1.HeaderField{Name: name, Value: value} }
	hidden := func(name, secret string) *configv1.HeaderField {
		return &configv1.HeaderField{Name: name, Secret: secret}
	}
	cases := map[string]struct {
		changes      *configv1.HeaderChanges
		before, want http.Header
	}{
		"nothing":           {&configv1.HeaderChanges{Remove: []string{"x-absent"}}, http.Header{"A": {"1"}}, http.Header{"A": {"1"}}},
		"remove":            {&configv1.HeaderChanges{Remove: []string{"x-a"}}, http.Header{"X-A": {"1", "2"}, "B": {"3"}}, http.Header{"B": {"3"}}},
		"set":               {&configv1.HeaderChanges{Set: []*configv1.HeaderField{field("x-a", "new")}}, http.Header{"X-A": {"1", "2"}}, http.Header{"X-A": {"new"}}},
		"append":            {&configv1.HeaderChanges{Append: []*configv1.HeaderField{field("x-a", "2"), field("x-a", "3")}}, http.Header{"X-A": {"1"}}, http.Header{"X-A": {"1", "2", "3"}}},
		"an empty value":    {&configv1.HeaderChanges{Set: []*configv1.HeaderField{field("x-a", "")}}, http.Header{}, http.Header{"X-A": {""}}},
		"a secret":          {&configv1.HeaderChanges{Set: []*configv1.HeaderField{hidden("authorization", "token")}}, http.Header{"Authorization": {"theirs"}}, http.Header{"Authorization": {"s3cret"}}},
		"a secret is gone":  {&configv1.HeaderChanges{Set: []*configv1.HeaderField{hidden("authorization", "gone")}}, http.Header{"Authorization": {"theirs"}}, http.Header{}},
		"no secret to add":  {&configv1.HeaderChanges{Append: []*configv1.HeaderField{hidden("x-a", "gone")}}, http.Header{"X-A": {"1"}}, http.Header{"X-A": {"1"}}},
		"in order":          {&configv1.HeaderChanges{Remove: []string{"x-a"}, Set: []*configv1.HeaderField{field("x-a", "1")}, Append: []*configv1.HeaderField{field("x-a", "2")}}, http.Header{"X-A": {"0"}}, http.Header{"X-A": {"1", "2"}}},
		"names in any case": {&configv1.HeaderChanges{Remove: []string{"X-aBc"}}, http.Header{"X-Abc": {"1"}}, http.Header{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &plugin.Exchange{Request: c.before.Clone(), Response: http.Header{"Untouched": {"1"}}}
			instance := New(&configv1.HeaderTransform{Request: c.changes}, table)
			if v := instance.(plugin.RequestHandler).OnRequest(x); v.Refused() || !reflect.DeepEqual(x.Request, plugin.Header(c.want)) {
				t.Errorf("request: %v, want %v", x.Request, c.want)
			}
			if _, ok := instance.(plugin.ResponseHandler); ok {
				t.Error("it takes part in responses without changes for them")
			}
			x = &plugin.Exchange{Response: c.before.Clone()}
			New(&configv1.HeaderTransform{Response: c.changes}, table).(plugin.ResponseHandler).OnResponse(x)
			if !reflect.DeepEqual(x.Response, plugin.Header(c.want)) {
				t.Errorf("response: %v, want %v", x.Response, c.want)
			}
		})
	}
}

func BenchmarkHeaderTransform(b *testing.B) {
	instance := New(&configv1.HeaderTransform{Request: &configv1.HeaderChanges{
		Remove: []string{"x-internal"}, Set: []*configv1.HeaderField{{Name: "x-token", Secret: "token"}},
	}}, secrets(b)).(plugin.RequestHandler)
	x := &plugin.Exchange{Request: http.Header{"X-Internal": {"1"}}}
	b.ReportAllocs()
	for b.Loop() {
		instance.OnRequest(x)
	}
}
