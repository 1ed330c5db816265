-- Which locks does this transaction hold that show what it may have dropped or changed?
--
-- $1  text: the qualified name of the history table, which is left out, as are its sequence and indexes.
--
-- Every DROP holds an ACCESS EXCLUSIVE lock on what it drops, and what writes rows holds a ROW EXCLUSIVE lock on their table,
-- until the end of the transaction; a savepoint that was rolled back leaves none. Neither statistics nor notices are
-- needed, which can be switched off. One row:
--   {locked: [id], written: [id], tables: [{id, schema, name, readable, lockable, changed, file}], gone: [id], created: [id], large_objects,
--    roles: [id], foreign_tables: [name]}
-- `locked` are the ids, as in inventory.sql, of what is locked in ACCESS EXCLUSIVE mode, whether it still exists or not, and of
-- the columns that this transaction has dropped from such relations. `written` are those of the tables whose rows it may
-- have changed, partitioned tables apart, which have none. `tables` are the tables in either: whether the role may read all rows,
-- and lock out writers, and how many rows the session has changed or deleted, null if the server keeps no statistics;
-- and the file of its rows. `gone` are the relations among `locked` that do not exist any more, and `created` the tables, sequences and
-- materialized views that this transaction has created. `large_objects` is whether it may have read or written any; which ones shows
-- only what they contain. `roles` are those that it has dropped. `foreign_tables` are those whose rows it may have changed, which are on
-- another server.
--
-- Own rows have the id of this transaction or a higher one, and are in progress. A row that was frozen billions of transactions ago
-- keeps its id, which then looks as if it came from the future; see written.sql.
WITH self AS MATERIALIZED (
    SELECT x.base, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - x.base AS span
    FROM (SELECT pg_current_xact_id()::text::bigint AS base) AS x
),
held AS MATERIALIZED (
    SELECT l.mode = 'AccessExclusiveLock' AS exclusive, l.classid, coalesce(l.objid, l.relation) AS oid, c.relkind, c.relowner, n.nspname, c.relname
    FROM pg_locks AS l
    LEFT JOIN pg_class AS c ON l.locktype = 'relation' AND c.oid = l.relation
    LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype IN ('relation', 'object')
      AND l.mode IN ('AccessExclusiveLock', 'RowExclusiveLock')
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      -- The number of a large object may be chosen.
      AND (coalesce(l.objid, l.relation) >= 16384 OR l.classid = 'pg_largeobject'::regclass)
      AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1))
      AND c.oid IS DISTINCT FROM to_regclass($1)
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
            CROSS JOIN self
            WHERE h.exclusive AND h.classid IS NULL AND NOT CASE
                WHEN age(a.xmin) > 0 OR -age(a.xmin) >= self.span + 1000000 THEN true
                WHEN -age(a.xmin) >= self.span THEN false
                ELSE pg_xact_status((self.base - age(a.xmin))::text::xid8) IS DISTINCT FROM 'in progress' END
        ) AS i),
    'written', (SELECT coalesce(jsonb_agg('pg_class:' || h.oid), '[]') FROM held AS h WHERE h.relkind = 'r' AND NOT h.exclusive),
    'tables', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', 'pg_class:' || t.oid, 'schema', t.nspname, 'name', t.relname,
            'readable', has_table_privilege(t.oid, 'SELECT') AND (NOT row_security_active(t.oid) OR pg_has_role(t.relowner, 'USAGE')),
            'lockable', has_table_privilege(t.oid, 'UPDATE') OR has_table_privilege(t.oid, 'DELETE') OR has_table_privilege(t.oid, 'TRUNCATE'),
            'changed', CASE WHEN current_setting('track_counts')::boolean THEN
                pg_stat_get_xact_tuples_updated(t.oid) + pg_stat_get_xact_tuples_deleted(t.oid) END,
            'file', pg_relation_filenode(t.oid)::text)), '[]')
        FROM (SELECT DISTINCT h.oid, h.nspname, h.relname, h.relowner FROM held AS h WHERE h.relkind = 'r') AS t),
    'gone', (SELECT coalesce(jsonb_agg('pg_class:' || h.oid), '[]') FROM held AS h WHERE h.exclusive AND h.classid IS NULL AND h.relname IS NULL),
    'created', (
        SELECT coalesce(jsonb_agg('pg_class:' || h.oid), '[]')
        FROM held AS h
        CROSS JOIN self
        -- A system column is written when its relation is created, and never again.
        JOIN pg_attribute AS a ON a.attrelid = h.oid AND a.attnum = -1
        WHERE h.exclusive AND h.relkind IN ('r', 'S', 'm') AND NOT CASE
            WHEN age(a.xmin) > 0 OR -age(a.xmin) >= self.span + 1000000 THEN true
            WHEN -age(a.xmin) >= self.span THEN false
            ELSE pg_xact_status((self.base - age(a.xmin))::text::xid8) IS DISTINCT FROM 'in progress' END),
    'large_objects', EXISTS (
        SELECT FROM pg_locks AS l
        WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation' AND l.relation = 'pg_largeobject'::regclass
          AND l.mode = 'RowExclusiveLock'
          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())),
    'foreign_tables', (SELECT coalesce(jsonb_agg(format('%I.%I', h.nspname, h.relname) ORDER BY h.nspname, h.relname), '[]') FROM held AS h WHERE h.relkind = 'f' AND NOT h.exclusive),
    'roles', (
        SELECT coalesce(jsonb_agg('pg_authid:' || l.objid), '[]')
        FROM pg_locks AS l
        WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'object' AND l.database = 0 AND l.classid = 'pg_authid'::regclass
          AND l.mode = 'AccessExclusiveLock' AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = l.objid)))
