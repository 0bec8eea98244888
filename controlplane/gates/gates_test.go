package gates

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

var candidate = store.GatedRollout{ID: 7, Fleet: "edge", Revision: 12, StableRevision: 11, State: "running", Step: 1, CandidateAgents: 2, CandidateSharePpm: 100_000}

// server answers every request with a status and a body, and keeps what it was asked.
func server(t *testing.T, status int, body string) (url string, asked *http.Request, content *string) {
	t.Helper()
	asked, content = new(http.Request), new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		*asked, *content = *r, string(read)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked, content
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	vector := func(value string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"` + value + `"]}]}}`
	}
	for _, each := range []struct {
		name     string
		status   int
		body     string
		min, max *float64
		verdict  string
		words    string
	}{
		{"within", 200, vector("0.2"), proto.Float64(0.1), proto.Float64(0.3), pass, "0.2 is within its bounds"},
		{"above", 200, vector("0.4"), nil, proto.Float64(0.3), fail, "0.4 is above 0.3"},
		{"below", 200, vector("0.05"), proto.Float64(0.1), nil, fail, "0.05 is below 0.1"},
		{"infinite", 200, vector("+Inf"), nil, proto.Float64(0.3), fail, "+Inf is above 0.3"},
		{"no number", 200, vector("NaN"), nil, proto.Float64(0.3), inconclusive, "NaN"},
		{"a scalar", 200, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`, nil, proto.Float64(3), pass, "1 is"},
		{"nothing", 200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, nil, proto.Float64(3), inconclusive, "0 values, not one"},
		{"a matrix", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, nil, proto.Float64(3), inconclusive, "a matrix, not one value"},
		{"refused", 400, `{"status":"error","error":"parse error"}`, nil, proto.Float64(3), inconclusive, "refuses the query: parse error"},
		{"rubbish", 502, `<html>`, nil, proto.Float64(3), inconclusive, "status 502 and no JSON"},
		{"torn", 200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}`, nil, proto.Float64(3), inconclusive, "value is none"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			url, asked, content := server(t, each.status, each.body)
			r := NewRunner(Config{UserAgent: "tidegate/test"})
			got := r.askPrometheus(t.Context(), candidate, &configv1.PrometheusGate{
				Url: url + "/prom/", Query: `x{revision="$revision",fleet="$fleet"} / x{revision="$stable"}`, Min: each.min, Max: each.max,
			})
			if got.verdict != each.verdict || !strings.Contains(got.explanation, each.words) {
				t.Errorf("%s: %s, want %s: %s", got.verdict, got.explanation, each.verdict, each.words)
			}
			if asked.URL.Path != "/prom/api/v1/query" || asked.UserAgent() != "tidegate/test" || !strings.Contains(*content, "12") || !strings.Contains(*content, "edge") || strings.Contains(*content, "stable") {
				t.Errorf("asked %s with %q", asked.URL, *content)
			}
		})
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name    string
		status  int
		body    string
		verdict string
		words   string
	}{
		{"passes", 200, `{"verdict":"pass"}`, pass, "the webhook says pass"},
		{"fails", 200, `{"verdict":"fail","reason":"orders are lost"}`, fail, "orders are lost"},
		{"waits", 200, `{"verdict":"inconclusive"}`, inconclusive, ""},
		{"another verdict", 200, `{"verdict":"ok"}`, inconclusive, `"ok", not pass`},
		{"another status", 500, `{"verdict":"fail"}`, inconclusive, "status 500"},
		{"a redirect", 302, ``, inconclusive, "status 302"},
		{"rubbish", 200, `yes`, inconclusive, "no JSON"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			url, _, content := server(t, each.status, each.body)
			gate := &configv1.Gate{Name: "orders", Check: &configv1.Gate_Webhook{Webhook: &configv1.WebhookGate{Url: url}}}
			got := NewRunner(Config{}).askWebhook(t.Context(), candidate, gate)
			if got.verdict != each.verdict || !strings.Contains(got.explanation, each.words) {
				t.Errorf("%s: %s, want %s: %s", got.verdict, got.explanation, each.verdict, each.words)
			}
			var told question
			if err := json.Unmarshal([]byte(*content), &told); err != nil || told.Gate != "orders" || told.Rollout != 7 || told.Revision != 12 || told.TrafficPercent != 10 {
				t.Errorf("told %q: %v", *content, err)
			}
		})
	}
}

func TestGatesAreNotAskedWhereNoneLies(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0:1/"} {
		gate := &configv1.Gate{Check: &configv1.Gate_Webhook{Webhook: &configv1.WebhookGate{Url: url}}}
		got := NewRunner(Config{}).askWebhook(t.Context(), candidate, gate)
		if got.verdict != inconclusive || !strings.Contains(got.explanation, "this address is refused") {
			t.Errorf("%s: %s: %s", url, got.verdict, got.explanation)
		}
	}
}
