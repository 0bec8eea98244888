-- name: AddShadow :exec
-- Rows come in the order of their keys, so that two replicas never wait for each other.
INSERT INTO rollout_shadow (rollout_id, stable_route, stable_decision, candidate_route, candidate_decision, requests, example)
SELECT unnest(@rollouts::bigint[]), unnest(@stable_routes::text[]), unnest(@stable_decisions::text[]), unnest(@candidate_routes::text[]),
       unnest(@candidate_decisions::text[]), unnest(@requests::bigint[]), unnest(@examples::text[])
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (rollout_id, stable_route, stable_decision, candidate_route, candidate_decision) DO UPDATE
SET requests = rollout_shadow.requests + EXCLUDED.requests;

-- name: CountShadow :one
-- All samples of a rollout, and those that differ.
SELECT coalesce(sum(requests) FILTER (WHERE stable_decision = ''), 0)::bigint AS sampled,
       coalesce(sum(requests) FILTER (WHERE stable_decision <> ''), 0)::bigint AS different
FROM rollout_shadow WHERE rollout_id = $1;

-- name: ListShadow :many
-- The most frequent differences, each with the samples on the candidate's route.
SELECT d.stable_route, d.stable_decision, d.candidate_route, d.candidate_decision, d.requests, d.example,
       coalesce((SELECT s.requests FROM rollout_shadow s WHERE s.rollout_id = d.rollout_id AND s.stable_decision = '' AND s.candidate_route = d.candidate_route), 0)::bigint AS sampled
FROM rollout_shadow d WHERE d.rollout_id = @rollout_id AND d.stable_decision <> ''
ORDER BY d.requests DESC, d.stable_route, d.candidate_route LIMIT @most;
