-- Which of these views, materialized views and routines exist?
--
-- $1  jsonb array of {"space", "schema", "name"}, as relations.sql names them: a routine with the types of its
--     arguments, as they are written under the current search_path.
--
-- Sets lfmigrate.recreated for drop_recreated.sql and recreated_properties.sql, whose texts hold under any search_path:
-- a jsonb array of {space, schema, name, kind, oid}, where `kind` is what DROP calls it.
SELECT set_config('lfmigrate.recreated', coalesce(jsonb_agg(to_jsonb(found)), '[]')::text, true)
FROM (
    SELECT w.space, w.schema, w.name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END AS kind, c.oid::bigint
    FROM jsonb_to_recordset($1::jsonb) AS w (space text, schema text, name text)
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('v', 'm')
    WHERE w.space = 'relation'
    UNION ALL
    SELECT w.space, w.schema, w.name, 'ROUTINE', p.oid::bigint
    FROM jsonb_to_recordset($1::jsonb) AS w (space text, schema text, name text)
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname || '(' || oidvectortypes(p.proargtypes) || ')' = w.name
    WHERE w.space = 'routine') AS found
