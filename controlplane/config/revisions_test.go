package config_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestRollbackHasTheContentOfThen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute+" #team=x")
	b.apply(`services/orders {"url":"http://b"}`, `routes/more {"service":"orders","match":{"paths":["/more"]}}`, `consumers/acme {}`)
	key, _, err := b.CreateKey(t.Context(), actor, fleet, "acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RevokeKey(t.Context(), actor, fleet, "acme", key.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	back, err := b.Rollback(t.Context(), actor, fleet, 1, "it was better")
	if err != nil || back.Revision != 3 || back.Rollout == 0 {
		t.Fatalf("rolled back: %+v, %v", back, err)
	}
	first, _ := b.Revision(t.Context(), fleet, 1)
	third, err := b.Revision(t.Context(), fleet, 3)
	if err != nil {
		t.Fatal(err)
	}
	if third.Root != first.Root || third.Origin != store.OriginRollback || !strings.Contains(third.Message, "it was better") {
		t.Errorf("revision 3 is %+v, want the root %s", third, first.Root)
	}
	if again, err := b.Key(t.Context(), fleet, "acme", key.ID); err != nil || again.State != config.KeyRevoked {
		t.Errorf("the revoked key is %s, %v; want it untouched", again.State, err)
	}
	if same, err := b.Rollback(t.Context(), actor, fleet, 1, ""); err != nil || same.Revision != 0 {
		t.Errorf("rolling back to what is: %+v, %v; want nothing", same, err)
	}
	if _, err := b.Rollback(t.Context(), actor, fleet, 99, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("rolling back to what never was: %v, want ErrNotFound", err)
	}
}

func TestRollbackKeepsPlansThatConsumersNeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService)
	b.apply(`plans/gold {}`, `plans/silver {}`, `consumers/acme {"plan":"gold"}`)
	back, err := b.Rollback(t.Context(), actor, fleet, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Warnings) != 2 || back.Warnings[1].Resource != "plans/gold" && back.Warnings[0].Resource != "plans/gold" {
		// The other is about the service that no route uses.
		t.Logf("warnings %v", back.Warnings)
	}
	b.get("plans", "gold")
	if _, err := b.Get(t.Context(), fleet, configv1.Kind_KIND_PLAN, "silver", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("silver, which nobody needs: %v, want ErrNotFound", err)
	}
}

func TestDiffNamesFields(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, `routes/orders {"service":"orders","match":{"paths":["/a","/b"]}} #team=x`)
	b.apply(`routes/orders {"service":"orders","priority":5,"match":{"paths":["/a","/c"],"methods":["GET"]}} #team=y`)
	diff, err := b.DiffRevisions(t.Context(), fleet, -1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(diff.Changes) != 1 || diff.Updated != 1 || diff.Changes[0].Action != config.ActionUpdate {
		t.Fatalf("diff %+v", diff)
	}
	var got []string
	for _, field := range diff.Changes[0].Fields {
		got = append(got, fmt.Sprintf("%s: %s → %s", field.Path, field.Before, field.After))
	}
	want := []string{
		`labels.team: "x" → "y"`,
		`spec.match.methods:  → ["GET"]`,
		`spec.match.paths[1]: "/b" → "/c"`,
		`spec.priority:  → 5`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("fields:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	back, err := b.DiffRevisions(t.Context(), fleet, 2, 1)
	if err != nil || back.Changes[0].Fields[0].Before != `"y"` {
		t.Errorf("the other way: %+v, %v", back, err)
	}
	all, err := b.DiffRevisions(t.Context(), fleet, 0, 2)
	if err != nil || all.Created != 2 {
		t.Errorf("from nothing: %+v, %v; want 2 creations", all, err)
	}
}

// After random edits, rollbacks included, the root of every revision is that of its content built anew, and the index of
// references and of route keys answers as a fresh look at head does.
func TestRandomHistoryHoldsTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, `services/s0 {"url":"http://a"}`, `services/s1 {"url":"http://a"}`)
	random := rand.New(rand.NewPCG(7, 7))
	for range 40 {
		if random.IntN(6) == 0 {
			head := b.head()
			if _, err := b.Rollback(t.Context(), actor, fleet, 1+random.Int64N(head), ""); err != nil {
				t.Fatal(err)
			}
			continue
		}
		name := fmt.Sprintf("r%d", random.IntN(8))
		if random.IntN(4) == 0 {
			_, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_ROUTE, name, config.WriteOptions{})
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			continue
		}
		b.apply(fmt.Sprintf(`routes/%s {"service":"s%d","match":{"paths":["/%s/%d"]}}`, name, random.IntN(2), name, random.IntN(4)))
	}
	for number := int64(1); number <= b.head(); number++ {
		b.checkRoot(number)
	}
	b.checkIndexes()
}

func (b *bench) head() int64 {
	b.t.Helper()
	_, head, err := b.Fleet(b.t.Context(), fleet)
	if err != nil {
		b.t.Fatal(err)
	}
	return head.Revision
}

func (b *bench) view(read func(context.Context, *store.Tx) error) {
	b.t.Helper()
	if err := b.store.View(b.t.Context(), func(tx *store.Tx) error { return read(b.t.Context(), tx) }); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) checkRoot(number int64) {
	b.t.Helper()
	b.view(func(ctx context.Context, tx *store.Tx) error {
		stored, err := tx.Revision(ctx, b.fleet.ID, number)
		if err != nil {
			return err
		}
		var delta revision.Delta
		err = tx.Content(ctx, b.fleet.ID, number, func(v store.Version) error {
			delta.Upserts = append(delta.Upserts, revision.Resource{Key: v.Key, Body: v.Body})
			return nil
		})
		if root := revision.NewContent().Apply(delta).Root(); root != stored.Root {
			b.t.Errorf("root of revision %d is %s, of its content built anew %s", number, stored.Root, root)
		}
		return err
	})
}

func (b *bench) checkIndexes() {
	b.t.Helper()
	routes, _, err := b.List(b.t.Context(), fleet, configv1.Kind_KIND_ROUTE, config.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	want := map[string]string{}
	for _, route := range routes {
		spec, _ := route.Spec.(*configv1.Route)
		want["routes/"+route.Name] = "services/" + spec.GetService()
	}
	b.view(func(ctx context.Context, tx *store.Tx) error {
		services := []revision.Key{
			{Kind: configv1.Kind_KIND_SERVICE, Name: "s0"},
			{Kind: configv1.Kind_KIND_SERVICE, Name: "s1"},
			{Kind: configv1.Kind_KIND_SERVICE, Name: "orders"},
		}
		references, err := tx.ReferencesTo(ctx, b.fleet.ID, services)
		got := map[string]string{}
		for _, reference := range references {
			got[reference.From.String()] = reference.To.String()
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			b.t.Errorf("references %v, want %v", got, want)
		}
		return err
	})
}

func TestExplainSaysWhichRouteAndWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(
		ordersService,
		`routes/all {"service":"orders","match":{"paths":["/orders/**"]}}`,
		`routes/one {"service":"orders","match":{"paths":["/orders/{id}"],"methods":["GET"]}}`,
		`routes/admin {"service":"orders","match":{"hosts":["admin.example"],"paths":["/**"]}}`,
		`routes/canary {"service":"orders","match":{"paths":["/orders/**"],"headers":[{"name":"x-canary","equals":"yes"}],"query":[{"name":"v","regex":"[0-9]+"}]}}`,
		`services/next {"url":"http://next"}`,
		`routes/split {"backends":[{"service":"orders","weight":3},{"service":"next","weight":1}],"sticky":{"cookie":"arm"},"match":{"paths":["/split"]}}`,
		`consumers/acme {}`,
		`plugins/auth {"type":"key-auth"}`,
		`plugins/auth-one {"type":"key-auth","scope":{"route":"one"},"config":{"optional":true}}`,
		`plugins/limit {"type":"rate-limit","config":{"requests":1,"per":"1s"}}`,
		`plugins/limit-acme {"type":"rate-limit","scope":{"consumer":"acme"},"config":{"requests":9,"per":"1s"}}`,
	)
	cases := []struct{ method, url, route, parameters, plugins string }{
		{"GET", "/orders/7", "one", "map[id:7]", "auth-one auth(no) limit-acme limit"},
		{"POST", "https://any.example/orders/7", "all", "map[**:7]", "auth limit-acme limit"},
		{"GET", "/orders/7/lines?x=1", "all", "map[**:7/lines]", "auth limit-acme limit"},
		{"GET", "https://admin.example/anything", "admin", "map[**:anything]", "auth limit-acme limit"},
		{"GET", "/orders/7/lines?v=12", "canary", "map[**:7/lines]", "auth limit-acme limit"},
		{"GET", "https://any.example/nothing", "", "map[]", ""},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.url, func(t *testing.T) {
			t.Parallel()
			got, err := b.Explain(t.Context(), fleet, "", config.Asked{Method: c.method, URL: c.url, Headers: map[string]string{"X-Canary": "yes"}})
			if err != nil {
				t.Fatal(err)
			}
			if got.Route != c.route || fmt.Sprint(got.Parameters) != c.parameters {
				t.Errorf("route %q with %v, want %q with %s", got.Route, got.Parameters, c.route, c.parameters)
			}
			var plugins []string
			for _, plugin := range got.Plugins {
				name := plugin.Name
				if strings.HasPrefix(plugin.Reason, "does not apply") {
					name += "(no)"
				}
				plugins = append(plugins, name)
			}
			if strings.Join(plugins, " ") != c.plugins {
				t.Errorf("plugins %v, want %s", plugins, c.plugins)
			}
			for _, other := range got.Others {
				if other.Reason == "" || other.Name == c.route {
					t.Errorf("another route %+v", other)
				}
			}
		})
	}
	shared, err := b.Explain(t.Context(), fleet, "", config.Asked{Method: "GET", URL: "/split"})
	if got := strings.Join(shared.Backends, "; "); err != nil || got != "orders: 75 % of the requests; next: 25 % of the requests; sticky by cookie arm" {
		t.Errorf("backends %q, %v", got, err)
	}
	if _, err := b.Explain(t.Context(), fleet, "", config.Asked{Method: "GET", URL: "/a/%00"}); rules(t, err) != "url path" {
		t.Errorf("a path that the gateway refuses: %v", err)
	}
	if stable, err := b.Explain(t.Context(), fleet, "stable", config.Asked{Method: "GET", URL: "/orders/7"}); err != nil || stable.Route != "" {
		t.Errorf("in what has proved itself: %+v, %v; want nothing", stable, err)
	}
}
