-- name: CountTokens :one
SELECT count(*) FROM tokens;

-- name: LockTokens :exec
-- So that of replicas that start at once only one makes the first token.
LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE;

-- name: InsertToken :one
INSERT INTO tokens (name, hash, role, expires_at)
VALUES (@name, @hash, @role, now() + make_interval(secs => @lifetime_seconds::double precision))
RETURNING id, name, role, created_at, expires_at, last_used_at;

-- name: ListTokens :many
SELECT id, name, role, created_at, expires_at, last_used_at FROM tokens WHERE revoked_at IS NULL ORDER BY name;

-- name: GetTokenByHash :one
SELECT id, name, role, created_at, expires_at, last_used_at,
       (last_used_at IS NULL OR last_used_at < date_trunc('minute', clock_timestamp()))::boolean AS unmarked
FROM tokens
WHERE hash = $1 AND revoked_at IS NULL AND expires_at > clock_timestamp();

-- name: UseToken :exec
-- To the minute, so that a busy client does not write a row with every call.
UPDATE tokens SET last_used_at = date_trunc('minute', clock_timestamp())
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', clock_timestamp()));

-- name: RevokeToken :one
-- The name is free again; the row stays for the audit.
UPDATE tokens SET revoked_at = now(), name = name || ' revoked ' || id
WHERE id::text = @id::text AND revoked_at IS NULL
RETURNING id, split_part(name, ' ', 1)::text AS name;
