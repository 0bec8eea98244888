-- name: InsertAuditEvent :exec
INSERT INTO audit_events (actor, action, fleet, resource, reason, request_id, source)
VALUES (@actor, @action, @fleet, @resource, @reason, @request_id, @source);

-- name: ListAuditEvents :many
SELECT * FROM audit_events
WHERE (@before::bigint = 0 OR id < @before)
  AND (@fleet::text = '' OR fleet = @fleet)
  AND (@actor::text = '' OR actor = @actor)
  AND (@action::text = '' OR action = @action)
  AND (@resource::text = '' OR resource = @resource)
ORDER BY id DESC
LIMIT @page_size;
