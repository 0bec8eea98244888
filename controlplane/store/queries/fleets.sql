-- name: GetFleetByName :one
SELECT * FROM fleets WHERE name = $1;
