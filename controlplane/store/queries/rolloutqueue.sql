-- name: SupersedeQueuedRollouts :many
UPDATE rollouts SET state = 'superseded', reason = @reason, version = version + 1, ended_at = now()
WHERE fleet_id = @fleet_id AND state = 'queued'
RETURNING id, revision, step;

-- name: InsertQueuedRollout :one
INSERT INTO rollouts (fleet_id, revision, stable_revision, strategy, spec, state, author)
VALUES (@fleet_id, @revision, @stable_revision, @strategy, @spec, 'queued', @author)
RETURNING id;

-- name: InsertQueueEvent :exec
INSERT INTO rollout_events (rollout_id, step, type, message, actor) VALUES (@rollout_id, @step, @type, @message, @actor);

-- name: ListRolloutsOfRevisions :many
SELECT DISTINCT ON (revision) revision, id FROM rollouts
WHERE fleet_id = @fleet_id AND revision = ANY(@revisions::bigint[])
ORDER BY revision, id DESC;
