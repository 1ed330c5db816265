-- Which objects of extensions have one of these names, in a schema that the search path does not have?
--
-- $1  jsonb array of names.
-- $2  boolean: whether to look for routines; else for types and operator classes.
--
-- One row: a jsonb array of {name, extension, schema, path}.
SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', m.name, 'extension', x.extname, 'schema', n.nspname,
    'path', array_to_string(current_schemas(false), ', '))), '[]')
FROM (
    SELECT 'pg_type'::regclass AS classid, t.oid, t.typname::text AS name, t.typnamespace AS home FROM pg_type AS t WHERE NOT $2::boolean
    UNION ALL
    SELECT 'pg_opclass'::regclass, o.oid, o.opcname::text, o.opcnamespace FROM pg_opclass AS o WHERE NOT $2::boolean
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, p.proname::text, p.pronamespace FROM pg_proc AS p WHERE $2::boolean
) AS m
JOIN pg_depend AS d ON d.classid = m.classid AND d.objid = m.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
JOIN pg_extension AS x ON x.oid = d.refobjid
JOIN pg_namespace AS n ON n.oid = m.home
WHERE $1::jsonb ? m.name
  AND n.nspname <> ALL (current_schemas(true))
