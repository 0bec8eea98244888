-- name: ListEvidence :many
-- The totals, and of single routes those that matter: those that were judged before, those that are named, and with the most bad
-- requests so many of those that the control could serve, and so many of those that only the candidate has. However many routes
-- there are, no more than that is read of the sums; of the others, one narrow row for each on which anything went wrong.
WITH fresh AS MATERIALIZED (
    SELECT DISTINCT v.name FROM resource_versions v
    WHERE v.fleet_id = @fleet_id AND v.kind = 2 AND v.valid_from > @stable::bigint AND v.valid_from <= @candidate::bigint
      AND NOT EXISTS (
        SELECT FROM resource_versions s
        WHERE s.fleet_id = v.fleet_id AND s.kind = 2 AND s.name = v.name
          AND s.valid_from <= @stable::bigint AND (s.valid_until IS NULL OR s.valid_until > @stable::bigint))
), chosen AS MATERIALIZED (
    (SELECT r.route FROM rollout_routes r
     WHERE r.rollout_id = @rollout_id AND NOT EXISTS (SELECT FROM fresh f WHERE f.name = r.route)
     ORDER BY r.bad DESC, r.route LIMIT @most)
    UNION
    (SELECT r.route FROM rollout_routes r
     WHERE r.rollout_id = @rollout_id AND EXISTS (SELECT FROM fresh f WHERE f.name = r.route)
     ORDER BY r.bad DESC, r.route LIMIT @most)
    UNION
    SELECT judged.route FROM rollout_verdicts judged WHERE judged.rollout_id = @rollout_id AND judged.metric <> 'errors'
    UNION
    SELECT unnest(@named::text[])
    UNION
    SELECT ''
)
SELECT e.metric, e.route, e.share_ppm, e.candidate, e.control,
       (NOT EXISTS (SELECT FROM fresh f WHERE f.name = e.route))::boolean AS in_stable
FROM chosen c
JOIN rollout_evidence e ON e.rollout_id = @rollout_id AND e.route = c.route
ORDER BY e.metric, e.route, e.share_ppm;

-- name: SumEvidenceOfNewRoutes :many
-- Of all routes together that only the candidate has.
SELECT e.metric, e.share_ppm, sum(e.candidate)::bigint AS candidate, sum(e.control)::bigint AS control
FROM (
    SELECT DISTINCT v.name FROM resource_versions v
    WHERE v.fleet_id = @fleet_id AND v.kind = 2 AND v.valid_from > @stable::bigint AND v.valid_from <= @candidate::bigint
      AND NOT EXISTS (
        SELECT FROM resource_versions s
        WHERE s.fleet_id = v.fleet_id AND s.kind = 2 AND s.name = v.name
          AND s.valid_from <= @stable::bigint AND (s.valid_until IS NULL OR s.valid_until > @stable::bigint))
) fresh
JOIN rollout_evidence e ON e.rollout_id = @rollout_id AND e.route = fresh.name
GROUP BY e.metric, e.share_ppm
ORDER BY e.metric, e.share_ppm;

-- name: AddRouteTotals :exec
-- In the order of the key, as AddEvidenceSums.
INSERT INTO rollout_routes AS r (rollout_id, route, bad)
SELECT c.rollout_id, c.route, c.bad
FROM (SELECT unnest(@rollouts::bigint[]) AS rollout_id, unnest(@routes::text[]) AS route, unnest(@bad::bigint[]) AS bad) c
ORDER BY c.rollout_id, c.route
ON CONFLICT (rollout_id, route) DO UPDATE SET bad = r.bad + EXCLUDED.bad;

-- name: GetLastReading :one
SELECT number, at, counted FROM rollout_readings WHERE rollout_id = $1 ORDER BY number DESC LIMIT 1;

-- name: InsertReading :exec
INSERT INTO rollout_readings (rollout_id, number, at, step, counted) VALUES (@rollout_id, @number, @at, @step, @counted);

-- name: InsertReadingSums :exec
-- Only what changed since it was last kept.
INSERT INTO rollout_reading_sums (rollout_id, number, metric, route, share_ppm, candidate, control, new_candidate, new_control)
SELECT @rollout_id, @number, s.metric, s.route, s.share_ppm, s.candidate, s.control, s.new_candidate, s.new_control
FROM (SELECT unnest(@metrics::text[]) AS metric, unnest(@routes::text[]) AS route, unnest(@shares_ppm::integer[]) AS share_ppm,
             unnest(@candidates::bigint[]) AS candidate, unnest(@controls::bigint[]) AS control,
             unnest(@new_candidates::bigint[]) AS new_candidate, unnest(@new_controls::bigint[]) AS new_control) s
WHERE NOT EXISTS (
    SELECT FROM (
        SELECT b.candidate, b.control FROM rollout_reading_sums b
        WHERE b.rollout_id = @rollout_id AND b.metric = s.metric AND b.route = s.route AND b.share_ppm = s.share_ppm
        ORDER BY b.number DESC LIMIT 1) kept
    WHERE kept.candidate = s.candidate AND kept.control = s.control);

-- name: ListReadings :many
SELECT number, at, step FROM rollout_readings WHERE rollout_id = $1 ORDER BY number;

-- name: ListReadingSums :many
SELECT number, metric, route, share_ppm, candidate, control, new_candidate, new_control
FROM rollout_reading_sums WHERE rollout_id = $1
ORDER BY number;

-- name: ListVerdicts :many
SELECT * FROM rollout_verdicts WHERE rollout_id = $1 ORDER BY route, metric;

-- name: SaveVerdict :exec
INSERT INTO rollout_verdicts (rollout_id, metric, route, candidate_bad, candidate_total, control_bad, control_total,
    log_evidence, log_peak, log_threshold, ratio_lower, ratio_upper, verdict, explanation)
VALUES (@rollout_id, @metric, @route, @candidate_bad, @candidate_total, @control_bad, @control_total,
    @log_evidence, @log_peak, @log_threshold, @ratio_lower, @ratio_upper, @verdict, @explanation)
ON CONFLICT (rollout_id, metric, route) DO UPDATE SET
    candidate_bad = EXCLUDED.candidate_bad, candidate_total = EXCLUDED.candidate_total,
    control_bad = EXCLUDED.control_bad, control_total = EXCLUDED.control_total,
    log_evidence = EXCLUDED.log_evidence, log_peak = greatest(rollout_verdicts.log_peak, EXCLUDED.log_peak),
    log_threshold = EXCLUDED.log_threshold, ratio_lower = EXCLUDED.ratio_lower, ratio_upper = EXCLUDED.ratio_upper,
    verdict = EXCLUDED.verdict, explanation = EXCLUDED.explanation, at = clock_timestamp();
