-- name: AddEvidence :execrows
-- Only of rollouts that the agent is a member of: nobody else threw a coin for them.
INSERT INTO rollout_evidence AS e (rollout_id, metric, route, share_ppm, candidate, control)
SELECT c.rollout_id, c.metric, c.route, c.share_ppm, c.candidate, c.control
FROM (SELECT unnest(@rollouts::bigint[]) AS rollout_id, unnest(@metrics::text[]) AS metric, unnest(@routes::text[]) AS route,
             unnest(@shares_ppm::integer[]) AS share_ppm, unnest(@candidates::bigint[]) AS candidate, unnest(@controls::bigint[]) AS control) c
JOIN rollout_members m ON m.rollout_id = c.rollout_id AND m.agent_id = @agent_id
WHERE c.share_ppm > 0 AND c.share_ppm < 1000000
ON CONFLICT (rollout_id, metric, route, share_ppm)
DO UPDATE SET candidate = e.candidate + EXCLUDED.candidate, control = e.control + EXCLUDED.control;

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
