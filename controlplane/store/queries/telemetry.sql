-- name: AddTelemetryCursors :exec
-- Of agents that were deleted there is none.
INSERT INTO telemetry_cursors (agent_id, boot_id, sequence)
SELECT b.agent_id, b.boot_id, 0
FROM (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id) b
JOIN agents a ON a.id = b.agent_id
ORDER BY b.agent_id, b.boot_id
ON CONFLICT (agent_id, boot_id) DO NOTHING;

-- name: LockTelemetryCursors :many
SELECT c.agent_id, c.boot_id, c.sequence, a.fleet_id, c.window_at, c.window_cells,
       date_trunc('minute', transaction_timestamp())::timestamptz AS minute
FROM telemetry_cursors c
JOIN (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id) b USING (agent_id, boot_id)
JOIN agents a ON a.id = c.agent_id
ORDER BY c.agent_id, c.boot_id
FOR UPDATE OF c;

-- name: MoveTelemetryCursors :exec
UPDATE telemetry_cursors c SET sequence = b.sequence, updated_at = clock_timestamp(), window_at = b.window_at, window_cells = b.cells
FROM (SELECT unnest(@agents::uuid[]) AS agent_id, unnest(@boots::text[]) AS boot_id, unnest(@sequences::bigint[]) AS sequence,
             unnest(@windows_at::timestamptz[]) AS window_at, unnest(@cells::bytea[]) AS cells) b
WHERE c.agent_id = b.agent_id AND c.boot_id = b.boot_id;

-- name: AddTelemetryMinutes :exec
-- Minutes of agents that are over. The cursor that held them is held by the caller, so each is written once.
INSERT INTO telemetry_agents (fleet_id, agent_id, at, boot_id, cells)
SELECT unnest(@fleets::bigint[]), unnest(@agents::uuid[]), unnest(@at::timestamptz[]), unnest(@boots::text[]), unnest(@cells::bytea[])
ON CONFLICT (fleet_id, agent_id, at, boot_id) DO UPDATE SET cells = EXCLUDED.cells;

-- name: ListTelemetryMinutes :many
-- Minutes of one agent, or (the empty text) of all agents of a fleet; those that are not over are with the cursors.
SELECT t.agent_id, t.at, t.cells FROM telemetry_agents t
WHERE t.fleet_id = @fleet_id AND t.at >= @since::timestamptz AND t.at < @until::timestamptz
  AND (@agent::text = '' OR t.agent_id = nullif(@agent::text, '')::uuid)
UNION ALL
SELECT c.agent_id, c.window_at::timestamptz, c.window_cells FROM telemetry_cursors c JOIN agents a ON a.id = c.agent_id
WHERE a.fleet_id = @fleet_id AND c.window_at >= @since::timestamptz AND c.window_at < @until::timestamptz
  AND (@agent::text = '' OR c.agent_id = nullif(@agent::text, '')::uuid)
LIMIT @row_limit;

-- name: AddTelemetryTraffic :exec
-- In the order of the key, so that replicas that write at the same time never wait for each other in a circle.
INSERT INTO telemetry_traffic AS t (fleet_id, route, at, requests)
SELECT c.fleet_id, c.route, date_trunc('hour', transaction_timestamp(), 'UTC'), c.requests
FROM (SELECT unnest(@fleets::bigint[]) AS fleet_id, unnest(@routes::text[]) AS route, unnest(@requests::bigint[]) AS requests) c
ORDER BY c.fleet_id, c.route
ON CONFLICT (fleet_id, route, at) DO UPDATE SET requests = t.requests + EXCLUDED.requests;

-- name: AddTelemetryCounts :exec
-- Of all agents together. Histograms travel as array literals, since unnest flattens arrays of arrays. They are added up bucket by
-- bucket. In the order of the key, so that replicas that write at the same time never wait for each other in a circle.
INSERT INTO telemetry_counts AS t (fleet_id, at, agent_id, revision, arm, route, status_class, reason, requests, buckets)
SELECT c.fleet_id, date_bin('5 seconds', transaction_timestamp(), TIMESTAMPTZ '2000-01-01 00:00:00+00'),
       '00000000-0000-0000-0000-000000000000'::uuid, c.revision, c.arm, c.route, c.status_class, c.reason, c.requests, c.buckets::bigint[]
FROM (SELECT unnest(@fleets::bigint[]) AS fleet_id, unnest(@revisions::bigint[]) AS revision, unnest(@arms::smallint[]) AS arm,
             unnest(@routes::text[]) AS route, unnest(@status_classes::smallint[]) AS status_class, unnest(@reasons::text[]) AS reason,
             unnest(@requests::bigint[]) AS requests, unnest(@buckets::text[]) AS buckets) c
ORDER BY c.fleet_id, c.revision, c.arm, c.route, c.status_class, c.reason
ON CONFLICT (fleet_id, at, agent_id, revision, arm, route, status_class, reason)
DO UPDATE SET
    requests = t.requests + EXCLUDED.requests,
    buckets = ARRAY[t.buckets[1] + EXCLUDED.buckets[1], t.buckets[2] + EXCLUDED.buckets[2], t.buckets[3] + EXCLUDED.buckets[3], t.buckets[4] + EXCLUDED.buckets[4],
        t.buckets[5] + EXCLUDED.buckets[5], t.buckets[6] + EXCLUDED.buckets[6], t.buckets[7] + EXCLUDED.buckets[7], t.buckets[8] + EXCLUDED.buckets[8],
        t.buckets[9] + EXCLUDED.buckets[9], t.buckets[10] + EXCLUDED.buckets[10], t.buckets[11] + EXCLUDED.buckets[11], t.buckets[12] + EXCLUDED.buckets[12],
        t.buckets[13] + EXCLUDED.buckets[13], t.buckets[14] + EXCLUDED.buckets[14], t.buckets[15] + EXCLUDED.buckets[15], t.buckets[16] + EXCLUDED.buckets[16],
        t.buckets[17] + EXCLUDED.buckets[17], t.buckets[18] + EXCLUDED.buckets[18], t.buckets[19] + EXCLUDED.buckets[19], t.buckets[20] + EXCLUDED.buckets[20],
        t.buckets[21] + EXCLUDED.buckets[21], t.buckets[22] + EXCLUDED.buckets[22], t.buckets[23] + EXCLUDED.buckets[23], t.buckets[24] + EXCLUDED.buckets[24],
        t.buckets[25] + EXCLUDED.buckets[25], t.buckets[26] + EXCLUDED.buckets[26], t.buckets[27] + EXCLUDED.buckets[27], t.buckets[28] + EXCLUDED.buckets[28],
        t.buckets[29] + EXCLUDED.buckets[29], t.buckets[30] + EXCLUDED.buckets[30], t.buckets[31] + EXCLUDED.buckets[31], t.buckets[32] + EXCLUDED.buckets[32],
        t.buckets[33] + EXCLUDED.buckets[33], t.buckets[34] + EXCLUDED.buckets[34], t.buckets[35] + EXCLUDED.buckets[35], t.buckets[36] + EXCLUDED.buckets[36],
        t.buckets[37] + EXCLUDED.buckets[37], t.buckets[38] + EXCLUDED.buckets[38], t.buckets[39] + EXCLUDED.buckets[39], t.buckets[40] + EXCLUDED.buckets[40],
        t.buckets[41] + EXCLUDED.buckets[41], t.buckets[42] + EXCLUDED.buckets[42], t.buckets[43] + EXCLUDED.buckets[43], t.buckets[44] + EXCLUDED.buckets[44],
        t.buckets[45] + EXCLUDED.buckets[45], t.buckets[46] + EXCLUDED.buckets[46], t.buckets[47] + EXCLUDED.buckets[47], t.buckets[48] + EXCLUDED.buckets[48],
        t.buckets[49] + EXCLUDED.buckets[49], t.buckets[50] + EXCLUDED.buckets[50], t.buckets[51] + EXCLUDED.buckets[51], t.buckets[52] + EXCLUDED.buckets[52],
        t.buckets[53] + EXCLUDED.buckets[53], t.buckets[54] + EXCLUDED.buckets[54], t.buckets[55] + EXCLUDED.buckets[55], t.buckets[56] + EXCLUDED.buckets[56],
        t.buckets[57] + EXCLUDED.buckets[57], t.buckets[58] + EXCLUDED.buckets[58], t.buckets[59] + EXCLUDED.buckets[59], t.buckets[60] + EXCLUDED.buckets[60],
        t.buckets[61] + EXCLUDED.buckets[61], t.buckets[62] + EXCLUDED.buckets[62], t.buckets[63] + EXCLUDED.buckets[63], t.buckets[64] + EXCLUDED.buckets[64],
        t.buckets[65] + EXCLUDED.buckets[65], t.buckets[66] + EXCLUDED.buckets[66], t.buckets[67] + EXCLUDED.buckets[67], t.buckets[68] + EXCLUDED.buckets[68],
        t.buckets[69] + EXCLUDED.buckets[69], t.buckets[70] + EXCLUDED.buckets[70], t.buckets[71] + EXCLUDED.buckets[71], t.buckets[72] + EXCLUDED.buckets[72],
        t.buckets[73] + EXCLUDED.buckets[73], t.buckets[74] + EXCLUDED.buckets[74], t.buckets[75] + EXCLUDED.buckets[75], t.buckets[76] + EXCLUDED.buckets[76],
        t.buckets[77] + EXCLUDED.buckets[77], t.buckets[78] + EXCLUDED.buckets[78], t.buckets[79] + EXCLUDED.buckets[79], t.buckets[80] + EXCLUDED.buckets[80],
        t.buckets[81] + EXCLUDED.buckets[81], t.buckets[82] + EXCLUDED.buckets[82], t.buckets[83] + EXCLUDED.buckets[83], t.buckets[84] + EXCLUDED.buckets[84],
        t.buckets[85] + EXCLUDED.buckets[85], t.buckets[86] + EXCLUDED.buckets[86], t.buckets[87] + EXCLUDED.buckets[87], t.buckets[88] + EXCLUDED.buckets[88],
        t.buckets[89] + EXCLUDED.buckets[89], t.buckets[90] + EXCLUDED.buckets[90], t.buckets[91] + EXCLUDED.buckets[91], t.buckets[92] + EXCLUDED.buckets[92],
        t.buckets[93] + EXCLUDED.buckets[93], t.buckets[94] + EXCLUDED.buckets[94], t.buckets[95] + EXCLUDED.buckets[95], t.buckets[96] + EXCLUDED.buckets[96]];

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
  AND (@revision::bigint = 0 OR t.revision = @revision)
  AND (@arm::smallint = 0 OR t.arm = @arm)
  AND (@route::text = '' OR t.route = @route)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 2, 3, 4, 5, 6, 1
LIMIT @row_limit;

-- name: DeleteOldTelemetry :execrows
-- At most ten minutes of one fleet at a time, so that no statement takes long.
DELETE FROM telemetry_counts t
WHERE t.fleet_id = @fleet_id
  AND t.at < least(clock_timestamp() - make_interval(secs => @keep_seconds::float8),
                   (SELECT min(o.at) FROM telemetry_counts o WHERE o.fleet_id = @fleet_id) + interval '10 minutes');

-- name: DeleteOldTelemetryCursors :execrows
DELETE FROM telemetry_cursors WHERE updated_at < clock_timestamp() - interval '30 days';

-- name: DeleteOldTelemetryMinutes :execrows
-- Likewise, minutes by agent.
DELETE FROM telemetry_agents t
WHERE t.fleet_id = @fleet_id
  AND t.at < least(clock_timestamp() - make_interval(secs => @keep_seconds::float8),
                   (SELECT min(o.at) FROM telemetry_agents o WHERE o.fleet_id = @fleet_id) + interval '10 minutes');

-- name: DeleteOldTelemetryTraffic :execrows
DELETE FROM telemetry_traffic t
WHERE t.fleet_id = @fleet_id
  AND t.at < least(clock_timestamp() - make_interval(secs => @keep_seconds::float8),
                   (SELECT min(o.at) FROM telemetry_traffic o WHERE o.fleet_id = @fleet_id) + interval '10 hours');

-- name: TrafficOfRoutes :many
-- Requests of a fleet since the hour of a moment: of each of the routes, and (the empty route) of all.
SELECT route, sum(requests)::bigint AS requests
FROM telemetry_traffic
WHERE fleet_id = @fleet_id AND route = ANY(@routes::text[])
  AND at >= date_trunc('hour', now() - make_interval(secs => @seconds::double precision), 'UTC')
GROUP BY route;
