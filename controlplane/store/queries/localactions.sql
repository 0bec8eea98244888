-- name: InsertLocalAction :execrows
INSERT INTO agent_local_actions (agent_id, boot_id, sequence)
VALUES (@agent_id, @boot_id, @sequence)
ON CONFLICT DO NOTHING;

-- name: CountLocalActions :one
-- How many were stored lately: an agent that tells too many is not believed.
SELECT count(*) FROM agent_local_actions
WHERE agent_id = @agent_id AND stored_at > clock_timestamp() - interval '1 hour';
