package keyauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

var (
	now      = time.Unix(1_800_000_000, 0)
	good     = madeOf("g")
	expired  = madeOf("e")
	disabled = madeOf("d")
	orphan   = madeOf("o")
	unknown  = madeOf("u")
)

// madeOf is a key whose random part is one character.
func madeOf(character string) string {
	key, _ := configv1.FormatAPIKey(strings.Repeat(character, configv1.APIKeyRandomLength))
	return key
}

func keys(t testing.TB) *lane.Table {
	t.Helper()
	table, hashKey := lane.New(), []byte("hash key")
	table.SetKeyHashKey(hashKey)
	batch := &agentv1.LaneBatch{Epoch: 1}
	add := func(e *agentv1.LaneEntry) {
		batch.ThroughSequence++
		e.Sequence = batch.ThroughSequence
		batch.Entries = append(batch.Entries, e)
	}
	for name, off := range map[string]bool{"acme": false, "banned": true} {
		add(&agentv1.LaneEntry{Kind: configv1.Kind_KIND_CONSUMER, Name: name, Material: &agentv1.LaneEntry_Consumer{
			Consumer: &agentv1.ConsumerMaterial{Plan: "gold", Disabled: off},
		}})
	}
	for text, m := range map[string]*agentv1.KeyMaterial{
		good: {Consumer: "acme", Scopes: []string{"read"}}, expired: {Consumer: "acme", ExpiresAt: now.Unix()},
		disabled: {Consumer: "banned"}, orphan: {Consumer: "nobody"},
	} {
		mac := hmac.New(sha256.New, hashKey)
		mac.Write([]byte(text))
		m.Hash = mac.Sum(nil)
		add(&agentv1.LaneEntry{Kind: configv1.Kind_KIND_KEY, Name: "id of " + text[3:4], Material: &agentv1.LaneEntry_Key{Key: m}})
	}
	if err := table.Apply(batch); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	table := keys(t)
	cases := map[string]struct {
		settings *configv1.KeyAuth
		header   http.Header
		reason   plugin.Reason
		consumer string
		// left is what goes upstream of the header.
		left http.Header
	}{
		"a key":                        {nil, http.Header{"X-Api-Key": {good}}, 0, "acme", http.Header{}},
		"a bearer":                     {nil, http.Header{"Authorization": {"bearer  " + good}}, 0, "acme", http.Header{}},
		"the key goes before":          {nil, http.Header{"X-Api-Key": {good}, "Authorization": {"Bearer theirs"}}, 0, "acme", http.Header{"Authorization": {"Bearer theirs"}}},
		"nothing":                      {nil, http.Header{}, plugin.ReasonKeyMissing, "", nil},
		"another scheme":               {nil, http.Header{"Authorization": {"Basic " + good}}, plugin.ReasonKeyMissing, "", nil},
		"no key by its form":           {nil, http.Header{"X-Api-Key": {"hello"}}, plugin.ReasonKeyInvalid, "", nil},
		"an unknown key":               {nil, http.Header{"X-Api-Key": {unknown}}, plugin.ReasonKeyInvalid, "", nil},
		"an expired key":               {nil, http.Header{"X-Api-Key": {expired}}, plugin.ReasonKeyExpired, "", nil},
		"a disabled consumer":          {nil, http.Header{"X-Api-Key": {disabled}}, plugin.ReasonConsumerDisabled, "", nil},
		"a consumer that is gone":      {nil, http.Header{"X-Api-Key": {orphan}}, plugin.ReasonKeyInvalid, "", nil},
		"the scope":                    {&configv1.KeyAuth{RequiredScopes: []string{"read"}}, http.Header{"X-Api-Key": {good}}, 0, "acme", http.Header{}},
		"a scope it lacks":             {&configv1.KeyAuth{RequiredScopes: []string{"read", "write"}}, http.Header{"X-Api-Key": {good}}, plugin.ReasonForbidden, "", nil},
		"forwarded":                    {&configv1.KeyAuth{ForwardKey: true}, http.Header{"X-Api-Key": {good}}, 0, "acme", http.Header{"X-Api-Key": {good}}},
		"another header":               {&configv1.KeyAuth{Headers: []string{"x-partner"}}, http.Header{"X-Partner": {good}}, 0, "acme", http.Header{}},
		"not the usual header then":    {&configv1.KeyAuth{Headers: []string{"x-partner"}}, http.Header{"X-Api-Key": {good}}, plugin.ReasonKeyMissing, "", nil},
		"optional, without":            {&configv1.KeyAuth{Optional: true}, http.Header{}, 0, "", http.Header{}},
		"optional, with a bad one":     {&configv1.KeyAuth{Optional: true}, http.Header{"X-Api-Key": {unknown}}, plugin.ReasonKeyInvalid, "", nil},
		"optional, with a good one":    {&configv1.KeyAuth{Optional: true}, http.Header{"X-Api-Key": {good}}, 0, "acme", http.Header{}},
		"a value that is far too long": {nil, http.Header{"X-Api-Key": {strings.Repeat(good, 100)}}, plugin.ReasonKeyInvalid, "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := New(c.settings, table)
			x := &plugin.Exchange{Request: c.header.Clone(), Started: now}
			if judged := p.Judge(x); judged.Why() != c.reason || x.Caller.Key != "" || len(x.Request.(http.Header)) != len(c.header) {
				t.Errorf("in shadow: %+v; caller %+v, header %v", judged, x.Caller, x.Request)
			}
			v := p.OnRequest(x)
			if v.Why() != c.reason || x.Caller.Consumer != c.consumer {
				t.Fatalf("%+v, consumer %q", v, x.Caller.Consumer)
			}
			if v.Refused() {
				if unauthorized := v.Reason.Info().Status == 401; unauthorized != (v.Challenge != "") {
					t.Error("challenge:", v.Challenge)
				}
				if strings.Contains(v.Detail, "tg_") {
					t.Error("the answer repeats the key")
				}
			}
			if c.left != nil && len(c.left) != len(x.Request.(http.Header)) {
				t.Errorf("upstream gets %v, want %v", x.Request, c.left)
			}
			if c.consumer != "" && (x.Caller.Plan != "gold" || x.Caller.Key != "id of g" || x.Caller.Revocations[0] == nil || x.Caller.Revocations[1] == nil) {
				t.Errorf("%+v", x.Caller)
			}
		})
	}
}

func BenchmarkKeyAuth(b *testing.B) {
	p := New(nil, keys(b))
	for name, key := range map[string]string{"good": good, "noise": "tg_x"} {
		b.Run(name, func(b *testing.B) {
			values := []string{key}
			header := http.Header{}
			x := &plugin.Exchange{Request: header, Started: now}
			b.ReportAllocs()
			for b.Loop() {
				header["X-Api-Key"] = values
				p.OnRequest(x)
			}
		})
	}
}
