-- name: InsertChangeSet :one
INSERT INTO change_sets (fleet_id, base_revision, base_lane, message, author, editors)
VALUES (@fleet_id, @base_revision, @base_lane, @message, @author, ARRAY[@author::text])
RETURNING *;

-- name: GetChangeSet :one
SELECT * FROM change_sets WHERE fleet_id = @fleet_id AND id = @id;

-- name: LockChangeSet :one
SELECT * FROM change_sets WHERE fleet_id = @fleet_id AND id = @id FOR UPDATE;

-- name: ListChangeSets :many
-- The newest first; a page begins behind the change set after, whose time of creation is its place.
SELECT c.* FROM change_sets c
WHERE c.fleet_id = @fleet_id AND (@state::text = '' OR c.state = @state::text)
  AND (@after::text = '' OR (c.created_at, c.id) < (SELECT a.created_at, a.id FROM change_sets a WHERE a.id::text = @after::text))
ORDER BY c.created_at DESC, c.id DESC LIMIT @page_size;

-- name: UpdateChangeSet :one
UPDATE change_sets
SET base_revision = @base_revision, base_lane = @base_lane, state = @state, revision = @revision, message = @message,
    editors = @editors, expectations = @expectations, version = version + 1, updated_at = now()
WHERE id = @id
RETURNING *;

-- name: ListEdits :many
SELECT kind, name, body, labels, base FROM change_set_edits WHERE change_set = @change_set ORDER BY kind, name;

-- name: GetEdit :one
SELECT kind, name, body, labels, base FROM change_set_edits WHERE change_set = @change_set AND kind = @kind AND name = @name;

-- name: UpsertEdits :exec
INSERT INTO change_set_edits (change_set, kind, name, body, labels, base)
SELECT @change_set::uuid, unnest(@kinds::smallint[]), unnest(@names::text[]), unnest(@bodies::bytea[]), unnest(@labels::text[])::jsonb,
       unnest(@bases::bigint[])
ON CONFLICT (change_set, kind, name) DO UPDATE
SET body = EXCLUDED.body, labels = EXCLUDED.labels, base = greatest(change_set_edits.base, EXCLUDED.base);

-- name: ListApprovals :many
SELECT approver, comment, at FROM change_set_approvals WHERE change_set = @change_set ORDER BY at, approver;

-- name: AddApproval :exec
INSERT INTO change_set_approvals (change_set, approver, comment) VALUES (@change_set, @approver, @comment)
ON CONFLICT (change_set, approver) DO UPDATE SET comment = EXCLUDED.comment, at = EXCLUDED.at;

-- name: DeleteApprovals :exec
DELETE FROM change_set_approvals WHERE change_set = @change_set;
