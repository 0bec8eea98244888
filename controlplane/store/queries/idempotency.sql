-- name: InsertIdempotencyKey :execrows
INSERT INTO idempotency_keys (actor, key, request_hash) VALUES ($1, $2, $3)
ON CONFLICT (actor, key) DO NOTHING;

-- name: GetIdempotencyKey :one
SELECT request_hash, response, headers FROM idempotency_keys WHERE actor = $1 AND key = $2;

-- name: SetIdempotencyResponse :exec
UPDATE idempotency_keys SET response = @response, headers = @headers WHERE actor = @actor AND key = @key;

-- name: DeleteIdempotencyKeysBefore :execrows
DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => @hours::int);
