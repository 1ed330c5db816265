-- Which objects are there that have one definition and no parts, and what do they look like?
--
-- A part of other queries, which include it; a kind of object is added here, as one more branch.
-- One row per object, without the server's own, whose oids are below 16384:
--   classid, objid  its catalog and oid
--   kind            what it is called in reports, and its namespace
--   schema_oid      its schema; null if it has none
--   name            its name, with whatever else identifies it
--   definition      a line per property
--   owner           its owner; null for what has none
--   acl             the privileges on it; null for what has none
--   hidden          what only some roles may read of it: null for the others, and for kinds without
-- A column that only some versions have is read from its row as JSON.
SELECT 'pg_cast'::regclass AS classid, c.oid AS objid, 'cast' AS kind, NULL::oid AS schema_oid,
    format('%s AS %s', c.castsource::regtype, c.casttarget::regtype) AS name,
    concat_ws(E'\n',
        CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
        CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END) AS definition,
    NULL::oid AS owner, NULL::aclitem[] AS acl, NULL::text AS hidden
FROM pg_cast AS c
WHERE c.oid >= 16384
    -- Not the one to its multirange, which comes with a range.
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i'
    )
UNION ALL
-- One without a function is a shell: another operator names it as its commutator or negator.
SELECT 'pg_operator'::regclass, o.oid, 'operator', o.oprnamespace,
    format('%s(%s,%s)', o.oprname, coalesce(nullif(o.oprleft, 0)::regtype::text, 'NONE'), nullif(o.oprright, 0)::regtype),
    concat_ws(E'\n', 'FUNCTION ' || o.oprcode::oid::regprocedure, 'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator,
        'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator, 'RESTRICT ' || nullif(o.oprrest::oid, 0)::regprocedure,
        'JOIN ' || nullif(o.oprjoin::oid, 0)::regprocedure, CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END),
    o.oprowner, NULL, NULL
FROM pg_operator AS o
WHERE o.oid >= 16384 AND o.oprcode <> 0
UNION ALL
SELECT 'pg_opclass'::regclass, o.oid, 'operator class', o.opcnamespace, format('%s USING %s', o.opcname, m.amname),
    concat_ws(E'\n', CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'FOR TYPE ' || o.opcintype::regtype,
        'FAMILY ' || (SELECT format('%I.%I', n.nspname, f.opfname) FROM pg_opfamily AS f JOIN pg_namespace AS n ON n.oid = f.opfnamespace WHERE f.oid = o.opcfamily),
        'STORAGE ' || nullif(o.opckeytype, 0)::regtype),
    o.opcowner, NULL, NULL
FROM pg_opclass AS o
JOIN pg_am AS m ON m.oid = o.opcmethod
WHERE o.oid >= 16384
UNION ALL
SELECT 'pg_opfamily'::regclass, f.oid, 'operator family', f.opfnamespace, format('%s USING %s', f.opfname, m.amname),
    concat_ws(E'\n',
        (SELECT string_agg(format('OPERATOR %s %s', o.amopstrategy, o.amopopr::regoperator)
                || coalesce(' FOR ORDER BY ' || (SELECT quote_ident(s.opfname) FROM pg_opfamily AS s WHERE s.oid = o.amopsortfamily), ''),
                E'\n' ORDER BY o.amopstrategy, o.amopopr::regoperator::text COLLATE "C")
            FROM pg_amop AS o WHERE o.amopfamily = f.oid),
        (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', p.amprocnum, p.amproclefttype::regtype, p.amprocrighttype::regtype, p.amproc::oid::regprocedure),
                E'\n' ORDER BY p.amprocnum, p.amproclefttype::regtype::text COLLATE "C", p.amprocrighttype::regtype::text COLLATE "C")
            FROM pg_amproc AS p WHERE p.amprocfamily = f.oid)),
    f.opfowner, NULL, NULL
FROM pg_opfamily AS f
JOIN pg_am AS m ON m.oid = f.opfmethod
WHERE f.oid >= 16384
UNION ALL
SELECT 'pg_collation'::regclass, c.oid, 'collation', c.collnamespace, c.collname::text,
    concat_ws(E'\n',
        'PROVIDER ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'd' THEN 'default' ELSE 'libc' END,
        'LOCALE ' || quote_literal(coalesce(j.row ->> 'colllocale', j.row ->> 'colliculocale')),
        'LC_COLLATE ' || quote_literal(c.collcollate), 'LC_CTYPE ' || quote_literal(c.collctype), 'RULES ' || quote_literal(j.row ->> 'collicurules'),
        CASE WHEN NOT c.collisdeterministic THEN 'NOT DETERMINISTIC' END),
    c.collowner, NULL, NULL
FROM pg_collation AS c
CROSS JOIN LATERAL to_jsonb(c) AS j (row)
WHERE c.oid >= 16384
UNION ALL
SELECT 'pg_ts_config'::regclass, c.oid, 'text search configuration', c.cfgnamespace, c.cfgname::text,
    concat_ws(E'\n', 'PARSER ' || quote_ident(p.prsname), (
        SELECT string_agg(m.text, E'\n' ORDER BY m.text COLLATE "C")
        FROM (
            SELECT format('MAPPING FOR %s WITH %s', t.alias, string_agg(g.mapdict::regdictionary::text, ', ' ORDER BY g.mapseqno)) AS text
            FROM pg_ts_config_map AS g
            JOIN ts_token_type(c.cfgparser) AS t ON t.tokid = g.maptokentype
            WHERE g.mapcfg = c.oid
            GROUP BY t.alias) AS m)),
    c.cfgowner, NULL, NULL
FROM pg_ts_config AS c
JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
WHERE c.oid >= 16384
UNION ALL
SELECT 'pg_ts_dict'::regclass, d.oid, 'text search dictionary', d.dictnamespace, d.dictname::text,
    concat_ws(E'\n', 'TEMPLATE ' || quote_ident(t.tmplname), d.dictinitoption),
    d.dictowner, NULL, NULL
FROM pg_ts_dict AS d
JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
WHERE d.oid >= 16384
UNION ALL
-- PostgreSQL 14 knows no schemas, columns and filters of publications. A filter is only there where the view lists the table itself.
SELECT 'pg_publication'::regclass, p.oid, 'publication', NULL, p.pubname::text,
    concat_ws(E'\n', CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
        (SELECT string_agg('FOR TABLES IN SCHEMA ' || quote_ident(n.nspname), E'\n' ORDER BY n.nspname COLLATE "C") FROM unnest(s.schemas) AS m (oid) JOIN pg_namespace AS n ON n.oid = m.oid),
        (SELECT string_agg(format('FOR TABLE %I.%I', n.nspname, r.relname)
                || coalesce((SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)) FROM pg_attribute AS a
                    WHERE a.attrelid = r.oid AND j.row -> 'prattrs' @> to_jsonb(a.attnum) HAVING count(*) > 0), '')
                || coalesce(' WHERE ' || (SELECT to_jsonb(v) ->> 'rowfilter' FROM pg_publication_tables AS v
                    WHERE j.row ->> 'prqual' <> '' AND v.pubname = p.pubname AND v.schemaname = n.nspname AND v.tablename = r.relname), ''),
                E'\n' ORDER BY n.nspname COLLATE "C", r.relname COLLATE "C")
            FROM pg_publication_rel AS m
            JOIN pg_class AS r ON r.oid = m.prrelid
            JOIN pg_namespace AS n ON n.oid = r.relnamespace
            CROSS JOIN LATERAL to_jsonb(m) AS j (row)
            WHERE m.prpubid = p.oid),
        format('WITH (publish = %L)', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
            CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END)),
        CASE WHEN p.pubviaroot THEN 'WITH (publish_via_partition_root)' END,
        'WITH (publish_generated_columns = ' || CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored)' END),
    p.pubowner, NULL, NULL
FROM pg_publication AS p
CROSS JOIN LATERAL (
    SELECT array_agg(o.refobjid) AS schemas
    FROM pg_depend AS d
    JOIN pg_depend AS o ON o.classid = d.classid AND o.objid = d.objid AND o.refclassid = 'pg_namespace'::regclass
    WHERE d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid AND d.classid = to_regclass('pg_catalog.pg_publication_namespace')) AS s
UNION ALL
SELECT 'pg_event_trigger'::regclass, e.oid, 'event trigger', NULL, e.evtname::text,
    concat_ws(E'\n', 'ON ' || e.evtevent, 'WHEN TAG IN (' || array_to_string(e.evttags, ', ') || ')', 'EXECUTE FUNCTION ' || e.evtfoid::regprocedure,
        CASE e.evtenabled WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END),
    e.evtowner, NULL, NULL
FROM pg_event_trigger AS e
UNION ALL
-- An option may be a secret, unless it is known not to be: then a digest, too short to guess from, stands for its value.
-- A user mapping's own row may only be read by a superuser, and its options by its role or the server's owner.
SELECT f.classid, f.objid, f.kind, NULL, f.name, concat_ws(E'\n', f.text, CASE WHEN f.kind <> 'user mapping' THEN o.text END), f.owner, f.acl,
    CASE WHEN f.kind = 'user mapping' AND f.is_readable THEN coalesce(o.text, '') END
FROM (
    SELECT 'pg_foreign_data_wrapper'::regclass AS classid, w.oid AS objid, 'foreign-data wrapper' AS kind, w.fdwname::text AS name, w.fdwoptions AS options,
        concat_ws(E'\n', 'HANDLER ' || nullif(w.fdwhandler, 0)::regprocedure, 'VALIDATOR ' || nullif(w.fdwvalidator, 0)::regprocedure) AS text, true AS is_readable,
        w.fdwowner AS owner, coalesce(w.fdwacl, acldefault('F', w.fdwowner)) AS acl
    FROM pg_foreign_data_wrapper AS w
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 'server', s.srvname::text, s.srvoptions,
        concat_ws(E'\n', 'FOREIGN DATA WRAPPER ' || quote_ident(w.fdwname), 'TYPE ' || quote_literal(s.srvtype), 'VERSION ' || quote_literal(s.srvversion)), true,
        s.srvowner, coalesce(s.srvacl, acldefault('S', s.srvowner))
    FROM pg_foreign_server AS s
    JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
    UNION ALL
    -- The condition is that of the view.
    SELECT 'pg_user_mapping'::regclass, u.umid, 'user mapping', format('%s on %s', u.usename, u.srvname), u.umoptions, NULL,
        (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user)
        OR CASE u.umuser WHEN 0 THEN pg_has_role(s.srvowner, 'USAGE')
            ELSE u.usename = current_user AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')) END, NULL, NULL
    FROM pg_user_mappings AS u
    JOIN pg_foreign_server AS s ON s.oid = u.srvid
) AS f
CROSS JOIN LATERAL (
    SELECT string_agg(format('OPTION %I %s', o.option_name, CASE
            WHEN o.option_name ~ '^(host|hostaddr|port|dbname|user|username|schema_name|table_name|filename|format|fetch_size|batch_size|use_remote_estimate|updatable|truncatable|extensions|async_capable|sslmode|application_name)$'
            THEN quote_literal(o.option_value)
            ELSE '(digest ' || left(encode(sha256(convert_to(concat_ws(E'\n', f.kind, f.name, o.option_name, o.option_value), 'UTF8')), 'hex'), 6) || ')' END),
        E'\n' ORDER BY o.option_name COLLATE "C") AS text
    FROM pg_options_to_table(f.options) AS o) AS o
UNION ALL
SELECT 'pg_default_acl'::regclass, d.oid, 'default privileges', NULL,
    concat_ws(' ', 'of ' || pg_get_userbyid(d.defaclrole), 'in ' || (SELECT quote_ident(n.nspname) FROM pg_namespace AS n WHERE n.oid = d.defaclnamespace), 'on '
        || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END),
    (SELECT string_agg(g.text, E'\n' ORDER BY g.text COLLATE "C")
        FROM (
            SELECT format('GRANT %s TO %s', string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, ', ' ORDER BY a.privilege_type),
                CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN d.defaclrole THEN 'the role itself' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS text
            FROM aclexplode(d.defaclacl) AS a
            GROUP BY a.grantee) AS g),
    NULL, NULL, NULL
FROM pg_default_acl AS d
