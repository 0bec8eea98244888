-- name: ListAgentsWithoutPluginType :many
-- Connected agents that said what they can run and cannot run one of the types.
SELECT a.name, t.plugin_type::text AS plugin_type
FROM agents a JOIN (SELECT unnest(@plugin_types::text[]) AS plugin_type) t ON NOT t.plugin_type = ANY(a.plugin_types)
WHERE a.fleet_id = @fleet_id AND a.connected AND cardinality(a.plugin_types) > 0
ORDER BY a.name, t.plugin_type LIMIT 100;
