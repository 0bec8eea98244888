package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// server is an admin API that answers from a table: "POST /v1/fleets/default:apply" → answer.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // "METHOD path?query"
	bodies   map[string]string
	tokens   []string
}

// sent is the body of the last request to a path.
func (s *server) sent(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[key]
}

// asked are the requests so far.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// token is what the last request authenticated with.
func (s *server) token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[len(s.tokens)-1]
}

type reply struct {
	status int
	body   string
	header http.Header
	hang   bool // keep the stream open after the body
}

func ok(message proto.Message) reply {
	encoded, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		panic(err)
	}
	return reply{status: http.StatusOK, body: string(encoded)}
}

// stream is a watch that sends rollouts, one a line.
func stream(rollouts ...*adminv1.Rollout) reply {
	r := reply{status: http.StatusOK}
	for _, rollout := range rollouts {
		r.body += `{"result":` + ok(rollout).body + "}\n"
	}
	return r
}

func newServer(t *testing.T, table map[string]reply) *server {
	t.Helper()
	s := &server{bodies: make(map[string]string)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key := r.Method + " " + r.URL.Path
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
		s.bodies[key] = string(body)
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		s.mu.Unlock()
		answer, found := table[key]
		if !found {
			answer = reply{status: http.StatusNotFound, body: `{"type":"https://tidegate.dev/problems/not-found","title":"There is no such thing","detail":"` + key + `"}`}
		}
		for name, values := range answer.header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, answer.body)
		if answer.hang {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// command runs a command line against a server.
type command struct {
	env    map[string]string
	stdin  string
	cancel time.Duration // Ctrl-C after so long; 0: never
}

func (c command) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if c.cancel > 0 {
		defer time.AfterFunc(c.cancel, stop).Stop()
	}
	var out, err bytes.Buffer
	code = run(ctx, &app{
		version: "1.2.3", in: strings.NewReader(c.stdin), out: &out, err: &err,
		env: func(name string) string { return c.env[name] },
	}, args)
	return code, out.String(), err.String()
}

// to is a command with a token for a server.
func to(t *testing.T, s *server) command {
	t.Helper()
	return command{env: map[string]string{"HOME": t.TempDir(), "TIDEGATE_SERVER": s.URL, "TIDEGATE_TOKEN": "tga_secret"}}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const service = "services:\n  - name: orders\n    url: http://127.0.0.1:9001\n"

const (
	applyPath = "POST /v1/fleets/default:apply"
	watchPath = "GET /v1/fleets/default/rollouts/7:watch"
)

func applied() reply {
	return ok(&adminv1.ApplyResponse{
		Diff:      &adminv1.Diff{Created: 1},
		Published: &adminv1.PublishResponse{Revision: 12, Rollout: "7"},
		Warnings:  []*adminv1.Warning{{Resource: "services/orders", Message: "nothing routes to it"}},
	})
}

func in(state, reason string) *adminv1.Rollout {
	return &adminv1.Rollout{Id: "7", Revision: 12, State: state, Reason: reason, Spec: &configv1.Strategy{Steps: []*configv1.Step{{Agents: 1}}}}
}

func TestApplyExitsWithWhatBecameOfTheChange(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		table   map[string]reply
		args    []string
		cancel  time.Duration
		code    int
		out     string // a part of standard output
		problem string // a part of standard error
	}{
		{"serving", map[string]reply{applyPath: applied(), watchPath: stream(in("running", ""), in("completed", ""))}, nil, 0, ExitOK, "✓ revision 12 serves all traffic", "warning: services/orders"},
		{"no change", map[string]reply{applyPath: ok(&adminv1.ApplyResponse{Diff: &adminv1.Diff{}})}, nil, 0, ExitOK, "no change", ""},
		{"rolled back", map[string]reply{applyPath: applied(), watchPath: stream(in("rolled_back", "too many 502"))}, nil, 0, ExitRolledBack, "✗ revision 12 was taken back: too many 502", ""},
		{"aborted", map[string]reply{applyPath: applied(), watchPath: stream(in("aborted", "by anna"))}, nil, 0, ExitRolledBack, "✗ revision 12 was aborted: by anna", ""},
		{"held", map[string]reply{applyPath: applied(), watchPath: stream(in("held", "too little seen"))}, nil, 0, ExitHeld, "tidegate rollout promote 7", ""},
		{"waits for approval", map[string]reply{applyPath: applied(), watchPath: stream(in("awaiting_approval", ""))}, nil, 0, ExitHeld, "tidegate rollout approve 7", ""},
		{"too long", map[string]reply{applyPath: applied(), watchPath: {status: 200, body: stream(in("running", "")).body, hang: true}}, []string{"--timeout", "50ms"}, 0, ExitHeld, "", "has not ended within 50ms"},
		{"interrupted", map[string]reply{applyPath: applied(), watchPath: {status: 200, body: stream(in("running", "")).body, hang: true}}, nil, 100 * time.Millisecond, ExitInterrupted, "", "the rollout goes on: tidegate rollout watch 7"},
		{"not waited for", map[string]reply{applyPath: applied()}, []string{"--wait=false"}, 0, ExitOK, "tidegate rollout watch 7", ""},
		{"superseded", map[string]reply{
			applyPath: applied(), watchPath: stream(in("superseded", "by revision 13")),
			"GET /v1/fleets/default/revisions/12":     ok(&adminv1.Revision{Number: 12, State: "superseded"}),
			"GET /v1/fleets/default/rollouts":         ok(&adminv1.ListRolloutsResponse{Rollouts: []*adminv1.Rollout{{Id: "8", Revision: 13, State: "running"}, in("superseded", "")}}),
			"GET /v1/fleets/default/rollouts/8:watch": stream(&adminv1.Rollout{Id: "8", Revision: 13, State: "completed"}),
		}, nil, 0, ExitOK, "✓ revision 13 serves all traffic", ""},
		{"superseded and rejected", map[string]reply{
			applyPath: applied(), watchPath: stream(in("superseded", "stands on 11")),
			"GET /v1/fleets/default/revisions/12": ok(&adminv1.Revision{Number: 12, State: "rejected"}),
		}, nil, 0, ExitRolledBack, "", "it was rejected: stands on 11"},
		{"no control plane", map[string]reply{applyPath: {status: 500, body: `{"type":"x","title":"Something went wrong on our side","request_id":"r1"}`}}, nil, 0, ExitError, "", "request r1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := to(t, newServer(t, c.table))
			run.cancel = c.cancel
			code, out, problem := run.run(t, append([]string{"apply", "-f", file(t, service)}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(problem, c.problem) {
				t.Errorf("exit %d, want %d\nout: %s\nerr: %s", code, c.code, out, problem)
			}
		})
	}
}

func TestApplyPrintsOneDocumentForPrograms(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{applyPath: applied(), watchPath: stream(in("running", ""), in("rolled_back", "why"))})
	code, out, _ := to(t, s).run(t, "apply", "-f", file(t, service), "-o", "json")
	var got result
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if code != ExitRolledBack || got.State != "rolled_back" || got.Reason != "why" || got.Revision != 12 || got.Created != 1 {
		t.Errorf("exit %d with %+v", code, got)
	}
}

func TestApplySendsWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{"POST /v1/fleets/edge:apply": ok(&adminv1.ApplyResponse{})})
	run := to(t, s)
	run.stdin = "fleet: edge\nroutes: []\n" + service
	code, out, problem := run.run(t, "apply", "-f", "-", "--prune", "-m", "why", "--strategy", "immediate")
	if code != ExitOK {
		t.Fatalf("exit %d: %s%s", code, out, problem)
	}
	var request adminv1.ApplyRequest
	if err := protojson.Unmarshal([]byte(s.sent("POST /v1/fleets/edge:apply")), &request); err != nil {
		t.Fatal(err)
	}
	if strings.Join(request.GetPruneKinds(), " ") != "services routes" || request.GetMessage() != "why" || request.GetStrategy() != "immediate" {
		t.Errorf("request: %v", &request)
	}
	if code, _, problem := run.run(t, "apply", "-f", "-", "--fleet", "other"); code != ExitError || !strings.Contains(problem, `the file says fleet "edge"`) {
		t.Errorf("exit %d: %s", code, problem)
	}
}

func TestWhatTheServerRefusesIsShownAtItsLine(t *testing.T) {
	t.Parallel()
	refusal := reply{status: http.StatusBadRequest, body: `{"type":"https://tidegate.dev/problems/invalid","title":"The request breaks rules","violations":[
		{"resource":"routes/orders","field":"spec.service","rule":"reference.missing","message":"there is no service order"},
		{"field":"resources[0].service.url","rule":"x","message":"must be reachable"},
		{"resource":"routes/other","field":"spec.match.paths[0]","rule":"route.tie","message":"ties with routes/orders"}]}`}
	path := file(t, service+"routes:\n  - name: orders\n    match: {paths: [/orders]}\n    service: order\n")
	for _, verb := range []string{"apply", "diff", "validate"} {
		code, out, problem := to(t, newServer(t, map[string]reply{applyPath: refusal})).run(t, verb, "-f", path)
		want := "The request breaks rules:\n" +
			path + ":7:5: routes/orders: service: there is no service order\n" +
			path + ":3:5: services/orders: url: must be reachable\n" +
			"routes/other: match.paths[0]: ties with routes/orders\n"
		if code != ExitError || problem != want || out != "" {
			t.Errorf("%s exits with %d and says\n%s%s\nwant\n%s", verb, code, out, problem, want)
		}
	}
}

func TestDiffExitsWith2WhenThereAreChanges(t *testing.T) {
	t.Parallel()
	resource := &adminv1.Resource{Name: "orders", Spec: &adminv1.Resource_Service{Service: &configv1.Service{Url: "http://a"}}}
	changes := ok(&adminv1.ApplyResponse{Diff: &adminv1.Diff{Created: 1, Updated: 1, Deleted: 1, Changes: []*adminv1.ResourceChange{
		{Action: "create", Kind: "services", Name: "orders", After: resource},
		{Action: "update", Kind: "routes", Name: "a", Fields: []*adminv1.FieldChange{{Path: "spec.service", Before: `"x"`, After: `"y"`}, {Path: "labels.team", After: `"z"`}}},
		{Action: "delete", Kind: "plugins", Name: "b\x1b[31m"},
	}}})
	code, out, _ := to(t, newServer(t, map[string]reply{applyPath: changes})).run(t, "diff", "-f", file(t, service))
	want := `+ services/orders
    url: http://a
~ routes/a
    spec.service: "x" → "y"
    labels.team: (none) → "z"
- plugins/b [31m
1 created, 1 updated, 1 deleted
`
	if code != ExitChanges || out != want {
		t.Errorf("exit %d:\n%s\nwant:\n%s", code, out, want)
	}
	none := newServer(t, map[string]reply{applyPath: ok(&adminv1.ApplyResponse{Diff: &adminv1.Diff{}})})
	if code, out, _ := to(t, none).run(t, "diff", "-f", file(t, service)); code != ExitOK || out != "no change\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, _ := to(t, newServer(t, map[string]reply{applyPath: changes})).run(t, "apply", "--dry-run", "-f", file(t, service)); code != ExitOK {
		t.Errorf("a dry run exits with %d", code)
	}
}

func TestValidateWorksWithoutAControlPlane(t *testing.T) {
	t.Parallel()
	run := command{env: map[string]string{"HOME": t.TempDir()}}
	if code, out, problem := run.run(t, "validate", "-f", file(t, service)); code != ExitOK || !strings.Contains(problem, "not checked") || out != "1 resource in order\n" {
		t.Errorf("exit %d: %s%s", code, out, problem)
	}
	path := file(t, "services:\n  - {name: orders, url: nowhere}\n")
	want := path + ":2:20: services/orders: url: must be http:// or https:// with a host, without user, query or fragment\n"
	if code, _, problem := run.run(t, "validate", "--offline", "-f", path); code != ExitError || problem != want {
		t.Errorf("exit %d: %q, want %q", code, problem, want)
	}
}

func TestTheTokenOfAContextGoesToItsServerAlone(t *testing.T) {
	t.Parallel()
	session := map[string]reply{
		"GET /v1/sessions/current": ok(&adminv1.Session{Subject: "anna", Role: "admin"}),
		"GET /v1/fleets":           ok(&adminv1.ListFleetsResponse{Fleets: []*adminv1.Fleet{{Name: "default"}}}),
	}
	mine, other := newServer(t, session), newServer(t, session)
	run := command{env: map[string]string{"HOME": t.TempDir()}, stdin: "tga_mine\n"}
	if code, out, problem := run.run(t, "login", "--server", mine.URL+"/"); code != ExitOK || !strings.Contains(out, "as anna (admin)") || strings.Contains(out+problem, "tga_mine") {
		t.Fatalf("exit %d: %s%s", code, out, problem)
	}
	context := filepath.Join(run.env["HOME"], ".config", "tidegate", "context.json")
	if info, err := os.Stat(context); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the context: %v %v", info.Mode(), err)
	}
	if code, _, problem := run.run(t, "get", "fleets"); code != ExitOK {
		t.Errorf("exit %d: %s", code, problem)
	}
	if got := mine.token(); got != "Bearer tga_mine" {
		t.Errorf("its server got %q", got)
	}
	code, _, problem := run.run(t, "get", "fleets", "--server", other.URL)
	if code != ExitError || !strings.Contains(problem, "no token for "+other.URL) || len(other.asked()) > 0 {
		t.Errorf("exit %d after %d requests: %s", code, len(other.asked()), problem)
	}
	if err := os.Chmod(context, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, problem := run.run(t, "get", "fleets"); code != ExitError || !strings.Contains(problem, "chmod 600") {
		t.Errorf("exit %d: %s", code, problem)
	}
}

func TestGetWritesTheFileThatApplyTakes(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{
		"GET /v1/fleets/default/routes": ok(&adminv1.ListRoutesResponse{Routes: []*adminv1.Route{
			{Name: "b", Labels: map[string]string{"team": "x"}, Spec: &configv1.Route{Service: "s", Match: &configv1.Match{Paths: []string{"/b"}}}, State: "serving", Etag: `"r1"`},
			{Name: "a", Spec: &configv1.Route{Service: "s", Match: &configv1.Match{Paths: []string{"/a", "/a/**"}, Methods: []string{"GET"}}}, State: "rolling_out", Revision: 3},
		}}),
	})
	run := to(t, s)
	code, out, problem := run.run(t, "get", "routes", "-o", "yaml", "--view", "stable", "--filter", "labels.team=x")
	want := `fleet: default
routes:
  - name: a
    service: s
    match:
      paths: ["/a", "/a/**"]
      methods: [GET]
  - name: b
    labels:
      team: x
    service: s
    match:
      paths: ["/b"]
`
	if code != ExitOK || out != want {
		t.Errorf("exit %d: %s\ngot:\n%s\nwant:\n%s", code, problem, out, want)
	}
	if got := s.asked()[0]; got != "GET /v1/fleets/default/routes?filter=labels.team%3Dx&page_size=1000&view=stable" {
		t.Errorf("asked for %s", got)
	}
	_, out, _ = run.run(t, "get", "route")
	want = `NAME   METHODS   HOSTS   PATHS      SERVICE   STATE         REVISION   CHANGED
b      -         -       /b         s         serving       -          -
a      GET       -       /a,/a/**   s         rolling_out   3          -
`
	if out != want {
		t.Errorf("table:\n%s\nwant:\n%s", out, want)
	}
	if _, out, _ := run.run(t, "get", "routes", "-o", "json"); !json.Valid([]byte(out)) || !strings.Contains(out, `"etag": "\"r1\""`) {
		t.Errorf("JSON: %s", out)
	}
}

func TestGetReadsEveryPage(t *testing.T) {
	t.Parallel()
	pages := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages++
		response := &adminv1.ListPlansResponse{Plans: []*adminv1.Plan{{Name: "p" + r.URL.Query().Get("page_token"), Spec: &configv1.Plan{}}}}
		if pages < 3 {
			response.NextPageToken = "t" + r.URL.Query().Get("page_token")
		}
		_, _ = io.WriteString(w, ok(response).body)
	}))
	t.Cleanup(api.Close)
	run := command{env: map[string]string{"HOME": t.TempDir(), "TIDEGATE_SERVER": api.URL, "TIDEGATE_TOKEN": "x"}}
	if _, out, problem := run.run(t, "get", "plans", "-o", "yaml"); out != "fleet: default\nplans:\n  - name: p\n  - name: pt\n  - name: ptt\n" {
		t.Errorf("%s%s", out, problem)
	}
}

func TestAKeyAloneGoesToStandardOutput(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{"POST /v1/fleets/default/consumers/acme/keys": ok(&adminv1.CreateKeyResponse{
		Key: &adminv1.Key{Id: "abcd", Consumer: "acme"}, Secret: "tg_abcdefgh",
	})})
	code, out, problem := to(t, s).run(t, "key", "create", "acme", "--expires-in", "1h", "--scope", "a", "--scope", "b")
	if code != ExitOK || out != "tg_abcdefgh\n" || !strings.Contains(problem, "key abcd of consumer acme") {
		t.Errorf("exit %d: %q %q", code, out, problem)
	}
	var sent adminv1.Key
	if err := protojson.Unmarshal([]byte(s.sent("POST /v1/fleets/default/consumers/acme/keys")), &sent); err != nil {
		t.Fatal(err)
	}
	if at, err := time.Parse(time.RFC3339, sent.GetSpec().GetExpiresAt()); err != nil || time.Until(at) > time.Hour || len(sent.GetSpec().GetScopes()) != 2 {
		t.Errorf("sent %v", &sent)
	}
}

func TestRollbackGoesToWhatServedBefore(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{
		"GET /v1/fleets/default": ok(&adminv1.Fleet{Name: "default", HeadRevision: 6, StableRevision: 6}),
		"GET /v1/fleets/default/revisions": ok(&adminv1.ListRevisionsResponse{Revisions: []*adminv1.Revision{
			{Number: 6, State: "serving"}, {Number: 5, State: "rejected"}, {Number: 4, State: "superseded"}, {Number: 3, State: "superseded"},
		}}),
		"POST /v1/fleets/default/revisions/4:rollback": ok(&adminv1.PublishResponse{Revision: 7}),
		"GET /v1/fleets/default/revisions/7":           ok(&adminv1.Revision{Number: 7, Updated: 2}),
	})
	code, out, problem := to(t, s).run(t, "rollback", "--reason", "why")
	if code != ExitOK || out != "going back to revision 4\nrevision 7 is published: 2 updated\n" {
		t.Errorf("exit %d: %s%s", code, out, problem)
	}
}

func TestSteeringDefaultsToTheRolloutThatRuns(t *testing.T) {
	t.Parallel()
	table := map[string]reply{"GET /v1/fleets/default": ok(&adminv1.Fleet{ActiveRollout: "7"})}
	for _, verb := range []string{"pause", "resume", "promote", "approve", "abort"} {
		table["POST /v1/fleets/default/rollouts/7:"+verb] = ok(in("running", ""))
	}
	s := newServer(t, table)
	for _, verb := range []string{"pause", "resume", "approve", "abort"} {
		if code, _, problem := to(t, s).run(t, "rollout", verb, "--reason", "because"); code != ExitOK {
			t.Errorf("%s: exit %d: %s", verb, code, problem)
		}
		if body := s.sent("POST /v1/fleets/default/rollouts/7:" + verb); !strings.Contains(body, "because") {
			t.Errorf("%s sent %s", verb, body)
		}
	}
	if code, _, problem := to(t, s).run(t, "rollout", "promote", "7", "--full"); code != ExitOK || !strings.Contains(s.sent("POST /v1/fleets/default/rollouts/7:promote"), "full") {
		t.Errorf("exit %d: %s", code, problem)
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	run := command{env: map[string]string{"HOME": t.TempDir(), "TIDEGATE_TOKEN": "x", "TIDEGATE_SERVER": "http://127.0.0.1:1"}}
	cases := []struct {
		args []string
		want string
	}{
		{[]string{"get", "bananas"}, `there is no kind "bananas"`},
		{[]string{"get"}, "it takes a kind"},
		{[]string{"apply"}, "say which file"},
		{[]string{"apply", "-x"}, "unknown shorthand flag"},
		{[]string{"get", "routes", "-o", "xml"}, "-o takes json, yaml or table"},
		{[]string{"rollback", "first"}, `"first" is not the number of a revision`},
		{[]string{"rollout", "stop"}, `unknown command "stop"`},
		{[]string{"up", "--ports", "some"}, "--ports takes default or auto"},
		{[]string{"up", "--agents", "0", "--show"}, "--agents must be between"},
	}
	for _, c := range cases {
		if code, _, problem := run.run(t, c.args...); code != ExitError || !strings.Contains(problem, c.want) {
			t.Errorf("%v: exit %d: %s", c.args, code, problem)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	a := &app{version: "1", env: func(string) string { return "" }}
	commands := a.root().Commands()
	for len(commands) > 0 {
		c := commands[0]
		commands = append(commands[1:], c.Commands()...)
		if c.Name() == "help" || c.Name() == "completion" || c.HasSubCommands() {
			continue
		}
		if c.Short == "" || !strings.Contains(c.Example, "tidegate ") {
			t.Errorf("%s has no description or no example", c.CommandPath())
		}
	}
}

func TestCompletionOffersKindsAndNames(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{"GET /v1/fleets/default/routes": ok(&adminv1.ListRoutesResponse{Routes: []*adminv1.Route{{Name: "orders"}, {Name: "payments"}}})})
	if _, out, _ := to(t, s).run(t, "__complete", "get", "route", ""); !strings.HasPrefix(out, "orders\npayments\n") {
		t.Errorf("names: %s", out)
	}
	if _, out, _ := to(t, s).run(t, "__complete", "get", ""); !strings.HasPrefix(out, "services\nroutes\n") {
		t.Errorf("kinds: %s", out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := to(t, s).run(t, "completion", shell); code != ExitOK || len(out) < 1000 {
			t.Errorf("%s: exit %d with %d bytes", shell, code, len(out))
		}
	}
}
