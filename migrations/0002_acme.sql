-- +goose Up
-- Certificates that the control plane obtains by ACME (RFC 8555). New tables only, so nobody is blocked.

-- An account is made once for a directory and an email, and shared by all certificates that name both.
CREATE TABLE acme_accounts (
    directory  text        NOT NULL,
    email      text        NOT NULL,
    sealed     bytea       NOT NULL, -- its private key, sealed under the master key
    location   text        NOT NULL DEFAULT '', -- its URL; empty: the authority was not asked yet
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (directory, email)
);

-- How obtaining each certificate stands. Its row is written with the resource, in the same transaction; the material lies in
-- the fast lane. Whoever works on it holds it for a short while at a time, so that of several replicas one orders.
CREATE TABLE acme_certificates (
    fleet_id   bigint      NOT NULL REFERENCES fleets (id),
    name       text        NOT NULL,
    wanted     bytea       NOT NULL, -- digest of what is asked for: the names, the directory, the profile
    issued     bytea,                -- digest of what the present certificate was obtained for
    state      text        NOT NULL CHECK (state IN ('pending', 'issued', 'failed')),
    error      text        NOT NULL DEFAULT '',
    attempts   integer     NOT NULL DEFAULT 0, -- begun since the last success: counted first, so that a crash counts too
    issuer     text        NOT NULL DEFAULT '',
    issued_at  timestamptz,
    not_after  timestamptz, -- of what agents show
    renew_at   timestamptz,
    due_at     timestamptz NOT NULL DEFAULT now(), -- when something is to be done; after a failure, later and later
    holder     text        NOT NULL DEFAULT '',
    held_until timestamptz,
    PRIMARY KEY (fleet_id, name)
);
CREATE INDEX acme_certificates_due ON acme_certificates (due_at);

-- +goose Down
DROP TABLE acme_certificates, acme_accounts;
