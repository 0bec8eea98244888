-- name: InsertFleet :one
INSERT INTO fleets (name) VALUES ($1) RETURNING *;

-- name: InsertHead :exec
INSERT INTO heads (fleet_id) VALUES ($1);

-- name: InsertLaneHead :exec
INSERT INTO lane_heads (fleet_id) VALUES ($1);

-- name: GetFleetByName :one
SELECT * FROM fleets WHERE name = $1;

-- name: GetFleetByID :one
SELECT * FROM fleets WHERE id = $1;

-- name: ListFleets :many
SELECT * FROM fleets WHERE name > @after ORDER BY name LIMIT @page_size;

-- name: SetDefaultStrategy :exec
UPDATE fleets SET default_strategy = $2 WHERE id = $1;

-- name: SetFleetPolicy :exec
UPDATE fleets SET policy = $2 WHERE id = $1;

-- name: GetHead :one
SELECT h.fleet_id, h.head_revision, h.stable_revision, h.last_revision, h.epoch, h.generation, l.sequence AS lane_sequence
FROM heads h JOIN lane_heads l USING (fleet_id)
WHERE h.fleet_id = $1;

-- name: ListHeads :many
SELECT h.fleet_id, h.head_revision, h.stable_revision, h.last_revision, h.epoch, h.generation, l.sequence AS lane_sequence
FROM heads h JOIN lane_heads l USING (fleet_id);

-- name: LockHead :one
SELECT fleet_id FROM heads WHERE fleet_id = $1 FOR UPDATE;

-- name: LockLaneHead :one
SELECT sequence FROM lane_heads WHERE fleet_id = $1 FOR UPDATE;

-- name: SetLaneHead :exec
UPDATE lane_heads SET sequence = $2 WHERE fleet_id = $1;

-- name: RaiseGeneration :one
UPDATE heads SET generation = generation + 1, updated_at = now() WHERE fleet_id = $1 RETURNING generation;

-- name: SetHeadRevision :exec
UPDATE heads SET head_revision = @revision, last_revision = greatest(last_revision, @revision), updated_at = now()
WHERE fleet_id = @fleet_id;

-- name: SetStableRevision :exec
UPDATE heads SET stable_revision = $2, updated_at = now() WHERE fleet_id = $1;

-- name: RaiseEpoch :one
-- It is above every epoch that an agent says it knows, for the database may have been restored before. (Nobody opens a milliard of them;
-- an agent that says so is not believed.)
UPDATE heads SET epoch = greatest(epoch, (SELECT coalesce(max(a.known_epoch), 0) FROM agents a WHERE a.fleet_id = $1 AND a.known_epoch < 1000000000)) + 1,
    generation = generation + 1, updated_at = now() WHERE fleet_id = $1 RETURNING epoch;
