-- +goose Up
-- Review: what a fleet asks of those who change it, who approved a change set, and what it means to change.
-- Columns with constant defaults: no table is rewritten (Postgres 11 and later), and each lock is held for a moment.

ALTER TABLE fleets ADD COLUMN policy bytea NOT NULL DEFAULT ''; -- an encoded FleetPolicy

ALTER TABLE change_sets
    ADD COLUMN editors      text[] NOT NULL DEFAULT '{}', -- who edited it, its author included; none of them can approve it
    ADD COLUMN expectations bytea  NOT NULL DEFAULT '';   -- encoded Expectations

-- Who approved a change set as it is now; an edit deletes them all. The audit keeps what was.
CREATE TABLE change_set_approvals (
    change_set uuid        NOT NULL REFERENCES change_sets (id) ON DELETE CASCADE,
    approver   text        NOT NULL,
    comment    text        NOT NULL DEFAULT '',
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_set, approver)
);

ALTER TABLE rollouts
    ADD COLUMN expectations bytea   NOT NULL DEFAULT '',   -- those of its change, as they were at publish
    ADD COLUMN supersede    boolean NOT NULL DEFAULT false; -- it does not wait for the rollout that runs

-- +goose Down
ALTER TABLE rollouts DROP COLUMN expectations, DROP COLUMN supersede;
DROP TABLE change_set_approvals;
ALTER TABLE change_sets DROP COLUMN editors, DROP COLUMN expectations;
ALTER TABLE fleets DROP COLUMN policy;
