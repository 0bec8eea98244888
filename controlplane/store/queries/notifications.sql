-- name: BeginNotification :exec
-- One that is new begins with what happens from now on.
INSERT INTO notification_cursors (fleet_id, name, last_event)
SELECT @fleet_id::bigint, @name::text, coalesce(max(id), 0) FROM rollout_events
ON CONFLICT (fleet_id, name) DO NOTHING;

-- name: ClaimNotification :one
-- One that is held for longer than anybody holds any was taken before the clock was set back.
UPDATE notification_cursors SET held_until = clock_timestamp() + make_interval(secs => @held_seconds::double precision)
WHERE fleet_id = @fleet_id AND name = @name AND due_at <= clock_timestamp() AND (held_until IS NULL OR held_until < clock_timestamp()
    OR held_until > clock_timestamp() + 3 * make_interval(secs => @held_seconds::double precision))
RETURNING last_event, attempts;

-- name: ListEventsToNotify :many
SELECT e.id, e.at, e.step, e.type, e.message, e.actor, r.id AS rollout_id, r.revision, r.stable_revision, r.state, r.strategy
FROM rollout_events e JOIN rollouts r ON r.id = e.rollout_id
WHERE r.fleet_id = @fleet_id AND e.id > @after ORDER BY e.id LIMIT @most;

-- name: SettleNotification :exec
UPDATE notification_cursors SET last_event = @last_event, attempts = @attempts, error = @error, held_until = NULL,
    due_at = clock_timestamp() + make_interval(secs => @pause_seconds::double precision)
WHERE fleet_id = @fleet_id AND name = @name;
