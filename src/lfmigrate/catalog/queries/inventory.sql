-- Which objects exist, apart from the server's own?
--
-- Asked before and after a down file, to find out what it drops. An object is identified by its catalog and
-- oid, "pg_class:16400"; a column by its number as well, "pg_class:16400:2"; the storage of a table's rows
-- by "rows:16400:16403", which changes when the table is truncated or rewritten, or a sequence is restarted.
-- The server's own objects have oids below 16384. One row: a jsonb array of these ids.
WITH kind AS NOT MATERIALIZED (
    -- include kind_rows.sql
)
SELECT coalesce(jsonb_agg(i.id), '[]')
FROM (
    SELECT d.classid::regclass || ':' || d.objid AS id FROM pg_depend AS d WHERE d.objid >= 16384
    UNION SELECT 'pg_namespace:' || n.oid FROM pg_namespace AS n WHERE n.oid >= 16384
    UNION SELECT 'pg_extension:' || x.oid FROM pg_extension AS x WHERE x.oid >= 16384
    UNION SELECT k.classid || ':' || k.objid FROM kind AS k WHERE k.counts
    UNION ALL
    SELECT 'pg_class:' || a.attrelid || ':' || a.attnum
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
    UNION ALL
    SELECT 'rows:' || c.oid || ':' || pg_relation_filenode(c.oid) FROM pg_class AS c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'S')
) AS i
