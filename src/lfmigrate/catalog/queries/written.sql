-- Which objects has this transaction created or changed, and has another session changed any meanwhile?
--
-- $1  text: the qualified name of the history table, which is left out, as is its schema; it need not exist.
-- $2  text: a transaction id: others are asked about from here on; null for this transaction alone.
--
-- A visible catalog row whose writer is still in progress can only have been written by this transaction
-- (or one of its subtransactions): rows of other open transactions are not visible. Nothing is found before
-- the transaction has an id. age() counts from that id, or from the next one that will be assigned; `base` is that
-- id with its epoch, and `full` that of a row's writer. pg_xact_status() accepts no id from the future, and what is at or above the snapshot's end has not ended.
-- A row frozen four billion transactions ago looks as if it came from far beyond that, which is excluded.
--
-- The result is left in the setting lfmigrate.written, for relations.sql: a jsonb object of
--   objects  [{id, changed, cids}, ...]: `id` is "catalog:oid"; `changed` is false if only the relation's own
--            row was written; `cids` are the commands of this transaction that wrote the object, ascending
--   own      the ids of this transaction and its subtransactions, without their epoch
--   writers  the same with it
--   committed  the ids of the transactions since $2 that other sessions have committed, with their epoch
-- No columns are returned.
WITH self AS MATERIALIZED (
    SELECT x.base, x.xmax, x.base - least(x.base, coalesce($2::bigint, x.base)) AS span
    FROM (
        SELECT s.xmax, s.xmax + age((s.xmax & 4294967295)::text::xid) AS base
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax) AS s
    ) AS x
),
kind AS NOT MATERIALIZED (
    -- include kinds.sql
),
-- Every recent catalog row of a user's object.
recent_row AS MATERIALIZED (
    SELECT r.classid, r.objid, r.what, r.xmin, r.cid, self.xmax, self.base - age(r.xmin) AS full
    FROM self
    CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass AS classid, c.oid AS objid, 'object' AS what, c.xmin, c.cmin::text::int AS cid FROM pg_class AS c WHERE age(c.xmin) <= self.span
        UNION ALL
        -- A system column is written when its table is created, and never again.
        SELECT 'pg_class'::regclass, a.attrelid, 'part', a.xmin, a.cmin::text::int FROM pg_attribute AS a WHERE a.attnum >= -1 AND age(a.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, d.adrelid, 'part', d.xmin, d.cmin::text::int FROM pg_attrdef AS d WHERE age(d.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, k.conrelid, 'part', k.xmin, k.cmin::text::int FROM pg_constraint AS k WHERE k.conrelid <> 0 AND age(k.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, i.indrelid, 'part', i.xmin, i.cmin::text::int FROM pg_index AS i WHERE age(i.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, g.tgrelid, 'part', g.xmin, g.cmin::text::int FROM pg_trigger AS g WHERE NOT g.tgisinternal AND age(g.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, u.ev_class, 'part', u.xmin, u.cmin::text::int FROM pg_rewrite AS u WHERE age(u.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, p.polrelid, 'part', p.xmin, p.cmin::text::int FROM pg_policy AS p WHERE age(p.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, s.stxrelid, 'part', s.xmin, s.cmin::text::int FROM pg_statistic_ext AS s WHERE age(s.xmin) <= self.span
        UNION ALL
        SELECT 'pg_class'::regclass, q.seqrelid, 'part', q.xmin, q.cmin::text::int FROM pg_sequence AS q WHERE age(q.xmin) <= self.span
        UNION ALL
        SELECT 'pg_proc'::regclass, f.oid, 'part', f.xmin, f.cmin::text::int FROM pg_proc AS f WHERE age(f.xmin) <= self.span
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, 'part', t.xmin, t.cmin::text::int FROM pg_type AS t WHERE age(t.xmin) <= self.span
        UNION ALL
        SELECT 'pg_type'::regclass, c.reltype, 'part', a.xmin, a.cmin::text::int FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'c' WHERE age(a.xmin) <= self.span
        UNION ALL
        SELECT 'pg_type'::regclass, e.enumtypid, 'part', e.xmin, e.cmin::text::int FROM pg_enum AS e WHERE age(e.xmin) <= self.span
        UNION ALL
        SELECT 'pg_type'::regclass, k.contypid, 'part', k.xmin, k.cmin::text::int FROM pg_constraint AS k WHERE k.contypid <> 0 AND age(k.xmin) <= self.span
        UNION ALL
        SELECT 'pg_namespace'::regclass, n.oid, 'part', n.xmin, n.cmin::text::int FROM pg_namespace AS n WHERE age(n.xmin) <= self.span
        UNION ALL
        SELECT 'pg_extension'::regclass, x.oid, 'part', x.xmin, x.cmin::text::int FROM pg_extension AS x WHERE age(x.xmin) <= self.span
        UNION ALL
        SELECT k.classid, k.objid, 'part', w.xmin, w.cmin::text::int
        FROM kind AS k
        CROSS JOIN LATERAL unnest(k.xmins, k.cmins) AS w (xmin, cmin)
        WHERE age(w.xmin) <= self.span
    ) AS r
),
written_row AS MATERIALIZED (
    SELECT r.*, CASE WHEN r.full < r.xmax THEN pg_xact_status(r.full::text::xid8) WHEN r.full < r.xmax + 1000000 THEN 'in progress' END AS status
    FROM recent_row AS r
)
SELECT
FROM set_config('lfmigrate.written', jsonb_build_object(
    'objects', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.classid::text || ':' || w.objid, 'changed', w.changed, 'cids', w.cids)), '[]')
        FROM (
            SELECT r.classid, r.objid,
                bool_or(r.what <> 'object') AS changed,
                coalesce(array_agg(DISTINCT r.cid) FILTER (WHERE r.what <> 'object'), array_agg(DISTINCT r.cid)) AS cids
            FROM written_row AS r
            WHERE r.status = 'in progress'
            GROUP BY r.classid, r.objid
        ) AS w
        LEFT JOIN pg_class AS c ON w.classid = 'pg_class'::regclass AND c.oid = w.objid
        LEFT JOIN pg_type AS t ON w.classid = 'pg_type'::regclass AND t.oid = w.objid
        CROSS JOIN to_regclass($1) AS history
        -- Only what relations.sql describes: no indexes, TOAST tables, or types of rows and arrays.
        WHERE CASE w.classid
            WHEN 'pg_class'::regclass THEN c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.oid IS DISTINCT FROM history
            WHEN 'pg_type'::regclass THEN t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typarray <> 0 OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS r WHERE r.oid = t.typrelid AND r.relkind = 'c')
            WHEN 'pg_namespace'::regclass THEN w.objid IS DISTINCT FROM (SELECT h.relnamespace FROM pg_class AS h WHERE h.oid = history)
            ELSE true
        END),
    'own', (SELECT coalesce(jsonb_agg(DISTINCT r.xmin::text), '[]') FROM written_row AS r WHERE r.status = 'in progress'),
    'writers', (SELECT coalesce(jsonb_agg(DISTINCT r.full::text), '[]') FROM written_row AS r WHERE r.status = 'in progress'),
    -- Temporary tables of other sessions do not count: they are made all the time.
    'committed', (
        SELECT coalesce(jsonb_agg(DISTINCT r.full::text), '[]')
        FROM written_row AS r
        WHERE r.status = 'committed'
          AND NOT EXISTS (
            SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE r.classid = 'pg_class'::regclass AND c.oid = r.objid AND n.nspname LIKE 'pg\_%')
          AND NOT EXISTS (
            SELECT FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
            WHERE r.classid = 'pg_type'::regclass AND t.oid = r.objid AND n.nspname LIKE 'pg\_%'))
)::text, true)
