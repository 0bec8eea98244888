package store_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver's name
	"github.com/pressly/goose/v3"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/migrations"
)

// Routes of rollouts that ran before bad requests were counted by route are ranked as those of later ones.
func TestEvidenceOfBeforeIsRankedByMigration(t *testing.T) {
	t.Parallel()
	databaseURL, _ := pgtest.Schema(t)
	database, err := sql.Open("pgx", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	provider, err := goose.NewProvider(goose.DialectPostgres, database, migrations.FS,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO fleets (name) VALUES ('f')`,
		`INSERT INTO revisions (fleet_id, number, parent, root, lane_sequence, origin, state, author, created, updated, deleted)
		 SELECT id, 1, 0, decode(repeat('00', 32), 'hex'), 0, 'publish', 'serving', 'ada', 1, 0, 0 FROM fleets`,
		`INSERT INTO rollouts (fleet_id, revision, stable_revision, strategy, spec, state, author)
		 SELECT id, 1, 0, 's', '', 'completed', 'ada' FROM fleets`,
		`INSERT INTO rollout_evidence (rollout_id, metric, route, share_ppm, candidate, control)
		 SELECT id, metric, route, 100000, candidate, control FROM rollouts,
		 (VALUES ('requests', 'bad', 90, 900), ('upstream_5xx', 'bad', 1, 2), ('gateway.no_route', 'bad', 3, 0), ('slower.p99', 'bad', 1, 0),
		         ('slower.p50', 'bad', 45, 450), ('slower.p95', 'busy', 4, 40), ('upstream_5xx', '', 1, 2)) s (metric, route, candidate, control)`,
	} {
		if _, err := database.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	var routes string
	if err := database.QueryRowContext(t.Context(), `SELECT string_agg(route || ' ' || bad, ', ') FROM rollout_routes`).Scan(&routes); err != nil {
		t.Fatal(err)
	}
	if routes != "bad 7" {
		t.Errorf("ranked are %q, want the one route with bad requests", routes)
	}
	if _, err := provider.DownTo(t.Context(), 6); err != nil {
		t.Errorf("going back: %v", err)
	}
}
