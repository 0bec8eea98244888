package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/http1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// echo tells what arrived.
func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"name": name, "method": r.Method, "target": r.RequestURI, "host": r.Host, "header": r.Header, "body": string(body),
			"trailer": r.Trailer,
		})
	}
}

type echoed struct {
	Name, Method, Target, Host, Body string
	Header, Trailer                  http.Header
}

func (a answer) echoed(t testing.TB) echoed {
	t.Helper()
	var e echoed
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Fatalf("status %d, %q: %v", a.StatusCode, a.body, err)
	}
	return e
}

func TestRequestsFindTheirRoute(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	r.serve(resources{
		"services/one":  service(one.URL),
		"services/two":  &configv1.Service{Url: two.URL + "/base", Host: "upstream"},
		"routes/exact":  route("one", "/orders/{id}"),
		"routes/below":  route("two", "/orders/**"),
		"routes/host":   &configv1.Route{Service: "two", Match: &configv1.Match{Hosts: []string{"*.example.com"}, Paths: []string{"/**"}}},
		"routes/method": &configv1.Route{Service: "one", Match: &configv1.Match{Paths: []string{"/items"}, Methods: []string{"POST", "PUT"}}},
	})
	cases := map[string]struct {
		method, path, host string
		name, target       string
		status             int
		reason             string
	}{
		"template":            {"GET", "/orders/7", "", "one", "/orders/7", 200, ""},
		"rest and base":       {"GET", "/orders/7/lines?x=%20", "", "two", "/base/orders/7/lines?x=%20", 200, ""},
		"path is normalised":  {"GET", "/orders//7/../8", "", "one", "/orders/8", 200, ""},
		"escapes stay":        {"GET", "/orders/a%2Fb", "", "one", "/orders/a%2Fb", 200, ""},
		"wildcard host":       {"GET", "/x", "API.example.com:80", "two", "/base/x", 200, ""},
		"method":              {"POST", "/items", "", "one", "/items", 200, ""},
		"no route":            {"GET", "/nowhere", "", "", "", 404, "no_route"},
		"method not allowed":  {"GET", "/items", "", "", "", 405, "method_not_allowed"},
		"above the root":      {"GET", "/../etc", "", "", "", 400, "bad_request"},
		"a NUL is refused":    {"GET", "/orders/%00", "", "", "", 400, "bad_request"},
		"hidden dot segments": {"GET", "/orders/..%2Fsecret", "", "", "", 400, "bad_request"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := c.host
			if host == "" {
				host = "localhost"
			}
			got := r.do(c.method, c.path, "", "Host", host)
			if got.StatusCode != c.status || got.reason() != c.reason {
				t.Fatalf("got %d %q, want %d %q: %s", got.StatusCode, got.reason(), c.status, c.reason, got.body)
			}
			if c.status != 200 {
				return
			}
			if e := got.echoed(t); e.Name != c.name || e.Target != c.target || e.Method != c.method {
				t.Errorf("got %s %s %s", e.Name, e.Method, e.Target)
			} else if want := map[string]string{"one": host, "two": strings.TrimPrefix(two.URL, "http://")}[c.name]; e.Host != want {
				t.Errorf("the upstream saw host %q, want %q", e.Host, want)
			}
		})
	}
	t.Run("405 lists the methods", func(t *testing.T) {
		t.Parallel()
		if got := r.get("/items"); strings.Join(got.Header.Values("Allow"), ",") != "POST,PUT" {
			t.Error("Allow:", got.Header.Values("Allow"))
		}
	})
}

func TestConditionsOnHeaderAndQuery(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	all := resources{"services/up": service(up.URL), "routes/plain": route("up", "/**"), "routes/regex": route("up", `~/v[12]/.+`)}
	conditional := func(name string, headers, query []*configv1.Condition) {
		all["routes/"+name] = &configv1.Route{Service: "up", Match: &configv1.Match{Paths: []string{"/x"}, Headers: headers, Query: query}}
		all["services/"+name] = &configv1.Service{Url: up.URL + "/" + name}
		all["routes/"+name].(*configv1.Route).Service = name
	}
	is := func(name, value string) *configv1.Condition {
		return &configv1.Condition{Name: name, Test: &configv1.Condition_Equals{Equals: value}}
	}
	conditional("header", []*configv1.Condition{is("X-cAnary", "yes")}, nil)
	conditional("query", nil, []*configv1.Condition{is("b c", "1 ")})
	conditional("both", []*configv1.Condition{is("x-canary", "yes")}, []*configv1.Condition{
		{Name: "v", Test: &configv1.Condition_Regex{Regex: "[0-9]+"}}, {Name: "w", Test: &configv1.Condition_Absent{Absent: true}},
	})
	conditional("prefix", []*configv1.Condition{{Name: "accept", Test: &configv1.Condition_Prefix{Prefix: "text/"}}}, []*configv1.Condition{
		{Name: "p", Test: &configv1.Condition_Present{Present: true}},
	})
	r.serve(all)
	cases := map[string]struct {
		target  string
		headers []string
		want    string
	}{
		"none holds":                {"/x", nil, "/x"},
		"a header":                  {"/x", []string{"x-CANARY", "yes"}, "/header/x"},
		"another value":             {"/x", []string{"x-canary", "yes "[:2]}, "/x"},
		"the first value counts":    {"/x", []string{"x-canary", "no", "x-canary", "yes"}, "/x"},
		"a query parameter":         {"/x?a&b%20c=1+", nil, "/query/x?a&b%20c=1+"},
		"more conditions go before": {"/x?v=12", []string{"x-canary", "yes"}, "/both/x?v=12"},
		"one of several fails":      {"/x?v=12&%77", []string{"x-canary", "yes"}, "/header/x?v=12&%77"},
		"prefix and presence":       {"/x?p", []string{"accept", "text/html"}, "/prefix/x?p"},
		"a regular expression":      {"/v1/a%3Ab", nil, "/v1/a%3Ab"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if e := r.get(c.target, c.headers...).echoed(t); e.Target != c.want {
				t.Errorf("the upstream got %s, want %s", e.Target, c.want)
			}
		})
	}
}

func TestConditionsCostNoAllocation(t *testing.T) {
	header := new(http1.Header)
	header.Set("X-Canary-Of-Mine", "yes")
	x := &exchange{passing: passing{question: question{header: header}, query: "?a=b&c=d"}}
	look := (*fields)(x)
	allocations := testing.AllocsPerRun(100, func() {
		value, present := look.Header("x-canary-of-mine")
		other, found := look.Query("c")
		if !present || value != "yes" || !found || other != "d" {
			t.Error("it is not found")
		}
	})
	if allocations > 0 {
		t.Error(allocations, "allocations")
	}
}

func TestErrorsOfTheGatewayAreProblems(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if got := r.get("/"); got.StatusCode != http.StatusServiceUnavailable || got.reason() != "not_ready" || got.Header.Get("Retry-After") == "" {
		t.Errorf("without configuration: %d %q", got.StatusCode, got.reason())
	}
	r.serve(resources{})
	got := r.get("/x", "X-Request-Id", "mine-1")
	var body problem
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatal(err)
	}
	want := problem{Type: "https://tidegate.dev/problems/no-route", Title: "No route takes this request", Status: 404, RequestID: "mine-1"}
	if body != want || got.Header.Get("Content-Type") != "application/problem+json" || got.Header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("got %+v, %v", body, got.Header)
	}
}

func TestHeadersAreTheGatewaysWhereTheyMustBe(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Tidegate-Reason", "no_route")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Server", "theirs")
		echo("up")(w, r)
	})
	plain := newRig(t, nil)
	plain.serve(simple(up.URL))
	trusting := newRig(t, func(c *Config) { c.TrustedProxies = loopback() })
	trusting.serve(simple(up.URL))

	sent := []string{
		"X-Forwarded-For", "203.0.113.9, 127.0.0.5", "X-Forwarded-Proto", "https", "X-Forwarded-Anything", "x", "X-Real-Ip", "203.0.113.9",
		"Forwarded", "for=203.0.113.9", "X-Tidegate-Consumer", "admin", "X_tidegate_consumer", "admin",
		"Connection", "x-drop-me, keep-alive, x-forwarded-for", "X-Drop-Me", "1", "Keep-Alive", "1", "Proxy-Connection", "1", "Te", "trailers, deflate",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate", "a=b",
	}
	got := plain.get("/x", sent...)
	e := got.echoed(t)
	want := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Anything": "", "X-Real-Ip": "", "Forwarded": "",
		"X-Tidegate-Consumer": "", "X_tidegate_consumer": "", "Connection": "TE", "X-Drop-Me": "", "Keep-Alive": "", "Proxy-Connection": "",
		"Te": "trailers", "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Tracestate": "a=b",
		"X-Forwarded-Host": strings.TrimPrefix(plain.url, "http://"), "User-Agent": "Go-http-client/1.1",
	}
	for name, value := range want {
		if e.Header.Get(name) != value && strings.Join(e.Header[name], "") != value {
			t.Errorf("%s upstream: %q, want %q", name, e.Header[name], value)
		}
	}
	if e.Header.Get("X-Request-Id") == "" || got.Header.Get("X-Request-Id") != e.Header.Get("X-Request-Id") {
		t.Error("the request id is not the same on both sides")
	}
	if got.reason() != "" || got.Header.Get("Keep-Alive") != "" || got.Header.Get("Server") != "theirs" {
		t.Error("the response has", got.Header)
	}

	e = trusting.get("/x", "X-Forwarded-For", "203.0.113.9, 127.0.0.5", "X-Forwarded-Proto", "https", "Forwarded", "for=203.0.113.9").echoed(t)
	for name, value := range map[string]string{
		"X-Forwarded-For": "203.0.113.9, 127.0.0.5, 127.0.0.1", "X-Forwarded-Proto": "https",
	} {
		if e.Header.Get(name) != value {
			t.Errorf("%s behind a trusted proxy: %q, want %q", name, e.Header.Get(name), value)
		}
	}
	if len(e.Header["Forwarded"]) != 2 {
		t.Error("Forwarded:", e.Header["Forwarded"])
	}
}

func TestTheClientsAddress(t *testing.T) {
	t.Parallel()
	trusted := trustworthy{netip.MustParsePrefix("10.0.0.0/8")}
	cases := map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"nothing said":       {"10.0.0.1", nil, "10.0.0.1"},
		"one hop":            {"10.0.0.1", []string{"203.0.113.9"}, "203.0.113.9"},
		"the last untrusted": {"10.0.0.1", []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"over several":       {"10.0.0.1", []string{"203.0.113.9", "10.0.0.3 , 10.0.0.2"}, "203.0.113.9"},
		"all trusted":        {"10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"nonsense ends it":   {"10.0.0.1", []string{"203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		"with a port":        {"10.0.0.1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6":               {"10.0.0.1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := trusted.client(netip.MustParseAddr(c.peer), c.forwarded); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// raw sends bytes and returns the head and body of each response that comes back until the connection ends.
func raw(t testing.TB, address, request string, count int) (statuses []string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for range count {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, true
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		statuses = append(statuses, fmt.Sprint(response.StatusCode, " ", response.Header.Get("X-Tidegate-Reason")))
		closed = closed || response.Close
	}
	return statuses, closed
}

func TestWhatIsRefusedBeforeAnyRoute(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	address := strings.TrimPrefix(r.url, "http://")
	chunks := "5\r\nhello\r\n0\r\n\r\n"
	cases := map[string]struct {
		request string
		want    string
		closed  bool
	}{
		"both lengths":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400 bad_request", true},
		"both lengths, turned":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-LENGTH: 5\r\n\r\n" + chunks, "400 bad_request", true},
		"CONNECT":               {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "501 unsupported", true},
		"too many fields":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a: b\r\n", 300) + "\r\n", "431 header_too_large", true},
		"too large fields":      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", "431 header_too_large", true},
		"too long target":       {"GET /" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414 target_too_long", true},
		"absolute form":         {"GET http://b/x//y HTTP/1.1\r\nHost: a\r\n\r\n", "200 ", false},
		"upgrade to h2c":        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "200 ", false},
		"a chunked body passes": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "200 ", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statuses, closed := raw(t, address, c.request, 1)
			if len(statuses) != 1 || statuses[0] != c.want || closed != c.closed {
				t.Errorf("got %q, closed %v", statuses, closed)
			}
		})
	}
	t.Run("a smuggled request is never served", func(t *testing.T) {
		t.Parallel()
		pipelined := "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
			"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n"
		statuses, _ := raw(t, address, pipelined, 3)
		if len(statuses) == 3 || len(statuses) > 0 && strings.HasPrefix(statuses[len(statuses)-1], "200") {
			t.Errorf("got %q", statuses)
		}
	})
}
