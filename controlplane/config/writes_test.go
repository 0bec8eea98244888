package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestSingleWritePublishesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	service := parse(t, ordersService)
	made, err := b.Create(t.Context(), actor, fleet, service, config.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r := made.Resource; r.ETag != `"r1"` || r.Revision != 1 || r.State != config.StatePending || made.Published.Rollout == 0 {
		t.Errorf("made %+v, published %+v", r, made.Published)
	}
	if _, err := b.Create(t.Context(), actor, fleet, service, config.WriteOptions{}); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating again: %v, want ErrExists", err)
	}
	same, err := b.Upsert(t.Context(), actor, fleet, service, config.WriteOptions{})
	if err != nil || same.Published.Revision != 0 || same.Resource.ETag != `"r1"` {
		t.Errorf("writing the same: %+v, %v; want nothing made", same.Published, err)
	}
	if _, err := b.Update(t.Context(), actor, fleet, parse(t, `services/none {}`), nil, config.WriteOptions{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("updating what is not there: %v, want ErrNotFound", err)
	}
	if _, err := b.Delete(t.Context(), actor, fleet, service.Kind, "none", config.WriteOptions{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting what is not there: %v, want ErrNotFound", err)
	}
	if _, err := b.Upsert(t.Context(), actor, fleet, service, config.WriteOptions{Strategy: "none"}); rules(t, err) != "strategy strategy" {
		t.Errorf("a strategy that is not there: %v", err)
	}
}

func TestLostRaceIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, `consumers/acme {}`)
	cases := []struct {
		name, ifMatch, write string
		lost                 string // the present version, if the race is lost
	}{
		{"the present version", `"r1"`, `services/orders {"url":"http://a"}`, ""},
		{"an older one", `"r0"`, `services/orders {"url":"http://b"}`, "r"},
		{"any", "*", `services/orders {"url":"http://c"}`, ""},
		{"any of what is not there", "*", `services/none {"url":"http://c"}`, "none"},
		{"a weak tag", `W/"r1"`, `services/orders {"url":"http://d"}`, "r"},
		{"of the fast lane", `"s1"`, `consumers/acme {"disabled":true}`, ""},
		{"an older one of the fast lane", `"s1"`, `consumers/acme {"disabled":false}`, "s2"},
	}
	for _, c := range cases {
		_, err := b.Upsert(t.Context(), actor, fleet, parse(t, c.write), config.WriteOptions{IfMatch: c.ifMatch})
		var lost *config.Precondition
		switch {
		case c.lost == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.lost == "none" && (!errors.As(err, &lost) || lost.ETag != ""):
			t.Errorf("%s: %v, want Precondition without a version", c.name, err)
		case c.lost != "" && c.lost != "none" && (!errors.As(err, &lost) || !strings.Contains(lost.ETag, c.lost)):
			t.Errorf("%s: %v, want Precondition", c.name, err)
		}
	}
}

func TestUpdateChangesWhatItNames(t *testing.T) {
	t.Parallel()
	const before = `services/orders {"url":"http://a","timeouts":{"connect":"1s","idle":"9s"},"host":"upstream"} #team=x`
	cases := []struct {
		name  string
		body  string
		mask  []string
		want  string
		wrong string
	}{
		{
			"what the body holds", `services/orders {"timeouts":{"idle":"5s"}}`, nil,
			`services/orders {"url":"http://a","timeouts":{"connect":"1s","idle":"5s"},"host":"upstream"} #team=x`, "",
		},
		{
			"one field", `services/orders {"url":"http://b","host":"client"}`,
			[]string{"spec.url"},
			`services/orders {"url":"http://b","timeouts":{"connect":"1s","idle":"9s"},"host":"upstream"} #team=x`, "",
		},
		{
			"a field of a field, cleared", `services/orders {}`,
			[]string{"spec.timeouts.idle"},
			`services/orders {"url":"http://a","timeouts":{"connect":"1s"},"host":"upstream"} #team=x`, "",
		},
		{
			"labels", `services/orders {} #team=y`,
			[]string{"labels"},
			`services/orders {"url":"http://a","timeouts":{"connect":"1s","idle":"9s"},"host":"upstream"} #team=y`, "",
		},
		{
			"a label, cleared", `services/orders {}`,
			[]string{"labels.team"},
			`services/orders {"url":"http://a","timeouts":{"connect":"1s","idle":"9s"},"host":"upstream"}`, "",
		},
		{"all", `services/orders {"url":"http://c"}`, []string{"*"}, `services/orders {"url":"http://c"}`, ""},
		{"a field that is not there", `services/orders {}`, []string{"spec.urls"}, "", "update_mask update_mask"},
		{"what cannot be changed", `services/orders {}`, []string{"etag"}, "", "update_mask update_mask"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.apply(before)
			_, err := b.Update(t.Context(), actor, fleet, parse(t, c.body), c.mask, config.WriteOptions{})
			if c.wrong != "" {
				if got := rules(t, err); got != c.wrong {
					t.Errorf("violations %q, want %q", got, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equalSpec(t, b.get("services", "orders"), c.want)
			if got, want := fmt.Sprint(b.get("services", "orders").Labels), fmt.Sprint(parse(t, c.want).Labels); got != want {
				t.Errorf("labels %s, want %s", got, want)
			}
		})
	}
}

func TestStateFollowsTheRollout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	state := func(collection, name, want string) {
		t.Helper()
		if got := b.get(collection, name).State; got != want {
			t.Errorf("%s/%s is %s, want %s", collection, name, got, want)
		}
	}
	b.apply(ordersService, ordersRoute)
	state("routes", "orders", config.StatePending)
	b.serve(1)
	state("routes", "orders", config.StateServing)
	b.apply(`services/orders {"url":"http://b"}`, `plans/gold {}`, `consumers/acme {"plan":"gold"}`)
	state("routes", "orders", config.StateServing)
	state("services", "orders", config.StatePending)
	state("consumers", "acme", config.StatePending)
	setState := func(number int64, state string) {
		t.Helper()
		err := b.store.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.SetRevisionState(t.Context(), b.fleet.ID, number, state)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	setState(2, store.RevisionRollingOut)
	state("services", "orders", config.StateRollingOut)
	stable, err := b.Get(t.Context(), fleet, configv1.Kind_KIND_SERVICE, "orders", "stable")
	if err != nil {
		t.Fatal(err)
	}
	equalSpec(t, stable, ordersService)
	setState(2, store.RevisionRejected)
	state("services", "orders", config.StateRejected)
	b.serve(2)
	state("consumers", "acme", config.StateServing)
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var texts []string
	for i := range 7 {
		texts = append(texts, fmt.Sprintf(`services/s%d {"url":"http://a"} #parity=%d`, i, i%2), fmt.Sprintf(`consumers/c%d {} #parity=%d`, i, i%2))
	}
	b.apply(texts...)
	for _, kind := range []configv1.Kind{configv1.Kind_KIND_SERVICE, configv1.Kind_KIND_CONSUMER} {
		var got []string
		options := config.ListOptions{PageSize: 3, Filter: "labels.parity=0"}
		for {
			page, next, err := b.List(t.Context(), fleet, kind, options)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.Name[1:])
			}
			if options.PageToken = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, []string{"0", "2", "4", "6"}) {
			t.Errorf("%s: %v", kind.Collection(), got)
		}
	}
	for want, options := range map[string]config.ListOptions{
		"page_token page_token":   {PageToken: "x"},
		"filter filter":           {Filter: "color=red"},
		"page_size int32.gte_lte": {PageSize: 1001},
		"view string.in":          {View: "yesterday"},
	} {
		if _, _, err := b.List(t.Context(), fleet, configv1.Kind_KIND_ROUTE, options); rules(t, err) != want {
			t.Errorf("%+v: %v, want %s", options, err, want)
		}
	}
	if _, _, err := b.List(t.Context(), "none", configv1.Kind_KIND_ROUTE, config.ListOptions{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a fleet that is not there: %v, want ErrNotFound", err)
	}
}

// Two who publish at once take turns: every revision has one parent, and no write is lost.
func TestPublishersTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const publishers, each = 4, 5
	var group errgroup.Group
	for p := range publishers {
		group.Go(func() error {
			for i := range each {
				resource := config.Resource{
					Kind: configv1.Kind_KIND_SERVICE, Name: fmt.Sprintf("s%d-%d", p, i), Spec: &configv1.Service{Url: "http://a"},
				}
				if _, err := b.Upsert(t.Context(), actor, fleet, resource, config.WriteOptions{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	revisions, _, err := b.Revisions(t.Context(), fleet, config.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(revisions) != publishers*each {
		t.Fatalf("%d revisions, want %d", len(revisions), publishers*each)
	}
	for i, revision := range revisions {
		if want := int64(publishers*each - i); revision.Number != want || revision.Parent != want-1 {
			t.Errorf("revision %d with parent %d, want %d on %d", revision.Number, revision.Parent, want, want-1)
		}
	}
	services, _, err := b.List(t.Context(), fleet, configv1.Kind_KIND_SERVICE, config.ListOptions{})
	if err != nil || len(services) != publishers*each {
		t.Errorf("%d services, %v; want %d", len(services), err, publishers*each)
	}
}

// One change among many costs one change.
func BenchmarkPublishOneAmongManyRoutes(b *testing.B) {
	for _, routes := range []int{1_300, 10_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			bench := newBench(b)
			resources := bench.resources(ordersService)
			for i := range routes {
				resources = append(resources, config.Resource{
					Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprint("r", i),
					Spec: &configv1.Route{Service: "orders", Match: &configv1.Match{Paths: []string{fmt.Sprintf("/r%d/{id}", i)}}},
				})
			}
			if _, err := bench.Apply(b.Context(), actor, fleet, config.ApplyOptions{Resources: resources}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(0, "ns/op")
			for i := 0; b.Loop(); i++ {
				bench.apply(fmt.Sprintf(`routes/r1 {"service":"orders","match":{"paths":["/changed/%d"]}}`, i))
			}
		})
	}
}

func BenchmarkApplyManyRoutes(b *testing.B) {
	bench := newBench(b)
	for i := 0; b.Loop(); i++ {
		resources := bench.resources(ordersService)
		for r := range 1_300 {
			resources = append(resources, config.Resource{
				Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprint("r", r),
				Spec: &configv1.Route{Service: "orders", Match: &configv1.Match{Paths: []string{fmt.Sprintf("/repos/{owner}/r%d/%d/{id}", r, i)}}},
			})
		}
		if _, err := bench.Apply(b.Context(), actor, fleet, config.ApplyOptions{Resources: resources}); err != nil {
			b.Fatal(err)
		}
	}
}
