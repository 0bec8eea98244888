-- +goose Up
-- What operators had agents do over their local sockets and stands in the audit: what makes "once" true. New, so nobody is blocked.

CREATE TABLE agent_local_actions (
    agent_id  uuid        NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    boot_id   text        NOT NULL,
    sequence  bigint      NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (agent_id, boot_id, sequence)
);

-- +goose Down
DROP TABLE agent_local_actions;
