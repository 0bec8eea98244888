-- name: ListRoutesLeading :many
-- Routes at head whose literal lead and host are among those given; without hosts, those of all hosts.
SELECT DISTINCT route FROM route_keys
WHERE fleet_id = @fleet_id AND lead = ANY(@leads::text[]) AND (cardinality(@hosts::text[]) = 0 OR host = ANY(@hosts::text[]))
ORDER BY route LIMIT @page_size;

-- name: ListRoutesNear :many
-- Routes at head whose leads are the neighbours of a path in the order of text: those that begin most like it.
(SELECT route FROM route_keys b WHERE b.fleet_id = @fleet_id AND b.lead < @path::text ORDER BY b.lead DESC LIMIT @page_size)
UNION
(SELECT route FROM route_keys a WHERE a.fleet_id = @fleet_id AND a.lead >= @path::text ORDER BY a.lead LIMIT @page_size);

-- name: ListPluginsBearing :many
-- Plugins at head that are bound to one of the routes or services given, or to none at all.
SELECT b.name FROM resource_references b
WHERE b.fleet_id = @fleet_id AND b.kind = @plugin AND (b.to_kind = @route AND b.to_name = @route_name::text OR b.to_kind = @service AND b.to_name = ANY(@services::text[]))
UNION
SELECT v.name FROM resource_versions v
WHERE v.fleet_id = @fleet_id AND v.kind = @plugin AND v.valid_until IS NULL
  AND NOT EXISTS (SELECT FROM resource_references r
                  WHERE r.fleet_id = @fleet_id AND r.kind = @plugin AND r.name = v.name AND r.to_kind IN (@route, @service))
ORDER BY name LIMIT @page_size;
