-- +goose Up
-- What external gates said of rollouts. A new table, so nobody is blocked.

-- A replica that wants to ask moves asked_at on, so of several one asks.
CREATE TABLE rollout_gates (
    rollout_id  bigint      NOT NULL REFERENCES rollouts (id),
    name        text        NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    verdict     text        NOT NULL DEFAULT 'inconclusive' CHECK (verdict IN ('pass', 'fail', 'inconclusive')),
    explanation text        NOT NULL DEFAULT 'not asked yet',
    failures    integer     NOT NULL DEFAULT 0, -- answers in a row that were out of bounds
    passed_at   timestamptz,                    -- when it passed last
    at          timestamptz,                    -- when it answered last
    PRIMARY KEY (rollout_id, name)
);

-- +goose Down
DROP TABLE rollout_gates;
