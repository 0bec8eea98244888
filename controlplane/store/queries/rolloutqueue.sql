-- name: InsertQueuedRollout :one
INSERT INTO rollouts (fleet_id, revision, stable_revision, strategy, spec, state, author, expectations, supersede)
VALUES (@fleet_id, @revision, @stable_revision, @strategy, @spec, 'queued', @author, @expectations, @supersede)
RETURNING id;

-- name: ListRolloutsOfRevisions :many
SELECT DISTINCT ON (revision) revision, id FROM rollouts
WHERE fleet_id = @fleet_id AND revision = ANY(@revisions::bigint[])
ORDER BY revision, id DESC;
