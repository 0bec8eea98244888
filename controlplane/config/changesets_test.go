package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// draft opens a change set with edits.
func (b *bench) draft(texts ...string) config.ChangeSet {
	b.t.Helper()
	set, err := b.CreateChangeSet(b.t.Context(), actor, fleet, "a draft")
	if err != nil {
		b.t.Fatal(err)
	}
	set, err = b.EditChangeSet(b.t.Context(), actor, fleet, set.ID, b.edits(texts...), set.ETag)
	if err != nil {
		b.t.Fatal(err)
	}
	return set
}

// edits reads resources; "-routes/a" deletes.
func (b *bench) edits(texts ...string) []config.Edit {
	b.t.Helper()
	var edits []config.Edit
	for _, text := range texts {
		if name, ok := strings.CutPrefix(text, "-"); ok {
			collection, name, _ := strings.Cut(name, "/")
			edits = append(edits, config.Edit{Delete: true, Resource: config.Resource{Kind: configv1.KindOf(collection), Name: name}})
			continue
		}
		edits = append(edits, config.Edit{Resource: parse(b.t, text)})
	}
	return edits
}

func TestChangeSetIsPublishedWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	set := b.draft(`routes/orders {"service":"orders","match":{"paths":["/v2/orders"]}}`, `services/new {"url":"http://n"}`, `consumers/acme {}`)
	if set.State != "open" || set.BaseRevision != 1 || len(set.Edits) != 3 {
		t.Fatalf("draft %+v", set)
	}
	equalSpec(t, b.get("routes", "orders"), ordersRoute)
	diff, err := b.DiffChangeSet(t.Context(), fleet, set.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff.Created != 2 || diff.Updated != 1 {
		t.Errorf("diff: %d created, %d updated; want 2, 1", diff.Created, diff.Updated)
	}
	published, err := b.PublishChangeSet(t.Context(), actor, fleet, set.ID, "immediate", "", config.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if published.Revision != 2 || published.LaneSequence != 1 {
		t.Errorf("published %+v, want revision 2 and lane sequence 1", published)
	}
	equalSpec(t, b.get("routes", "orders"), `routes/orders {"service":"orders","match":{"paths":["/v2/orders"]}}`)
	var closed *config.Closed
	if _, err := b.PublishChangeSet(t.Context(), actor, fleet, set.ID, "", "", config.PublishOptions{}); !errors.As(err, &closed) || closed.State != "published" {
		t.Errorf("publishing again: %v, want Closed", err)
	}
	if set, err = b.ChangeSet(t.Context(), fleet, set.ID); err != nil || set.Revision != 2 || set.State != "published" {
		t.Errorf("afterwards: %+v, %v", set, err)
	}
}

func TestConflictNamesWhatChanged(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		draft     []string
		meanwhile []string
		want      string // empty: none
	}{
		{"what is written", []string{`services/orders {"url":"http://a"}`}, []string{`services/orders {"url":"http://b"}`}, "services/orders"},
		{"what is deleted", []string{"-routes/orders"}, []string{`routes/orders {"service":"orders","match":{"paths":["/v2"]}}`}, "routes/orders"},
		{"what is referred to", []string{`routes/r {"service":"orders","match":{"paths":["/r"]}}`}, []string{`services/orders {"url":"http://b"}`}, "services/orders"},
		{"what is made by both", []string{`services/new {"url":"http://a"}`}, []string{`services/new {"url":"http://b"}`}, "services/new"},
		{"the fast lane", []string{`consumers/acme {"display_name":"A"}`}, []string{`consumers/acme {"display_name":"B"}`}, "consumers/acme"},
		{
			"several",
			[]string{`services/orders {"url":"http://a"}`, `consumers/acme {"disabled":true}`},
			[]string{`services/orders {"url":"http://b"}`, `consumers/acme {"display_name":"B"}`},
			"services/orders consumers/acme",
		},
		{"something else", []string{`services/orders {"url":"http://a"}`}, []string{`services/other {"url":"http://b"}`, `consumers/other {}`}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.apply(ordersService, ordersRoute, `consumers/acme {}`)
			set := b.draft(c.draft...)
			b.apply(c.meanwhile...)
			_, err := b.PublishChangeSet(t.Context(), actor, fleet, set.ID, "", "", config.PublishOptions{})
			if c.want == "" {
				if err != nil {
					t.Fatalf("publishing: %v", err)
				}
				return
			}
			review, validateErr := b.ValidateChangeSet(t.Context(), fleet, set.ID)
			if validateErr != nil {
				t.Fatal(validateErr)
			}
			if got := strings.ReplaceAll(strings.ReplaceAll(rules(t, review.Violations), "  conflict", ""), "\n", " "); got != c.want {
				t.Errorf("validating: %s, want a conflict about %s", got, c.want)
			}
			var conflict *config.Conflict
			if !errors.As(err, &conflict) || strings.Join(conflict.Resources, " ") != c.want {
				t.Fatalf("publishing: %v, want a conflict about %s", err, c.want)
			}
			if _, err := b.RebaseChangeSet(t.Context(), actor, fleet, set.ID, ""); !errors.As(err, &conflict) {
				t.Errorf("rebasing: %v, want a conflict", err)
			}
			kept, err := b.ChangeSet(t.Context(), fleet, set.ID)
			if err != nil || kept.State != "open" || len(kept.Edits) != len(c.draft) {
				t.Errorf("the draft is %+v, %v; want it as it was", kept, err)
			}
		})
	}
}

// Whoever looked at the present version and edits again (If-Match) has settled the conflict.
func TestEditOfPresentVersionSettlesConflict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	set := b.draft(`services/orders {"url":"http://mine"}`)
	b.apply(`services/orders {"url":"http://theirs"}`)
	var precondition *config.Precondition
	resource := parse(t, `services/orders {"url":"http://merged"}`)
	_, err := b.Upsert(t.Context(), actor, fleet, resource, config.WriteOptions{ChangeSet: set.ID, IfMatch: `"r1"`})
	if !errors.As(err, &precondition) || precondition.ETag != `"r2"` {
		t.Fatalf("editing with the old version: %v, want Precondition", err)
	}
	if _, err := b.Upsert(t.Context(), actor, fleet, resource, config.WriteOptions{ChangeSet: set.ID, IfMatch: `"r2"`}); err != nil {
		t.Fatal(err)
	}
	if set, err = b.RebaseChangeSet(t.Context(), actor, fleet, set.ID, ""); err != nil || set.BaseRevision != 2 {
		t.Fatalf("rebasing: base %d, %v", set.BaseRevision, err)
	}
	if _, err := b.PublishChangeSet(t.Context(), actor, fleet, set.ID, "", "", config.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	equalSpec(t, b.get("services", "orders"), `services/orders {"url":"http://merged"}`)
}

func TestRebaseOfDisjointDraft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService)
	set := b.draft(ordersRoute)
	b.apply(`services/other {"url":"http://o"}`)
	set, err := b.RebaseChangeSet(t.Context(), actor, fleet, set.ID, set.ETag)
	if err != nil || set.BaseRevision != 2 || len(set.Edits) != 1 {
		t.Fatalf("rebased: %+v, %v", set, err)
	}
}

func TestDraftIsValidatedAgainstHead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, ordersRoute)
	set := b.draft(`routes/r {"service":"nowhere","match":{"paths":["/orders/**"]}}`, "-services/orders")
	review, err := b.ValidateChangeSet(t.Context(), fleet, set.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := "routes/r spec.service reference.missing\nservices/orders  reference.in_use\nroutes/r spec.match route.tie"
	if got := rules(t, review.Violations); got != strings.ReplaceAll(want, "  ", " ") && got != want {
		t.Errorf("violations:\n%s\nwant:\n%s", got, want)
	}
	if _, err := b.EditChangeSet(t.Context(), actor, fleet, set.ID, b.edits(`services/x {"url":"ftp://x"}`), ""); rules(t, err) != "services/x spec.url service.url" {
		t.Errorf("editing: %v, want the resource's own violations at once", err)
	}
}

func TestSingleWritesIntoDraft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService)
	set := b.draft()
	into := config.WriteOptions{ChangeSet: set.ID}
	route := parse(t, ordersRoute)
	written, err := b.Create(t.Context(), actor, fleet, route, into)
	if err != nil || written.Published.Revision != 0 || written.ChangeSetETag == set.ETag {
		t.Fatalf("creating: %+v, %v", written, err)
	}
	if _, err := b.Create(t.Context(), actor, fleet, route, into); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating again: %v, want ErrExists", err)
	}
	if _, err := b.Delete(t.Context(), actor, fleet, route.Kind, route.Name, into); err != nil {
		t.Errorf("deleting what only the draft has: %v", err)
	}
	if _, err := b.Update(t.Context(), actor, fleet, route, nil, into); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("updating what the draft deleted: %v, want ErrNotFound", err)
	}
	if _, err := b.Create(t.Context(), actor, fleet, route, config.WriteOptions{ChangeSet: "00000000-0000-0000-0000-000000000000"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a draft that is not there: %v, want ErrNotFound", err)
	}
	if _, err := b.ChangeSet(t.Context(), fleet, "' OR true"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no id at all: %v, want ErrNotFound", err)
	}
}

func TestChangeSetsAreListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []string
	for range 5 {
		ids = append(ids, b.draft().ID)
	}
	if err := b.AbandonChangeSet(t.Context(), actor, fleet, ids[2], ""); err != nil {
		t.Fatal(err)
	}
	var got []string
	options := config.ListOptions{Filter: "state=open", PageSize: 3}
	for {
		sets, next, err := b.ChangeSets(t.Context(), fleet, options)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range sets {
			got = append(got, set.ID)
		}
		if options.PageToken = next; next == "" {
			break
		}
	}
	want := slices.Concat([]string{ids[4], ids[3]}, []string{ids[1], ids[0]})
	if !slices.Equal(got, want) {
		t.Errorf("open change sets %v, want %v", got, want)
	}
}
