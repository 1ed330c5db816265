-- Which locks does this transaction hold that tell what it may have dropped or changed?
--
-- Every DROP holds an ACCESS EXCLUSIVE lock on what it drops, and what writes rows holds a ROW EXCLUSIVE lock on their table,
-- until the end of the transaction; a savepoint that was rolled back leaves none. Neither statistics nor notices are
-- needed, which can be switched off. lfmigrate's own history is left out. One row:
--   {locked: [id], written: [id], tables: [{id, schema, name, readable, lockable, changed, file, created}]}
-- `locked` are the ids, as in inventory.sql, of what is locked in ACCESS EXCLUSIVE mode, whether it still exists or not, and of
-- the columns that this transaction has dropped from such relations. `written` are those of the tables whose rows it may
-- have changed, partitioned tables apart, which have none. `tables` are the tables in either: whether the role may read all rows,
-- and lock out writers, and how many rows the session has changed or deleted, null if the server keeps no statistics;
-- and the file of its rows; and whether this transaction has created it: nothing ever updates the row of its column ctid.
WITH held AS MATERIALIZED (
    SELECT l.mode = 'AccessExclusiveLock' AS exclusive, l.classid, coalesce(l.objid, l.relation) AS oid, c.relkind, c.relowner, n.nspname, c.relname
    FROM pg_locks AS l
    LEFT JOIN pg_class AS c ON l.locktype = 'relation' AND c.oid = l.relation
    LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype IN ('relation', 'object')
      AND l.mode IN ('AccessExclusiveLock', 'RowExclusiveLock')
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND (coalesce(l.objid, l.relation) >= 16384)
      AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        JOIN pg_class AS t ON t.oid = d.refobjid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND t.relname = 'lfmigrate_history')
      AND c.relname IS DISTINCT FROM 'lfmigrate_history'
)
SELECT jsonb_build_object(
    'locked', (
        SELECT coalesce(jsonb_agg(i.id), '[]')
        FROM (
            SELECT coalesce(h.classid::regclass, 'pg_class') || ':' || h.oid AS id FROM held AS h WHERE h.exclusive
            UNION ALL
            SELECT 'pg_class:' || a.attrelid || ':' || a.attnum
            FROM held AS h
            JOIN pg_attribute AS a ON a.attrelid = h.oid AND a.attnum > 0 AND a.attisdropped
            WHERE h.exclusive AND h.classid IS NULL
              AND age(a.xmin) <= 0
        ) AS i),
    'written', (SELECT coalesce(jsonb_agg('pg_class:' || h.oid), '[]') FROM held AS h WHERE h.relkind = 'r' AND NOT h.exclusive),
    'tables', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', 'pg_class:' || t.oid, 'schema', t.nspname, 'name', t.relname,
            'readable', has_table_privilege(t.oid, 'SELECT') AND (NOT row_security_active(t.oid) OR pg_has_role(t.relowner, 'USAGE')),
            'lockable', has_table_privilege(t.oid, 'UPDATE') OR has_table_privilege(t.oid, 'DELETE') OR has_table_privilege(t.oid, 'TRUNCATE'),
            'changed', CASE WHEN current_setting('track_counts')::boolean THEN
                pg_stat_get_xact_tuples_updated(t.oid) + pg_stat_get_xact_tuples_deleted(t.oid) END,
            'file', pg_relation_filenode(t.oid)::text,
            'created', (
                -- As in written.sql: a visible row whose writer has not ended is our own, also that of a savepoint.
                SELECT CASE WHEN w.full >= w.xmax THEN true WHEN w.full > 2 THEN coalesce(pg_xact_status(w.full::text::xid8) = 'in progress', false) ELSE false END
                FROM pg_attribute AS a
                CROSS JOIN LATERAL (
                    SELECT s.xmax, s.xmax - (s.xmax - a.xmin::text::numeric + 2147483648) % 4294967296 + 2147483648 AS full
                    FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS xmax) AS s) AS w
                WHERE a.attrelid = t.oid AND a.attnum = -1))), '[]')
        FROM (SELECT DISTINCT h.oid, h.nspname, h.relname, h.relowner FROM held AS h WHERE h.relkind = 'r') AS t))
