-- name: ListKeyMaterial :many
SELECT name, public, sealed, created_at FROM key_material ORDER BY name;

-- name: AddKeyMaterial :exec
-- Of replicas that start together the first to commit wins, by the primary key.
INSERT INTO key_material (name, public, sealed)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING;
