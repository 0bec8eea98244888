-- name: ListGatedRollouts :many
-- Active rollouts that have set a dial.
SELECT r.id, r.fleet_id, f.name AS fleet, r.revision, r.stable_revision, r.state, r.step, r.candidate_agents, r.candidate_share_ppm, r.spec
FROM rollouts r JOIN fleets f ON f.id = r.fleet_id
WHERE r.state IN ('running', 'paused', 'held') AND r.step_at IS NOT NULL;

-- name: ClaimGate :execrows
-- Takes it on to ask a gate, unless it was asked within the interval. One that was asked in the future was asked before the clock was
-- set back.
INSERT INTO rollout_gates (rollout_id, name) VALUES (@rollout_id, @name)
ON CONFLICT (rollout_id, name) DO UPDATE SET asked_at = clock_timestamp()
WHERE rollout_gates.asked_at <= clock_timestamp() - make_interval(secs => @interval_seconds::double precision)
   OR rollout_gates.asked_at > clock_timestamp();

-- name: AnswerGate :exec
-- failures counts up while an answer is out of bounds; below the tolerated number that is no failure yet.
UPDATE rollout_gates SET
    failures    = CASE WHEN @verdict::text = 'fail' THEN failures + 1 WHEN @verdict::text = 'pass' THEN 0 ELSE failures END,
    verdict     = CASE WHEN @verdict::text = 'fail' AND failures + 1 < @tolerated::integer THEN 'inconclusive' ELSE @verdict::text END,
    explanation = @explanation, at = clock_timestamp(),
    passed_at   = CASE WHEN @verdict::text = 'pass' THEN clock_timestamp() ELSE passed_at END
WHERE rollout_id = @rollout_id AND name = @name;

-- name: ListGates :many
SELECT name, verdict, explanation, passed_at, at FROM rollout_gates WHERE rollout_id = $1 ORDER BY name;
