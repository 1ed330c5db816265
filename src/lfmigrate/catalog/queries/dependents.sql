-- What depends on these objects, directly or indirectly?
--
-- $1  jsonb array of {"id", "part"}: an object's id as in inventory.sql; with a part, such as
--     "column c", "constraint k" or "index i", only that part of it.
--
-- Follows pg_depend from an object to its dependents and, where a dependent is an internal part of an
-- object (the rule of a view), from the part to the whole. One row: a jsonb array of ids, including those
-- of the objects themselves.
WITH RECURSIVE asked AS MATERIALIZED (
    SELECT split_part(r.id, ':', 1)::regclass::oid AS classid, split_part(r.id, ':', 2)::oid AS objid, r.part
    FROM jsonb_to_recordset($1::jsonb) AS r (id text, part text)
),
root AS (
    SELECT r.classid, r.objid, 0 AS objsubid FROM asked AS r WHERE r.part IS NULL
    UNION ALL
    -- The columns of a composite type belong to a row of pg_class.
    SELECT 'pg_class'::regclass::oid, a.attrelid, a.attnum::int
    FROM asked AS r
    LEFT JOIN pg_type AS t ON r.classid = 'pg_type'::regclass AND t.oid = r.objid
    JOIN pg_attribute AS a ON a.attrelid = coalesce(t.typrelid, r.objid) AND 'column ' || a.attname = r.part
    UNION ALL
    SELECT 'pg_constraint'::regclass::oid, k.oid, 0
    FROM asked AS r
    JOIN pg_constraint AS k ON CASE r.classid WHEN 'pg_type'::regclass THEN k.contypid ELSE k.conrelid END = r.objid
    WHERE 'constraint ' || k.conname = r.part
    UNION ALL
    SELECT 'pg_class'::regclass::oid, i.indexrelid, 0
    FROM asked AS r
    JOIN pg_index AS i ON i.indrelid = r.objid
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE 'index ' || c.relname = r.part
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
