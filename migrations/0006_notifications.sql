-- +goose Up
-- How far each notification of a fleet has come. New, so nobody is blocked; the index is made while little is written.

CREATE TABLE notification_cursors (
    fleet_id   bigint      NOT NULL REFERENCES fleets (id),
    name       text        NOT NULL,
    last_event bigint      NOT NULL, -- events up to here were taken, or given up
    attempts   integer     NOT NULL DEFAULT 0, -- for the next event
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_until timestamptz, -- a replica works on it
    error      text        NOT NULL DEFAULT '',
    PRIMARY KEY (fleet_id, name)
);

-- +goose Down
DROP TABLE notification_cursors;
