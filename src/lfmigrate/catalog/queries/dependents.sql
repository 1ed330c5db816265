-- What depends on these objects, directly or indirectly?
--
-- $1  jsonb array of {"id", "column"}: an object's id as in inventory.sql; with a column, only that
--     column of it.
--
-- Follows pg_depend from an object to its dependents and, where a dependent is an internal part of an
-- object (the rule of a view), from the part to the whole. One row: a jsonb array of ids, including those
-- of the objects themselves.
WITH RECURSIVE root AS (
    SELECT split_part(r.id, ':', 1)::regclass::oid AS classid, split_part(r.id, ':', 2)::oid AS objid, coalesce(a.attnum, 0)::int AS objsubid
    FROM jsonb_to_recordset($1::jsonb) AS r (id text, "column" text)
    LEFT JOIN pg_attribute AS a ON split_part(r.id, ':', 1) = 'pg_class' AND a.attrelid = split_part(r.id, ':', 2)::oid AND a.attname = r."column"
    WHERE r."column" IS NULL OR a.attnum IS NOT NULL
),
dependent AS (
    SELECT root.classid, root.objid, root.objsubid FROM root
    UNION
    SELECT n.classid, n.objid, n.objsubid
    FROM dependent AS f
    CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid
        FROM pg_depend AS d
        WHERE d.refclassid = f.classid AND d.refobjid = f.objid AND (f.objsubid = 0 OR d.refobjsubid = f.objsubid)
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid
        FROM pg_depend AS d
        WHERE d.classid = f.classid AND d.objid = f.objid AND f.objsubid = 0 AND d.deptype = 'i'
    ) AS n
)
SELECT coalesce(jsonb_agg(DISTINCT f.classid::regclass || ':' || f.objid || CASE WHEN f.objsubid > 0 THEN ':' || f.objsubid ELSE '' END), '[]')
FROM dependent AS f
WHERE f.objid >= 16384
