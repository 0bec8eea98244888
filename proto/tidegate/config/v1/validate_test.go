package configv1_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestValidateNamesEveryViolatedField(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		kind configv1.Kind
		json string
		want []string // "field rule"
	}{
		{"a service with one url", configv1.Kind_KIND_SERVICE, `{"url":"http://127.0.0.1:9001"}`, nil},
		{"a service with a path", configv1.Kind_KIND_SERVICE, `{"url":"https://api.example.com:8443/v2/"}`, nil},
		{"a service with neither", configv1.Kind_KIND_SERVICE, `{}`, []string{" service.destination"}},
		{"a service with both", configv1.Kind_KIND_SERVICE, `{"url":"http://a","targets":[{"url":"http://b"}]}`, []string{" service.destination"}},
		{
			"ftp, a bad host and a bad timeout", configv1.Kind_KIND_SERVICE,
			`{"url":"ftp://a","host":"mine","timeouts":{"connect":"2 s"}}`,
			[]string{"url service.url", "host string.in", "timeouts.connect string.duration"},
		},
		{"a url with a user", configv1.Kind_KIND_SERVICE, `{"url":"http://u:p@a/"}`, []string{"url service.url"}},
		{"durations", configv1.Kind_KIND_SERVICE, `{"url":"http://a","timeouts":{"connect":"250ms","idle":"1h30m"}}`, nil},
		{"a route", configv1.Kind_KIND_ROUTE, `{"service":"orders","match":{"paths":["/orders/**"]}}`, nil},
		{"an empty route", configv1.Kind_KIND_ROUTE, `{}`, []string{" route.destination", "match required"}},
		{
			"a route without paths and with a bad method", configv1.Kind_KIND_ROUTE, `{"service":"Orders!","match":{"methods":["get"]}}`,
			[]string{"service string.resource_name", "match.paths repeated.min_items", "match.methods[0] string.pattern"},
		},
		{"a limit", configv1.Kind_KIND_PLAN, `{"limits":[{"requests":10,"per":"1s"}]}`, nil},
		{"a limit of nothing", configv1.Kind_KIND_PLAN, `{"limits":[{"per":"1s"}]}`, []string{"limits[0].requests uint32.gte_lte"}},
		{"key-auth without settings", configv1.Kind_KIND_PLUGIN, `{"type":"key-auth","scope":{"route":"orders"}}`, nil},
		{"an unknown type", configv1.Kind_KIND_PLUGIN, `{"type":"magic"}`, []string{"type plugin.type"}},
		{"a scope of route and service", configv1.Kind_KIND_PLUGIN, `{"type":"key-auth","scope":{"route":"a","service":"b"}}`, []string{"scope scope.where"}},
		{
			"rate-limit with a bad period and by", configv1.Kind_KIND_PLUGIN, `{"type":"rate-limit","config":{"requests":1,"per":"soon","by":"moon"}}`,
			[]string{"config.per string.duration", "config.by string.in"},
		},
		{
			"rate-limit with an unknown field", configv1.Kind_KIND_PLUGIN, `{"type":"rate-limit","config":{"requests":1,"per":"1s","burts":3}}`,
			[]string{"config.burts plugin.unknown_field"},
		},
		{
			"all that is wrong with a config", configv1.Kind_KIND_PLUGIN,
			`{"type":"header-transform","config":{"reply":{},"request":{"set":[{"name":"host","valeu":"x"}]}}}`,
			[]string{"config.reply plugin.unknown_field", "config.request.set[0].valeu plugin.unknown_field", "config.request.set[0].name header.gateway_owned"},
		},
		{
			"rate-limit with a word for a number", configv1.Kind_KIND_PLUGIN, `{"type":"rate-limit","config":{"requests":"many","per":"1s"}}`,
			[]string{"config plugin.config"},
		},
		{
			"a header with a line break", configv1.Kind_KIND_PLUGIN, `{"type":"header-transform","config":{"request":{"set":[{"name":"x-a","value":"a\r\nb: c"}]}}}`,
			[]string{"config.request.set[0].value string.http_field_value"},
		},
		{"a header with a value", configv1.Kind_KIND_PLUGIN, `{"type":"header-transform","config":{"request":{"set":[{"name":"x-a","value":"b c é"}]}}}`, nil},
		{
			"a header of the gateway", configv1.Kind_KIND_PLUGIN, `{"type":"header-transform","config":{"response":{"remove":["Content-Length"]}}}`,
			[]string{"config.response.remove[0] header.gateway_owned"},
		},
		{
			"a bad header name", configv1.Kind_KIND_PLUGIN, `{"type":"header-transform","config":{"response":{"remove":["a b"]}}}`,
			[]string{"config.response.remove[0] string.http_field_name"},
		},
		{"a key with a bad time", configv1.Kind_KIND_KEY, `{"expires_at":"tomorrow"}`, []string{"expires_at key.expires_at"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			spec := configv1.NewSpec(c.kind)
			if err := protojson.Unmarshal([]byte(c.json), spec); err != nil {
				t.Fatal(err)
			}
			violations, err := configv1.Validate(spec)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range violations {
				got = append(got, v.Field+" "+v.Rule)
				if v.Message == "" {
					t.Errorf("%s: no message", v.Rule)
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("violations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestEveryPluginTypeHasAPhaseAndASummary(t *testing.T) {
	t.Parallel()
	types := configv1.PluginTypes()
	if len(types) < 3 {
		t.Fatalf("%d plugin types, want at least 3", len(types))
	}
	for _, p := range types {
		if p.PhaseName() == "unspecified" || p.GetSummary() == "" {
			t.Errorf("%s: phase %q, summary %q", p.GetName(), p.PhaseName(), p.GetSummary())
		}
	}
}

func TestReferencesOfAHeaderTransformNameItsSecrets(t *testing.T) {
	t.Parallel()
	plugin := new(configv1.Plugin)
	if err := protojson.Unmarshal([]byte(`{"type":"header-transform","scope":{"route":"orders","plan":"gold"},
		"config":{"request":{"set":[{"name":"authorization","secret":"upstream-token"}]}}}`), plugin); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range configv1.References(plugin) {
		got = append(got, r.Field+"="+r.Kind.Collection()+"/"+r.Name)
	}
	want := "scope.route=routes/orders scope.plan=plans/gold config.request.set[0].secret=secrets/upstream-token"
	if strings.Join(got, " ") != want {
		t.Errorf("references: %s, want %s", strings.Join(got, " "), want)
	}
}
