-- name: SeeReplica :exec
INSERT INTO replicas (name, seen_at) VALUES (@name, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET seen_at = clock_timestamp();

-- name: ForgetReplica :exec
DELETE FROM replicas WHERE name = @name;

-- name: ForgetOldReplicas :exec
DELETE FROM replicas WHERE seen_at < clock_timestamp() - interval '1 day';

-- name: CountAgentsByReplica :many
-- Of the replicas that were seen within some seconds.
SELECT r.name, count(a.id) AS agents
FROM replicas r LEFT JOIN agents a ON a.replica = r.name AND a.connected
WHERE r.seen_at > clock_timestamp() - make_interval(secs => @within_seconds::float8)
GROUP BY r.name;
