-- name: SupersedeLane :exec
UPDATE lane_versions v SET current = false
FROM (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k
WHERE v.fleet_id = @fleet_id AND v.kind = k.kind AND v.name = k.name AND v.current;

-- name: InsertLane :exec
INSERT INTO lane_versions (fleet_id, sequence, kind, name, owner, body, key_hash, labels, author, expires_at)
SELECT @fleet_id::bigint, unnest(@sequences::bigint[]), unnest(@kinds::smallint[]), unnest(@names::text[]), unnest(@owners::text[]),
       unnest(@bodies::bytea[]), unnest(@key_hashes::bytea[]), unnest(@labels::text[])::jsonb, @author::text,
       nullif(unnest(@expirations::text[]), '')::timestamptz;

-- name: GetLaneCurrent :many
SELECT v.* FROM lane_versions v
JOIN (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k ON v.kind = k.kind AND v.name = k.name
WHERE v.fleet_id = @fleet_id AND v.current;

-- name: ListLaneCurrent :many
SELECT * FROM lane_versions
WHERE fleet_id = @fleet_id AND kind = @kind AND current AND body IS NOT NULL
  AND name > @after AND starts_with(name, @prefix) AND labels @> @labels::jsonb
ORDER BY name LIMIT @page_size;

-- name: ListLaneOwned :many
SELECT * FROM lane_versions
WHERE fleet_id = @fleet_id AND owner = @owner AND owner <> '' AND kind = @kind AND current AND body IS NOT NULL AND name > @after
ORDER BY name LIMIT @page_size;

-- name: ListLaneNames :many
SELECT name FROM lane_versions WHERE fleet_id = @fleet_id AND kind = @kind AND current AND body IS NOT NULL ORDER BY name;

-- name: ListLaneChangedSince :many
SELECT DISTINCT v.kind, v.name FROM lane_versions v
JOIN (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name, unnest(@bases::bigint[]) AS base) k
  ON v.kind = k.kind AND v.name = k.name
WHERE v.fleet_id = @fleet_id AND v.sequence > k.base;

-- name: GetLaneHistory :many
SELECT * FROM lane_versions
WHERE fleet_id = @fleet_id AND kind = @kind AND name = @name
ORDER BY sequence DESC LIMIT @page_size;

-- name: ListKeyUses :many
SELECT key, last_used FROM key_uses WHERE fleet_id = @fleet_id AND key = ANY(@keys::text[]);

-- name: Now :one
SELECT clock_timestamp()::timestamptz;

-- name: ListLaneExpired :many
SELECT fleet_id, kind, name FROM lane_versions
WHERE current AND expires_at IS NOT NULL AND expires_at <= @now::timestamptz AND (fleet_id = @fleet_id OR @fleet_id = 0)
ORDER BY expires_at LIMIT @page_size;
