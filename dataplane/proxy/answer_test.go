package proxy

import (
	"net/http"
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestRewrites(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	rewriting := func(path string, rewrite *configv1.Rewrite) *configv1.Route {
		out := route("up", path)
		out.Rewrite = rewrite
		return out
	}
	r.serve(resources{
		"services/up":     service(up.URL),
		"routes/prefix":   rewriting("/orders/**", &configv1.Rewrite{PathPrefix: "/v2/o", Host: "internal:8080"}),
		"routes/strip":    rewriting("/strip/{a}/**", &configv1.Rewrite{PathPrefix: "/"}),
		"routes/template": rewriting("/t/{id}/**", &configv1.Rewrite{Path: "/x/{**}/of-{id}"}),
		"routes/regex":    rewriting("~/r/(?P<a>.{2})(?P<b>.*)", &configv1.Rewrite{Path: "/r/{a}{b}"}),
		"routes/hostile":  rewriting("~/h/(?P<a>.)(?P<b>.)/(?P<c>.*)", &configv1.Rewrite{Path: "/base/{b}{a}/{c}"}),
	})
	cases := map[string]struct{ target, want string }{
		"the prefix alone":          {"/orders", "/v2/o"},
		"with a slash":              {"/orders/", "/v2/o/"},
		"what is below":             {"/orders/7/a%2Fb?x=%20", "/v2/o/7/a%2Fb?x=%20"},
		"stripped":                  {"/strip/1", "/"},
		"stripped, below":           {"/strip/1/x/y", "/x/y"},
		"a template":                {"/t/7/a/b?q", "/x/a/b/of-7?q"},
		"an empty value":            {"/t/7", "/x/of-7"},
		"an escape put right":       {"/r/%2Fb", "/r/%2Fb"},
		"no dot segment comes out":  {"/h/.%2F", "400"},
		"no dot segment is made":    {"/h/a./x", "/base/.a/x"},
		"no escape is torn":         {"/h/%2/x", "400"},
		"nothing above the root":    {"/orders/../../x", "400"},
		"no segment is hidden":      {"/orders/..%2Fx", "400"},
		"what merges stays merged":  {"/orders//7", "/v2/o/7"},
		"dots of a name are no dot": {"/orders/...", "/v2/o/..."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statuses, _ := raw(t, r.proxy.Address().String(), "GET "+c.target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 1)
			if c.want == "400" {
				if len(statuses) != 1 || !strings.HasPrefix(statuses[0], "400") && !strings.HasPrefix(statuses[0], "404") {
					t.Error("got", statuses)
				}
				return
			}
			if e := r.get(c.target).echoed(t); e.Target != c.want {
				t.Errorf("the upstream got %s, want %s", e.Target, c.want)
			}
		})
	}
	if e := r.get("/orders").echoed(t); e.Host != "internal:8080" || e.Header.Get("X-Forwarded-Host") == "internal:8080" {
		t.Errorf("the upstream saw the host %q, forwarded for %q", e.Host, e.Header.Get("X-Forwarded-Host"))
	}
}

func TestRedirectsAndDirectResponses(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	redirecting := func(path string, redirect *configv1.Redirect) *configv1.Route {
		return &configv1.Route{Match: &configv1.Match{Paths: []string{path}}, Redirect: redirect}
	}
	answering := func(path string, direct *configv1.DirectResponse) *configv1.Route {
		return &configv1.Route{Match: &configv1.Match{Paths: []string{path}}, DirectResponse: direct}
	}
	r.serve(resources{
		"routes/tls":     redirecting("/tls/**", &configv1.Redirect{Scheme: "https", Status: 308}),
		"routes/host":    redirecting("/host/**", &configv1.Redirect{Host: "new.example:81"}),
		"routes/path":    redirecting("/old/{id}", &configv1.Redirect{Path: "/new/{id}", Status: 301}),
		"routes/text":    answering("/text", &configv1.DirectResponse{Status: 200, Body: "User-agent: *\n"}),
		"routes/down":    answering("/down", &configv1.DirectResponse{Status: 503, Body: "{}", ContentType: "application/json"}),
		"routes/nothing": answering("/nothing", &configv1.DirectResponse{Status: 204}),
		"routes/closed":  answering("/closed", &configv1.DirectResponse{Status: 200, Body: "x"}),
		"plugins/auth":   &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Route: "closed"}},
		"plugins/limit":  &configv1.Plugin{Type: "rate-limit", Config: settings(t, map[string]any{"requests": 1000, "per": "1h"})},
	})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cases := map[string]struct {
		target, host         string
		status               int
		location, body, kind string
	}{
		"another scheme":        {"/tls/a%2Fb?x=1&y", "Shop.example:8080", 308, "https://shop.example/tls/a%2Fb?x=1&y", "", ""},
		"another host":          {"/host/", "shop.example", 302, "http://new.example:81/host/", "", ""},
		"another path":          {"/old/7?q=1", "shop.example", 301, "/new/7?q=1", "", ""},
		"no host from a slash":  {"/old/%2F%2Fevil.example", "shop.example", 301, "/new/%2F%2Fevil.example", "", ""},
		"no line break":         {"/old/7?q=%0d%0aset-cookie:a", "shop.example", 301, "/new/7?q=%0d%0aset-cookie:a", "", ""},
		"no host of the client": {"/tls/", "shop.example'onclick", 400, "", "", ""},
		"a text":                {"/text", "a", 200, "", "User-agent: *\n", "text/plain; charset=utf-8"},
		"a status":              {"/down", "a", 503, "", "{}", "application/json"},
		"nothing":               {"/nothing", "a", 204, "", "", ""},
		"policies go first":     {"/closed", "a", 401, "", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+c.target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			got := r.send(client, request)
			if got.StatusCode != c.status || got.Header.Get("Location") != c.location {
				t.Fatalf("got %d to %q: %s", got.StatusCode, got.Header.Get("Location"), got.body)
			}
			if c.status == 400 || c.status == 401 {
				return
			}
			if got.body != c.body || got.Header.Get("Content-Type") != c.kind || got.reason() != "" || got.Header.Get("X-Request-Id") == "" {
				t.Errorf("got %q, %v", got.body, got.Header)
			}
			// The limit of the fleet applies once.
			if policy := got.Header.Get("Ratelimit-Policy"); strings.Count(policy, "q=") != 1 {
				t.Errorf("the limits are %q", policy)
			}
		})
	}
}
