-- Which tables have columns with values of the row types of these relations?
--
-- $1  jsonb array of ids of relations, composite types among them, as in inventory.sql; null for those of which
--     this transaction has dropped a column or an attribute, and which still exist.
--
-- A value may be nested: in an array, a domain, a range, another composite type, or a whole row of another table.
-- Relations that do not exist any more are left out, and so are partitioned tables, which have no rows of their own.
-- What is found goes through arrays, because otherwise the server expects a million types, and makes room for them.
-- One row: a jsonb array of {id, schema, name, columns}, with the numbers of these columns.
WITH RECURSIVE used AS (
    SELECT unnest(ARRAY(
        SELECT c.reltype
        FROM pg_class AS c
        WHERE c.reltype <> 0 AND c.oid IN (
            SELECT split_part(i.id, ':', 2)::oid FROM jsonb_array_elements_text($1::jsonb) AS i (id)
            UNION ALL
            SELECT a.attrelid
            FROM pg_locks AS l
            JOIN pg_attribute AS a ON a.attrelid = l.relation AND a.attnum > 0 AND a.attisdropped
            CROSS JOIN (
                SELECT x.base, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - x.base AS span
                FROM (SELECT pg_current_xact_id()::text::bigint AS base) AS x) AS self
            -- Dropped by this transaction; see traces.sql.
            WHERE NOT CASE
                    WHEN age(a.xmin) > 0 OR -age(a.xmin) >= self.span + 1000000 THEN true
                    WHEN -age(a.xmin) >= self.span THEN false
                    ELSE pg_xact_status((self.base - age(a.xmin))::text::xid8) IS DISTINCT FROM 'in progress' END
              AND $1::jsonb IS NULL AND l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'))) AS oid
    UNION
    SELECT n.oid
    FROM used AS u
    CROSS JOIN LATERAL unnest(ARRAY(
        SELECT t.oid FROM pg_type AS t WHERE t.typelem = u.oid OR t.typbasetype = u.oid
        UNION ALL
        SELECT x.oid FROM pg_range AS r CROSS JOIN LATERAL (VALUES (r.rngtypid), (r.rngmultitypid)) AS x (oid) WHERE r.rngsubtype = u.oid
        UNION ALL
        SELECT c.reltype
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.atttypid = u.oid AND NOT a.attisdropped AND c.reltype <> 0)) AS n (oid)
)
SELECT coalesce(jsonb_agg(jsonb_build_object('id', 'pg_class:' || t.oid, 'schema', t.nspname, 'name', t.relname, 'columns', t.columns)), '[]')
FROM (
    SELECT c.oid, n.nspname, c.relname, jsonb_agg(a.attnum) AS columns
    FROM unnest(ARRAY(SELECT x.oid FROM used AS x)) AS u (oid)
    JOIN pg_attribute AS a ON a.atttypid = u.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    GROUP BY c.oid, n.nspname, c.relname
) AS t
