package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// gate is a server that may do what is measured, or not.
type gate struct {
	lets       string // the key that it lets pass; "*": any
	short      bool   // it cuts bodies
	alwaysKeys bool   // it wants keys everywhere
	forwards   http.Header
}

func (g gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/policies/") || g.alwaysKeys {
		if key := r.Header.Get("x-api-key"); g.lets != "*" && key != g.lets {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	w.Header().Set("x-served-through", "gate")
	if r.URL.Path == echoPath {
		sent := r.Clone(r.Context())
		sent.Header = g.forwards
		_ = sent.Write(w)
		return
	}
	size := smallBody
	if strings.HasSuffix(r.URL.Path, "/1m") {
		size = largeBody
	}
	if g.short {
		size--
	}
	_, _ = w.Write(bytes.Repeat([]byte("x"), size))
}

func TestOnlyWhoDoesWhatIsMeasuredIsMeasured(t *testing.T) {
	t.Parallel()
	const key = "tg_the-key"
	good := http.Header{"X-Bench": {"b"}, "X-Forwarded-For": {"::1"}, "X-Request-Id": {"1"}, "X-Consumer": {"bench"}}
	leaky := good.Clone()
	leaky.Set("x-api-key", key)
	bare := good.Clone()
	bare.Del("x-request-id")
	for _, c := range []struct {
		about string
		gate  gate
		want  string // in the error; empty: none
	}{
		{"right", gate{lets: key, forwards: good}, ""},
		{"forwards the key", gate{lets: key, forwards: leaky}, "the upstream gets the key"},
		{"makes no id", gate{lets: key, forwards: bare}, "the upstream gets no X-Request-Id"},
		{"lets strangers in", gate{lets: "*"}, "is answered 200"},
		{"knows nobody", gate{lets: "nobody"}, "is answered 401, not [200]"},
		{"cuts bodies", gate{lets: key, short: true}, "has 1023 bytes, not 1024"},
		{"wants a key for plain proxying", gate{lets: key, alwaysKeys: true}, "is answered 401, not [200]"},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.gate)
			t.Cleanup(server.Close)
			i := &instance{http: portOf(t, server.URL)}
			err := verify(t.Context(), subject{Name: "gate"}, i, key)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, not %q", err, c.want)
			}
		})
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
