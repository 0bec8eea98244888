-- name: WantACME :exec
-- Whatever was changed may be what a failure waited for, so it is tried at once. An issued certificate of which nothing is
-- asked that it lacks stays as it is.
INSERT INTO acme_certificates AS c (fleet_id, name, wanted, state, not_after)
VALUES (@fleet_id, @name, @wanted, 'pending', sqlc.narg(not_after))
ON CONFLICT (fleet_id, name) DO UPDATE SET
    wanted   = EXCLUDED.wanted,
    state    = CASE WHEN c.state = 'issued' AND c.issued = EXCLUDED.wanted THEN c.state ELSE 'pending' END,
    due_at   = CASE WHEN c.state = 'issued' AND c.issued = EXCLUDED.wanted THEN c.due_at ELSE clock_timestamp() END,
    attempts = 0,
    error    = '';

-- name: RenewACME :execrows
UPDATE acme_certificates
SET due_at = clock_timestamp(), renew_at = CASE WHEN issued IS NULL THEN NULL ELSE clock_timestamp() END
WHERE fleet_id = @fleet_id AND name = @name;

-- name: DropACME :exec
DELETE FROM acme_certificates WHERE fleet_id = @fleet_id AND name = @name;

-- name: ListACME :many
SELECT * FROM acme_certificates WHERE fleet_id = @fleet_id AND name = ANY(@names::text[]);

-- name: ListACMEOfAll :many
SELECT f.name AS fleet, c.name, c.state, c.attempts, c.not_after
FROM acme_certificates c JOIN fleets f ON f.id = c.fleet_id
ORDER BY c.fleet_id, c.name LIMIT @page_size;

-- name: ClaimACME :one
-- The certificate that waits longest, if nobody holds it. Rows that another replica is about to claim are passed over. A hold
-- that ends later than any could means that the clock was set back.
WITH due AS (
    SELECT d.fleet_id, d.name FROM acme_certificates d
    WHERE d.due_at <= clock_timestamp() AND (d.held_until IS NULL OR d.held_until <= clock_timestamp()
        OR d.held_until > clock_timestamp() + 3 * make_interval(secs => @lease_seconds::float8))
    ORDER BY d.due_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE acme_certificates c
SET holder = @holder, held_until = clock_timestamp() + make_interval(secs => @lease_seconds::float8)
FROM due WHERE c.fleet_id = due.fleet_id AND c.name = due.name
RETURNING c.fleet_id, c.name, c.wanted, c.issued, c.attempts, c.renew_at, clock_timestamp()::timestamptz AS now;

-- name: HoldACME :execrows
UPDATE acme_certificates
SET held_until = clock_timestamp() + make_interval(secs => @lease_seconds::float8)
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder;

-- name: BeginACME :execrows
UPDATE acme_certificates
SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => @retry_seconds::float8)
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder;

-- name: ReleaseACME :exec
-- Given back without a result. With undo, what was begun does not count.
UPDATE acme_certificates
SET holder = '', held_until = NULL,
    attempts = CASE WHEN @undo::boolean THEN greatest(attempts - 1, 0) ELSE attempts END,
    due_at = CASE WHEN @undo::boolean THEN clock_timestamp() ELSE due_at END
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder;

-- name: ScheduleACME :execrows
UPDATE acme_certificates
SET renew_at = @renew_at::timestamptz, due_at = @due_at::timestamptz, holder = '', held_until = NULL
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder AND wanted = @wanted;

-- name: SucceedACME :execrows
UPDATE acme_certificates
SET state = 'issued', error = '', attempts = 0, issued = wanted, issuer = @issuer, issued_at = clock_timestamp(),
    not_after = @not_after::timestamptz, renew_at = @renew_at::timestamptz, due_at = @due_at::timestamptz,
    holder = '', held_until = NULL
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder AND wanted = @wanted;

-- name: FailACME :execrows
UPDATE acme_certificates
SET state = 'failed', error = @error, due_at = clock_timestamp() + make_interval(secs => @retry_seconds::float8),
    holder = '', held_until = NULL
WHERE fleet_id = @fleet_id AND name = @name AND holder = @holder AND wanted = @wanted;

-- name: GetACMEAccount :one
SELECT directory, email, sealed, location FROM acme_accounts WHERE directory = @directory AND email = @email;

-- name: AddACMEAccount :exec
-- Of replicas that make an account at once the first to commit wins, by the primary key.
INSERT INTO acme_accounts (directory, email, sealed) VALUES (@directory, @email, @sealed) ON CONFLICT DO NOTHING;

-- name: SetACMEAccountLocation :exec
UPDATE acme_accounts SET location = @location WHERE directory = @directory AND email = @email;

-- name: ListAgentsBehind :many
-- The connected agents of a fleet, and whether each lacks something of the fast lane up to a sequence.
SELECT name, (lane_sequence < @sequence::bigint)::boolean AS behind FROM agents
WHERE fleet_id = @fleet_id AND connected AND seen_at > clock_timestamp() - make_interval(secs => @lost_after_seconds::float8)
ORDER BY name;
