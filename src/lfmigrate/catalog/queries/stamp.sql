-- Which rows do the catalogs consist of, in short?
--
-- Asked in two snapshots: the answers are equal if no object was created, changed or dropped between them. A change
-- replaces a row by one with a later xmin, which changes the sum; what is dropped changes the number of rows. Temporary
-- objects do not count: other sessions create them all the time. Nor do the server's own, whose oids are below 16384.
-- One row: a jsonb array.
WITH temporary_schema AS MATERIALIZED (
    SELECT n.oid FROM pg_namespace AS n WHERE n.nspname LIKE 'pg\_temp%' OR n.nspname LIKE 'pg\_toast\_temp%'
),
temporary AS MATERIALIZED (
    SELECT c.oid FROM pg_class AS c WHERE c.relpersistence = 't'
)
SELECT coalesce(jsonb_agg(jsonb_build_array(s.catalog, s.rows, s.xmins) ORDER BY s.catalog), '[]')
FROM (
    SELECT 'pg_class' AS catalog, count(*) AS rows, sum(c.xmin::text::bigint) AS xmins FROM pg_class AS c WHERE c.oid >= 16384 AND c.relpersistence <> 't'
    UNION ALL
    -- All of them: public is the server's own.
    SELECT 'pg_namespace', count(*), sum(n.xmin::text::bigint) FROM pg_namespace AS n WHERE n.oid NOT IN (SELECT t.oid FROM temporary_schema AS t)
    UNION ALL
    SELECT r.catalog, count(*), sum(r.xmin::text::bigint)
    FROM (
        SELECT 'pg_attribute' AS catalog, a.attrelid AS relation, a.xmin FROM pg_attribute AS a
        UNION ALL SELECT 'pg_attrdef', d.adrelid, d.xmin FROM pg_attrdef AS d
        UNION ALL SELECT 'pg_constraint', greatest(k.conrelid, k.contypid), k.xmin FROM pg_constraint AS k
        UNION ALL SELECT 'pg_index', i.indrelid, i.xmin FROM pg_index AS i
        UNION ALL SELECT 'pg_inherits', h.inhrelid, h.xmin FROM pg_inherits AS h
        UNION ALL SELECT 'pg_partitioned_table', p.partrelid, p.xmin FROM pg_partitioned_table AS p
        UNION ALL SELECT 'pg_foreign_table', f.ftrelid, f.xmin FROM pg_foreign_table AS f
        UNION ALL SELECT 'pg_policy', p.polrelid, p.xmin FROM pg_policy AS p
        UNION ALL SELECT 'pg_rewrite', u.ev_class, u.xmin FROM pg_rewrite AS u
        UNION ALL SELECT 'pg_sequence', q.seqrelid, q.xmin FROM pg_sequence AS q
        UNION ALL SELECT 'pg_statistic_ext', s.stxrelid, s.xmin FROM pg_statistic_ext AS s
        UNION ALL SELECT 'pg_trigger', g.tgrelid, g.xmin FROM pg_trigger AS g
    ) AS r
    WHERE r.relation >= 16384 AND r.relation NOT IN (SELECT t.oid FROM temporary AS t)
    GROUP BY r.catalog
    UNION ALL
    SELECT o.catalog, count(*), sum(o.xmin::text::bigint)
    FROM (
        SELECT 'pg_type' AS catalog, t.oid, t.typnamespace AS home, t.xmin FROM pg_type AS t
        UNION ALL SELECT 'pg_proc', p.oid, p.pronamespace, p.xmin FROM pg_proc AS p
    ) AS o
    WHERE o.oid >= 16384 AND o.home NOT IN (SELECT n.oid FROM temporary_schema AS n)
    GROUP BY o.catalog
    UNION ALL
    SELECT k.catalog, count(*), sum(k.xmin::text::bigint)
    FROM (
        SELECT 'pg_aggregate' AS catalog, a.aggfnoid::oid AS oid, a.xmin FROM pg_aggregate AS a
        UNION ALL SELECT 'pg_amop', a.oid, a.xmin FROM pg_amop AS a
        UNION ALL SELECT 'pg_amproc', a.oid, a.xmin FROM pg_amproc AS a
        UNION ALL SELECT 'pg_cast', c.oid, c.xmin FROM pg_cast AS c
        UNION ALL SELECT 'pg_collation', c.oid, c.xmin FROM pg_collation AS c
        UNION ALL SELECT 'pg_conversion', c.oid, c.xmin FROM pg_conversion AS c
        UNION ALL SELECT 'pg_default_acl', d.oid, d.xmin FROM pg_default_acl AS d
        UNION ALL SELECT 'pg_enum', e.oid, e.xmin FROM pg_enum AS e
        UNION ALL SELECT 'pg_event_trigger', e.oid, e.xmin FROM pg_event_trigger AS e
        UNION ALL SELECT 'pg_extension', x.oid, x.xmin FROM pg_extension AS x
        UNION ALL SELECT 'pg_foreign_data_wrapper', f.oid, f.xmin FROM pg_foreign_data_wrapper AS f
        UNION ALL SELECT 'pg_foreign_server', f.oid, f.xmin FROM pg_foreign_server AS f
        UNION ALL SELECT 'pg_language', l.oid, l.xmin FROM pg_language AS l
        UNION ALL SELECT 'pg_opclass', o.oid, o.xmin FROM pg_opclass AS o
        UNION ALL SELECT 'pg_operator', o.oid, o.xmin FROM pg_operator AS o
        UNION ALL SELECT 'pg_opfamily', o.oid, o.xmin FROM pg_opfamily AS o
        UNION ALL SELECT 'pg_publication', p.oid, p.xmin FROM pg_publication AS p
        UNION ALL SELECT 'pg_publication_rel', p.oid, p.xmin FROM pg_publication_rel AS p
        UNION ALL SELECT 'pg_range', r.rngtypid, r.xmin FROM pg_range AS r
        UNION ALL SELECT 'pg_transform', t.oid, t.xmin FROM pg_transform AS t
        UNION ALL SELECT 'pg_ts_config', t.oid, t.xmin FROM pg_ts_config AS t
        UNION ALL SELECT 'pg_ts_config_map', t.mapcfg, t.xmin FROM pg_ts_config_map AS t
        UNION ALL SELECT 'pg_ts_dict', t.oid, t.xmin FROM pg_ts_dict AS t
        UNION ALL SELECT 'pg_ts_parser', t.oid, t.xmin FROM pg_ts_parser AS t
        UNION ALL SELECT 'pg_ts_template', t.oid, t.xmin FROM pg_ts_template AS t
    ) AS k
    WHERE k.oid >= 16384
    GROUP BY k.catalog
) AS s
