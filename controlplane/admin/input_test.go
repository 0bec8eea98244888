package admin_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBadInputIsRefusedWithEveryFieldNamed(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.publish(t)
	const routes, services, plugins = "/v1/fleets/default/routes", "/v1/fleets/default/services", "/v1/fleets/default/plugins"
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		kind               string
		fields             []string // all that must be named
	}{
		"several fields": {
			"PUT", routes + "/r", `{"spec":{"service":"No Such","match":{"paths":[""],"methods":["get"]},"timeouts":{"total":"soon"}}}`,
			400, "invalid",
			[]string{"spec.service", "spec.match.paths[0]", "spec.match.methods[0]", "spec.timeouts.total"},
		},
		"create, several fields": {
			"POST", routes, `{"name":"r","spec":{"match":{"paths":[]},"priority":2000000}}`,
			400, "invalid",
			[]string{"spec", "spec.match.paths", "spec.priority"},
		},
		"no spec":               {"PUT", routes + "/r", `{}`, 400, "invalid", []string{"spec"}},
		"no name":               {"POST", routes, orders, 400, "invalid", []string{"name"}},
		"a bad name":            {"PUT", routes + "/Bad_Name!", orders, 400, "invalid", []string{"name"}},
		"another name":          {"PUT", routes + "/r", `{"name":"s","spec":{"service":"orders","match":{"paths":["/x"]}}}`, 400, "invalid", []string{"name"}},
		"a missing reference":   {"PUT", routes + "/r", `{"spec":{"service":"nope","match":{"paths":["/x"]}}}`, 400, "invalid", []string{"spec.service"}},
		"a tie":                 {"PUT", routes + "/r", orders, 400, "invalid", []string{"spec.match"}},
		"url and targets":       {"PUT", services + "/s", `{"spec":{"url":"http://a","targets":[{"url":"http://b"}]}}`, 400, "invalid", []string{"spec"}},
		"an unknown type":       {"PUT", plugins + "/p", `{"spec":{"type":"nope"}}`, 400, "invalid", []string{"spec.type"}},
		"an unknown setting":    {"PUT", plugins + "/p", `{"spec":{"type":"key-auth","config":{"nope":1}}}`, 400, "invalid", []string{"spec.config.nope"}},
		"a bad setting":         {"PUT", plugins + "/p", `{"spec":{"type":"rate-limit","config":{"requests":0,"per":"x"}}}`, 400, "invalid", []string{"spec.config.requests", "spec.config.per"}},
		"too many labels":       {"PUT", services + "/s", fmt.Sprintf(`{"labels":{%s},"spec":{"url":"http://a"}}`, manyLabels(65)), 400, "invalid", []string{"labels"}},
		"an unknown field":      {"PUT", routes + "/r", `{"spec":{"servcie":"orders"}}`, 400, "malformed-request", []string{"servcie"}},
		"a field of wrong type": {"PUT", routes + "/r", "{\"spec\":{\n\"priority\":\"high\"}}", 400, "malformed-request", []string{"priority"}},
		"a secret as a number":  {"PUT", "/v1/fleets/default/secrets/s", `{"spec":{"value":83719}}`, 400, "malformed-request", []string{"value"}},
		"a field twice":         {"PUT", routes + "/r", `{"spec":{"service":"a","service":"b"}}`, 400, "malformed-request", nil},
		"not JSON":              {"PUT", routes + "/r", `{"spec":`, 400, "malformed-request", nil},
		"more than JSON":        {"PUT", routes + "/r", orders + `{}`, 400, "malformed-request", nil},
		"null":                  {"PUT", routes + "/r", `null`, 400, "malformed-request", nil},
		"a list":                {"PUT", routes + "/r", `[]`, 400, "malformed-request", nil},
		"an unknown parameter":  {"PUT", routes + "/r?chang_set=1", orders, 400, "malformed-request", []string{"chang_set"}},
		"a parameter twice":     {"GET", routes + "?page_size=1&page_size=2", "", 400, "malformed-request", nil},
		"a bad parameter":       {"GET", routes + "?page_size=many", "", 400, "malformed-request", nil},
		"a page too large":      {"GET", routes + "?page_size=1001", "", 400, "invalid", []string{"page_size"}},
		"a made-up page":        {"GET", routes + "?page_token=abc", "", 400, "invalid", []string{"page_token"}},
		"a bad filter":          {"GET", routes + "?filter=colour%3Dred", "", 400, "invalid", []string{"filter"}},
		"a bad view":            {"GET", routes + "?view=past", "", 400, "invalid", []string{"view"}},
		"a bad audit filter":    {"GET", "/v1/fleets/default/rollouts?filter=colour%3Dred", "", 400, "invalid", []string{"filter"}},
		"a path":                {"GET", "/v1/nothing", "", 404, "not-found", nil},
		"a fleet":               {"GET", "/v1/fleets/nope/routes", "", 404, "not-found", nil},
		"a resource":            {"GET", routes + "/nope", "", 404, "not-found", nil},
		"a revision":            {"GET", "/v1/fleets/default/revisions/99", "", 404, "not-found", nil},
		"a revision's number":   {"GET", "/v1/fleets/default/revisions/first", "", 400, "malformed-request", nil},
		"a rollout":             {"GET", "/v1/fleets/default/rollouts/99", "", 404, "not-found", nil},
		"a rollout's id":        {"GET", "/v1/fleets/default/rollouts/x", "", 404, "not-found", nil},
		"a rollout to watch":    {"GET", "/v1/fleets/default/rollouts/99:watch", "", 404, "not-found", nil},
		"a change set":          {"GET", "/v1/fleets/default/changeSets/nope", "", 404, "not-found", nil},
		"an agent":              {"GET", "/v1/fleets/default/agents/nope", "", 404, "not-found", nil},
		"a draft that is none":  {"PUT", services + "/s?change_set=nope", service, 404, "not-found", nil},
		"a method":              {"POST", routes + "/orders", orders, 405, "method-not-allowed", nil},
		"existing":              {"POST", services, `{"name":"orders","spec":{"url":"http://a"}}`, 409, "already-exists", nil},
		"in use":                {"DELETE", services + "/orders", "", 409, "referenced", nil},
		"a telemetry group":     {"POST", "/v1/fleets/default/telemetry:query", `{"group_by":["colour"]}`, 400, "invalid", []string{"group_by[0]"}},
		"a telemetry window":    {"POST", "/v1/fleets/default/telemetry:query", `{"window":"1"}`, 400, "invalid", []string{"window"}},
		"a strategy": {
			"PUT", "/v1/fleets/default/strategies/mine", `{"spec":{"steps":[{"traffic_percent":0}],"alpha":2}}`, 400, "invalid",
			[]string{"spec.steps[0]", "spec.steps[0].traffic_percent", "spec.alpha"},
		},
		"many resources": {
			"POST", "/v1/fleets/default:apply",
			`{"resources":[{"name":"a","service":{"url":"ftp://x"}},{"name":"b","route":{"service":"zzz","match":{"paths":["/b"]}}},{"name":"p","plugin":{"type":"nope"}}]}`,
			400, "invalid",
			[]string{"spec.url", "spec.service", "spec.type"},
		},
		"a kind to prune":    {"POST", "/v1/fleets/default:apply", `{"prune_kinds":["keys"]}`, 400, "invalid", []string{"prune_kinds[0]"}},
		"a resource of none": {"POST", "/v1/fleets/default:apply", `{"resources":[{"name":"a"}]}`, 400, "invalid", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := s.call(t, c.method, c.path, c.body).fails(t, c.status, c.kind)
			for _, field := range c.fields {
				if !p.names(field) {
					t.Errorf("%s is not named: %+v", field, p.Violations)
				}
			}
			if strings.Contains(fmt.Sprintf("%+v", p), "83719") {
				t.Errorf("the answer repeats a secret: %+v", p)
			}
		})
	}
}

func TestAViolationSaysWhereItStands(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := s.call(t, "PUT", "/v1/fleets/default/routes/r", "{\"spec\":{\n  \"servcie\":\"orders\"}}").fails(t, 400, "malformed-request")
	if v := p.Violations[0]; v.Line != 2 || v.Column != 3 || v.Rule != "unknown_field" {
		t.Errorf("%+v", v)
	}
	p = s.call(t, "POST", "/v1/fleets/default:apply", `{"resources":[{"name":"a","service":{"url":"ftp://x"}}]}`).fails(t, 400, "invalid")
	if v := p.Violations[0]; v.Resource != "services/a" || v.Field != "spec.url" || v.Rule != "service.url" {
		t.Errorf("%+v", v)
	}
}

func TestAMethodThatDoesNotFitNamesThoseThatDo(t *testing.T) {
	t.Parallel()
	s := begin(t)
	got := s.call(t, "POST", "/v1/fleets/default/routes/orders", orders)
	got.fails(t, 405, "method-not-allowed")
	if allow := got.header.Get("Allow"); allow != "DELETE, GET, PATCH, PUT" {
		t.Errorf("Allow = %q", allow)
	}
	// A header must not turn a POST into something that its path does not say.
	s.call(t, "POST", "/v1/fleets/default/routes/orders", orders, "X-HTTP-Method-Override", "DELETE").fails(t, 405, "method-not-allowed")
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()
	s := begin(t)
	for _, kind := range []string{"text/plain", "multipart/form-data; boundary=x", "nonsense/"} {
		s.call(t, "PUT", "/v1/fleets/default/services/orders", service, "Content-Type", kind).fails(t, 415, "unsupported-media-type")
	}
	s.call(t, "PUT", "/v1/fleets/default/services/orders", service, "Content-Type", "application/json; charset=utf-8").ok(t)
	// curl -d says form; a caller with a token is no page of somebody else's.
	s.call(t, "PUT", "/v1/fleets/default/services/orders", service, "Content-Type", "application/x-www-form-urlencoded").ok(t)
}

func TestOversizedRequestsAreRefusedByTheirLimit(t *testing.T) {
	t.Parallel()
	s := begin(t)
	huge := `{"spec":{"url":"http://` + strings.Repeat("a", 1<<20) + `"}}`
	p := s.call(t, "PUT", "/v1/fleets/default/services/orders", huge).fails(t, 413, "too-large")
	if !strings.Contains(p.Detail, "1024 KiB") {
		t.Errorf("the limit is not named: %s", p.Detail)
	}
	// A length that is not announced does not help.
	reader, writer := io.Pipe()
	go func() {
		_, err := io.Copy(writer, strings.NewReader(huge))
		_ = writer.CloseWithError(err)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/v1/fleets/default/services/orders", reader)
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+s.publisher)
	request.Header.Set("Content-Type", "application/json")
	send(t, request).fails(t, 413, "too-large")
	_ = reader.Close() // the writer, if it still writes, ends
	// What carries many resources may be larger.
	s.call(t, "POST", "/v1/fleets/default:apply", `{"message":"`+strings.Repeat("a", 2<<20)+`"}`).fails(t, 400, "invalid")
	// Who is not known sends little, and nothing is read of it.
	s.call(t, "POST", "/v1/sessions", `{"token":"`+strings.Repeat("a", 8<<10)+`"}`, "Authorization", "").fails(t, 413, "too-large")
	s.call(t, "PUT", "/v1/fleets/default/services/orders", huge, "Authorization", "").fails(t, 401, "unauthenticated")
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := begin(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/fleets", nil)
	check(t, err)
	request.Header.Set("X-Large", strings.Repeat("a", 128<<10))
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer closed(t, response.Body)
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestAClientThatIsGoneInTheMiddleOfABodyHarmsNobody(t *testing.T) {
	t.Parallel()
	s := begin(t)
	connection, err := net.DialTimeout("tcp", s.address, 5*time.Second)
	check(t, err)
	defer closed(t, connection)
	_, err = fmt.Fprintf(connection, "PUT /v1/fleets/default/services/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"spec\"", s.publisher)
	check(t, err)
	check(t, connection.(*net.TCPConn).CloseWrite())
	check(t, connection.SetReadDeadline(time.Now().Add(10*time.Second)))
	status, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil || !strings.Contains(status, "400") {
		t.Errorf("answer %q, %v", status, err)
	}
	s.call(t, "GET", "/v1/fleets/default/services/orders", "").fails(t, 404, "not-found")
}

func manyLabels(n int) string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprintf(`"label%d":"x"`, i)
	}
	return strings.Join(labels, ",")
}
