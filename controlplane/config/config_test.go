package config_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	fleet = "default"
	actor = "ada"
)

// bench is a service on an empty fleet.
type bench struct {
	*config.Service
	t     testing.TB
	store *store.Store
	fleet store.Fleet
}

func newBench(t testing.TB) *bench {
	t.Helper()
	s := storetest.Open(t)
	keys, err := keyring.Open(t.Context(), s, filepath.Join(t.TempDir(), "master.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Service: config.New(s, keys, strategies), t: t, store: s, fleet: storetest.Fleet(t, s, fleet)}
}

func strategies(_ context.Context, _ *store.Tx, _ store.Fleet, name string) (*configv1.Strategy, error) {
	switch name {
	case "immediate", "canary-then-all":
		return &configv1.Strategy{Steps: []*configv1.Step{{AgentsPercent: 100, TrafficPercent: 100}}}, nil
	}
	return nil, store.ErrNotFound
}

// parse reads "services/orders {json of the spec}", with labels behind a "#": "#team=x".
func parse(t testing.TB, text string) config.Resource {
	t.Helper()
	text, labels, _ := strings.Cut(text, "#")
	name, spec, _ := strings.Cut(strings.TrimSpace(text), " ")
	collection, name, _ := strings.Cut(name, "/")
	resource := config.Resource{Kind: configv1.KindOf(collection), Name: name}
	resource.Spec = configv1.NewSpec(resource.Kind)
	if resource.Spec == nil {
		t.Fatalf("no kind %q", collection)
	}
	if err := protojson.Unmarshal([]byte(spec), resource.Spec); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if key, value, ok := strings.Cut(labels, "="); ok {
		resource.Labels = map[string]string{key: value}
	}
	return resource
}

func (b *bench) resources(texts ...string) []config.Resource {
	b.t.Helper()
	list := make([]config.Resource, len(texts))
	for i, text := range texts {
		list[i] = parse(b.t, text)
	}
	return list
}

// try applies a file and returns what went wrong.
func (b *bench) try(texts ...string) (config.Applied, error) {
	b.t.Helper()
	return b.Apply(b.t.Context(), actor, fleet, config.ApplyOptions{Resources: b.resources(texts...)})
}

// apply applies a file.
func (b *bench) apply(texts ...string) config.Applied {
	b.t.Helper()
	applied, err := b.try(texts...)
	if err != nil {
		b.t.Fatal(err)
	}
	return applied
}

func (b *bench) get(collection, name string) config.Resource {
	b.t.Helper()
	resource, err := b.Get(b.t.Context(), fleet, configv1.KindOf(collection), name, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return resource
}

// serve does what the rollout of a revision does when it completes.
func (b *bench) serve(number int64) {
	b.t.Helper()
	err := b.store.InTx(b.t.Context(), func(tx *store.Tx) error {
		if _, err := tx.LockHead(b.t.Context(), b.fleet.ID); err != nil {
			return err
		}
		if err := tx.SetStable(b.t.Context(), b.fleet.ID, number); err != nil {
			return err
		}
		return tx.SetRevisionState(b.t.Context(), b.fleet.ID, number, store.RevisionServing)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// rules lists violations as "resource field rule".
func rules(t testing.TB, err error) string {
	t.Helper()
	var violations *config.Violations
	var referenced *config.Referenced
	var list []config.Violation
	switch {
	case errors.As(err, &violations):
		list = violations.List
	case errors.As(err, &referenced):
		list = referenced.By
	default:
		t.Fatalf("error %v, want violations", err)
	}
	var lines []string
	for _, v := range list {
		if v.Message == "" {
			t.Errorf("no message: %+v", v)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", v.Resource, v.Field, v.Rule)))
	}
	return strings.Join(lines, "\n")
}

const (
	ordersService = `services/orders {"url":"http://127.0.0.1:9001"}`
	ordersRoute   = `routes/orders {"service":"orders","match":{"paths":["/orders/**"]}}`
)

func TestApplyIsOneRevisionAndOneRollout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.apply(ordersService, ordersRoute, `plans/gold {"limits":[{"requests":10,"per":"1s"}]}`, `consumers/acme {"plan":"gold"}`)
	if first.Published == nil || first.Published.Revision != 1 || first.Published.Rollout == 0 || first.Published.LaneSequence != 1 {
		t.Fatalf("published %+v, want revision 1, a rollout and lane sequence 1", first.Published)
	}
	if d := first.Diff; d.Created != 4 || d.Updated+d.Deleted != 0 {
		t.Errorf("diff %d created, %d updated, %d deleted; want 4, 0, 0", d.Created, d.Updated, d.Deleted)
	}
	if again := b.apply(ordersRoute, ordersService); again.Published != nil || len(again.Diff.Changes) != 0 {
		t.Errorf("applying the same again: %+v, want nothing", again)
	}
	second := b.apply(`services/orders {"url":"http://127.0.0.1:9002"}`)
	if second.Published.Revision != 2 || second.Published.Rollout <= first.Published.Rollout {
		t.Errorf("published %+v, want revision 2 and a later rollout", second.Published)
	}
	revision, err := b.Revision(t.Context(), fleet, 1)
	if err != nil {
		t.Fatal(err)
	}
	if revision.State != store.RevisionSuperseded || revision.Rollout != first.Published.Rollout || revision.LaneSequence != 1 {
		t.Errorf("revision 1 is %+v; want superseded, since the queue has one place, and lane sequence 1", revision)
	}
}

func TestApplyPrunes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute, `routes/old {"service":"orders","match":{"paths":["/old"]}}`, `consumers/acme {}`, `consumers/gone {}`)
	options := config.ApplyOptions{
		Resources:    b.resources(ordersService, ordersRoute, `consumers/acme {}`),
		PruneKinds:   []configv1.Kind{configv1.Kind_KIND_ROUTE, configv1.Kind_KIND_CONSUMER},
		ValidateOnly: true,
	}
	tried, err := b.Apply(t.Context(), actor, fleet, options)
	if err != nil {
		t.Fatal(err)
	}
	if tried.Diff.Deleted != 2 || tried.Published != nil {
		t.Errorf("validation alone: %+v, want 2 deletions and nothing published", tried)
	}
	b.get("routes", "old")
	options.ValidateOnly = false
	if _, err := b.Apply(t.Context(), actor, fleet, options); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"routes/old", "consumers/gone"} {
		collection, name, _ := strings.Cut(gone, "/")
		if _, err := b.Get(t.Context(), fleet, configv1.KindOf(collection), name, ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s after prune: %v, want ErrNotFound", gone, err)
		}
	}
	b.get("consumers", "acme")
}

func TestWhatIsWrongIsRefusedWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute, `consumers/acme {}`, `plugins/auth {"type":"key-auth","scope":{"route":"orders"}}`)
	cases := []struct {
		name  string
		apply []string
		want  string
	}{
		{"a name", []string{`services/Orders {"url":"http://a"}`}, "services/Orders name name"},
		{
			"every field at once",
			[]string{`services/a {"url":"ftp://a","host":"mine","timeouts":{"connect":"0s"}}`},
			"services/a spec.url service.url\nservices/a spec.host string.in\nservices/a spec.timeouts.connect string.duration",
		},
		{"a port", []string{`services/a {"url":"http://a:99999"}`}, "services/a spec.url service.url"},
		{"a certificate authority", []string{`services/a {"url":"https://a","tls":{"ca_pem":"x"}}`}, "services/a spec.tls.ca_pem pem"},
		{"a route to nowhere", []string{`routes/r {"service":"nowhere","match":{"paths":["/r"]}}`}, "routes/r spec.service reference.missing"},
		{
			"patterns",
			[]string{`routes/r {"service":"orders","match":{"paths":["/r","r","/a/**/b"],"hosts":["a b"]}}`},
			"routes/r spec.match.hosts[0] route.host\nroutes/r spec.match.paths[1] route.path\nroutes/r spec.match.paths[2] route.path",
		},
		{"a tie with what is there", []string{`routes/r {"service":"orders","match":{"paths":["/orders/**"]}}`}, "routes/r spec.match route.tie"},
		{
			"a tie within",
			[]string{`routes/r {"service":"orders","match":{"paths":["/r/{a}"]}}`, `routes/s {"service":"orders","match":{"paths":["/r/{b}"]}}`},
			"routes/r spec.match route.tie\nroutes/s spec.match route.tie",
		},
		{
			"backends",
			[]string{
				`routes/r {"service":"orders","backends":[{"service":"orders","weight":1}],"match":{"paths":["/r"]}}`,
				`routes/s {"backends":[{"service":"orders"},{"service":"nowhere"}],"match":{"paths":["/s"]}}`,
				`routes/t {"service":"orders","sticky":{"cookie":"a"},"match":{"paths":["/t"]}}`,
			},
			"routes/r spec route.destination\nroutes/s spec.backends route.backends.weight\nroutes/t spec route.split\nroutes/s spec.backends[1].service reference.missing",
		},
		{
			"templates",
			[]string{
				`routes/r {"service":"orders","rewrite":{"path":"/x/{id}"},"match":{"paths":["/r/{id}","/r"]}}`,
				`routes/s {"service":"orders","rewrite":{"path_prefix":"/../x"},"match":{"paths":["/s/**"]}}`,
				`routes/t {"service":"orders","rewrite":{"path_prefix":"/x"},"match":{"paths":["/t"]}}`,
				`routes/u {"redirect":{"path":"/{"},"match":{"paths":["/u"]}}`,
				`routes/v {"redirect":{"host":"a\r\nb"},"match":{"paths":["/v"]}}`,
				`routes/w {"direct_response":{"status":204,"body":"x"},"rewrite":{"host":"h"},"match":{"paths":["/w"]}}`,
			},
			"routes/r spec.rewrite.path route.template\nroutes/s spec.rewrite.path_prefix route.template\n" +
				"routes/t spec.rewrite.path_prefix route.template\nroutes/u spec.redirect.path route.template\n" +
				"routes/v spec.redirect.host route.host\nroutes/w spec route.rewrite.target\nroutes/w spec.direct_response route.direct_response.body",
		},
		{
			"conditions that do not exclude each other tie",
			[]string{
				`routes/r {"service":"orders","match":{"paths":["/r"],"headers":[{"name":"x-a","equals":"1"}]}}`,
				`routes/s {"service":"orders","match":{"paths":["/r"],"headers":[{"name":"X-A","prefix":"1"}]}}`,
				`routes/t {"service":"orders","match":{"paths":["/r"],"headers":[{"name":"x-a","equals":"2"}]}}`,
			},
			"routes/r spec.match route.tie\nroutes/s spec.match route.tie",
		},
		{
			"conditions",
			[]string{`routes/r {"service":"orders","match":{"paths":["/r"],"headers":[{"name":"host","equals":"1"},{"name":"a"}],"query":[{"name":"q","regex":"("}]}}`},
			"routes/r spec.match.headers[1].test required\nroutes/r spec.match.headers[0] route.header\nroutes/r spec.match.query[0] route.query",
		},
		{
			"conditions that contradict each other",
			[]string{`routes/r {"service":"orders","match":{"paths":["/r"],"headers":[{"name":"a","equals":"1"},{"name":"A","absent":true}]}}`},
			"routes/r spec.match.headers[1] route.match",
		},
		{
			"a scope",
			[]string{`plugins/p {"type":"key-auth","scope":{"service":"nowhere","consumer":"acme"}}`},
			"plugins/p spec.scope plugin.scope\nplugins/p spec.scope.service reference.missing",
		},
		{"the same scope again", []string{`plugins/p {"type":"key-auth","scope":{"route":"orders"}}`}, "plugins/p spec.scope plugin.duplicate"},
		{"an unknown type", []string{`plugins/p {"type":"magic"}`}, "plugins/p spec.type plugin.type"},
		{"settings", []string{`plugins/p {"type":"rate-limit","config":{"requests":1,"per":"0s"}}`}, "plugins/p spec.config.per string.duration"},
		{
			"a secret that is not there",
			[]string{`plugins/p {"type":"header-transform","config":{"request":{"set":[{"name":"x-a","secret":"none"}]}}}`},
			"plugins/p spec.config.request.set[0].secret reference.missing",
		},
		{"a plan that is not there", []string{`consumers/c {"plan":"gold"}`}, "consumers/c spec.plan reference.missing"},
		{"a secret without a value", []string{`secrets/s {}`}, "secrets/s spec.value required"},
		{"the same twice", []string{`services/a {"url":"http://a"}`, `services/a {"url":"http://b"}`}, "services/a  duplicate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.try(append(c.apply, `services/witness {"url":"http://w"}`)...)
			if got, want := rules(t, err), strings.ReplaceAll(c.want, "  ", " "); strings.ReplaceAll(got, "  ", " ") != want {
				t.Errorf("violations:\n%s\nwant:\n%s", got, want)
			}
			if _, err := b.Get(t.Context(), fleet, configv1.Kind_KIND_SERVICE, "witness", ""); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the rest was written: %v", err)
			}
		})
	}
}

func TestWhatIsReferredToCannotBeDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(
		ordersService, ordersRoute, `plans/gold {}`, `consumers/acme {"plan":"gold"}`, `secrets/token {"value":"v"}`,
		`plugins/limit {"type":"rate-limit","scope":{"route":"orders","consumer":"acme"},"config":{"requests":1,"per":"1s"}}`,
		`plugins/header {"type":"header-transform","config":{"request":{"set":[{"name":"x-a","secret":"token"}]}}}`,
	)
	for _, name := range []string{"services/orders", "routes/orders", "plans/gold", "consumers/acme", "secrets/token"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collection, short, _ := strings.Cut(name, "/")
			_, err := b.Delete(t.Context(), actor, fleet, configv1.KindOf(collection), short, config.WriteOptions{})
			var referenced *config.Referenced
			if !errors.As(err, &referenced) || referenced.By[0].Resource != name {
				t.Errorf("deleting: %v, want Referenced", err)
			}
		})
	}
}

// A secret goes at once, so it stays while agents serve a plugin that needs it, even if head does not.
func TestSecretOfServedPluginStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`secrets/token {"value":"v"}`, `plugins/header {"type":"header-transform","config":{"request":{"set":[{"name":"x-a","secret":"token"}]}}}`)
	b.serve(1)
	b.apply(`plugins/header {"type":"header-transform"}`)
	_, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_SECRET, "token", config.WriteOptions{})
	var referenced *config.Referenced
	if !errors.As(err, &referenced) {
		t.Fatalf("deleting: %v, want Referenced", err)
	}
	b.serve(2)
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_SECRET, "token", config.WriteOptions{}); err != nil {
		t.Errorf("deleting when the rollout is done: %v", err)
	}
}

func TestRenameIsOneChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	renamed, err := b.Apply(t.Context(), actor, fleet, config.ApplyOptions{
		Resources: b.resources(
			`services/shop {"url":"http://127.0.0.1:9001"}`,
			`routes/shop {"service":"shop","match":{"paths":["/orders/**"]}}`,
		),
		PruneKinds: []configv1.Kind{configv1.Kind_KIND_SERVICE, configv1.Kind_KIND_ROUTE},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := renamed.Diff; d.Created != 2 || d.Deleted != 2 || d.Updated != 0 || renamed.Published.Revision != 2 {
		t.Errorf("%d created, %d deleted, %d updated in revision %d; want 2, 2, 0 in 2", d.Created, d.Deleted, d.Updated, renamed.Published.Revision)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	applied := b.apply(
		ordersService, ordersRoute, `services/unused {"url":"http://u"}`,
		`routes/everything {"service":"orders","priority":10,"match":{"paths":["/orders/**"]}}`,
	)
	got := map[string]string{}
	for _, w := range applied.Warnings {
		got[w.Resource] = w.Message
	}
	if len(got) != 2 || got["services/unused"] == "" || !strings.Contains(got["routes/orders"], "routes/everything") {
		t.Errorf("warnings %v, want services/unused, and routes/orders shadowed by routes/everything", got)
	}
	left, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_ROUTE, "everything", config.WriteOptions{})
	if err != nil || len(left.Published.Warnings) != 0 {
		t.Errorf("deleting one of two routes: %v, warnings %v", err, left.Published.Warnings)
	}
	if left, err = b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_ROUTE, "orders", config.WriteOptions{}); err != nil || len(left.Published.Warnings) != 1 {
		t.Errorf("deleting the last route of a service: %v, warnings %v; want one", err, left.Published.Warnings)
	}
}

func equalSpec(t *testing.T, got config.Resource, want string) {
	t.Helper()
	if spec := parse(t, want).Spec; !proto.Equal(got.Spec, spec) {
		t.Errorf("%s is %v, want %v", got.Key(), got.Spec, spec)
	}
}
