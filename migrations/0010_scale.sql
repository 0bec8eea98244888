-- +goose Up
-- What thousands of agents cost follows from what they do, and not from how many there are. The tables are new, so nobody is
-- blocked; columns without a default of their own are added without a rewrite, under a lock for a moment.

-- Counts of a fleet are kept for all its agents together: telemetry_counts.agent_id is then all zeros. What a release before
-- this one writes by agent is added up with it.
COMMENT ON COLUMN telemetry_counts.agent_id IS 'all zeros: all agents together';

-- What one agent counted in the minute that began at window_at, an encoded report: it changes in the same row that says up to
-- which sequence that was. A row changes each second, so there is room for it beside its former version.
ALTER TABLE telemetry_cursors ADD COLUMN window_at timestamptz, ADD COLUMN window_cells bytea;
ALTER TABLE telemetry_cursors SET (fillfactor = 50);

-- Minutes that are over.
CREATE TABLE telemetry_agents (
    fleet_id bigint      NOT NULL REFERENCES fleets (id),
    agent_id uuid        NOT NULL,
    at       timestamptz NOT NULL,
    boot_id  text        NOT NULL,
    cells    bytea       NOT NULL, -- an encoded report (agentv1.ReportTelemetryRequest)
    PRIMARY KEY (fleet_id, agent_id, at, boot_id)
);
CREATE INDEX telemetry_agents_at ON telemetry_agents (fleet_id, at);

-- Requests by route and hour, and by hour under the empty name: what a change puts at risk is asked of a day, not of each second.
CREATE TABLE telemetry_traffic (
    fleet_id bigint      NOT NULL REFERENCES fleets (id),
    route    text        NOT NULL,
    at       timestamptz NOT NULL, -- the begin of the hour
    requests bigint      NOT NULL,
    PRIMARY KEY (fleet_id, route, at)
) WITH (fillfactor = 50);
CREATE INDEX telemetry_traffic_at ON telemetry_traffic (fleet_id, at);

-- The replicas of the control plane, so that agents are spread over them.
CREATE TABLE replicas (
    name    text        PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE replicas, telemetry_traffic, telemetry_agents;
ALTER TABLE telemetry_cursors DROP COLUMN window_at, DROP COLUMN window_cells;
