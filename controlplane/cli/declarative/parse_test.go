package declarative_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/cli/declarative"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const shop = `fleet: default
services:
  - name: orders
    url: http://127.0.0.1:9001
    timeouts: {connect: 250ms}
routes:
  - name: orders
    labels: {team: "shop", "example.com/tier": "1"}
    service: orders
    match: {paths: ["/orders/{id}", "/orders/**"], methods: [GET, POST]}
    priority: -3
    max_request_bytes: 5000000000
plugins:
  - {name: orders-auth, type: key-auth, scope: {route: orders}}
  - {name: orders-limit, type: rate-limit, scope: {route: orders}, config: {requests: 100, per: 1s, by: consumer}}
plans:
  - {name: gold, limits: [{requests: 10000, per: 1h}]}
consumers:
  - {name: acme, plan: gold}
`

func TestParseReadsEveryKind(t *testing.T) {
	t.Parallel()
	set, err := declarative.Parse("shop.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	if set.Fleet != "default" || len(set.Resources) != 6 {
		t.Fatalf("fleet %q with %d resources", set.Fleet, len(set.Resources))
	}
	route, ok := set.Find("routes/orders")
	if !ok {
		t.Fatal("no routes/orders")
	}
	if got := route.Value.GetRoute(); got.GetPriority() != -3 || got.GetMaxRequestBytes() != 5e9 || got.GetMatch().GetPaths()[1] != "/orders/**" {
		t.Errorf("route: %v", got)
	}
	if route.Value.GetLabels()["example.com/tier"] != "1" {
		t.Errorf("labels: %v", route.Value.GetLabels())
	}
	limit, _ := set.Find("plugins/orders-limit")
	if got := limit.Value.GetPlugin().GetConfig().AsMap(); got["requests"] != 100.0 || got["per"] != "1s" {
		t.Errorf("config: %v", got)
	}
	if err := set.Check(); err != nil {
		t.Errorf("the rules: %v", err)
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, yaml string
		want       []string // one line each
	}{
		{"an unknown field at the top", "servics: []\n", []string{"f.yaml:1:1: servics: unknown field; did you mean services?"}},
		{"an unknown field of a service", "services:\n  - name: a\n    url: http://b\n    tiemouts: {}\n", []string{
			"f.yaml:4:5: services/a: tiemouts: unknown field; did you mean timeouts?",
		}},
		{"an unknown field deep inside", "routes:\n  - name: a\n    match: {path: [/a]}\n", []string{
			"f.yaml:3:13: routes/a: match.path: unknown field; did you mean paths?",
		}},
		{"a field that is nothing like any", "services: [{name: a, colour: red}]\n", []string{
			"f.yaml:1:22: services/a: colour: unknown field; there are " + fieldsOf(new(configv1.Service)),
		}},
		{"a number for a string", "routes: [{name: a, service: 7}]\n", []string{
			"f.yaml:1:29: routes/a: service: must be a string, not a number; put it in quotes",
		}},
		{"a list for a string", "services: [{name: a, url: [x]}]\n", []string{
			"f.yaml:1:27: services/a: url: must be a string, not a list",
		}},
		{"a string for a list", "routes: [{name: a, match: {paths: /a}}]\n", []string{
			"f.yaml:1:35: routes/a: match.paths: must be a list, not a string",
		}},
		{"a string for a mapping", "routes: [{name: a, match: /a}]\n", []string{
			"f.yaml:1:27: routes/a: match: must be a mapping, not a string",
		}},
		{"a fraction for a whole number", "routes: [{name: a, priority: 1.5}]\n", []string{
			"f.yaml:1:30: routes/a: priority: must be a whole number, not a fraction",
		}},
		{"a number out of range", "plans: [{name: a, limits: [{requests: -1}]}]\n", []string{
			"f.yaml:1:39: plans/a: limits[0].requests: must be between 0 and 4294967295",
		}},
		{"a word for a boolean", "consumers: [{name: a, disabled: yes}]\n", []string{
			"f.yaml:1:33: consumers/a: disabled: must be true or false, not a string",
		}},
		{"nothing for a value", "services:\n  - name: a\n    url:\n", []string{
			"f.yaml:3:9: services/a: url: has no value; give it one or leave the field out",
		}},
		{"a field twice", "services:\n  - name: a\n    url: http://b\n    url: http://c\n", []string{
			"f.yaml:4:5: services/a: url: the field is given twice; the first is at f.yaml:3:5",
		}},
		{"a name twice, in two documents", "services: [{name: a}]\n---\nservices: [{name: a}]\n", []string{
			"f.yaml:3:13: services/a: name: the name is used twice; the first is at f.yaml:1:13",
		}},
		{"no name", "services:\n  - url: http://b\n", []string{"f.yaml:2:5: services[0]: a service needs a name"}},
		{"two fleets", "fleet: a\n---\nfleet: b\n", []string{
			`f.yaml:3:8: fleet: fleet "b", but f.yaml:1:8 says "a": files that are applied together belong to one fleet`,
		}},
		{"a document that is a list", "- a\n", []string{
			"f.yaml:1:1: a document is a mapping with fleet, services, routes, …, not a list",
		}},
		{"two problems, in order", "services: [{name: a, x1: 1}]\nroutes: [{name: b, y1: 1}]\n", []string{
			"f.yaml:1:22: services/a: x1: unknown field; there are " + fieldsOf(new(configv1.Service)),
			"f.yaml:2:20: routes/b: y1: unknown field; there are " + fieldsOf(new(configv1.Route)),
		}},
		{"no YAML", "services: [\n", []string{"f.yaml:1: this is not YAML: did not find expected node content"}},
		{"a merge key", "services: [{name: a, <<: {url: http://b}}]\n", []string{
			"f.yaml:1:22: services/a: the name of a field must be a string, not a merge key (write the fields out)",
		}},
		{"an alias to itself", "plugins: [{name: a, config: &a {x: *a}}]\n", []string{
			"f.yaml:1:29: plugins/a: config." + strings.TrimSuffix(strings.Repeat("x.", 65), ".") + ": nests deeper than 64",
		}},
		{"aliases that multiply", "plugins: [{name: a, config: {a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9], b: &b [*a, *a, *a, *a, *a, *a, *a], c: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b]}}]\n", []string{
			"f.yaml:1:55: plugins/a: config.c[24][3][6]: the file expands to too many values through its aliases",
		}},
		{"a number that would be rounded", "plugins: [{name: a, config: {x: 9007199254740993}}]\n", []string{
			"f.yaml:1:33: plugins/a: config.x: the number is too large to be kept exactly",
		}},
		{"an infinite number", "plugins: [{name: a, config: {x: .inf}}]\n", []string{
			"f.yaml:1:33: plugins/a: config.x: must be a finite number",
		}},
		{"a variable stays as it is", "services: [{name: a, url: \"${URL}\"}]\n", nil},
		{"only comments", "# nothing\n---\nservices:\n# - name: a\n", nil},
		{"a time is a string", "plugins: [{name: a, config: {at: 2027-01-31T00:00:00Z}}]\n", nil},
		{"aliases", "services:\n  - {name: a, url: &u http://b}\n  - {name: c, url: *u}\n", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := declarative.Parse("f.yaml", []byte(c.yaml))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestCheckFindsTheFieldThatBreaksARule(t *testing.T) {
	t.Parallel()
	set, err := declarative.Parse("f.yaml", []byte(`services:
  - name: a
    url: ftp://b
routes:
  - name: B
    service: a
    match:
      paths: ["/a"]
      methods:
        - GET
        - post
plugins:
  - name: limit
    type: rate-limit
    config:
      requests: 3
      per: soon
      burts: 1
`))
	if err != nil {
		t.Fatal(err)
	}
	err = set.Check()
	var problems declarative.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Position.String()+" "+p.Resource+" "+p.Field)
	}
	want := []string{
		"f.yaml:3:5 services/a url",
		"f.yaml:5:5 routes/B name",
		"f.yaml:11:11 routes/B match.methods[1]",
		"f.yaml:17:7 plugins/limit config.per",
		"f.yaml:18:7 plugins/limit config.burts",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLocateFallsBackToWhatEncloses(t *testing.T) {
	t.Parallel()
	set, err := declarative.Parse("shop.yaml", []byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ resource, field, want string }{
		{"routes/orders", "spec.match.paths[1]", "shop.yaml:10:37"},
		{"routes/orders", "spec.match.hosts[0]", "shop.yaml:10:5"},
		{"routes/orders", `labels["example.com/tier"]`, "shop.yaml:8:28"},
		{"routes/orders", "", "shop.yaml:7:5"},
		{"services/orders", "spec.timeouts.connect", "shop.yaml:5:16"},
		{"services/other", "spec.url", ""},
	}
	for _, c := range cases {
		if got := set.Locate(c.resource, c.field, "").Position.String(); got != c.want {
			t.Errorf("%s %s stands at %q, want %q", c.resource, c.field, got, c.want)
		}
	}
}

func TestLoadReadsFilesFoldersAndStandardInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one/a.yaml", "services: [{name: a, url: http://a}]\n")
	write("one/deep/b.yml", "services: [{name: b, url: http://b}]\n")
	write("one/.hidden/c.yaml", "no: yaml here\n")
	write("one/notes.txt", "not YAML: [\n")
	write("two.yaml", "services: [{name: c, url: http://c}]\n")
	set, err := declarative.Load([]string{filepath.Join(dir, "one"), filepath.Join(dir, "two.yaml"), "-"},
		strings.NewReader("services: [{name: d, url: http://d}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range set.Resources {
		names = append(names, r.Value.GetName())
	}
	if strings.Join(names, " ") != "a b c d" {
		t.Errorf("read %v", names)
	}
	for _, path := range []string{"missing.yaml", "one/.hidden/none"} {
		if _, err := declarative.Load([]string{filepath.Join(dir, path)}, nil); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// fieldsOf lists what a resource of the file can hold, so that the schema may grow.
func fieldsOf(spec proto.Message) string {
	names := []string{"name", "labels"}
	fields := spec.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		names = append(names, string(fields.Get(i).Name()))
	}
	return strings.Join(names, ", ")
}
