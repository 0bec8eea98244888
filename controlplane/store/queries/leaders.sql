-- name: AcquireLeadership :one
-- A lease that ran out, by Postgres's clock, goes to who asks; the token rises with every change of holder.
INSERT INTO leaders AS l (name, holder, token, expires_at)
VALUES (@name, @holder, 1, clock_timestamp() + make_interval(secs => @lease_seconds::float8))
ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, token = l.token + 1, expires_at = EXCLUDED.expires_at
WHERE l.expires_at <= clock_timestamp()
RETURNING token, clock_timestamp()::timestamptz AS since;

-- name: RenewLeadership :execrows
UPDATE leaders SET expires_at = clock_timestamp() + make_interval(secs => @lease_seconds::float8)
WHERE name = @name AND holder = @holder AND token = @token AND expires_at > clock_timestamp();

-- name: ReleaseLeadership :exec
UPDATE leaders SET expires_at = clock_timestamp() WHERE name = @name AND holder = @holder AND token = @token;
