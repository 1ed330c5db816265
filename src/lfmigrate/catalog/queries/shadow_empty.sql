-- Which statements empty a database that was named as a shadow database?
--
-- Event triggers come first, because they would see the rest. The schema public stays if there is nothing in it,
-- because it may belong to another role. One row: a jsonb array of statements.
SELECT coalesce(jsonb_agg(s.statement ORDER BY s.place, s.statement), '[]')
FROM (
    SELECT 1 AS place, format('DROP EVENT TRIGGER IF EXISTS %I', e.evtname) AS statement FROM pg_event_trigger AS e
    UNION ALL
    SELECT 2, format('DROP PUBLICATION IF EXISTS %I', p.pubname) FROM pg_publication AS p
    UNION ALL
    SELECT 3, format('DROP EXTENSION IF EXISTS %I CASCADE', x.extname) FROM pg_extension AS x WHERE x.extname <> 'plpgsql'
    UNION ALL
    SELECT 4, format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname)
    FROM pg_namespace AS n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
      AND (n.nspname <> 'public' OR EXISTS (SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid))
    UNION ALL
    SELECT 5, format('DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', f.fdwname) FROM pg_foreign_data_wrapper AS f
    UNION ALL
    SELECT 6, format('DROP LANGUAGE IF EXISTS %I CASCADE', l.lanname) FROM pg_language AS l WHERE l.oid >= 16384
    UNION ALL
    SELECT 7, format('DROP CAST IF EXISTS (%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) FROM pg_cast AS c WHERE c.oid >= 16384
    UNION ALL
    SELECT 8, format('DROP ACCESS METHOD IF EXISTS %I CASCADE', a.amname) FROM pg_am AS a WHERE a.oid >= 16384
    UNION ALL
    SELECT 9, format('SELECT lo_unlink(%s)', m.oid) FROM pg_largeobject_metadata AS m
    UNION ALL
    SELECT 10, 'CREATE SCHEMA IF NOT EXISTS public'
    UNION ALL
    SELECT 11, 'GRANT ALL ON SCHEMA public TO PUBLIC'
    WHERE NOT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = 'public' AND NOT pg_has_role(n.nspowner, 'USAGE'))
) AS s
