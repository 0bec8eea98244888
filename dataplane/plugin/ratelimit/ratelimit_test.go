package ratelimit

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"tidegate.dev/dataplane/plugin"
)

func exchange(consumer, key, address string) *plugin.Exchange {
	return &plugin.Exchange{
		Caller: plugin.Caller{Consumer: consumer, Key: key}, Client: netip.MustParseAddr(address), Started: time.Now(), Request: http.Header{},
	}
}

func TestWhoIsCountedTogether(t *testing.T) {
	t.Parallel()
	// An exchange belongs to one goroutine, so each case makes its own.
	type caller [3]string
	a, b := caller{"acme", "k1", "192.0.2.1"}, caller{"acme", "k2", "192.0.2.2"}
	none, alsoNone := caller{"", "", "192.0.2.1"}, caller{"", "", "::ffff:192.0.2.1"}
	six, neighbour, far := caller{"", "", "2001:db8::1"}, caller{"", "", "2001:db8::2"}, caller{"", "", "2001:db8:0:1::1"}
	cases := map[string]struct {
		by            By
		first, second caller
		together      bool
	}{
		"one consumer, two keys":        {ByConsumer, a, b, true},
		"one consumer, by key":          {ByKey, a, b, false},
		"two addresses":                 {ByAddress, a, b, false},
		"one address":                   {ByAddress, a, none, true},
		"everybody":                     {ByScope, a, six, true},
		"nobody known, one address":     {ByConsumer, none, alsoNone, true},
		"nobody known, by key":          {ByKey, none, alsoNone, true},
		"a consumer and nobody":         {ByConsumer, a, none, false},
		"one IPv6 network":              {ByAddress, six, neighbour, true},
		"another IPv6 network":          {ByAddress, six, far, false},
		"a consumer named as a key was": {ByConsumer, caller{"k1", "", "192.0.2.9"}, caller{"", "k1", "192.0.2.8"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := New(Settings{Name: "one", Requests: 1, Period: time.Hour, By: c.by}, plugin.NewState().Usages("x"))
			if v := p.OnRequest(exchange(c.first[0], c.first[1], c.first[2])); v.Refused() {
				t.Fatal(v)
			}
			if v := p.Judge(exchange(c.second[0], c.second[1], c.second[2])); v.Refused() != c.together {
				t.Errorf("counted together: %v", v.Refused())
			}
		})
	}
}

func TestWhatTheClientIsTold(t *testing.T) {
	t.Parallel()
	state := plugin.NewState()
	wide := New(Settings{Name: "wide", Requests: 1000, Period: time.Minute, By: ByScope}, state.Usages("wide"))
	tight := New(Settings{Name: "tight", Requests: 2, Period: 1500 * time.Millisecond, By: ByScope}, state.Usages("tight"))
	want := []struct {
		limit   string
		refused bool
		retry   int
	}{{`"tight";r=1;t=1`, false, 0}, {`"tight";r=0;t=2`, false, 0}, {`"tight";r=0;t=2`, true, 1}}
	at := time.Now()
	for i, w := range want {
		x := exchange("", "", "192.0.2.1")
		x.Started = at
		wide.OnRequest(x)
		v := tight.OnRequest(x)
		header := http.Header{}
		x.Limits.Write(header)
		if header.Get("Ratelimit") != w.limit || header.Get("Ratelimit-Policy") != `"wide";q=1000;w=60, "tight";q=2` {
			t.Errorf("request %d: %v", i, header)
		}
		if v.Refused() != w.refused || w.refused && (v.RetryAfter != w.retry || v.Reason != plugin.ReasonRateLimited) {
			t.Errorf("request %d: %+v", i, v)
		}
	}
}

func BenchmarkRateLimit(b *testing.B) {
	p := New(Settings{Name: "limit", Requests: 1e9, Period: time.Second, By: ByConsumer}, plugin.NewState().Usages("x"))
	x := exchange("acme", "k1", "192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		x.Limits.Reset()
		if p.OnRequest(x).Refused() {
			b.Fatal("refused")
		}
	}
}
