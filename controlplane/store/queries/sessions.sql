-- name: InsertSession :one
INSERT INTO sessions (hash, token_id, expires_at)
VALUES (@hash, @token_id, now() + make_interval(secs => @lifetime_seconds::double precision))
RETURNING expires_at;

-- name: GetSession :one
-- A session ends with its token.
SELECT t.id AS token_id, t.name, t.role, least(s.expires_at, t.expires_at)::timestamptz AS expires_at
FROM sessions s JOIN tokens t ON t.id = s.token_id
WHERE s.hash = $1 AND s.expires_at > clock_timestamp()
  AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp();

-- name: DeleteSession :execrows
DELETE FROM sessions WHERE hash = $1;

-- name: DeleteSessionsOfToken :exec
DELETE FROM sessions WHERE token_id = $1;

-- name: DeleteExpiredSessions :execrows
DELETE FROM sessions WHERE expires_at < now();
