-- name: AcquireLeadership :one
-- A lease that ran out, by Postgres's clock, goes to who asks; so does one that ends later than any lease could, for then the
-- clock was set back. The token rises with every change of holder.
INSERT INTO leaders AS l (name, holder, token, expires_at)
VALUES (@name, @holder, 1, clock_timestamp() + make_interval(secs => @lease_seconds::float8))
ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, token = l.token + 1, expires_at = EXCLUDED.expires_at
WHERE l.expires_at <= clock_timestamp()
   OR l.expires_at > clock_timestamp() + 3 * make_interval(secs => @lease_seconds::float8)
RETURNING token;

-- name: RenewLeadership :execrows
UPDATE leaders SET expires_at = clock_timestamp() + make_interval(secs => @lease_seconds::float8), clock_offset_ms = @clock_offset_ms
WHERE name = @name AND holder = @holder AND token = @token AND expires_at > clock_timestamp();

-- name: ReleaseLeadership :exec
UPDATE leaders SET expires_at = clock_timestamp() WHERE name = @name AND holder = @holder AND token = @token;

-- name: GetLeaderClock :one
SELECT clock_timestamp()::timestamptz AS now,
       coalesce((SELECT l.clock_offset_ms FROM leaders l WHERE l.name = $1), 0)::bigint AS clock_offset_ms;
