package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/admin"
	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	largeRoutes = 100_000
	largeKeys   = 1_000_000
)

// large is a system with a hundred thousand routes and a million keys.
type large struct {
	*system
	sql *pgx.Conn
}

// BenchmarkLarge times changes through the admin API among 100,000 routes and 1,000,000 keys, with the rollout's leader at work, and
// reports how many rows of content and keys Postgres reads for one: that follows the change, so nowhere is everything read.
func BenchmarkLarge(b *testing.B) {
	l := newLarge(b)
	n := 0
	for _, c := range []struct {
		name   string
		change func(b *testing.B)
	}{
		{"change a route", func(b *testing.B) {
			l.put(b, "/v1/fleets/default/routes/route-050000", fmt.Sprintf(
				`{"spec":{"service":"all","match":{"paths":["/v1/items-50000/{id}"]},"timeouts":{"total":"%dms"}}}`, 1000+n))
		}},
		{"new route", func(b *testing.B) {
			l.put(b, fmt.Sprint("/v1/fleets/default/routes/new-", n), fmt.Sprintf(`{"spec":{"service":"all","match":{"paths":["/new/%d/{id}"]}}}`, n))
		}},
		{"change the service of all", func(b *testing.B) {
			l.put(b, "/v1/fleets/default/services/all", fmt.Sprintf(`{"spec":{"url":"http://127.0.0.1:%d"}}`, 1+n%60_000))
		}},
		{"create and revoke a key", func(b *testing.B) {
			made := l.call(b, "POST", "/v1/fleets/default/consumers/consumer-7/keys", `{}`).ok(b)
			id := made["key"].(map[string]any)["id"]
			l.call(b, "DELETE", fmt.Sprint("/v1/fleets/default/consumers/consumer-7/keys/", id), "").ok(b)
		}},
	} {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			before := l.rowsRead(b)
			var took []time.Duration
			for b.Loop() {
				n++
				began := time.Now()
				c.change(b)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
			b.ReportMetric(float64(l.rowsRead(b)-before)/float64(len(took)), "rows-read/op")
		})
	}
}

func (l *large) put(b *testing.B, path, body string) {
	b.Helper()
	if got := l.call(b, http.MethodPut, path, body); got.status != http.StatusOK {
		b.Fatalf("%d %s", got.status, got.body)
	}
}

// rowsRead is how many rows of large tables were read so far, as Postgres counts them, a moment late.
func (l *large) rowsRead(b *testing.B) (rows int64) {
	b.Helper()
	const query = `SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_user_tables
		WHERE schemaname = current_schema() AND relname IN ('resource_versions', 'resource_references', 'route_keys', 'lane_versions', 'tree_nodes')`
	last, same := int64(-1), 0
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for same < 4 { // other connections report what they did a second late
		if err := l.sql.QueryRow(b.Context(), query).Scan(&rows); err != nil {
			b.Fatal(err)
		}
		if same++; rows != last {
			same, last = 0, rows
		}
		<-ticker.C
	}
	return rows
}

func newLarge(b *testing.B) *large {
	b.Helper()
	databaseURL, _ := pgtest.Schema(b)
	opened, err := store.Open(b.Context(), store.Config{DatabaseURL: databaseURL, MaxConnections: 8})
	check(b, err)
	b.Cleanup(opened.Close)
	check(b, opened.Migrate(b.Context()))
	l := &large{system: beginWith(b, admin.Config{Store: opened})}
	l.sql, err = pgx.Connect(b.Context(), databaseURL)
	check(b, err)
	b.Cleanup(func() { _ = l.sql.Close(context.WithoutCancel(b.Context())) })
	began := time.Now()
	l.loadKeys(b)
	b.Logf("%d keys took %v", largeKeys, time.Since(began).Round(time.Second))
	began = time.Now()
	l.loadRoutes(b)
	b.Logf("%d routes took %v", largeRoutes, time.Since(began).Round(time.Second))
	watcher := store.NewWatcher(opened, l.logger())
	controller := rollout.NewController(rollout.NewPostgres(opened), watcher, rollout.ControllerConfig{Holder: "bench", Log: l.logger()})
	l.run(b, watcher.Run, controller.Run)
	return l
}

// loadKeys writes keys as the lane has them, past the API, which makes them one by one.
func (l *large) loadKeys(b *testing.B) {
	b.Helper()
	for _, statement := range []string{
		`INSERT INTO lane_versions (fleet_id, sequence, kind, name, body, author)
			SELECT f.id, n, 16, 'consumer-' || n, '', 'bench' FROM fleets f, generate_series(1, 1000) n`,
		fmt.Sprintf(`INSERT INTO lane_versions (fleet_id, sequence, kind, name, owner, body, key_hash, author)
			SELECT f.id, 1000 + n, 17, 'key' || n, 'consumer-' || 1 + n %% 1000, '', sha256(n::text::bytea), 'bench'
			FROM fleets f, generate_series(1, %d) n`, largeKeys),
		fmt.Sprintf(`UPDATE lane_heads SET sequence = %d`, largeKeys+1000),
		`ANALYZE lane_versions`,
	} {
		if _, err := l.sql.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// loadRoutes commits revisions as a publish does.
func (l *large) loadRoutes(b *testing.B) {
	b.Helper()
	const batch = 20_000
	for from := 0; from < largeRoutes; from += batch {
		var changes []store.Change
		add := func(kind configv1.Kind, name string, body []byte, err error) {
			check(b, err)
			changes = append(changes, store.Change{Key: revision.Key{Kind: kind, Name: name}, Body: body})
		}
		if from == 0 {
			body, err := revision.Encode(&configv1.Service{Url: "http://127.0.0.1:9001"})
			add(configv1.Kind_KIND_SERVICE, "all", body, err)
		}
		for i := from; i < from+batch; i++ {
			body, err := revision.Encode(&configv1.Route{Service: "all", Match: &configv1.Match{Paths: []string{fmt.Sprintf("/v1/items-%d/{id}", i)}}})
			add(configv1.Kind_KIND_ROUTE, fmt.Sprintf("route-%06d", i), body, err)
		}
		check(b, l.store.InTx(b.Context(), func(tx *store.Tx) error {
			fleet, err := tx.FleetByName(b.Context(), "default")
			if err != nil {
				return err
			}
			head, err := tx.LockHead(b.Context(), fleet.ID)
			if err != nil {
				return err
			}
			made, _, err := tx.CommitRevision(b.Context(), head, store.Commit{Origin: store.OriginPublish, Author: "bench", Changes: changes})
			if err != nil {
				return err
			}
			return tx.SetStable(b.Context(), fleet.ID, made.Number)
		}))
	}
}
