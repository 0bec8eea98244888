-- name: InsertJoinToken :one
INSERT INTO join_tokens (hash, fleet_id, author, expires_at)
VALUES (@hash, @fleet_id, @author, clock_timestamp() + make_interval(secs => @lifetime_seconds::float8))
RETURNING expires_at;

-- name: UseJoinToken :one
-- The condition and the change are one statement, so that a token works once however many try at the same moment.
UPDATE join_tokens SET used_at = clock_timestamp(), used_by = @agent_id
WHERE hash = @hash AND used_at IS NULL AND expires_at > clock_timestamp()
RETURNING fleet_id;

-- name: DeleteOldJoinTokens :execrows
DELETE FROM join_tokens WHERE expires_at < now() - interval '7 days';
