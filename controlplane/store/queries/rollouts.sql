-- name: SupersedeQueuedRollout :many
-- At most one is queued.
UPDATE rollouts SET state = 'superseded', reason = @reason, ended_at = clock_timestamp(), version = version + 1
WHERE fleet_id = @fleet_id AND state = 'queued'
RETURNING id, revision;

-- name: MoveQueuedRollout :execrows
UPDATE rollouts SET revision = @revision, reason = @reason, version = version + 1 WHERE id = @id AND state = 'queued';

-- name: ListOpenRollouts :many
-- The active one, if any, comes first.
SELECT * FROM rollouts
WHERE fleet_id = $1 AND state IN ('queued', 'running', 'paused', 'awaiting_approval', 'held')
ORDER BY state = 'queued', id;

-- name: ListFleetsWithOpenRollouts :many
SELECT DISTINCT fleet_id FROM rollouts
WHERE state IN ('queued', 'running', 'paused', 'awaiting_approval', 'held')
ORDER BY fleet_id;

-- name: GetRollout :one
SELECT * FROM rollouts WHERE fleet_id = @fleet_id AND id = @id;

-- name: ListRollouts :many
SELECT * FROM rollouts
WHERE fleet_id = @fleet_id
  AND (@before::bigint = 0 OR id < @before)
  AND (@state::text = '' OR state = @state)
  AND (@revision::bigint = 0 OR revision = @revision)
ORDER BY id DESC
LIMIT @page_size;

-- name: ListEndedRollouts :many
-- Those that had begun, and ended within the last so many seconds.
SELECT * FROM rollouts
WHERE fleet_id = @fleet_id AND started_at IS NOT NULL AND ended_at > clock_timestamp() - make_interval(secs => @seconds::float8)
  AND (@before::bigint = 0 OR id < @before)
ORDER BY id DESC
LIMIT @page_size;

-- name: SaveRollout :one
-- Compare-and-set, and only by who leads at this very moment: a leader that was frozen and thaws changes nothing.
UPDATE rollouts r SET
    state = @state, reason = @reason, stable_revision = @stable_revision, step = @step,
    candidate_agents = @candidate_agents, candidate_share_ppm = @candidate_share_ppm,
    started_at = sqlc.narg(started_at), step_at = sqlc.narg(step_at), serving_at = sqlc.narg(serving_at),
    paused_at = sqlc.narg(paused_at), ended_at = sqlc.narg(ended_at),
    dials_at = sqlc.narg(dials_at), dials_epoch = @dials_epoch, dials_generation = @dials_generation,
    promoted = @promoted, extensions = @extensions, base_requests = @base_requests,
    judged_agents = @judged_agents, judged_routes = @judged_routes, clock_offset_ms = @clock_offset_ms,
    version = r.version + 1, fence = @token
WHERE r.id = @id AND r.version = @version
  AND EXISTS (SELECT FROM leaders l WHERE l.name = @leader AND l.holder = @holder AND l.token = @token
              AND l.expires_at > clock_timestamp())
RETURNING r.version;

-- name: ListRolloutAgents :many
-- Every agent of the fleet, with what the controller must know. Alive: its stream is held and it was heard of lately.
SELECT a.id, a.name, a.boot_id, a.connected_at, a.seen_at, a.drain, a.epoch, a.generation, a.status, a.error, a.candidate_revision,
       a.candidate_share_ppm, a.failed_rollout, a.labels,
       (a.connected AND a.seen_at > clock_timestamp() - make_interval(secs => @lost_after_seconds::float8))::boolean AS alive
FROM agents a
WHERE a.fleet_id = @fleet_id
ORDER BY a.id;

-- name: ListRolloutMembers :many
SELECT * FROM rollout_members WHERE rollout_id = $1 ORDER BY agent_id;

-- name: SaveRolloutMembers :exec
INSERT INTO rollout_members (rollout_id, agent_id, name, step, boot_id, lost_since)
SELECT @rollout_id, unnest(@agents::uuid[]), unnest(@names::text[]), unnest(@steps::integer[]), unnest(@boot_ids::text[]),
       nullif(unnest(@lost_since::timestamptz[]), to_timestamp(0))
ON CONFLICT (rollout_id, agent_id) DO UPDATE SET boot_id = EXCLUDED.boot_id, lost_since = EXCLUDED.lost_since;

-- name: CountRoutesOfTwo :one
-- The routes that either revision has, up to a limit, so that its cost is bounded.
SELECT count(*) FROM (
    SELECT DISTINCT name FROM resource_versions
    WHERE fleet_id = @fleet_id AND kind = 2
      AND ((valid_from <= @one::bigint AND (valid_until IS NULL OR valid_until > @one::bigint))
        OR (valid_from <= @other::bigint AND (valid_until IS NULL OR valid_until > @other::bigint)))
    ORDER BY name LIMIT @up_to
) counted;

-- name: InsertRolloutCommand :one
INSERT INTO rollout_commands (rollout_id, command, actor, reason) VALUES (@rollout_id, @command, @actor, @reason)
RETURNING id;

-- name: GetRolloutCommand :one
SELECT * FROM rollout_commands WHERE id = $1;

-- name: ListOpenRolloutCommands :many
SELECT c.* FROM rollout_commands c WHERE c.rollout_id = ANY(@rollouts::bigint[]) AND c.done_at IS NULL ORDER BY c.id;

-- name: FinishRolloutCommand :execrows
UPDATE rollout_commands SET done_at = clock_timestamp(), result = @result WHERE id = @id AND done_at IS NULL;

-- name: FinishRolloutCommands :exec
-- When a rollout has ended, nothing that was still asked of it can be done.
UPDATE rollout_commands SET done_at = clock_timestamp(), result = @result WHERE rollout_id = @rollout_id AND done_at IS NULL;

-- name: InsertRolloutEvent :exec
INSERT INTO rollout_events (rollout_id, step, type, message, actor) VALUES (@rollout_id, @step, @type, @message, @actor);

-- name: ListRolloutEvents :many
SELECT * FROM rollout_events WHERE rollout_id = @rollout_id ORDER BY id DESC LIMIT @page_size;

-- name: SupersedeForgottenRevisions :exec
-- Revisions that wait although nobody will roll them out: reverts that something newer stands on.
UPDATE revisions r SET state = 'superseded'
WHERE r.fleet_id = $1 AND r.state = 'pending'
  AND r.number <> (SELECT h.head_revision FROM heads h WHERE h.fleet_id = $1)
  AND NOT EXISTS (SELECT FROM rollouts o WHERE o.fleet_id = r.fleet_id AND o.revision = r.number
                  AND o.state IN ('queued', 'running', 'paused', 'awaiting_approval', 'held'));
