-- How are sequences, columns and named parts of relations defined?
--
-- Three CTEs that definitions.sql needs, which other queries include before it:
--   seq(oid, options, owner, attname, deptype)  a sequence; the relation and the column that it belongs to, if any
--   col(attrelid, attnum, attislocal, text)     a column as CREATE TABLE has it
--   part(classid, objid, relation, position, text)  a constraint, index, trigger, rule, policy or statistics, and its place among them
seq AS NOT MATERIALIZED (
    SELECT s.seqrelid AS oid, format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', s.seqtypid::regtype, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
            CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END) AS options,
        d.refobjid AS owner, a.attname, d.deptype
    FROM pg_sequence AS s
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
),
col AS NOT MATERIALIZED (
    SELECT a.attrelid, a.attnum, a.attislocal, concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        'COLLATE ' || CASE WHEN a.attcollation <> t.typcollation THEN nullif(a.attcollation, 0)::regcollation END,
        CASE WHEN a.attgenerated <> '' THEN format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid), CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
            ELSE 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
        CASE WHEN a.attidentity <> '' THEN format('GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, s.oid::regclass,
            regexp_replace(s.options, '^AS \S+ ', '')) END,
        CASE WHEN a.attnotnull THEN 'NOT NULL' END) AS text
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN seq AS s ON s.owner = a.attrelid AND s.attname = a.attname AND s.deptype = 'i'
    WHERE a.attnum > 0 AND NOT a.attisdropped
),
part AS NOT MATERIALIZED (
    SELECT 'pg_constraint'::regclass AS classid, k.oid AS objid, k.conrelid AS relation, CASE k.contype WHEN 'f' THEN 3 ELSE 1 END AS position,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) AS text
    FROM pg_constraint AS k
    WHERE k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND k.conislocal
    UNION ALL
    -- That of a partitioned table includes those of its partitions, which are in the catalogs of their own.
    SELECT 'pg_class'::regclass, i.indexrelid, i.indrelid, 2,
        CASE WHEN x.relkind = 'I' AND i.indisvalid AND starts_with(d.text, d.head || ' ON ONLY ') THEN d.head || ' ON ' || substr(d.text, length(d.head || ' ON ONLY ') + 1) ELSE d.text END
        || CASE WHEN i.indisclustered THEN format(E';\nALTER TABLE %s CLUSTER ON %I', i.indrelid::regclass, x.relname) ELSE '' END
        || CASE WHEN i.indisreplident THEN format(E';\nALTER TABLE %s REPLICA IDENTITY USING INDEX %I', i.indrelid::regclass, x.relname) ELSE '' END
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid AND NOT x.relispartition
    CROSS JOIN LATERAL (
        SELECT pg_get_indexdef(i.indexrelid) AS text, format('CREATE %sINDEX %I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname) AS head) AS d
    WHERE x.relnamespace <> 'pg_toast'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid, g.tgrelid, 4, pg_get_triggerdef(g.oid) || CASE WHEN g.tgenabled <> 'O' THEN format(E';\nALTER TABLE %s %s TRIGGER %I', g.tgrelid::regclass,
        CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, g.tgname) ELSE '' END
    FROM pg_trigger AS g
    WHERE NOT g.tgisinternal AND g.tgparentid = 0
    UNION ALL
    SELECT 'pg_rewrite'::regclass, u.oid, u.ev_class, 5, rtrim(pg_get_ruledef(u.oid), ';') || CASE WHEN u.ev_enabled <> 'O' THEN format(E';\nALTER TABLE %s %s RULE %I', u.ev_class::regclass,
        CASE u.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, u.rulename) ELSE '' END
    FROM pg_rewrite AS u
    WHERE u.rulename <> '_RETURN'
    UNION ALL
    SELECT 'pg_policy'::regclass, y.oid, y.polrelid, 6,
        format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', y.polname, y.polrelid::regclass, CASE WHEN y.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE y.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(y.polroles) AS role))
        || coalesce(' USING (' || pg_get_expr(y.polqual, y.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')', '')
    FROM pg_policy AS y
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, s.stxrelid, 7, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext AS s
)
