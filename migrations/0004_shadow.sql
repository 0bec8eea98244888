-- +goose Up
-- What candidates decided beside live requests, for ever. A new table, so nobody is blocked.

-- Rows without decisions count the samples by the route that the candidate finds.
CREATE TABLE rollout_shadow (
    rollout_id         bigint NOT NULL REFERENCES rollouts (id),
    stable_route       text   NOT NULL,
    stable_decision    text   NOT NULL,
    candidate_route    text   NOT NULL,
    candidate_decision text   NOT NULL,
    requests           bigint NOT NULL,
    example            text   NOT NULL,
    PRIMARY KEY (rollout_id, stable_route, stable_decision, candidate_route, candidate_decision)
);

-- +goose Down
DROP TABLE rollout_shadow;
