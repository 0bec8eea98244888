-- +goose Up
-- What operators had agents do over their local sockets and stands in the audit: what makes "once" true. New, so nobody is blocked; nor is
-- anybody by the column, whose default is no write.

CREATE TABLE agent_local_actions (
    agent_id  uuid        NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    boot_id   text        NOT NULL,
    sequence  bigint      NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (agent_id, boot_id, sequence)
);

-- The epoch that it was in when it connected, which the fleet may not know after a restore.
ALTER TABLE agents ADD COLUMN known_epoch bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE agents DROP COLUMN known_epoch;
DROP TABLE agent_local_actions;
