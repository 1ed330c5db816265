-- Which statements empty a database that was named as a shadow database?
--
-- Event triggers come first, because they would see the rest. The schema public stays: up to PostgreSQL 14 it does
-- not belong to the owner of the database. What is in it is dropped one by one, by the name that the server gives
-- it; IF EXISTS, because an earlier statement may have taken it along. One row: a jsonb array of statements.
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
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'public')
    UNION ALL
    SELECT 5, format('DROP %s IF EXISTS %s CASCADE', replace(o.type, 'statistics object', 'statistics'), o.identity)
    FROM pg_namespace AS n
    JOIN pg_depend AS d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
    CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS o
    WHERE n.nspname = 'public' AND o.type <> 'default acl'
      -- What goes with an extension or a type, as the constructors of a range do.
      AND NOT EXISTS (
          SELECT FROM pg_depend AS i
          WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('e', 'i') AND i.refobjid <> i.objid)
    UNION ALL
    -- An entry goes when it grants what is granted without it: nothing in a schema, and otherwise the usual.
    SELECT g.place, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s %s', pg_get_userbyid(a.defaclrole), ' IN SCHEMA ' || n.name, g.action)
    FROM pg_default_acl AS a
    CROSS JOIN LATERAL (SELECT CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END) AS k (kind)
    LEFT JOIN LATERAL (SELECT quote_ident(s.nspname) FROM pg_namespace AS s WHERE s.oid = a.defaclnamespace) AS n (name) ON true
    CROSS JOIN LATERAL (
        SELECT DISTINCT 1.1, format('REVOKE ALL ON %s FROM %s', k.kind, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)
        FROM aclexplode(a.defaclacl) AS x
        UNION ALL
        SELECT 1.2, format('GRANT ALL ON %s TO %I', k.kind, pg_get_userbyid(a.defaclrole)) WHERE n.name IS NULL
        UNION ALL
        SELECT 1.3, format('GRANT ALL ON %s TO PUBLIC', k.kind) WHERE n.name IS NULL AND a.defaclobjtype IN ('f', 'T')
    ) AS g (place, action)
    UNION ALL
    SELECT 6, format('DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', f.fdwname) FROM pg_foreign_data_wrapper AS f
    UNION ALL
    SELECT 7, format('DROP LANGUAGE IF EXISTS %I CASCADE', l.lanname) FROM pg_language AS l WHERE l.oid >= 16384
    UNION ALL
    SELECT 8, format('DROP CAST IF EXISTS (%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) FROM pg_cast AS c WHERE c.oid >= 16384
    UNION ALL
    SELECT 9, format('DROP ACCESS METHOD IF EXISTS %I CASCADE', a.amname) FROM pg_am AS a WHERE a.oid >= 16384
    UNION ALL
    SELECT 10, format('SELECT lo_unlink(%s)', m.oid) FROM pg_largeobject_metadata AS m
    UNION ALL
    SELECT 11, 'CREATE SCHEMA public' WHERE to_regnamespace('public') IS NULL
    UNION ALL
    SELECT 12, 'GRANT ALL ON SCHEMA public TO PUBLIC'
    WHERE NOT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = 'public' AND NOT pg_has_role(n.nspowner, 'USAGE'))
) AS s
