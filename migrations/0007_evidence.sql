-- +goose Up
-- Evidence by route is read for the routes that matter alone, and how a rollout's sums grew is kept, so that a gate can be tried on
-- it afterwards. The tables are new, so nobody is blocked; the index is made while little is written.

-- How many requests of a route were bad, in both arms together: by that it is chosen which routes are judged one by one. Never by
-- one arm alone, which would choose what looks bad by chance. Slower than the median or than p95 is every busy route; it does not
-- count here.
CREATE TABLE rollout_routes (
    rollout_id bigint NOT NULL REFERENCES rollouts (id),
    route      text   NOT NULL,
    bad        bigint NOT NULL,
    PRIMARY KEY (rollout_id, route)
);
INSERT INTO rollout_routes (rollout_id, route, bad)
SELECT rollout_id, route, sum(candidate + control) FROM rollout_evidence
WHERE route <> '' AND metric NOT IN ('requests', 'slower.p50', 'slower.p95')
GROUP BY rollout_id, route
HAVING sum(candidate + control) > 0;

CREATE INDEX rollout_evidence_route ON rollout_evidence (rollout_id, route);

-- When the sums of a rollout were read, for ever. At most one a second, later ones further apart, so that even a rollout of a week
-- has some hundred; and one at the end of each step.
CREATE TABLE rollout_readings (
    rollout_id bigint      NOT NULL REFERENCES rollouts (id),
    number     integer     NOT NULL, -- from 1
    at         timestamptz NOT NULL,
    step       integer     NOT NULL,
    counted    bigint      NOT NULL, -- all totals together: whether anything has changed since
    PRIMARY KEY (rollout_id, number)
);

-- What they had come to: only sums that had changed since the reading before. Single routes at the ends of steps alone. The totals
-- say how much of them came from routes that only the candidate has.
CREATE TABLE rollout_reading_sums (
    rollout_id    bigint  NOT NULL,
    metric        text    NOT NULL,
    route         text    NOT NULL,
    share_ppm     integer NOT NULL,
    number        integer NOT NULL,
    candidate     bigint  NOT NULL,
    control       bigint  NOT NULL,
    new_candidate bigint  NOT NULL,
    new_control   bigint  NOT NULL,
    PRIMARY KEY (rollout_id, metric, route, share_ppm, number),
    FOREIGN KEY (rollout_id, number) REFERENCES rollout_readings (rollout_id, number)
);

-- +goose Down
DROP TABLE rollout_reading_sums;
DROP TABLE rollout_readings;
DROP INDEX rollout_evidence_route;
DROP TABLE rollout_routes;
