-- name: GetStrategy :one
SELECT * FROM strategies WHERE fleet_id = @fleet_id AND name = @name;

-- name: ListStrategies :many
SELECT * FROM strategies WHERE fleet_id = $1 ORDER BY name;

-- name: InsertStrategy :one
INSERT INTO strategies (fleet_id, name, body) VALUES (@fleet_id, @name, @body)
ON CONFLICT (fleet_id, name) DO NOTHING
RETURNING *;

-- name: UpdateStrategy :one
-- version 0 overwrites whatever is there.
UPDATE strategies SET body = @body, version = version + 1, updated_at = now()
WHERE fleet_id = @fleet_id AND name = @name AND (@version::bigint = 0 OR version = @version)
RETURNING *;

-- name: DeleteStrategy :execrows
DELETE FROM strategies WHERE fleet_id = @fleet_id AND name = @name AND (@version::bigint = 0 OR version = @version);
