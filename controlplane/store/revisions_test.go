package store_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func service(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: name}
}

func route(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: name}
}

func upsert(t testing.TB, key revision.Key, spec proto.Message, labels map[string]string) store.Change {
	t.Helper()
	body, err := revision.Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	return store.Change{Key: key, Body: body, Labels: labels}
}

func routeTo(path, service string) *configv1.Route {
	return &configv1.Route{Service: service, Match: &configv1.Match{Paths: []string{path}}}
}

// commit makes a revision of changes and returns it; the zero Revision if nothing changed.
func commit(t testing.TB, s *store.Store, fleet store.Fleet, changes ...store.Change) store.Revision {
	t.Helper()
	var made store.Revision
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		head, err := tx.LockHead(t.Context(), fleet.ID)
		if err != nil {
			return err
		}
		made, _, err = tx.CommitRevision(t.Context(), head, store.Commit{Origin: store.OriginPublish, Author: "ada", Changes: changes})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func view(t testing.TB, s *store.Store, read func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), func(tx *store.Tx) error { return read(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func contentAt(t testing.TB, s *store.Store, fleet store.Fleet, number int64) (*revision.Content, map[revision.Key]string) {
	t.Helper()
	var delta revision.Delta
	plain := map[revision.Key]string{}
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.Content(ctx, fleet.ID, number, func(v store.Version) error {
			delta.Upserts = append(delta.Upserts, revision.Resource{Key: v.Key, Body: v.Body})
			plain[v.Key] = string(v.Body) + fmt.Sprint(v.Labels)
			return nil
		})
	})
	return revision.NewContent().Apply(delta), plain
}

// The content of every revision equals what replaying the edits gives, its root is the root of that content built anew, and
// the difference of any two revisions leads from one to the other.
func TestEveryRevisionIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := storetest.Open(t)
			fleet := storetest.Fleet(t, s, "default")
			random := rand.New(rand.NewPCG(seed, 1))
			replayed := []map[revision.Key]string{{}}
			for range 25 {
				state := maps.Clone(replayed[len(replayed)-1])
				made := commit(t, s, fleet, randomEdits(t, random, state)...)
				if made.Number == 0 {
					continue
				}
				replayed = append(replayed, state)
				if want := int64(len(replayed) - 1); made.Number != want {
					t.Fatalf("revision %d, want %d", made.Number, want)
				}
			}
			checkHistory(t, s, fleet, replayed)
			checkDifferences(t, s, fleet, replayed, random)
		})
	}
}

// randomEdits makes some edits and carries them into state.
func randomEdits(t *testing.T, random *rand.Rand, state map[revision.Key]string) []store.Change {
	t.Helper()
	changes := map[revision.Key]store.Change{}
	for range 1 + random.IntN(12) {
		key := route(fmt.Sprintf("r%02d", random.IntN(30)))
		if random.IntN(3) == 0 {
			key = service(fmt.Sprintf("s%d", random.IntN(5)))
		}
		if random.IntN(4) == 0 {
			changes[key] = store.Change{Key: key, Delete: true}
			delete(state, key)
			continue
		}
		var spec proto.Message = routeTo(fmt.Sprintf("/%s/%d", key.Name, random.IntN(3)), "s1")
		if key.Kind == configv1.Kind_KIND_SERVICE {
			spec = &configv1.Service{Url: fmt.Sprintf("http://host%d", random.IntN(3))}
		}
		var labels map[string]string
		if random.IntN(2) == 0 {
			labels = map[string]string{"team": fmt.Sprint(random.IntN(2))}
		}
		change := upsert(t, key, spec, labels)
		changes[key] = change
		state[key] = string(change.Body) + fmt.Sprint(labels)
	}
	var list []store.Change
	for _, change := range changes {
		list = append(list, change)
	}
	return list
}

func checkHistory(t *testing.T, s *store.Store, fleet store.Fleet, replayed []map[revision.Key]string) {
	t.Helper()
	for number, want := range replayed[1:] {
		number := int64(number) + 1
		content, plain := contentAt(t, s, fleet, number)
		if !maps.Equal(plain, want) {
			t.Fatalf("content of revision %d: %v, want %v", number, plain, want)
		}
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			stored, err := tx.Revision(ctx, fleet.ID, number)
			if stored.Root != content.Root() {
				t.Errorf("root of revision %d: %s, of its content built anew: %s", number, stored.Root, content.Root())
			}
			return err
		})
	}
}

func checkDifferences(t *testing.T, s *store.Store, fleet store.Fleet, replayed []map[revision.Key]string, random *rand.Rand) {
	t.Helper()
	for range 20 {
		from, to := random.IntN(len(replayed)), random.IntN(len(replayed))
		state := maps.Clone(replayed[from])
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			differences, err := tx.Difference(ctx, fleet.ID, int64(from), int64(to))
			for _, d := range differences {
				if d.After == nil {
					delete(state, d.Key)
				} else {
					state[d.Key] = string(d.After.Body) + fmt.Sprint(d.After.Labels)
				}
				if _, was := replayed[from][d.Key]; was != (d.Before != nil) {
					t.Errorf("from %d to %d: %s before is %v", from, to, d.Key, d.Before)
				}
			}
			return err
		})
		if !maps.Equal(state, replayed[to]) {
			t.Fatalf("the difference of %d and %d leads to %v, want %v", from, to, state, replayed[to])
		}
	}
}

func TestLabelsAloneMakeAVersionAndKeepTheRoot(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	fleet := storetest.Fleet(t, s, "default")
	spec := &configv1.Service{Url: "http://a"}
	first := commit(t, s, fleet, upsert(t, service("a"), spec, nil))
	second := commit(t, s, fleet, upsert(t, service("a"), spec, map[string]string{"team": "x"}))
	if second.Number != 2 || second.Root != first.Root || second.Updated != 1 {
		t.Errorf("second revision %+v, want number 2, one update, root %s", second, first.Root)
	}
	if third := commit(t, s, fleet, upsert(t, service("a"), spec, map[string]string{"team": "x"})); third.Number != 0 {
		t.Errorf("an unchanged resource made revision %d", third.Number)
	}
}

func TestListsPageAndFilter(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	fleet := storetest.Fleet(t, s, "default")
	var changes []store.Change
	for i := range 10 {
		labels := map[string]string{"parity": []string{"even", "odd"}[i%2]}
		changes = append(changes, upsert(t, service(fmt.Sprintf("a%d", i)), &configv1.Service{Url: "http://a"}, labels))
	}
	changes = append(changes, upsert(t, service("b"), &configv1.Service{Url: "http://b"}, nil))
	first := commit(t, s, fleet, changes...)
	commit(t, s, fleet, store.Change{Key: service("a8"), Delete: true})

	cases := []struct {
		name   string
		at     int64
		filter store.Filter
		want   string
	}{
		{"a page", 0, store.Filter{Limit: 3}, "[a0 a1 a2]"},
		{"the next", 0, store.Filter{After: "a2", Limit: 3}, "[a3 a4 a5]"},
		{"a prefix", 0, store.Filter{Prefix: "b", Limit: 9}, "[b]"},
		{"a label", 0, store.Filter{Labels: map[string]string{"parity": "even"}, Limit: 9}, "[a0 a2 a4 a6]"},
		{"an earlier revision", first.Number, store.Filter{After: "a6", Labels: map[string]string{"parity": "even"}, Limit: 9}, "[a8]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			view(t, s, func(ctx context.Context, tx *store.Tx) error {
				list := func() ([]store.Version, error) {
					if c.at > 0 {
						return tx.ListAt(ctx, fleet.ID, c.at, configv1.Kind_KIND_SERVICE, c.filter)
					}
					return tx.ListHead(ctx, fleet.ID, configv1.Kind_KIND_SERVICE, c.filter)
				}
				versions, err := list()
				var names []string
				for _, v := range versions {
					names = append(names, v.Name)
				}
				if fmt.Sprint(names) != c.want {
					t.Errorf("got %v, want %s", names, c.want)
				}
				return err
			})
		})
	}
}

func TestReferencesAndRouteKeysFollowHead(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	fleet := storetest.Fleet(t, s, "default")
	who := func() string {
		var got string
		view(t, s, func(ctx context.Context, tx *store.Tx) error {
			references, err := tx.ReferencesTo(ctx, fleet.ID, []revision.Key{service("a"), service("b")})
			for _, r := range references {
				got += fmt.Sprintf("%s %s %s;", r.From, r.Field, r.To)
			}
			return err
		})
		return got
	}
	commit(t, s, fleet, upsert(t, service("a"), &configv1.Service{Url: "http://a"}, nil), upsert(t, route("r"), routeTo("/r", "a"), nil))
	if got, want := who(), "routes/r service services/a;"; got != want {
		t.Errorf("references %q, want %q", got, want)
	}
	commit(t, s, fleet, upsert(t, service("b"), &configv1.Service{Url: "http://b"}, nil), upsert(t, route("r"), routeTo("/r", "b"), nil))
	if got, want := who(), "routes/r service services/b;"; got != want {
		t.Errorf("references %q, want %q", got, want)
	}
	commit(t, s, fleet, store.Change{Key: route("r"), Delete: true})
	if got := who(); got != "" {
		t.Errorf("references %q of a route that is gone", got)
	}
}

// One change among many costs one change.
func BenchmarkCommitOneAmongManyRoutes(b *testing.B) {
	for _, routes := range []int{1_300, 10_000, 100_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			s := storetest.Open(b)
			fleet := storetest.Fleet(b, s, "default")
			changes := []store.Change{upsert(b, service("s"), &configv1.Service{Url: "http://a"}, nil)}
			for i := range routes {
				changes = append(changes, upsert(b, route(fmt.Sprint("r", i)), routeTo(fmt.Sprintf("/r%d/{id}", i), "s"), nil))
			}
			commit(b, s, fleet, changes...)
			b.ReportMetric(float64(b.Elapsed().Milliseconds()), "ms/bulk")
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				commit(b, s, fleet, upsert(b, route("r1"), routeTo(fmt.Sprintf("/changed/%d", i), "s"), nil))
			}
		})
	}
}
