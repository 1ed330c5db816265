-- Which statements re-create each of these objects as it is, apart from its rows?
--
-- A part of other queries, which include it after a CTE asked(classid, objid, objsubid). Names hold under any search_path if it is set to no
-- schema. A relation comes with what belongs to it: constraints, indexes, triggers, rules, policies, statistics, sequences of columns;
-- everything with its comment, its owner, if that is another role than the current one, and its privileges. An object without a row
-- cannot be described. Some rows: classid, objid, objsubid, text; the statements in it are separated by semicolons.
SELECT a.classid, a.objid, a.objsubid, concat_ws(E';\n', b.text,
    (SELECT string_agg(p.text, E';\n' ORDER BY p.position, p.text) FROM part AS p WHERE a.classid = 'pg_class'::regclass AND a.objsubid = 0 AND p.relation = a.objid),
    (SELECT string_agg(format('COMMENT ON %s %s IS %L', CASE t.type WHEN 'table constraint' THEN 'CONSTRAINT' WHEN 'domain constraint' THEN 'CONSTRAINT' WHEN 'table column' THEN 'COLUMN'
                WHEN 'view column' THEN 'COLUMN' WHEN 'materialized view column' THEN 'COLUMN' WHEN 'foreign table column' THEN 'COLUMN' WHEN 'composite type column' THEN 'COLUMN'
                WHEN 'composite type' THEN 'TYPE' WHEN 'statistics object' THEN 'STATISTICS' ELSE upper(t.type) END, t.identity, d.description), E';\n' ORDER BY d.classoid, d.objoid, d.objsubid)
        FROM pg_description AS d
        CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS t
        WHERE d.classoid = a.classid AND d.objoid = a.objid AND (a.objsubid = 0 OR d.objsubid = a.objsubid)
          OR a.classid = 'pg_class'::regclass AND a.objsubid = 0 AND (d.classoid, d.objoid) IN (SELECT p.classid, p.objid FROM part AS p WHERE p.relation = a.objid)),
    (SELECT concat_ws(E';\n',
            -- Of a function, PUBLIC has privileges unless they are revoked.
            CASE WHEN w.acl IS NOT NULL AND w.public THEN format('REVOKE ALL ON %s %s FROM PUBLIC', w.kind, w.name) END,
            (SELECT string_agg(format('GRANT %s%s ON %s %s TO %s%s', g.privilege_type, ' (' || quote_ident(g.attname) || ')', w.kind, w.name,
                    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
                    E';\n' ORDER BY g.grantee, g.attname, g.privilege_type)
                FROM (
                    SELECT e.grantee, e.privilege_type, e.is_grantable, NULL::name AS attname FROM aclexplode(w.acl) AS e
                    UNION ALL
                    SELECT e.grantee, e.privilege_type, e.is_grantable, c.attname FROM pg_attribute AS c CROSS JOIN LATERAL aclexplode(c.attacl) AS e
                    WHERE a.classid = 'pg_class'::regclass AND c.attrelid = a.objid
                ) AS g
                WHERE g.grantee <> w.owner OR g.attname IS NOT NULL),
            CASE WHEN r.rolname <> current_user THEN format('ALTER %s %s OWNER TO %I', w.alter_kind, w.name, r.rolname) END)
        FROM (
            SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS alter_kind,
                c.oid::regclass::text AS name, c.relowner AS owner, c.relacl AS acl, false AS public
            FROM pg_class AS c WHERE a.classid = 'pg_class'::regclass AND a.objsubid = 0 AND c.oid = a.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL
            SELECT 'ROUTINE', 'ROUTINE', f.oid::regprocedure::text, f.proowner, f.proacl, true FROM pg_proc AS f WHERE a.classid = 'pg_proc'::regclass AND f.oid = a.objid
            UNION ALL
            SELECT 'TYPE', 'TYPE', t.oid::regtype::text, t.typowner, t.typacl, true FROM pg_type AS t WHERE a.classid = 'pg_type'::regclass AND t.oid = a.objid
        ) AS w
        JOIN pg_roles AS r ON r.oid = w.owner)) AS text
FROM asked AS a
JOIN (
    SELECT p.classid, p.objid, 0 AS objsubid, p.text FROM part AS p
    UNION ALL
    SELECT 'pg_class'::regclass, a.attrelid, a.attnum, format('ALTER TABLE %s ADD COLUMN %s', a.attrelid::regclass, a.text) FROM col AS a
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 0, format('CREATE %sVIEW %s%s AS %s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END, c.oid::regclass,
        (SELECT format(' WITH (%s)', string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')) FROM unnest(c.reloptions) AS o HAVING count(*) > 0),
        rtrim(pg_get_viewdef(c.oid), ';') || CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' ELSE '' END)
    FROM pg_class AS c WHERE c.relkind IN ('v', 'm')
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, 0, concat_ws(E';\n',
        (SELECT string_agg(format('CREATE SEQUENCE %s %s', s.oid::regclass, s.options), E';\n' ORDER BY s.oid) FROM seq AS s WHERE s.owner = c.oid AND s.deptype = 'a'),
        format('CREATE %s %s ', CASE c.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED TABLE' ELSE 'TABLE' END END, c.oid::regclass)
            || CASE WHEN c.relispartition THEN format('PARTITION OF %s %s', (SELECT h.inhparent::regclass FROM pg_inherits AS h WHERE h.inhrelid = c.oid), pg_get_expr(c.relpartbound, c.oid))
            ELSE format('(%s)', (SELECT string_agg(a.text, ', ' ORDER BY a.attnum) FROM col AS a WHERE a.attrelid = c.oid AND a.attislocal))
                || coalesce((SELECT ' INHERITS (' || string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno) || ')' FROM pg_inherits AS h WHERE h.inhrelid = c.oid), '') END
            || CASE c.relkind WHEN 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END
            || coalesce((SELECT format(' SERVER %I', v.srvname) || coalesce(' OPTIONS (' || (SELECT string_agg(format('%I %L', x.option_name, x.option_value), ', ') FROM pg_options_to_table(f.ftoptions) AS x) || ')', '')
                FROM pg_foreign_table AS f JOIN pg_foreign_server AS v ON v.oid = f.ftserver WHERE f.ftrelid = c.oid), '')
            || coalesce((SELECT format(' WITH (%s)', string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')) FROM unnest(c.reloptions) AS o HAVING count(*) > 0), ''),
        (SELECT string_agg(format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass, c.oid::regclass, s.attname), E';\n' ORDER BY s.oid) FROM seq AS s WHERE s.owner = c.oid AND s.deptype = 'a'),
        CASE WHEN c.relrowsecurity THEN format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass) END,
        CASE WHEN c.relforcerowsecurity THEN format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', c.oid::regclass) END)
    FROM pg_class AS c WHERE c.relkind IN ('r', 'p', 'f')
    UNION ALL
    SELECT 'pg_class'::regclass, s.oid, 0, format('CREATE SEQUENCE %s %s', s.oid::regclass, s.options) FROM seq AS s WHERE s.deptype IS NULL
    UNION ALL
    SELECT 'pg_proc'::regclass, f.oid, 0, pg_get_functiondef(f.oid) FROM pg_proc AS f WHERE f.prokind <> 'a'
    UNION ALL
    SELECT 'pg_proc'::regclass, f.oid, 0, format('CREATE AGGREGATE %s (%s)', f.oid::regprocedure, concat_ws(', ', 'SFUNC = ' || g.aggtransfn::oid::regproc, 'STYPE = ' || g.aggtranstype::regtype,
        'FINALFUNC = ' || nullif(g.aggfinalfn::oid, 0)::regproc, 'COMBINEFUNC = ' || nullif(g.aggcombinefn::oid, 0)::regproc, 'INITCOND = ' || quote_literal(g.agginitval),
        'SORTOP = OPERATOR(' || (SELECT format('%I.%s', n.nspname, o.oprname) FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = g.aggsortop) || ')',
        CASE f.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END))
    FROM pg_proc AS f JOIN pg_aggregate AS g ON g.aggfnoid = f.oid WHERE g.aggkind = 'n' AND g.aggmtransfn = 0 AND g.aggserialfn = 0
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, CASE t.typtype
        WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid))
        WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', t.oid::regtype, (SELECT string_agg(a.text, ', ' ORDER BY a.attnum) FROM col AS a WHERE a.attrelid = t.typrelid))
        WHEN 'd' THEN concat_ws(' ', 'CREATE DOMAIN', t.oid::regtype, 'AS', format_type(t.typbasetype, t.typtypmod),
            'COLLATE ' || (SELECT l.oid::regcollation FROM pg_collation AS l JOIN pg_type AS b ON b.oid = t.typbasetype WHERE l.oid = t.typcollation AND b.typcollation <> l.oid),
            'DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN 'NOT NULL' END,
            (SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' ORDER BY k.conname) FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'))
        ELSE (SELECT format('CREATE TYPE %s AS RANGE (%s)', t.oid::regtype, concat_ws(', ', 'SUBTYPE = ' || r.rngsubtype::regtype,
                'SUBTYPE_OPCLASS = ' || (SELECT format('%I.%I', n.nspname, o.opcname) FROM pg_opclass AS o JOIN pg_namespace AS n ON n.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
                'COLLATION = ' || nullif(r.rngcollation, 0)::regcollation, 'SUBTYPE_DIFF = ' || nullif(r.rngsubdiff::oid, 0)::regproc, 'MULTIRANGE_TYPE_NAME = ' || r.rngmultitypid::regtype))
            FROM pg_range AS r WHERE r.rngtypid = t.oid) END
    FROM pg_type AS t WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND (SELECT c.relkind FROM pg_class AS c WHERE c.oid = t.typrelid) = 'c'
    UNION ALL
    SELECT 'pg_attrdef'::regclass, d.oid, 0, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', d.adrelid::regclass, a.attname, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated = ''
    UNION ALL
    SELECT 'pg_publication_rel'::regclass, p.oid, 0, format('ALTER PUBLICATION %I ADD TABLE ONLY %s', u.pubname, p.prrelid::regclass)
        || CASE WHEN to_jsonb(p) ->> 'prattrs' IS NOT NULL THEN (SELECT ' (' || string_agg(quote_ident(n.name), ', ') || ')' FROM jsonb_array_elements_text(v.row -> 'attnames') AS n (name)) ELSE '' END
        || CASE WHEN to_jsonb(p) ->> 'prqual' IS NOT NULL THEN ' WHERE (' || (v.row ->> 'rowfilter') || ')' ELSE '' END
    FROM pg_publication_rel AS p
    JOIN pg_publication AS u ON u.oid = p.prpubid
    JOIN pg_class AS c ON c.oid = p.prrelid
    -- Before 15, it has neither columns nor a filter.
    LEFT JOIN LATERAL (SELECT to_jsonb(t) FROM pg_publication_tables AS t WHERE t.pubname = u.pubname AND t.schemaname = c.relnamespace::regnamespace::name AND t.tablename = c.relname) AS v (row) ON true
    UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, 0, format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ', 'FUNCTION = ' || o.oprcode::oid::regproc,
        'LEFTARG = ' || nullif(o.oprleft, 0)::regtype, 'RIGHTARG = ' || nullif(o.oprright, 0)::regtype,
        'COMMUTATOR = OPERATOR(' || (SELECT format('%I.%s', m.nspname, c.oprname) FROM pg_operator AS c JOIN pg_namespace AS m ON m.oid = c.oprnamespace WHERE c.oid = o.oprcom) || ')',
        'NEGATOR = OPERATOR(' || (SELECT format('%I.%s', m.nspname, c.oprname) FROM pg_operator AS c JOIN pg_namespace AS m ON m.oid = c.oprnamespace WHERE c.oid = o.oprnegate) || ')',
        'RESTRICT = ' || nullif(o.oprrest::oid, 0)::regproc, 'JOIN = ' || nullif(o.oprjoin::oid, 0)::regproc, CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END))
    FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oprcode <> 0
    UNION ALL
    SELECT 'pg_cast'::regclass, c.oid, 0, concat_ws(' ', format('CREATE CAST (%s AS %s)', c.castsource::regtype, c.casttarget::regtype),
        CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
        CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END)
    FROM pg_cast AS c
    UNION ALL
    SELECT 'pg_event_trigger'::regclass, e.oid, 0, format('CREATE EVENT TRIGGER %I ON %I%s EXECUTE FUNCTION %s()', e.evtname, e.evtevent,
            ' WHEN TAG IN (' || (SELECT string_agg(quote_literal(g), ', ') FROM unnest(e.evttags) AS g) || ')', e.evtfoid::regproc)
        || CASE e.evtenabled WHEN 'D' THEN format(E';\nALTER EVENT TRIGGER %I DISABLE', e.evtname) WHEN 'R' THEN format(E';\nALTER EVENT TRIGGER %I ENABLE REPLICA', e.evtname)
            WHEN 'A' THEN format(E';\nALTER EVENT TRIGGER %I ENABLE ALWAYS', e.evtname) ELSE '' END
    FROM pg_event_trigger AS e
    UNION ALL
    SELECT 'pg_ts_config'::regclass, f.oid, 0, concat_ws(E';\n', format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %I.%I)', f.oid::regconfig, n.nspname, p.prsname), (
        SELECT string_agg(format('ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %I WITH %s', f.oid::regconfig, m.alias, m.dictionaries), E';\n' ORDER BY m.tokid)
        FROM (SELECT t.tokid, t.alias, string_agg(g.mapdict::regdictionary::text, ', ' ORDER BY g.mapseqno) AS dictionaries
            FROM pg_ts_config_map AS g JOIN LATERAL ts_token_type(f.cfgparser) AS t ON t.tokid = g.maptokentype WHERE g.mapcfg = f.oid GROUP BY t.tokid, t.alias) AS m))
    FROM pg_ts_config AS f JOIN pg_ts_parser AS p ON p.oid = f.cfgparser JOIN pg_namespace AS n ON n.oid = p.prsnamespace
    UNION ALL
    SELECT 'pg_collation'::regclass, l.oid, 0, format('CREATE COLLATION %s (%s)', l.oid::regcollation, concat_ws(', ',
        'PROVIDER = ' || CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
        'LOCALE = ' || quote_literal(coalesce(j.row ->> 'colllocale', j.row ->> 'colliculocale', CASE WHEN l.collprovider = 'i' OR l.collcollate = l.collctype THEN l.collcollate END)),
        'LC_COLLATE = ' || CASE WHEN l.collprovider = 'c' AND l.collcollate <> l.collctype THEN quote_literal(l.collcollate) END,
        'LC_CTYPE = ' || CASE WHEN l.collprovider = 'c' AND l.collcollate <> l.collctype THEN quote_literal(l.collctype) END,
        'RULES = ' || quote_literal(j.row ->> 'collicurules'), CASE WHEN NOT l.collisdeterministic THEN 'DETERMINISTIC = false' END))
    FROM pg_collation AS l CROSS JOIN LATERAL to_jsonb(l) AS j (row)
) AS b ON b.classid = a.classid AND b.objid = a.objid AND b.objsubid = a.objsubid
