-- What are these objects that other objects may take with them, and what are they parts of?
--
-- $1  jsonb array of ids as in inventory.sql; unknown ones, relations other than indexes, and columns are left out.
--
-- Waits for no lock, because another session may hold one on all of them. One row: a jsonb array of
--   {id, kind, name, owners: [id], relation, part}: `owners` are what it is dropped with, and `relation` and `part` name a part of a
--   relation as relations.sql does
SELECT coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'kind', t.type, 'name', t.identity, 'owners', (
        SELECT coalesce(jsonb_agg(DISTINCT d.refclassid::regclass || ':' || d.refobjid || CASE WHEN d.refobjsubid > 0 THEN ':' || d.refobjsubid ELSE '' END), '[]')
        FROM pg_depend AS d
        WHERE d.classid = i.classid AND d.objid = i.objid AND d.deptype IN ('a', 'i', 'e', 'P', 'S')),
    'relation', 'pg_class:' || p.relation, 'part', p.part)), '[]')
FROM (
    SELECT e.id, split_part(e.id, ':', 1)::regclass::oid AS classid, split_part(e.id, ':', 2)::oid AS objid
    FROM jsonb_array_elements_text($1::jsonb) AS e (id)
    WHERE split_part(e.id, ':', 3) = ''
) AS i
CROSS JOIN LATERAL pg_identify_object(i.classid, i.objid, 0) AS t
LEFT JOIN LATERAL (
    SELECT k.conrelid AS relation, 'constraint ' || k.conname AS part FROM pg_constraint AS k WHERE i.classid = 'pg_constraint'::regclass AND k.oid = i.objid AND k.conrelid <> 0
    UNION ALL
    SELECT x.indrelid, 'index ' || c.relname FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid WHERE i.classid = 'pg_class'::regclass AND x.indexrelid = i.objid
    UNION ALL
    SELECT y.polrelid, 'policy ' || y.polname FROM pg_policy AS y WHERE i.classid = 'pg_policy'::regclass AND y.oid = i.objid
    UNION ALL
    SELECT s.stxrelid, 'statistics ' || s.stxname FROM pg_statistic_ext AS s WHERE i.classid = 'pg_statistic_ext'::regclass AND s.oid = i.objid
    UNION ALL
    SELECT f.adrelid, 'column ' || a.attname FROM pg_attrdef AS f JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum WHERE i.classid = 'pg_attrdef'::regclass AND f.oid = i.objid
) AS p ON true
WHERE t.identity IS NOT NULL AND (i.classid <> 'pg_class'::regclass OR p.relation IS NOT NULL)
