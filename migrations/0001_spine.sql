-- +goose Up
-- The spine: fleets, revisions and their content, change sets, the fast lane, agents, rollouts, telemetry, identity.
-- Forward only in production; the Down at the end is for tests. All statements run on empty tables, so none blocks anyone.

-- Postgres's clock decides every time in these tables (now() or clock_timestamp()), never a replica's.

-- ---------------------------------------------------------------------------------------------------------------------
-- Fleets and heads

CREATE TABLE fleets (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text        NOT NULL UNIQUE,
    default_strategy text        NOT NULL DEFAULT 'canary-then-all',
    created_at       timestamptz NOT NULL DEFAULT now()
);

-- One small row a fleet, which waiters poll. A publish locks it FOR UPDATE first, so publishes of one fleet are serial;
-- revision numbers come from it inside the transaction and are never reused.
CREATE TABLE heads (
    fleet_id        bigint PRIMARY KEY REFERENCES fleets (id),
    head_revision   bigint NOT NULL DEFAULT 0, -- what an edit starts from
    stable_revision bigint NOT NULL DEFAULT 0, -- what has proved itself
    last_revision   bigint NOT NULL DEFAULT 0, -- the highest number given out
    epoch           bigint NOT NULL DEFAULT 1, -- opened anew by an operator after a restore
    generation      bigint NOT NULL DEFAULT 0, -- raised by every change of what agents should serve
    updated_at      timestamptz NOT NULL DEFAULT now()
);

-- The fast lane has a row of its own, so that making a key never waits for a publish. Whoever needs both locks heads first.
CREATE TABLE lane_heads (
    fleet_id bigint PRIMARY KEY REFERENCES fleets (id),
    sequence bigint NOT NULL DEFAULT 0
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Staged content: services, routes, plugins, plans

CREATE TABLE revisions (
    fleet_id      bigint      NOT NULL REFERENCES fleets (id),
    number        bigint      NOT NULL,
    parent        bigint      NOT NULL,
    root          bytea       NOT NULL CHECK (length(root) = 32),
    lane_sequence bigint      NOT NULL,
    origin        text        NOT NULL CHECK (origin IN ('publish', 'rollback', 'revert')),
    state         text        NOT NULL CHECK (state IN ('pending', 'rolling_out', 'serving', 'superseded', 'rejected')),
    message       text        NOT NULL DEFAULT '',
    author        text        NOT NULL,
    created       integer     NOT NULL, -- resources created, updated and deleted against the parent
    updated       integer     NOT NULL,
    deleted       integer     NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fleet_id, number)
);

-- A version of a resource is valid from revision valid_from until (excluding) valid_until; NULL: still at head.
-- The content of revision N is one query, and so is the difference of two revisions.
CREATE TABLE resource_versions (
    fleet_id    bigint      NOT NULL REFERENCES fleets (id),
    kind        smallint    NOT NULL CHECK (kind BETWEEN 1 AND 15),
    name        text        NOT NULL,
    valid_from  bigint      NOT NULL,
    valid_until bigint      CHECK (valid_until > valid_from),
    body        bytea       NOT NULL, -- encoded once, at publish; these bytes are stored, sent and hashed
    digest      bytea       NOT NULL CHECK (length(digest) = 32),
    bucket      integer     NOT NULL CHECK (bucket BETWEEN 0 AND 65535), -- its leaf in the tree
    labels      jsonb       NOT NULL DEFAULT '{}',
    author      text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fleet_id, kind, name, valid_from)
);
CREATE UNIQUE INDEX resource_versions_head ON resource_versions (fleet_id, kind, name) WHERE valid_until IS NULL;
CREATE INDEX resource_versions_bucket ON resource_versions (fleet_id, bucket) WHERE valid_until IS NULL;
CREATE INDEX resource_versions_from ON resource_versions (fleet_id, valid_from);
CREATE INDEX resource_versions_until ON resource_versions (fleet_id, valid_until) WHERE valid_until IS NOT NULL;

-- What the head's resources refer to, and (for routes) the keys under which two may tie. Kept for head only.
CREATE TABLE resource_references (
    fleet_id  bigint   NOT NULL REFERENCES fleets (id),
    kind      smallint NOT NULL,
    name      text     NOT NULL,
    to_kind   smallint NOT NULL,
    to_name   text     NOT NULL,
    field     text     NOT NULL,
    PRIMARY KEY (fleet_id, kind, name, to_kind, to_name, field)
);
CREATE INDEX resource_references_to ON resource_references (fleet_id, to_kind, to_name);

CREATE TABLE route_keys (
    fleet_id bigint NOT NULL REFERENCES fleets (id),
    key      text   NOT NULL,
    route    text   NOT NULL,
    PRIMARY KEY (fleet_id, key, route)
);
CREATE INDEX route_keys_route ON route_keys (fleet_id, route);

-- The inner nodes of the tree at head: sixteen digests of 32 bytes each. prefix is the node's path, one byte a level.
CREATE TABLE tree_nodes (
    fleet_id bigint NOT NULL REFERENCES fleets (id),
    prefix   bytea  NOT NULL CHECK (length(prefix) <= 3),
    children bytea  NOT NULL CHECK (length(children) = 512),
    PRIMARY KEY (fleet_id, prefix)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Change sets

CREATE TABLE change_sets (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    fleet_id      bigint      NOT NULL REFERENCES fleets (id),
    base_revision bigint      NOT NULL,
    base_lane     bigint      NOT NULL, -- the fast lane's sequence when it was opened or rebased
    state         text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'published', 'abandoned')),
    message       text        NOT NULL DEFAULT '',
    author        text        NOT NULL,
    revision      bigint,
    version       bigint      NOT NULL DEFAULT 1, -- raised by every edit; its etag
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX change_sets_fleet ON change_sets (fleet_id, created_at DESC);

CREATE TABLE change_set_edits (
    change_set uuid     NOT NULL REFERENCES change_sets (id) ON DELETE CASCADE,
    kind       smallint NOT NULL,
    name       text     NOT NULL,
    body       bytea, -- NULL: delete. Of certificates and secrets: sealed
    labels     jsonb    NOT NULL DEFAULT '{}',
    base       bigint   NOT NULL DEFAULT 0, -- the version that its author saw (If-Match): a revision, of fast kinds a sequence
    PRIMARY KEY (change_set, kind, name)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- The fast lane: consumers, keys, certificates, secrets

-- Every change takes the next sequence of the fleet. A deletion is a row of its own (body NULL), so that an agent that was
-- away learns of it. The row without superseded_at is the present state.
CREATE TABLE lane_versions (
    fleet_id   bigint      NOT NULL REFERENCES fleets (id),
    sequence   bigint      NOT NULL,
    kind       smallint    NOT NULL CHECK (kind >= 16),
    name       text        NOT NULL, -- of a key: its id
    owner      text        NOT NULL DEFAULT '', -- of a key: its consumer
    body       bytea,      -- the encoded spec; NULL: deleted. Of certificates and secrets: sealed under the master key
    key_hash   bytea,      -- of a key: the keyed hash, never the key
    labels     jsonb       NOT NULL DEFAULT '{}',
    author     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    current    boolean     NOT NULL DEFAULT true,
    PRIMARY KEY (fleet_id, sequence)
);
CREATE UNIQUE INDEX lane_versions_current ON lane_versions (fleet_id, kind, name) WHERE current;
CREATE INDEX lane_versions_history ON lane_versions (fleet_id, kind, name, sequence);
CREATE INDEX lane_versions_owner ON lane_versions (fleet_id, owner, kind) WHERE current AND owner <> '';
CREATE UNIQUE INDEX lane_versions_key_hash ON lane_versions (fleet_id, key_hash) WHERE current AND key_hash IS NOT NULL;

CREATE TABLE key_uses (
    fleet_id  bigint      NOT NULL REFERENCES fleets (id),
    key       text        NOT NULL,
    last_used timestamptz NOT NULL,
    PRIMARY KEY (fleet_id, key)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Agents

-- Keys of the control plane, wrapped by the master key, which is never in the database.
CREATE TABLE key_material (
    name       text        PRIMARY KEY, -- "authority", "signing", "key-hash"
    public     bytea       NOT NULL,
    sealed     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE join_tokens (
    hash       bytea       PRIMARY KEY,
    fleet_id   bigint      NOT NULL REFERENCES fleets (id),
    author     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    used_by    uuid
);

CREATE TABLE agents (
    id                     uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    fleet_id               bigint      NOT NULL REFERENCES fleets (id),
    name                   text        NOT NULL,
    labels                 jsonb       NOT NULL DEFAULT '{}',
    version                text        NOT NULL DEFAULT '',
    listeners              text[]      NOT NULL DEFAULT '{}',
    plugin_types           text[]      NOT NULL DEFAULT '{}',
    certificate_expires_at timestamptz NOT NULL,
    created_at             timestamptz NOT NULL DEFAULT now(),
    drain                  boolean     NOT NULL DEFAULT false,
    -- the session that holds its stream; a write of an older session changes nothing
    session                bigint      NOT NULL DEFAULT 0,
    replica                text        NOT NULL DEFAULT '',
    boot_id                text        NOT NULL DEFAULT '',
    connected              boolean     NOT NULL DEFAULT false,
    connected_at           timestamptz,
    seen_at                timestamptz,
    -- what it said last
    epoch                  bigint      NOT NULL DEFAULT 0,
    generation             bigint      NOT NULL DEFAULT 0,
    status                 text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'serving', 'refused', 'dropped')),
    error                  text        NOT NULL DEFAULT '',
    stable_revision        bigint      NOT NULL DEFAULT 0,
    candidate_revision     bigint      NOT NULL DEFAULT 0,
    candidate_share_ppm    integer     NOT NULL DEFAULT 0,
    lane_sequence          bigint      NOT NULL DEFAULT 0,
    -- the last candidate that it refused or dropped
    failed_rollout         bigint      NOT NULL DEFAULT 0,
    UNIQUE (fleet_id, name)
);
CREATE SEQUENCE agent_sessions;

-- ---------------------------------------------------------------------------------------------------------------------
-- Rollouts

CREATE TABLE strategies (
    fleet_id   bigint      NOT NULL REFERENCES fleets (id),
    name       text        NOT NULL,
    body       bytea       NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fleet_id, name)
);

CREATE TABLE rollouts (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fleet_id            bigint      NOT NULL REFERENCES fleets (id),
    revision            bigint      NOT NULL,
    stable_revision     bigint      NOT NULL, -- what it replaces; fixed when it starts
    strategy            text        NOT NULL,
    spec                bytea       NOT NULL, -- the strategy as it was at publish
    state               text        NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'awaiting_approval', 'held',
                                                              'completed', 'rolled_back', 'aborted', 'superseded')),
    reason              text        NOT NULL DEFAULT '',
    author              text        NOT NULL,
    step                integer     NOT NULL DEFAULT 0,
    candidate_agents    integer     NOT NULL DEFAULT 0, -- the dials now
    candidate_share_ppm integer     NOT NULL DEFAULT 0,
    version             bigint      NOT NULL DEFAULT 1, -- raised by every change; compare-and-set
    fence               bigint      NOT NULL DEFAULT 0, -- the leader's token of the last change
    created_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    step_at             timestamptz,          -- when the step's dials were set
    serving_at          timestamptz,          -- when its agents had acknowledged serving it: the step's clock begins
    paused_at           timestamptz,          -- the clock stands since
    dials_at            timestamptz,          -- when what agents should serve changed last, and to which
    dials_epoch         bigint      NOT NULL DEFAULT 0, -- (epoch, generation)
    dials_generation    bigint      NOT NULL DEFAULT 0,
    promoted            boolean     NOT NULL DEFAULT false, -- a person waived the bake time of the step
    extensions          integer     NOT NULL DEFAULT 0, -- of the step, for want of requests
    base_requests       bigint      NOT NULL DEFAULT 0, -- candidate requests at this share before the step
    judged_agents       integer     NOT NULL DEFAULT 0, -- what alpha was divided over; fixed when it starts
    judged_routes       integer     NOT NULL DEFAULT 0,
    clock_offset_ms     bigint      NOT NULL DEFAULT 0, -- how far the clock had been set when these times were written
    ended_at            timestamptz
);
CREATE UNIQUE INDEX rollouts_active ON rollouts (fleet_id)
    WHERE state IN ('running', 'paused', 'awaiting_approval', 'held');
CREATE UNIQUE INDEX rollouts_queued ON rollouts (fleet_id) WHERE state = 'queued';
CREATE INDEX rollouts_fleet ON rollouts (fleet_id, id DESC);
CREATE INDEX rollouts_revision ON rollouts (fleet_id, revision);

-- Which agents hold the candidate. It only grows within a rollout, so that the 10 % contains the 1 %. An agent that is
-- deleted stays: one that comes back under its name with a new identity has restarted on the candidate.
CREATE TABLE rollout_members (
    rollout_id bigint      NOT NULL REFERENCES rollouts (id),
    agent_id   uuid        NOT NULL,
    name       text        NOT NULL,
    step       integer     NOT NULL,            -- that brought it in
    boot_id    text        NOT NULL DEFAULT '', -- the process that was given the candidate
    lost_since timestamptz,                     -- the controller misses it since
    PRIMARY KEY (rollout_id, agent_id)
);

-- What a person asked for; the leader carries it out. One row a request, so that nothing is lost between replicas.
CREATE TABLE rollout_commands (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout_id bigint      NOT NULL REFERENCES rollouts (id),
    command    text        NOT NULL CHECK (command IN ('pause', 'resume', 'promote', 'promote_full', 'approve', 'abort')),
    actor      text        NOT NULL,
    reason     text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz,
    result     text        NOT NULL DEFAULT ''
);
CREATE INDEX rollout_commands_open ON rollout_commands (rollout_id, id) WHERE done_at IS NULL;

CREATE TABLE rollout_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout_id bigint      NOT NULL REFERENCES rollouts (id),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    step       integer     NOT NULL,
    type       text        NOT NULL,
    message    text        NOT NULL,
    actor      text        NOT NULL DEFAULT ''
);
CREATE INDEX rollout_events_rollout ON rollout_events (rollout_id, id);

-- The evidence, for ever. For a fixed probability of the coin the log of the evidence is linear in the counts, so the sums
-- for each (metric, route, share) are all that there is to know; counts of different shares are never added.
-- metric "requests" holds the totals.
CREATE TABLE rollout_evidence (
    rollout_id bigint  NOT NULL REFERENCES rollouts (id),
    metric     text    NOT NULL,
    route      text    NOT NULL,
    share_ppm  integer NOT NULL,
    candidate  bigint  NOT NULL DEFAULT 0,
    control    bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (rollout_id, metric, route, share_ppm)
);

-- What the judge said last of each comparison; the counts are those that it had read. Logarithms are natural.
CREATE TABLE rollout_verdicts (
    rollout_id      bigint           NOT NULL REFERENCES rollouts (id),
    metric          text             NOT NULL,
    route           text             NOT NULL,
    candidate_bad   bigint           NOT NULL,
    candidate_total bigint           NOT NULL,
    control_bad     bigint           NOT NULL,
    control_total   bigint           NOT NULL,
    log_evidence    double precision NOT NULL,
    log_peak        double precision NOT NULL, -- the highest of all looks: what decides
    log_threshold   double precision NOT NULL,
    ratio_lower     double precision NOT NULL,
    ratio_upper     double precision NOT NULL, -- 0: nothing bounds it
    verdict         text             NOT NULL CHECK (verdict IN ('pass', 'fail', 'inconclusive')),
    explanation     text             NOT NULL,
    at              timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rollout_id, metric, route)
);

-- Who leads. The token rises with every change of holder and is checked in every UPDATE that a leader makes.
CREATE TABLE leaders (
    name       text        PRIMARY KEY,
    holder     text        NOT NULL,
    token      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    -- By how much Postgres's clock was set, forth and back, since anybody looks: leaders notice by their monotonic clocks.
    clock_offset_ms bigint NOT NULL DEFAULT 0
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Telemetry

-- The last sequence of each agent's boot that was counted: what makes "once" true.
CREATE TABLE telemetry_cursors (
    agent_id   uuid        NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    boot_id    text        NOT NULL,
    sequence   bigint      NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, boot_id)
);

CREATE TABLE telemetry_counts (
    fleet_id     bigint      NOT NULL REFERENCES fleets (id),
    at           timestamptz NOT NULL, -- the begin of a bucket of 5 s, by Postgres's clock at intake
    agent_id     uuid        NOT NULL,
    revision     bigint      NOT NULL,
    arm          smallint    NOT NULL,
    route        text        NOT NULL,
    status_class smallint    NOT NULL,
    reason       text        NOT NULL,
    requests     bigint      NOT NULL,
    buckets      bigint[]    NOT NULL, -- 96 counts of durations
    PRIMARY KEY (fleet_id, at, agent_id, revision, arm, route, status_class, reason)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Identity

CREATE TABLE tokens (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name         text        NOT NULL UNIQUE,
    hash         bytea       NOT NULL UNIQUE,
    role         text        NOT NULL CHECK (role IN ('admin', 'publisher', 'viewer')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

CREATE TABLE sessions (
    hash       bytea       PRIMARY KEY,
    token_id   uuid        NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- Append-only: a trigger refuses UPDATE and DELETE.
CREATE TABLE audit_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor      text        NOT NULL,
    action     text        NOT NULL,
    fleet      text        NOT NULL DEFAULT '',
    resource   text        NOT NULL DEFAULT '',
    reason     text        NOT NULL DEFAULT '',
    request_id text        NOT NULL DEFAULT '',
    source     text        NOT NULL DEFAULT ''
);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One effect for one Idempotency-Key. The row is written in the transaction of the effect itself; the same key with another
-- body is refused.
CREATE TABLE idempotency_keys (
    actor        text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    response     bytea,      -- the encoded answer, sealed when it shows a secret
    headers      jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, key)
);

-- +goose Down
DROP TABLE idempotency_keys, audit_events, sessions, tokens, telemetry_counts, telemetry_cursors, leaders, rollout_verdicts,
    rollout_evidence, rollout_events, rollout_commands, rollout_members, rollouts, strategies, agents, join_tokens, key_material, key_uses,
    lane_versions, change_set_edits, change_sets, tree_nodes, route_keys, resource_references, resource_versions, revisions,
    lane_heads, heads, fleets;
DROP SEQUENCE agent_sessions;
DROP FUNCTION refuse_change;
