-- name: ListEvidence :many
-- The totals, and of single routes only those on which anything went wrong. in_stable: the control could serve it.
SELECT e.metric, e.route, e.share_ppm, e.candidate, e.control,
       (e.route = '' OR EXISTS (
            SELECT FROM resource_versions v
            WHERE v.fleet_id = @fleet_id AND v.kind = 2 AND v.name = e.route
              AND v.valid_from <= @stable::bigint AND (v.valid_until IS NULL OR v.valid_until > @stable::bigint)))::boolean AS in_stable
FROM rollout_evidence e
WHERE e.rollout_id = @rollout_id
  AND (e.route = '' OR e.metric <> 'requests' OR EXISTS (
        SELECT FROM rollout_evidence b
        WHERE b.rollout_id = e.rollout_id AND b.route = e.route AND b.metric <> 'requests' AND b.candidate + b.control > 0))
ORDER BY e.metric, e.route, e.share_ppm;

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
