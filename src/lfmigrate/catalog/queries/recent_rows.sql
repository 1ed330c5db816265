-- Which catalog rows of users' objects are recent, and what has become of the transactions that wrote them?
--
-- Four CTEs, with which other queries begin:
--   self         base  the id of this transaction, or of the next one, with its epoch
--                xmax  the end of the snapshot
--                span  how many ids before `base` are asked about
--   catalog_row  classid, objid  the catalog and oid of the object that the row is of
--                is_part    false for a relation's own row in pg_class
--                xmin, cid  of the row
--   written_row  the same, with `full`, which is xmin with its epoch, and the status of that transaction
--   committed    id  of the transactions since $1 that other sessions have committed, with their epoch
--
-- $1  text: a transaction id: others are asked about from here on; null for this transaction alone.
--
-- A visible catalog row whose writer is still in progress can only have been written by this transaction
-- (or one of its subtransactions): rows of other open transactions are not visible. Nothing is found before
-- the transaction has an id. age() counts from that id, or from the next one that will be assigned; `base` is that
-- id with its epoch, and `full` that of a row's writer. pg_xact_status() accepts no id from the future, and what is at or above the snapshot's end has not ended.
-- A row frozen four billion transactions ago looks as if it came from far beyond that, which is excluded.
--
-- The branches are bare scans, as in kind_rows.sql.
self AS MATERIALIZED (
    SELECT x.base, x.xmax, x.base - least(x.base, coalesce($1::bigint, x.base)) AS span
    FROM (
        SELECT s.xmax, s.xmax + age((s.xmax & 4294967295)::text::xid) AS base
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax) AS s
    ) AS x
),
catalog_row AS MATERIALIZED (
    SELECT r.classid, r.objid, r.is_part, r.xmin, r.cmin::text::int AS cid
    FROM (
        SELECT 'pg_class'::regclass AS classid, c.oid AS objid, false AS is_part, c.xmin, c.cmin, true AS counts FROM pg_class AS c
        -- A system column is written when its table is created, and never again.
        UNION ALL SELECT 'pg_class'::regclass, a.attrelid, true, a.xmin, a.cmin, a.attnum >= -1 FROM pg_attribute AS a
        UNION ALL SELECT 'pg_class'::regclass, d.adrelid, true, d.xmin, d.cmin, true FROM pg_attrdef AS d
        UNION ALL SELECT CASE k.conrelid WHEN 0 THEN 'pg_type'::regclass ELSE 'pg_class'::regclass END, greatest(k.conrelid, k.contypid), true, k.xmin, k.cmin, true FROM pg_constraint AS k
        UNION ALL SELECT 'pg_class'::regclass, i.indrelid, true, i.xmin, i.cmin, true FROM pg_index AS i
        UNION ALL SELECT 'pg_class'::regclass, g.tgrelid, true, g.xmin, g.cmin, NOT g.tgisinternal FROM pg_trigger AS g
        UNION ALL SELECT 'pg_class'::regclass, u.ev_class, true, u.xmin, u.cmin, true FROM pg_rewrite AS u
        UNION ALL SELECT 'pg_class'::regclass, p.polrelid, true, p.xmin, p.cmin, true FROM pg_policy AS p
        UNION ALL SELECT 'pg_class'::regclass, s.stxrelid, true, s.xmin, s.cmin, true FROM pg_statistic_ext AS s
        UNION ALL SELECT 'pg_class'::regclass, q.seqrelid, true, q.xmin, q.cmin, true FROM pg_sequence AS q
        UNION ALL SELECT 'pg_proc'::regclass, f.oid, true, f.xmin, f.cmin, true FROM pg_proc AS f
        UNION ALL SELECT 'pg_type'::regclass, t.oid, true, t.xmin, t.cmin, true FROM pg_type AS t
        UNION ALL SELECT 'pg_type'::regclass, e.enumtypid, true, e.xmin, e.cmin, true FROM pg_enum AS e
        UNION ALL SELECT 'pg_namespace'::regclass, n.oid, true, n.xmin, n.cmin, true FROM pg_namespace AS n
        UNION ALL SELECT 'pg_extension'::regclass, x.oid, true, x.xmin, x.cmin, true FROM pg_extension AS x
        UNION ALL SELECT k.classid, k.objid, true, k.xmin, k.cmin, k.counts FROM (
            -- include kind_rows.sql
        ) AS k
    ) AS r
    WHERE age(r.xmin) <= (SELECT self.span FROM self) AND r.counts
),
written_row AS MATERIALIZED (
    SELECT r.*, CASE WHEN r.full < r.xmax THEN pg_xact_status(r.full::text::xid8) WHEN r.full < r.xmax + 1000000 THEN 'in progress' END AS status
    FROM (SELECT r.*, self.xmax, self.base - age(r.xmin) AS full FROM catalog_row AS r CROSS JOIN self) AS r
),
-- Temporary tables of other sessions do not count: they are made all the time.
committed AS MATERIALIZED (
    SELECT DISTINCT r.full::text AS id
    FROM written_row AS r
    LEFT JOIN pg_class AS c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid
    LEFT JOIN pg_type AS t ON r.classid = 'pg_type'::regclass AND t.oid = r.objid
    LEFT JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, t.typnamespace)
    WHERE r.status = 'committed' AND coalesce(n.nspname, '') NOT LIKE 'pg\_%'
)
