-- name: DeleteLostAgent :execrows
-- Makes room for one that comes back with its name; never for one that is there.
DELETE FROM agents
WHERE fleet_id = @fleet_id AND name = @name
  AND NOT (connected AND seen_at > clock_timestamp() - make_interval(secs => @lost_after_seconds::float8));

-- name: InsertAgent :exec
INSERT INTO agents (id, fleet_id, name, labels, certificate_expires_at)
VALUES (@id, @fleet_id, @name, @labels, @certificate_expires_at);

-- name: RenewAgent :execrows
UPDATE agents SET certificate_expires_at = @certificate_expires_at WHERE id = @id;

-- name: FindAgent :one
SELECT a.id, a.fleet_id, f.name AS fleet, a.name
FROM agents a JOIN fleets f ON f.id = a.fleet_id
WHERE a.id = @id AND f.name = @fleet;

-- name: BeginAgentSession :one
-- Whoever held the stream before is superseded: what it writes from now on changes nothing.
UPDATE agents SET
    session = nextval('agent_sessions'), replica = @replica, boot_id = @boot_id, version = @version,
    listeners = @listeners::text[], plugin_types = @plugin_types::text[], labels = @labels,
    connected = true, connected_at = clock_timestamp(), seen_at = clock_timestamp(),
    epoch = @epoch, known_epoch = @epoch, generation = @generation, lane_sequence = @lane_sequence, status = 'pending', error = ''
WHERE id = @id
RETURNING session, fleet_id;

-- name: SaveAgentReports :many
-- One statement for all agents that reported within a moment. A report of a superseded session meets no row.
WITH report AS (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@sessions::bigint[]) AS session,
           unnest(@connected::boolean[]) AS connected, unnest(@seen::boolean[]) AS seen,
           unnest(@acknowledged::boolean[]) AS acknowledged,
           unnest(@epochs::bigint[]) AS epoch, unnest(@generations::bigint[]) AS generation,
           unnest(@statuses::text[]) AS status, unnest(@errors::text[]) AS error,
           unnest(@serving::boolean[]) AS serving,
           unnest(@stable_revisions::bigint[]) AS stable_revision, unnest(@candidate_revisions::bigint[]) AS candidate_revision,
           unnest(@candidate_shares_ppm::integer[]) AS candidate_share_ppm, unnest(@lane_sequences::bigint[]) AS lane_sequence,
           unnest(@failed_rollouts::bigint[]) AS failed_rollout
), held AS (
    SELECT a.id, a.connected, a.status, a.error, a.generation, a.stable_revision, a.candidate_revision, a.candidate_share_ppm, a.failed_rollout
    FROM agents a JOIN report r ON a.id = r.id AND a.session = r.session
    ORDER BY a.id
    FOR UPDATE OF a
)
UPDATE agents a SET
    connected = r.connected,
    seen_at = CASE WHEN r.seen THEN clock_timestamp() ELSE a.seen_at END,
    epoch = CASE WHEN r.acknowledged THEN r.epoch ELSE a.epoch END,
    generation = CASE WHEN r.acknowledged THEN r.generation ELSE a.generation END,
    status = CASE WHEN r.acknowledged THEN r.status ELSE a.status END,
    error = CASE WHEN r.acknowledged THEN r.error ELSE a.error END,
    stable_revision = CASE WHEN r.serving THEN r.stable_revision ELSE a.stable_revision END,
    candidate_revision = CASE WHEN r.serving THEN r.candidate_revision ELSE a.candidate_revision END,
    candidate_share_ppm = CASE WHEN r.serving THEN r.candidate_share_ppm ELSE a.candidate_share_ppm END,
    lane_sequence = CASE WHEN r.serving THEN r.lane_sequence ELSE a.lane_sequence END,
    failed_rollout = CASE WHEN r.failed_rollout <> 0 THEN r.failed_rollout ELSE a.failed_rollout END
FROM report r JOIN held h ON h.id = r.id
WHERE a.id = r.id AND a.session = r.session
RETURNING a.id, a.fleet_id,
    ((a.connected, a.status, a.error, a.generation, a.stable_revision, a.candidate_revision, a.candidate_share_ppm, a.failed_rollout)
     IS DISTINCT FROM
     (h.connected, h.status, h.error, h.generation, h.stable_revision, h.candidate_revision, h.candidate_share_ppm, h.failed_rollout))::boolean AS changed;

-- name: DisconnectReplica :many
UPDATE agents SET connected = false WHERE replica = @replica AND connected RETURNING fleet_id;

-- name: ListAgents :many
SELECT a.id, a.name, a.labels, a.version, a.listeners, a.plugin_types, a.certificate_expires_at, a.created_at, a.drain, a.replica,
       a.connected, a.connected_at, a.seen_at, a.epoch, a.generation, a.status, a.error, a.stable_revision, a.candidate_revision,
       a.candidate_share_ppm, a.lane_sequence, a.failed_rollout,
       (a.connected AND a.seen_at > clock_timestamp() - make_interval(secs => @lost_after_seconds::float8))::boolean AS alive,
       h.stable_revision AS desired_stable_revision,
       coalesce(r.revision, 0)::bigint AS desired_candidate_revision
FROM agents a
JOIN heads h ON h.fleet_id = a.fleet_id
LEFT JOIN rollouts r ON r.fleet_id = a.fleet_id AND r.state IN ('running', 'paused', 'awaiting_approval', 'held')
     AND EXISTS (SELECT FROM rollout_members m WHERE m.rollout_id = r.id AND m.agent_id = a.id)
WHERE a.fleet_id = @fleet_id AND a.name > @after
  AND (sqlc.narg(id)::uuid IS NULL OR a.id = sqlc.narg(id)::uuid)
ORDER BY a.name
LIMIT @page_size;

-- name: CountAgents :one
SELECT count(*) AS total,
       count(*) FILTER (WHERE connected AND seen_at > clock_timestamp() - make_interval(secs => @lost_after_seconds::float8)) AS alive
FROM agents WHERE fleet_id = @fleet_id;

-- name: GetActiveRollout :one
SELECT id FROM rollouts WHERE fleet_id = $1 AND state IN ('running', 'paused', 'awaiting_approval', 'held');

-- name: SetAgentDrain :execrows
UPDATE agents SET drain = @drain WHERE fleet_id = @fleet_id AND id = @id;

-- name: DeleteAgent :execrows
DELETE FROM agents WHERE fleet_id = @fleet_id AND id = @id;
