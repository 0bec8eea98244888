-- +goose Up
-- When something in the fast lane ends by itself: a block that is lifted. A new column without a default, so that nothing is
-- rewritten; the index holds nothing yet, and takes writes of the lane out for the one reading of the table that it is made by.

ALTER TABLE lane_versions ADD COLUMN expires_at timestamptz;
CREATE INDEX lane_versions_expiry ON lane_versions (expires_at) WHERE current AND expires_at IS NOT NULL;

-- What a route's key says about where to look for it: its host, and the literal segments that its paths begin with. Both are
-- taken out of the key ("priority conditions host path"). The table is rewritten once, and nobody writes routes meanwhile.

ALTER TABLE route_keys
    ADD COLUMN host text COLLATE "C" GENERATED ALWAYS AS (split_part(key, ' ', 3)) STORED NOT NULL,
    ADD COLUMN lead text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN split_part(key, ' ', 4) LIKE '~%' THEN ''
             ELSE regexp_replace(split_part(key, ' ', 4), '/([{][}]|[*][*])(/.*)?$', '') END
    ) STORED NOT NULL;
CREATE INDEX route_keys_lead ON route_keys (fleet_id, lead, host);

-- +goose Down
DROP INDEX route_keys_lead, lane_versions_expiry;
ALTER TABLE route_keys DROP COLUMN lead, DROP COLUMN host;
ALTER TABLE lane_versions DROP COLUMN expires_at;
