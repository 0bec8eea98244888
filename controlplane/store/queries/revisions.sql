-- name: GetVersionsAtHead :many
SELECT v.* FROM resource_versions v
JOIN (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k ON v.kind = k.kind AND v.name = k.name
WHERE v.fleet_id = @fleet_id AND v.valid_until IS NULL;

-- name: GetVersionAt :one
SELECT * FROM resource_versions
WHERE fleet_id = @fleet_id AND kind = @kind AND name = @name
  AND valid_from <= @revision AND (valid_until IS NULL OR valid_until > @revision);

-- name: ListVersionsAtHead :many
SELECT * FROM resource_versions
WHERE fleet_id = @fleet_id AND kind = @kind AND valid_until IS NULL
  AND name > @after AND starts_with(name, @prefix) AND labels @> @labels::jsonb
ORDER BY name LIMIT @page_size;

-- name: ListVersionsAt :many
SELECT * FROM resource_versions
WHERE fleet_id = @fleet_id AND kind = @kind AND valid_from <= @revision AND (valid_until IS NULL OR valid_until > @revision)
  AND name > @after AND starts_with(name, @prefix) AND labels @> @labels::jsonb
ORDER BY name LIMIT @page_size;

-- name: ListNamesAtHead :many
SELECT name FROM resource_versions WHERE fleet_id = @fleet_id AND kind = @kind AND valid_until IS NULL ORDER BY name;

-- name: CountVersionsAtHead :one
-- Up to a limit, so that its cost is bounded.
SELECT count(*) FROM (
    SELECT FROM resource_versions WHERE fleet_id = @fleet_id AND kind = @kind AND valid_until IS NULL LIMIT @up_to
) counted;

-- name: ListChangedSince :many
SELECT DISTINCT v.kind, v.name FROM resource_versions v
JOIN (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name, unnest(@bases::bigint[]) AS base) k
  ON v.kind = k.kind AND v.name = k.name
WHERE v.fleet_id = @fleet_id AND (v.valid_from > k.base OR v.valid_until > k.base);

-- name: CloseVersions :exec
UPDATE resource_versions v SET valid_until = @revision::bigint
FROM (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k
WHERE v.fleet_id = @fleet_id AND v.kind = k.kind AND v.name = k.name AND v.valid_until IS NULL;

-- name: InsertVersions :exec
INSERT INTO resource_versions (fleet_id, kind, name, valid_from, body, digest, bucket, labels, author)
SELECT @fleet_id::bigint, unnest(@kinds::smallint[]), unnest(@names::text[]), @revision::bigint, unnest(@bodies::bytea[]), unnest(@digests::bytea[]),
       unnest(@buckets::integer[]), unnest(@labels::text[])::jsonb, @author::text;

-- name: DeleteReferences :exec
DELETE FROM resource_references r
USING (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k
WHERE r.fleet_id = @fleet_id AND r.kind = k.kind AND r.name = k.name;

-- name: InsertReferences :exec
INSERT INTO resource_references (fleet_id, kind, name, to_kind, to_name, field)
SELECT @fleet_id::bigint, unnest(@kinds::smallint[]), unnest(@names::text[]), unnest(@to_kinds::smallint[]), unnest(@to_names::text[]),
       unnest(@fields::text[]);

-- name: ListReferencesTo :many
SELECT r.kind, r.name, r.to_kind, r.to_name, r.field FROM resource_references r
JOIN (SELECT unnest(@kinds::smallint[]) AS kind, unnest(@names::text[]) AS name) k ON r.to_kind = k.kind AND r.to_name = k.name
WHERE r.fleet_id = @fleet_id
ORDER BY r.to_kind, r.to_name, r.kind, r.name, r.field;

-- name: ListReferenced :many
-- Which of the keys a resource of one kind refers to, those of the excepted names aside. It stops at the first for each.
SELECT k.kind, k.name
FROM (SELECT unnest(@kinds::smallint[])::smallint AS kind, unnest(@names::text[])::text AS name) k
WHERE EXISTS (
    SELECT FROM resource_references r
    WHERE r.fleet_id = @fleet_id AND r.to_kind = k.kind AND r.to_name = k.name
      AND r.kind = @from_kind AND NOT r.name = ANY(@excepted::text[])
);

-- name: DeleteRouteKeys :exec
DELETE FROM route_keys WHERE fleet_id = @fleet_id AND route = ANY(@routes::text[]);

-- name: InsertRouteKeys :exec
INSERT INTO route_keys (fleet_id, key, route) SELECT @fleet_id::bigint, unnest(@keys::text[]), unnest(@routes::text[]);

-- name: ListRoutesByKeys :many
SELECT key, route FROM route_keys WHERE fleet_id = @fleet_id AND key = ANY(@keys::text[]) ORDER BY route, key;

-- name: ListBuckets :many
SELECT bucket, kind, name, digest FROM resource_versions
WHERE fleet_id = @fleet_id AND bucket = ANY(@buckets::integer[]) AND valid_until IS NULL;

-- name: ListTreeNodes :many
SELECT prefix, children FROM tree_nodes WHERE fleet_id = @fleet_id AND prefix = ANY(@prefixes::bytea[]);

-- name: UpsertTreeNodes :exec
INSERT INTO tree_nodes (fleet_id, prefix, children)
SELECT @fleet_id::bigint, unnest(@prefixes::bytea[]), unnest(@children::bytea[])
ON CONFLICT (fleet_id, prefix) DO UPDATE SET children = EXCLUDED.children;

-- name: DeleteTreeNodes :exec
DELETE FROM tree_nodes WHERE fleet_id = @fleet_id AND prefix = ANY(@prefixes::bytea[]);

-- name: InsertRevision :one
INSERT INTO revisions (fleet_id, number, parent, root, lane_sequence, origin, state, message, author, created, updated, deleted)
VALUES (@fleet_id, @number, @parent, @root, (SELECT sequence FROM lane_heads l WHERE l.fleet_id = @fleet_id), @origin, 'pending',
        @message, @author, @created, @updated, @deleted)
RETURNING *;

-- name: GetRevision :one
SELECT * FROM revisions WHERE fleet_id = $1 AND number = $2;

-- name: ListRevisions :many
SELECT * FROM revisions WHERE fleet_id = @fleet_id AND (@before::bigint = 0 OR number < @before) ORDER BY number DESC LIMIT @page_size;

-- name: SetRevisionState :execrows
UPDATE revisions SET state = @state WHERE fleet_id = @fleet_id AND number = @number;

-- name: ListCandidateRevisions :many
SELECT number FROM revisions WHERE fleet_id = $1 AND state = 'rolling_out' ORDER BY number DESC LIMIT 1;

-- name: GetRevisionStates :many
SELECT number, state FROM revisions WHERE fleet_id = @fleet_id AND number = ANY(@numbers::bigint[]);

-- name: ListDifference :many
-- What differs between two revisions, in either direction; its cost follows what changed between them.
WITH touched AS (
    SELECT kind, name FROM resource_versions x
    WHERE x.fleet_id = @fleet_id AND x.valid_from > least(@from_revision::bigint, @to_revision::bigint)
      AND x.valid_from <= greatest(@from_revision::bigint, @to_revision::bigint)
    UNION
    SELECT kind, name FROM resource_versions y
    WHERE y.fleet_id = @fleet_id AND y.valid_until > least(@from_revision::bigint, @to_revision::bigint)
      AND y.valid_until <= greatest(@from_revision::bigint, @to_revision::bigint)
)
SELECT t.kind, t.name,
       b.valid_from AS before_from, b.body AS before_body, b.digest AS before_digest, b.labels AS before_labels,
       a.valid_from AS after_from, a.body AS after_body, a.digest AS after_digest, a.labels AS after_labels
FROM touched t
LEFT JOIN resource_versions b ON b.fleet_id = @fleet_id AND b.kind = t.kind AND b.name = t.name
    AND b.valid_from <= @from_revision AND (b.valid_until IS NULL OR b.valid_until > @from_revision)
LEFT JOIN resource_versions a ON a.fleet_id = @fleet_id AND a.kind = t.kind AND a.name = t.name
    AND a.valid_from <= @to_revision AND (a.valid_until IS NULL OR a.valid_until > @to_revision)
WHERE b.digest IS DISTINCT FROM a.digest OR b.labels IS DISTINCT FROM a.labels
ORDER BY t.kind, t.name;
