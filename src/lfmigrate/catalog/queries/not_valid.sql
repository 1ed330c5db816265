-- Which constraints of these tables need not hold for all rows?
--
-- $1  jsonb array of the tables' oids, as text.
--
-- A constraint that is NOT VALID holds for new rows only, and rows that are restored are new. Asked for are those of the
-- tables, their partitions and child tables, and of the domains that their columns use. A constraint that is inherited
-- goes with that of the parent; `drop` says which have to be dropped by themselves. `validate` says which were validated
-- although that of the parent was not. The definitions are complete under an empty search path.
-- One row: a jsonb array, parents first, of
--   {target, name, definition, comment, drop, validate}
-- where target is `TABLE x` or `DOMAIN x`.
WITH RECURSIVE tables (oid, depth) AS (
    SELECT t.oid::oid, 0 FROM jsonb_array_elements_text($1::jsonb) AS t (oid)
    UNION
    SELECT i.inhrelid, t.depth + 1 FROM tables AS t JOIN pg_inherits AS i ON i.inhparent = t.oid
),
-- A table may be asked for and be a child of another, which comes first.
lowest AS MATERIALIZED (SELECT t.oid, max(t.depth) AS depth FROM tables AS t GROUP BY t.oid),
found AS MATERIALIZED (
    SELECT k.oid, k.conrelid, k.conname, k.convalidated, k.coninhcount, k.conislocal, k.conparentid, t.depth
    FROM lowest AS t
    JOIN pg_constraint AS k ON k.conrelid = t.oid
    -- A constraint that is NOT ENFORCED is not checked; the column is new in 18.
    WHERE k.contype IN ('c', 'f', 'n') AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
),
affected AS (
    SELECT f.*, NOT f.convalidated AND f.conparentid = 0 AND (f.coninhcount = 0
        OR (f.conislocal AND EXISTS (SELECT FROM pg_inherits AS i JOIN lowest AS p ON p.oid = i.inhparent WHERE i.inhrelid = f.conrelid))) AS is_dropped
    FROM found AS f
    WHERE NOT f.convalidated
        -- Dropped and re-created with that of the parent.
        OR (NOT f.conislocal AND f.coninhcount > 0 AND EXISTS (
            SELECT FROM found AS p JOIN pg_inherits AS i ON i.inhparent = p.conrelid
            WHERE i.inhrelid = f.conrelid AND p.conname = f.conname AND NOT p.convalidated))
),
types (oid) AS (
    SELECT a.atttypid FROM lowest AS t JOIN pg_attribute AS a ON a.attrelid = t.oid WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT n.oid
    FROM types AS u
    JOIN pg_type AS y ON y.oid = u.oid
    LEFT JOIN pg_range AS r ON r.rngtypid = y.oid OR r.rngmultitypid = y.oid
    CROSS JOIN LATERAL (
        SELECT y.typbasetype UNION SELECT y.typelem UNION SELECT r.rngsubtype
        UNION SELECT b.atttypid FROM pg_attribute AS b WHERE b.attrelid = y.typrelid AND b.attnum > 0 AND NOT b.attisdropped
    ) AS n (oid)
    WHERE n.oid <> 0
)
SELECT coalesce(jsonb_agg(to_jsonb(x) - 'depth' ORDER BY x.depth, x.target COLLATE "C", x.name COLLATE "C"), '[]')
FROM (
    SELECT 'TABLE ' || format('%I.%I', n.nspname, c.relname) AS target, a.conname AS name, pg_get_constraintdef(a.oid) AS definition,
        obj_description(a.oid, 'pg_constraint') AS comment, a.is_dropped AS drop, a.convalidated AS validate, a.depth
    FROM affected AS a
    JOIN pg_class AS c ON c.oid = a.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'DOMAIN ' || format('%I.%I', n.nspname, y.typname), k.conname, pg_get_constraintdef(k.oid),
        obj_description(k.oid, 'pg_constraint'), true, false, 0
    FROM types AS u
    JOIN pg_type AS y ON y.oid = u.oid
    JOIN pg_namespace AS n ON n.oid = y.typnamespace
    JOIN pg_constraint AS k ON k.contypid = y.oid AND NOT k.convalidated
) AS x
