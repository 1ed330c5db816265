-- Which parts of relations has this transaction written since its last entry in the history?
--
-- Asked at the end of each file but the last: a later file may write them again, and in the end nothing shows that an
-- earlier one has created them.
--
-- One row: a jsonb array of [id of the relation, part, number]; the number is a column's, or the oid of another part. That of a
-- view or a routine is its definition. Those
-- of transactions that began later are among them. The caller adds the condition on the entry and, if that is known,
-- on the `owner`: the oid of the relation or routine, null for a type. With it, no catalog is read as a whole.
SELECT coalesce(jsonb_agg(jsonb_build_array(p.relation, p.part, p.number::bigint)), '[]')
FROM (
    SELECT a.xmin, a.cmin, a.attrelid AS owner, 'pg_class:' || a.attrelid AS relation, 'column ' || a.attname AS part, a.attnum::oid AS number
    FROM pg_attribute AS a
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT k.xmin, k.cmin, k.conrelid, 'pg_class:' || k.conrelid, 'constraint ' || k.conname, k.oid
    FROM pg_constraint AS k
    WHERE k.conrelid <> 0
    UNION ALL
    SELECT k.xmin, k.cmin, NULL, 'pg_type:' || k.contypid, 'constraint ' || k.conname, k.oid
    FROM pg_constraint AS k
    WHERE k.contypid <> 0
    UNION ALL
    SELECT i.xmin, i.cmin, i.indrelid, 'pg_class:' || i.indrelid, 'index ' || c.relname, c.oid
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    UNION ALL
    SELECT g.xmin, g.cmin, g.tgrelid, 'pg_class:' || g.tgrelid, 'trigger ' || g.tgname, g.oid FROM pg_trigger AS g
    UNION ALL
    SELECT u.xmin, u.cmin, u.ev_class, 'pg_class:' || u.ev_class, CASE u.rulename WHEN '_RETURN' THEN 'definition' ELSE 'rule ' || u.rulename END, u.oid FROM pg_rewrite AS u
    UNION ALL
    SELECT p.xmin, p.cmin, p.oid, 'pg_proc:' || p.oid, 'definition', p.oid FROM pg_proc AS p
    UNION ALL
    SELECT o.xmin, o.cmin, o.polrelid, 'pg_class:' || o.polrelid, 'policy ' || o.polname, o.oid FROM pg_policy AS o
    UNION ALL
    SELECT s.xmin, s.cmin, s.stxrelid, 'pg_class:' || s.stxrelid, 'statistics ' || s.stxname, s.oid FROM pg_statistic_ext AS s
    UNION ALL
    SELECT q.xmin, q.cmin, d.refobjid, 'pg_class:' || d.refobjid, 'sequence ' || c.relname, c.oid
    FROM pg_sequence AS q
    JOIN pg_class AS c ON c.oid = q.seqrelid
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
) AS p
-- Own subtransactions have later numbers than the transaction. age() counts backwards from the next one.
WHERE age(p.xmin) <= age(pg_current_xact_id()::xid) AND p.xmin::text::bigint > 2
