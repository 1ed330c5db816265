-- Which objects has this transaction created or changed?
--
-- $1  text: the qualified name of the history table, which is left out, as is its schema; it need not exist.
--
-- A visible catalog row whose writer is still in progress can only have been written by this transaction
-- (or one of its subtransactions): rows of other open transactions are not visible. `age(xmin) <= 0` comes
-- first because it is cheap, and because pg_xact_status() accepts recent transaction ids only. Nothing is
-- found before the transaction has an id.
--
-- The result is left in the setting lfmigrate.written, for relations.sql: a jsonb array of
--   {id, created, changed, cids}
-- where `id` is "catalog:oid"; `created` is known for relations and types only: a routine, a schema or an
-- extension that is replaced or altered looks as if it were new, so fingerprints.sql is asked for those;
-- `changed` is false if only the relation's own row was written, and `cids` are the commands of this
-- transaction that wrote the object, ascending. No columns are returned.
WITH self AS MATERIALIZED (
    SELECT pg_current_xact_id_if_assigned()::text::bigint AS xid
),
-- Every catalog row of a user's object that this transaction wrote.
written_row AS MATERIALIZED (
    SELECT r.classid, r.objid, r.what, r.cid
    FROM self
    CROSS JOIN LATERAL (
        SELECT 'pg_class'::regclass AS classid, c.oid AS objid, 'object' AS what, c.xmin, c.cmin::text::int AS cid FROM pg_class AS c WHERE age(c.xmin) <= 0
        UNION ALL
        -- An object's dependency on its schema is recorded when it is created, and not when it is altered or
        -- replaced.
        SELECT d.classid::regclass, d.objid, 'birth', d.xmin, d.cmin::text::int FROM pg_depend AS d
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
          AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass) AND age(d.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, a.attrelid, 'part', a.xmin, a.cmin::text::int FROM pg_attribute AS a WHERE a.attnum > 0 AND age(a.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, d.adrelid, 'part', d.xmin, d.cmin::text::int FROM pg_attrdef AS d WHERE age(d.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, k.conrelid, 'part', k.xmin, k.cmin::text::int FROM pg_constraint AS k WHERE k.conrelid <> 0 AND age(k.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, i.indrelid, 'part', i.xmin, i.cmin::text::int FROM pg_index AS i WHERE age(i.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, g.tgrelid, 'part', g.xmin, g.cmin::text::int FROM pg_trigger AS g WHERE NOT g.tgisinternal AND age(g.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, u.ev_class, 'part', u.xmin, u.cmin::text::int FROM pg_rewrite AS u WHERE age(u.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, p.polrelid, 'part', p.xmin, p.cmin::text::int FROM pg_policy AS p WHERE age(p.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, s.stxrelid, 'part', s.xmin, s.cmin::text::int FROM pg_statistic_ext AS s WHERE age(s.xmin) <= 0
        UNION ALL
        SELECT 'pg_class'::regclass, q.seqrelid, 'part', q.xmin, q.cmin::text::int FROM pg_sequence AS q WHERE age(q.xmin) <= 0
        UNION ALL
        SELECT 'pg_proc'::regclass, f.oid, 'part', f.xmin, f.cmin::text::int FROM pg_proc AS f WHERE age(f.xmin) <= 0
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, 'part', t.xmin, t.cmin::text::int FROM pg_type AS t WHERE age(t.xmin) <= 0
        UNION ALL
        SELECT 'pg_type'::regclass, c.reltype, 'part', a.xmin, a.cmin::text::int FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'c' WHERE age(a.xmin) <= 0
        UNION ALL
        SELECT 'pg_type'::regclass, e.enumtypid, 'part', e.xmin, e.cmin::text::int FROM pg_enum AS e WHERE age(e.xmin) <= 0
        UNION ALL
        SELECT 'pg_type'::regclass, k.contypid, 'part', k.xmin, k.cmin::text::int FROM pg_constraint AS k WHERE k.contypid <> 0 AND age(k.xmin) <= 0
        UNION ALL
        SELECT 'pg_namespace'::regclass, n.oid, 'part', n.xmin, n.cmin::text::int FROM pg_namespace AS n WHERE age(n.xmin) <= 0
        UNION ALL
        SELECT 'pg_extension'::regclass, x.oid, 'part', x.xmin, x.cmin::text::int FROM pg_extension AS x WHERE age(x.xmin) <= 0
    ) AS r
    WHERE pg_xact_status(((self.xid - age(r.xmin))::text)::xid8) = 'in progress'
)
SELECT
FROM set_config('lfmigrate.written', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.classid::text || ':' || w.objid, 'created', w.created, 'changed', w.changed, 'cids', w.cids)), '[]')
    FROM (
        SELECT r.classid, r.objid,
            bool_or(r.what = 'birth') AS created,
            bool_or(r.what <> 'object') AS changed,
            coalesce(array_agg(DISTINCT r.cid) FILTER (WHERE r.what <> 'object'), array_agg(DISTINCT r.cid)) AS cids
        FROM written_row AS r
        GROUP BY r.classid, r.objid
    ) AS w
    LEFT JOIN pg_class AS c ON w.classid = 'pg_class'::regclass AND c.oid = w.objid
    LEFT JOIN pg_type AS t ON w.classid = 'pg_type'::regclass AND t.oid = w.objid
    CROSS JOIN to_regclass($1) AS history
    -- Only what relations.sql describes: no indexes, TOAST tables, or types of rows and arrays.
    WHERE CASE w.classid
        WHEN 'pg_class'::regclass THEN c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.oid IS DISTINCT FROM history
        WHEN 'pg_type'::regclass THEN t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS r WHERE r.oid = t.typrelid AND r.relkind = 'c')
        WHEN 'pg_namespace'::regclass THEN w.objid IS DISTINCT FROM (SELECT h.relnamespace FROM pg_class AS h WHERE h.oid = history)
        ELSE true
    END
)::text, true)
