-- name: GetDelivery :one
-- What the agents of a fleet should serve, but for who is in the rollout.
SELECT f.name AS fleet, h.epoch, h.generation, l.sequence AS lane_sequence,
       h.stable_revision, s.root AS stable_root, s.lane_sequence AS stable_lane_sequence,
       r.id AS rollout_id, r.revision AS candidate_revision, c.root AS candidate_root, c.lane_sequence AS candidate_lane_sequence,
       r.candidate_share_ppm, r.spec, r.expectations, r.judged_agents,
       (SELECT count(*) FROM agents a WHERE a.fleet_id = h.fleet_id) AS agents
FROM heads h
JOIN fleets f ON f.id = h.fleet_id
JOIN lane_heads l ON l.fleet_id = h.fleet_id
LEFT JOIN revisions s ON s.fleet_id = h.fleet_id AND s.number = h.stable_revision
LEFT JOIN rollouts r ON r.fleet_id = h.fleet_id AND r.state IN ('running', 'paused', 'awaiting_approval', 'held')
LEFT JOIN revisions c ON c.fleet_id = r.fleet_id AND c.number = r.revision
WHERE h.fleet_id = $1;

-- name: ListMembers :many
SELECT agent_id, step FROM rollout_members WHERE rollout_id = $1;

-- name: ListDraining :many
SELECT id FROM agents WHERE fleet_id = $1 AND drain;

-- name: ListRevisionRoots :many
SELECT number, root FROM revisions WHERE fleet_id = @fleet_id AND number = ANY(@numbers::bigint[]);

-- name: ListLane :many
-- The present state of what changed after a sequence, in order. With from_nothing, what was deleted is left out.
SELECT sequence, kind, name, owner, body, key_hash
FROM lane_versions
WHERE fleet_id = @fleet_id AND current AND sequence > @after AND (NOT @from_nothing::boolean OR body IS NOT NULL)
ORDER BY sequence
LIMIT @page_size;

-- name: ListContentUpserts :many
-- What a holder of revision from_revision lacks of to_revision, in either direction of time: the first range is empty when
-- going back, the second when going forth. Each has its index, so the cost follows the change.
SELECT kind, name, body FROM resource_versions
WHERE fleet_id = @fleet_id
  AND valid_from <= @to_revision::bigint AND (valid_until IS NULL OR valid_until > @to_revision::bigint)
  AND ((valid_from > @from_revision::bigint AND valid_from <= @to_revision::bigint) OR (valid_until > @to_revision::bigint AND valid_until <= @from_revision::bigint))
ORDER BY kind, name;

-- name: ListContentDeletes :many
SELECT b.kind, b.name FROM resource_versions b
WHERE b.fleet_id = @fleet_id
  AND b.valid_from <= @from_revision::bigint AND (b.valid_until IS NULL OR b.valid_until > @from_revision::bigint)
  AND ((b.valid_until > @from_revision::bigint AND b.valid_until <= @to_revision::bigint) OR (b.valid_from > @to_revision::bigint AND b.valid_from <= @from_revision::bigint))
  AND NOT EXISTS (
      SELECT FROM resource_versions t
      WHERE t.fleet_id = b.fleet_id AND t.kind = b.kind AND t.name = b.name
        AND t.valid_from <= @to_revision::bigint AND (t.valid_until IS NULL OR t.valid_until > @to_revision::bigint))
ORDER BY b.kind, b.name;
