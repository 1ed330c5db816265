-- Which catalog rows do the objects of kinds.sql consist of?
--
-- A part of other queries, which include it; a kind of object is added here as well, with a branch for each catalog that
-- has rows of it. A branch is a bare scan, because the server plans many of them in the time of a single join; so a
-- condition is a column, `counts`, which the query has to ask for.
--   classid, objid  the catalog and oid of the object
--   xmin, cmin      of the row
--   counts          whether the object is one of kinds.sql
SELECT 'pg_cast'::regclass AS classid, c.oid AS objid, c.xmin, c.cmin,
    -- Not the one to its multirange, which comes with a range.
    c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i') AS counts
FROM pg_cast AS c
-- An operator without a function is a shell: another one names it as its commutator or negator.
UNION ALL SELECT 'pg_operator'::regclass, o.oid, o.xmin, o.cmin, o.oid >= 16384 AND o.oprcode <> 0 FROM pg_operator AS o
UNION ALL SELECT 'pg_opclass'::regclass, o.oid, o.xmin, o.cmin, o.oid >= 16384 FROM pg_opclass AS o
UNION ALL SELECT 'pg_opfamily'::regclass, f.oid, f.xmin, f.cmin, f.oid >= 16384 FROM pg_opfamily AS f
UNION ALL SELECT 'pg_opfamily'::regclass, o.amopfamily, o.xmin, o.cmin, o.amopfamily >= 16384 FROM pg_amop AS o
UNION ALL SELECT 'pg_opfamily'::regclass, p.amprocfamily, p.xmin, p.cmin, p.amprocfamily >= 16384 FROM pg_amproc AS p
UNION ALL SELECT 'pg_collation'::regclass, c.oid, c.xmin, c.cmin, c.oid >= 16384 FROM pg_collation AS c
UNION ALL SELECT 'pg_ts_config'::regclass, c.oid, c.xmin, c.cmin, c.oid >= 16384 FROM pg_ts_config AS c
UNION ALL SELECT 'pg_ts_config'::regclass, g.mapcfg, g.xmin, g.cmin, g.mapcfg >= 16384 FROM pg_ts_config_map AS g
UNION ALL SELECT 'pg_ts_dict'::regclass, d.oid, d.xmin, d.cmin, d.oid >= 16384 FROM pg_ts_dict AS d
UNION ALL SELECT 'pg_publication'::regclass, p.oid, p.xmin, p.cmin, true FROM pg_publication AS p
UNION ALL SELECT 'pg_publication'::regclass, m.prpubid, m.xmin, m.cmin, true FROM pg_publication_rel AS m
-- PostgreSQL 14 has no catalog of the schemas of publications, and only a superuser may read that of user mappings.
UNION ALL SELECT 'pg_publication'::regclass, d.refobjid, d.xmin, d.cmin,
    d.refclassid = 'pg_publication'::regclass AND d.classid = to_regclass('pg_catalog.pg_publication_namespace') FROM pg_depend AS d
UNION ALL SELECT 'pg_user_mapping'::regclass, d.objid, d.xmin, d.cmin,
    d.classid = 'pg_user_mapping'::regclass AND d.refclassid = 'pg_foreign_server'::regclass FROM pg_depend AS d
UNION ALL SELECT 'pg_event_trigger'::regclass, e.oid, e.xmin, e.cmin, true FROM pg_event_trigger AS e
UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, w.xmin, w.cmin, true FROM pg_foreign_data_wrapper AS w
UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, s.xmin, s.cmin, true FROM pg_foreign_server AS s
UNION ALL SELECT 'pg_default_acl'::regclass, d.oid, d.xmin, d.cmin, true FROM pg_default_acl AS d
