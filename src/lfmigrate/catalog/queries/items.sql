-- What are these objects, what are they parts of, and which statements re-create them?
--
-- $1  jsonb array of ids as in inventory.sql; unknown ones are left out.
--
-- `owners` are the objects that it is dropped with; a partition and its parent count as two tables.
-- `ancestors` are the partitioned tables that a partition's rows also belong to.
-- `relation` and `part` name a part of a relation as relations.sql does. `definition` are the statements
-- that re-create it, or null. Names are qualified by the server if search_path is set to no schema. One row: a jsonb array of
--   {id, kind, name, schema, relname, relkind, owners: [id], ancestors: [id], relation, part, definition, populated}
WITH asked AS MATERIALIZED (
    SELECT i.id, split_part(i.id, ':', 1)::regclass::oid AS classid, split_part(i.id, ':', 2)::oid AS objid,
        coalesce(nullif(split_part(i.id, ':', 3), ''), '0')::int AS objsubid
    FROM jsonb_array_elements_text($1::jsonb) AS i (id)
    WHERE i.id NOT LIKE 'rows:%'
),
    -- include definition_parts.sql
, definition AS MATERIALIZED (
    -- include definitions.sql
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', o.id, 'kind', t.type, 'name', t.identity, 'schema', (SELECT n.nspname FROM pg_namespace AS n WHERE n.oid = c.relnamespace), 'relname', c.relname, 'relkind', c.relkind,
    'owners', (
        SELECT coalesce(jsonb_agg(DISTINCT w.id), '[]')
        FROM (
            SELECT d.refclassid::regclass || ':' || d.refobjid || CASE WHEN d.refobjsubid > 0 THEN ':' || d.refobjsubid ELSE '' END AS id
            FROM pg_depend AS d
            WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = o.objsubid
              AND (d.deptype = 'e' OR d.deptype IN ('a', 'i', 'P', 'S') AND coalesce(c.relkind, '') NOT IN ('r', 'p', 'f', 'v', 'm'))
            UNION ALL
            SELECT 'pg_class:' || o.objid WHERE o.objsubid > 0
        ) AS w),
    'ancestors', (SELECT coalesce(jsonb_agg('pg_class:' || r.relid::oid), '[]') FROM pg_partition_ancestors(c.oid) AS r WHERE r.relid <> c.oid),
    'relation', CASE WHEN p.row_type <> 0 THEN 'pg_type:' || p.row_type ELSE 'pg_class:' || p.relation END, 'part', p.part,
    'definition', (SELECT d.text FROM definition AS d WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = o.objsubid LIMIT 1),
    'populated', coalesce(c.relkind = 'm' AND c.relispopulated, false))), '[]')
FROM asked AS o
CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, o.objsubid) AS t
LEFT JOIN pg_class AS c ON o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND c.oid = o.objid
LEFT JOIN LATERAL (
    -- A composite type is identified by the type, but its columns belong to a row of pg_class.
    SELECT a.attrelid AS relation, 'column ' || a.attname AS part, CASE r.relkind WHEN 'c' THEN r.reltype END AS row_type
    FROM pg_attribute AS a
    JOIN pg_class AS r ON r.oid = a.attrelid
    WHERE o.classid = 'pg_class'::regclass AND o.objsubid > 0 AND a.attrelid = o.objid AND a.attnum = o.objsubid
    UNION ALL
    SELECT k.conrelid, CASE WHEN k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 THEN 'constraint ' || k.conname END, NULL
    FROM pg_constraint AS k
    WHERE o.classid = 'pg_constraint'::regclass AND k.oid = o.objid
    UNION ALL
    SELECT i.indrelid, CASE WHEN NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))
        AND c.relkind IN ('i', 'I') AND NOT c.relispartition THEN 'index ' || c.relname END, NULL
    FROM pg_index AS i
    WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND i.indexrelid = o.objid AND c.relnamespace <> 'pg_toast'::regnamespace
    UNION ALL
    SELECT g.tgrelid, CASE WHEN NOT g.tgisinternal AND g.tgparentid = 0 THEN 'trigger ' || g.tgname END, NULL
    FROM pg_trigger AS g
    WHERE o.classid = 'pg_trigger'::regclass AND g.oid = o.objid
    UNION ALL
    SELECT u.ev_class, CASE WHEN u.rulename <> '_RETURN' THEN 'rule ' || u.rulename END, NULL
    FROM pg_rewrite AS u
    WHERE o.classid = 'pg_rewrite'::regclass AND u.oid = o.objid
    UNION ALL
    SELECT y.polrelid, 'policy ' || y.polname, NULL
    FROM pg_policy AS y
    WHERE o.classid = 'pg_policy'::regclass AND y.oid = o.objid
    UNION ALL
    SELECT s.stxrelid, 'statistics ' || s.stxname, NULL
    FROM pg_statistic_ext AS s
    WHERE o.classid = 'pg_statistic_ext'::regclass AND s.oid = o.objid
    UNION ALL
    SELECT d.refobjid, 'sequence ' || c.relname, NULL
    FROM pg_depend AS d
    WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = o.objid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION ALL
    SELECT d.adrelid, NULL, NULL
    FROM pg_attrdef AS d
    WHERE o.classid = 'pg_attrdef'::regclass AND d.oid = o.objid
) AS p ON true
WHERE t.type IS NOT NULL
