-- name: AddTelemetryCursors :exec
-- Of agents that were deleted there is none.
INSERT INTO telemetry_cursors (agent_id, boot_id, sequence)
SELECT b.agent_id, b.boot_id, 0
FROM (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id) b
JOIN agents a ON a.id = b.agent_id
ORDER BY b.agent_id, b.boot_id
ON CONFLICT (agent_id, boot_id) DO NOTHING;

-- name: LockTelemetryCursors :many
SELECT c.agent_id, c.boot_id, c.sequence, a.fleet_id
FROM telemetry_cursors c
JOIN (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id) b USING (agent_id, boot_id)
JOIN agents a ON a.id = c.agent_id
ORDER BY c.agent_id, c.boot_id
FOR UPDATE OF c;

-- name: MoveTelemetryCursors :exec
UPDATE telemetry_cursors c SET sequence = b.sequence, updated_at = clock_timestamp()
FROM (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id, unnest(@sequences::bigint[]) AS sequence) b
WHERE c.agent_id = b.agent_id AND c.boot_id = b.boot_id;

-- name: AddTelemetryCounts :exec
-- Histograms travel as array literals, since unnest flattens arrays of arrays. They are added up bucket by bucket.
INSERT INTO telemetry_counts AS t (fleet_id, at, agent_id, revision, arm, route, status_class, reason, requests, buckets)
SELECT unnest(@fleets::bigint[]), date_bin('5 seconds', transaction_timestamp(), TIMESTAMPTZ '2000-01-01 00:00:00+00'),
       unnest(@agents::uuid[]), unnest(@revisions::bigint[]), unnest(@arms::smallint[]), unnest(@routes::text[]),
       unnest(@status_classes::smallint[]), unnest(@reasons::text[]), unnest(@requests::bigint[]), unnest(@buckets::text[])::bigint[]
ON CONFLICT (fleet_id, at, agent_id, revision, arm, route, status_class, reason)
DO UPDATE SET
    requests = t.requests + EXCLUDED.requests,
    buckets = ARRAY(SELECT t.buckets[i] + EXCLUDED.buckets[i] FROM generate_series(1, 96) AS i ORDER BY i);

-- name: ListMemberships :many
SELECT rollout_id, agent_id FROM rollout_members
WHERE rollout_id = ANY(@rollouts::bigint[]) AND agent_id = ANY(@agents::uuid[]);

-- name: AddEvidenceSums :exec
-- In the order of the key, so that replicas that write at the same time never wait for each other in a circle.
INSERT INTO rollout_evidence AS e (rollout_id, metric, route, share_ppm, candidate, control)
SELECT c.rollout_id, c.metric, c.route, c.share_ppm, c.candidate, c.control
FROM (SELECT unnest(@rollouts::bigint[]) AS rollout_id, unnest(@metrics::text[]) AS metric, unnest(@routes::text[]) AS route,
             unnest(@shares_ppm::integer[]) AS share_ppm, unnest(@candidates::bigint[]) AS candidate, unnest(@controls::bigint[]) AS control) c
ORDER BY c.rollout_id, c.metric, c.route, c.share_ppm
ON CONFLICT (rollout_id, metric, route, share_ppm)
DO UPDATE SET candidate = e.candidate + EXCLUDED.candidate, control = e.control + EXCLUDED.control;

-- name: AddKeyUses :exec
-- Only of keys that the fleet has; an agent whose clock is ahead does not put a use into the future.
INSERT INTO key_uses AS u (fleet_id, key, last_used)
SELECT k.fleet_id, k.key, least(to_timestamp(k.last_used), clock_timestamp())
FROM (SELECT unnest(@fleets::bigint[]) AS fleet_id, unnest(@keys::text[]) AS key, unnest(@last_used::bigint[]) AS last_used) k
WHERE EXISTS (SELECT FROM lane_versions v WHERE v.fleet_id = k.fleet_id AND v.kind = 17 AND v.name = k.key AND v.current)
ORDER BY k.fleet_id, k.key
ON CONFLICT (fleet_id, key) DO UPDATE SET last_used = greatest(u.last_used, EXCLUDED.last_used);

-- name: QueryTelemetry :many
-- What is not kept apart is empty. The histogram is added up column by column in one pass.
SELECT date_bin(make_interval(secs => @step_seconds::float8), t.at, @since::timestamptz)::timestamptz AS time,
       (CASE WHEN @by_agent::boolean THEN t.agent_id::text ELSE '' END)::text AS agent,
       (CASE WHEN @by_revision::boolean THEN t.revision ELSE 0 END)::bigint AS revision,
       (CASE WHEN @by_arm::boolean THEN t.arm ELSE 0 END)::smallint AS arm,
       (CASE WHEN @by_route::boolean THEN t.route ELSE '' END)::text AS route,
       (CASE WHEN @by_status_class::boolean THEN t.status_class ELSE 0 END)::smallint AS status_class,
       (CASE WHEN @by_reason::boolean THEN t.reason ELSE '' END)::text AS reason,
       sum(t.requests)::bigint AS requests,
       ARRAY[sum(buckets[1]), sum(buckets[2]), sum(buckets[3]), sum(buckets[4]), sum(buckets[5]), sum(buckets[6]), sum(buckets[7]), sum(buckets[8]),
           sum(buckets[9]), sum(buckets[10]), sum(buckets[11]), sum(buckets[12]), sum(buckets[13]), sum(buckets[14]), sum(buckets[15]), sum(buckets[16]),
           sum(buckets[17]), sum(buckets[18]), sum(buckets[19]), sum(buckets[20]), sum(buckets[21]), sum(buckets[22]), sum(buckets[23]), sum(buckets[24]),
           sum(buckets[25]), sum(buckets[26]), sum(buckets[27]), sum(buckets[28]), sum(buckets[29]), sum(buckets[30]), sum(buckets[31]), sum(buckets[32]),
           sum(buckets[33]), sum(buckets[34]), sum(buckets[35]), sum(buckets[36]), sum(buckets[37]), sum(buckets[38]), sum(buckets[39]), sum(buckets[40]),
           sum(buckets[41]), sum(buckets[42]), sum(buckets[43]), sum(buckets[44]), sum(buckets[45]), sum(buckets[46]), sum(buckets[47]), sum(buckets[48]),
           sum(buckets[49]), sum(buckets[50]), sum(buckets[51]), sum(buckets[52]), sum(buckets[53]), sum(buckets[54]), sum(buckets[55]), sum(buckets[56]),
           sum(buckets[57]), sum(buckets[58]), sum(buckets[59]), sum(buckets[60]), sum(buckets[61]), sum(buckets[62]), sum(buckets[63]), sum(buckets[64]),
           sum(buckets[65]), sum(buckets[66]), sum(buckets[67]), sum(buckets[68]), sum(buckets[69]), sum(buckets[70]), sum(buckets[71]), sum(buckets[72]),
           sum(buckets[73]), sum(buckets[74]), sum(buckets[75]), sum(buckets[76]), sum(buckets[77]), sum(buckets[78]), sum(buckets[79]), sum(buckets[80]),
           sum(buckets[81]), sum(buckets[82]), sum(buckets[83]), sum(buckets[84]), sum(buckets[85]), sum(buckets[86]), sum(buckets[87]), sum(buckets[88]),
           sum(buckets[89]), sum(buckets[90]), sum(buckets[91]), sum(buckets[92]), sum(buckets[93]), sum(buckets[94]), sum(buckets[95]), sum(buckets[96])]::bigint[] AS buckets
FROM telemetry_counts t
WHERE t.fleet_id = @fleet_id AND t.at >= @since::timestamptz AND t.at < @until
  AND (@agent::text = '' OR t.agent_id::text = @agent)
  AND (@revision::bigint = 0 OR t.revision = @revision)
  AND (@arm::smallint = 0 OR t.arm = @arm)
  AND (@route::text = '' OR t.route = @route)
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 2, 3, 4, 5, 6, 7, 1
LIMIT @row_limit;

-- name: DeleteOldTelemetry :execrows
-- At most ten minutes of one fleet at a time, so that no statement takes long.
DELETE FROM telemetry_counts t
WHERE t.fleet_id = @fleet_id
  AND t.at < least(clock_timestamp() - make_interval(secs => @keep_seconds::float8),
                   (SELECT min(o.at) FROM telemetry_counts o WHERE o.fleet_id = @fleet_id) + interval '10 minutes');

-- name: DeleteOldTelemetryCursors :execrows
DELETE FROM telemetry_cursors WHERE updated_at < clock_timestamp() - interval '30 days';

-- name: TrafficOfRoutes :many
-- Requests of a fleet since a moment: of each of the routes, and (the empty route) of all.
SELECT CASE WHEN route = ANY(@routes::text[]) THEN route ELSE '' END::text AS route, sum(requests)::bigint AS requests
FROM telemetry_counts
WHERE fleet_id = @fleet_id AND at >= now() - make_interval(secs => @seconds::double precision)
GROUP BY 1;
