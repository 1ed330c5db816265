-- Which of these objects are views, routines, triggers or rules, whose definitions can be kept?
--
-- $1  jsonb array of ids as in inventory.sql.
--
-- The server's own, those of extensions, and what the server has created for a constraint, a partition or a view are left out.
-- Names are as in relations.sql, under the current search_path. One row: a jsonb array of
--   {id, owner, space, schema, name, kind, part}: `owner` is the id of the relation of a trigger or a rule, and `part` names
--   that; of a view, a materialized view or a routine, `owner` is its own id and `part` null
WITH asked AS MATERIALIZED (
    SELECT i.id, split_part(i.id, ':', 1) AS catalog, split_part(i.id, ':', 2)::oid AS oid
    FROM jsonb_array_elements_text($1::jsonb) AS i (id)
)
SELECT coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'owner', f.owner, 'space', f.space, 'schema', n.nspname, 'name', f.name, 'kind', f.kind, 'part', f.part)), '[]')
FROM (
    SELECT a.id, a.id AS owner, 'relation' AS space, c.relnamespace AS namespace, c.relname::text AS name, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind, NULL AS part
    FROM asked AS a JOIN pg_class AS c ON a.catalog = 'pg_class' AND c.oid = a.oid AND c.relkind IN ('v', 'm')
    UNION ALL
    SELECT a.id, a.id, 'routine', p.pronamespace, p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' ELSE 'function' END, NULL
    FROM asked AS a JOIN pg_proc AS p ON a.catalog = 'pg_proc' AND p.oid = a.oid
    UNION ALL
    SELECT a.id, 'pg_class:' || c.oid, 'relation', c.relnamespace, c.relname, 'trigger', 'trigger ' || g.tgname
    FROM asked AS a JOIN pg_trigger AS g ON a.catalog = 'pg_trigger' AND g.oid = a.oid AND NOT g.tgisinternal AND g.tgparentid = 0 JOIN pg_class AS c ON c.oid = g.tgrelid
    UNION ALL
    SELECT a.id, 'pg_class:' || c.oid, 'relation', c.relnamespace, c.relname, 'rule', 'rule ' || u.rulename
    FROM asked AS a JOIN pg_rewrite AS u ON a.catalog = 'pg_rewrite' AND u.oid = a.oid AND u.rulename <> '_RETURN' JOIN pg_class AS c ON c.oid = u.ev_class
) AS f
JOIN pg_namespace AS n ON n.oid = f.namespace AND n.nspname NOT LIKE 'pg\_%'
JOIN asked AS a ON a.id = f.id
WHERE NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = a.catalog::regclass AND d.objid = a.oid AND d.deptype = 'e')
