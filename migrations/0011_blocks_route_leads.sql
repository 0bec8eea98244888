-- +goose Up
-- When something in the fast lane ends by itself: a block that is lifted. A new column without a default, so that nothing is
-- rewritten; the index holds nothing yet, and takes writes of the lane out for the one reading of the table that it is made by.

ALTER TABLE lane_versions ADD COLUMN expires_at timestamptz;
CREATE INDEX lane_versions_expiry ON lane_versions (expires_at) WHERE current AND expires_at IS NOT NULL;

-- +goose Down
DROP INDEX lane_versions_expiry;
ALTER TABLE lane_versions DROP COLUMN expires_at;
