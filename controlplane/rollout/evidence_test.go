package rollout_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"tidegate.dev/controlplane/store"
)

// counts adds evidence of one share to a rollout: requests of both arms, and how many of each were bad.
func (f *fleet) counts(rolloutID int64, route string, metric string, candidate, control int64) {
	f.t.Helper()
	f.change(func(ctx context.Context, tx *store.Tx) error {
		sums := map[store.EvidenceKey]store.EvidenceArms{}
		for _, at := range slices.Compact([]string{"", route}) {
			sums[store.EvidenceKey{RolloutID: rolloutID, Metric: metric, Route: at, SharePPM: 100_000}] = store.EvidenceArms{Candidate: candidate, Control: control}
		}
		return tx.AddEvidenceSums(ctx, sums)
	})
}

// evidence reads what matters of a rollout, of at most two routes of each sort.
func (f *fleet) evidence(rolloutID, stable int64, named ...string) (read store.Evidence) {
	f.t.Helper()
	f.change(func(ctx context.Context, tx *store.Tx) error {
		row, err := tx.RolloutByID(ctx, f.ID, rolloutID)
		if err != nil {
			return err
		}
		row.StableRevision = stable
		read, err = tx.Evidence(ctx, row, named, 2)
		return err
	})
	return read
}

func routesOf(sums []store.EvidenceSum) (routes []string) {
	for _, sum := range sums {
		name := sum.Route
		if !sum.InStable {
			name = "+" + name
		}
		if !slices.Contains(routes, name) {
			routes = append(routes, name)
		}
	}
	slices.Sort(routes)
	return routes
}

// However many routes there are, the evidence of those that matter is read: the worst in both arms together.
func TestEvidenceIsReadOfTheRoutesThatMatter(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	old, fresh := map[string]string{}, map[string]string{}
	for i := range 6 {
		old[fmt.Sprint("old", i)] = fmt.Sprint("/old/", i)
		fresh[fmt.Sprint("new", i)] = fmt.Sprint("/new/", i)
	}
	f.publishAll(old, quick())
	stable := f.head().Revision
	id := f.publishAll(fresh, quick())

	var totalOfNew int64
	for i := range int64(6) {
		// The candidate looks the better the worse the route is: by one arm alone others would be chosen.
		f.counts(id, fmt.Sprint("old", i), "upstream_5xx", 6-i, 10*i)
		f.counts(id, fmt.Sprint("old", i), "requests", 100, 900)
		f.counts(id, fmt.Sprint("new", i), "gateway.no_route", i, 0)
		f.counts(id, fmt.Sprint("new", i), "requests", 50, 0)
		totalOfNew += i
	}
	f.counts(id, "old0", "slower.p95", 5_000, 45_000) // busy, and not bad

	read := f.evidence(id, stable)
	if got, want := routesOf(read.Sums), []string{"", "+new4", "+new5", "old4", "old5"}; !slices.Equal(got, want) {
		t.Errorf("read is the evidence of %q, want %q", got, want)
	}
	for _, sum := range read.Sums {
		if sum.Metric == "requests" && sum.Route == "old5" && (sum.Candidate != 100 || sum.Control != 900) {
			t.Errorf("a route's requests are %+v", sum)
		}
	}
	want := []store.EvidenceSum{
		{Metric: "gateway.no_route", SharePpm: 100_000, Candidate: totalOfNew}, {Metric: "requests", SharePpm: 100_000, Candidate: 300},
	}
	if !slices.Equal(read.NewRoutes, want) {
		t.Errorf("all new routes together are %+v, want %+v", read.NewRoutes, want)
	}
	if got, want := routesOf(f.evidence(id, stable, "old1").Sums), []string{"", "+new4", "+new5", "old1", "old4", "old5"}; !slices.Equal(got, want) {
		t.Errorf("with a route that the change names, read is the evidence of %q, want %q", got, want)
	}
}

// A look must stay short for a fleet of many routes on all of which something goes wrong.
func BenchmarkEvidenceOfManyRoutes(b *testing.B) {
	for _, routes := range []int{100, 10_000} {
		b.Run(fmt.Sprint(routes, " routes"), func(b *testing.B) { benchmarkEvidence(b, routes) })
	}
}

func benchmarkEvidence(b *testing.B, routes int) {
	f := newFleet(b)
	f.publish("one", "/one", quick())
	stable := f.head().Revision
	id := f.publish("two", "/two", quick())
	f.change(func(ctx context.Context, tx *store.Tx) error {
		sums := map[store.EvidenceKey]store.EvidenceArms{}
		for i := range routes {
			for _, metric := range []string{"requests", "upstream_5xx", "gateway.upstream_timeout", "slower.p50", "slower.p95", "slower.p99"} {
				for _, share := range []int32{100_000, 500_000} {
					for _, route := range []string{"", fmt.Sprint("route-", i)} {
						key := store.EvidenceKey{RolloutID: id, Metric: metric, Route: route, SharePPM: share}
						sums[key] = store.EvidenceArms{Candidate: sums[key].Candidate + 1, Control: sums[key].Control + int64(i)}
					}
				}
			}
		}
		return tx.AddEvidenceSums(ctx, sums)
	})
	for b.Loop() {
		if read := f.evidence(id, stable); len(routesOf(read.Sums)) != 3 {
			b.Fatalf("evidence of %d routes was read", len(routesOf(read.Sums)))
		}
	}
}
