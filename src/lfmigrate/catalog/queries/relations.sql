-- What do these relations look like, down to every column, constraint, index and trigger?
--
-- $1  jsonb array of {"space", "schema", "name", "base"}: the relations to describe; "base" is a
--     routine's name without its arguments. Unknown ones are left out.
-- $2  jsonb array of ids as this query returns them: described too, whatever they are called now.
-- $3  boolean: whether to describe what written.sql has found in this transaction as well.
-- $4  boolean: whether to describe what find_kinds.sql or find_written_kinds.sql has found; else no object of kinds.sql is.
--
-- Definitions are the server's own texts and depend on search_path: set it to the schema that is
-- described, alone. One row: a jsonb object of
--   relations  [{id, kind, schema, name, cids, parts: [[part, text, cid, number], ...]}, ...]: `cids` are those of
--              written.sql, empty for what it has not found; a part's `cid` is the command of this transaction that
--              wrote it last, null if none did; `number` is a column's number, or the oid of another part that has a name
--   locked     of the ids in $2, those that this transaction has locked against all others; what it has dropped, or
--              dropped something of, is among them, because a DROP keeps its lock to the end
--   writers, committed  as written.sql has left them
WITH wanted AS MATERIALIZED (
    SELECT w.space, n.oid AS schema_oid, w.name, w.base
    FROM jsonb_to_recordset($1::jsonb) AS w (space text, schema text, name text, base text)
    LEFT JOIN pg_namespace AS n ON n.nspname = w.schema
),
run AS MATERIALIZED (
    SELECT w.document, ARRAY(SELECT x.xid::xid FROM jsonb_array_elements_text(w.document -> 'own') AS x (xid)) AS xids
    FROM (SELECT CASE WHEN $3::boolean THEN current_setting('lfmigrate.written') ELSE '{"objects": [], "own": []}' END::jsonb) AS w (document)
),
written AS MATERIALIZED (
    SELECT split_part(w.id, ':', 1)::regclass AS classid, split_part(w.id, ':', 2)::oid AS objid, w.cids, w.changed
    FROM run
    CROSS JOIN jsonb_to_recordset(run.document -> 'objects') AS w (id text, cids int[], changed boolean)
),
kind AS MATERIALIZED (
    SELECT k.*
    FROM jsonb_to_recordset(CASE WHEN $4::boolean THEN current_setting('lfmigrate.kinds') ELSE '[]' END::jsonb) AS k (
        classid regclass, objid oid, kind text, schema_oid oid, name text, definition text, xmins xid[], cmins cid[], owner oid, privileges jsonb, hidden text)
),
-- A table's own row also changes when another table references it (relhastriggers): that is not a change. For
-- a relation that is wanted it counts nevertheless, because options and row level security are in that row, too.
chosen AS MATERIALIZED (
    SELECT classid, objid, cids, changed AS counts FROM written
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, NULL, true
    FROM wanted AS w
    JOIN pg_class AS c ON c.relname = w.name AND c.relnamespace = w.schema_oid
    WHERE w.space = 'relation'
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, NULL, true
    FROM wanted AS w
    JOIN pg_proc AS p ON p.proname = w.base AND p.pronamespace = w.schema_oid
    WHERE w.space = 'routine'
      AND w.name = p.proname || '(' || oidvectortypes(p.proargtypes) || ')'
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, NULL, true
    FROM wanted AS w
    JOIN pg_type AS t ON t.typname = w.name AND t.typnamespace = w.schema_oid
    WHERE w.space = 'type'
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, NULL, true
    FROM wanted AS w
    JOIN pg_namespace AS n ON n.nspname = w.name
    WHERE w.space = 'schema'
    UNION ALL
    SELECT 'pg_extension'::regclass, x.oid, NULL, true
    FROM wanted AS w
    JOIN pg_extension AS x ON x.extname = w.name
    WHERE w.space = 'extension'
    UNION ALL
    SELECT k.classid, k.objid, NULL, true
    FROM kind AS k
    JOIN wanted AS w ON w.space = k.kind AND w.name = k.name AND w.schema_oid IS NOT DISTINCT FROM k.schema_oid
    UNION ALL
    SELECT split_part(known.id, ':', 1)::regclass, split_part(known.id, ':', 2)::oid, NULL, true
    FROM jsonb_array_elements_text($2::jsonb) AS known (id)
),
object AS MATERIALIZED (
    SELECT classid, objid, max(cids) AS cids
    FROM chosen
    GROUP BY classid, objid
    HAVING bool_or(counts)
),
named AS MATERIALIZED (
    SELECT o.classid, o.objid, o.cids, c.relkind::text AS subkind, n.nspname AS schema, c.relname::text AS name,
        CASE c.relkind
            WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table'
            WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
        END AS kind
    FROM object AS o
    JOIN pg_class AS c ON c.oid = o.objid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE o.classid = 'pg_class'::regclass
      AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
      AND c.relpersistence <> 't'
      AND n.nspname NOT LIKE 'pg\_toast%'
      -- The sequence of a serial or identity column is a part of the column's table.
      AND NOT (c.relkind = 'S' AND EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT o.classid, o.objid, o.cids, p.prokind::text, n.nspname,
        p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' ELSE 'function' END
    FROM object AS o
    JOIN pg_proc AS p ON p.oid = o.objid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE o.classid = 'pg_proc'::regclass
      -- The constructor functions of a range type are created with it.
      AND NOT EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
    UNION ALL
    SELECT o.classid, o.objid, o.cids, t.typtype::text, n.nspname, t.typname::text, 'type'
    FROM object AS o
    JOIN pg_type AS t ON t.oid = o.objid
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE o.classid = 'pg_type'::regclass
      -- A base type has an array type; an array type, which is of the same letter, has none.
      AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typarray <> 0 OR t.typtype = 'c' AND c.relkind = 'c')
    UNION ALL
    SELECT o.classid, o.objid, o.cids, '', '', n.nspname::text, 'schema'
    FROM object AS o
    JOIN pg_namespace AS n ON n.oid = o.objid
    WHERE o.classid = 'pg_namespace'::regclass
    UNION ALL
    SELECT o.classid, o.objid, o.cids, '', '', x.extname::text, 'extension'
    FROM object AS o
    JOIN pg_extension AS x ON x.oid = o.objid
    WHERE o.classid = 'pg_extension'::regclass
    UNION ALL
    SELECT o.classid, o.objid, o.cids, '', coalesce(n.nspname, ''), k.name, k.kind
    FROM object AS o
    JOIN kind AS k USING (classid, objid)
    LEFT JOIN pg_namespace AS n ON n.oid = k.schema_oid
),
-- The members of an extension are the extension's business.
relation AS MATERIALIZED (
    SELECT *
    FROM named AS m
    -- Temporary objects are in schemas of the server's own, whose names all begin like this.
    WHERE concat(m.schema, CASE m.kind WHEN 'schema' THEN m.name END) NOT LIKE 'pg\_%'
      AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = m.classid AND d.objid = m.objid AND d.deptype = 'e')
),
part AS (
    -- Columns, also those of views and composite types.
    SELECT m.classid, m.objid, 1 AS rank, a.attnum::int AS place, a.attnum::bigint AS number, 'column ' || a.attname AS part,
        format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attstorage = t.typstorage THEN '' ELSE ' STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END
        || CASE a.attcompression WHEN 'p' THEN ' COMPRESSION pglz' WHEN 'l' THEN ' COMPRESSION lz4' ELSE '' END
        || CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END
        || CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN ' GENERATED BY DEFAULT AS IDENTITY' ELSE '' END
        || CASE
            WHEN d.oid IS NULL THEN ''
            WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
            WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') VIRTUAL'
            ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        END
        || CASE WHEN a.attnotnull THEN ' NOT NULL' || CASE WHEN b.connoinherit THEN ' NO INHERIT' ELSE '' END ELSE '' END
        || coalesce(' OPTIONS (' || array_to_string(a.attfdwoptions, ', ') || ')', '') AS text,
        ARRAY[a.xmin, d.xmin, b.xmin] AS xmins, ARRAY[a.cmin, d.cmin, b.cmin] AS cmins
    FROM relation AS m
    JOIN pg_attribute AS a ON a.attnum > 0 AND NOT a.attisdropped AND m.subkind <> 'S'
        AND a.attrelid = CASE WHEN m.classid = 'pg_class'::regclass THEN m.objid
            ELSE (SELECT y.typrelid FROM pg_type AS y WHERE y.oid = m.objid AND m.kind = 'type' AND y.typtype = 'c') END
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    -- From PostgreSQL 18 on, a NOT NULL is a constraint.
    LEFT JOIN pg_constraint AS b ON b.conrelid = a.attrelid AND b.contype = 'n' AND b.conkey = ARRAY[a.attnum]
    UNION ALL
    -- Constraints. A NOT NULL is part of its column's text, unless it is not validated (PostgreSQL 18).
    SELECT m.classid, m.objid, 2, 0, k.oid, 'constraint ' || k.conname,
        pg_get_constraintdef(k.oid, true)
        || coalesce((SELECT ' WITH (' || array_to_string(i.reloptions, ', ') || ')' FROM pg_class AS i WHERE i.oid = k.conindid AND k.contype IN ('p', 'u', 'x')), '')
        -- Foreign keys and deferrable constraints are checked by triggers of their own; a trigger that
        -- fires on replicas only checks nothing here.
        || CASE WHEN EXISTS (
                SELECT FROM pg_trigger AS g WHERE g.tgconstraint = k.oid AND g.tgenabled IN ('D', 'R'))
            THEN ' DISABLED' ELSE '' END
        || CASE WHEN k.contype IN ('p', 'u', 'x') AND EXISTS (
                SELECT FROM pg_index AS i
                WHERE i.indexrelid = k.conindid AND NOT (i.indisvalid AND i.indisready AND i.indislive))
            THEN ' INVALID' ELSE '' END,
        ARRAY[k.xmin], ARRAY[k.cmin]
    FROM relation AS m
    JOIN pg_constraint AS k ON k.conrelid = m.objid AND m.classid = 'pg_class'::regclass
    WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0
       OR k.contype = 'n' AND NOT k.convalidated
    UNION ALL
    SELECT m.classid, m.objid, 2, 0, k.oid, 'constraint ' || k.conname, pg_get_constraintdef(k.oid, true), ARRAY[k.xmin], ARRAY[k.cmin]
    FROM relation AS m
    JOIN pg_constraint AS k ON k.contypid = m.objid AND m.classid = 'pg_type'::regclass
    WHERE k.contype = 'c' OR k.contype = 'n' AND NOT k.convalidated
    UNION ALL
    -- Indexes, except for those of constraints.
    SELECT m.classid, m.objid, 3, 0, c.oid, 'index ' || c.relname,
        pg_get_indexdef(i.indexrelid, 0, true)
        || CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN '' ELSE ' INVALID' END,
        ARRAY[i.xmin], ARRAY[i.cmin]
    FROM relation AS m
    JOIN pg_index AS i ON i.indrelid = m.objid AND m.classid = 'pg_class'::regclass
    JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE NOT EXISTS (
        SELECT FROM pg_constraint AS k
        WHERE k.conindid = i.indexrelid AND k.conrelid = m.objid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT m.classid, m.objid, 4, 0, g.oid, 'trigger ' || g.tgname,
        pg_get_triggerdef(g.oid, true)
        || CASE g.tgenabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ENABLE REPLICA' WHEN 'A' THEN ' ENABLE ALWAYS' ELSE '' END,
        ARRAY[g.xmin], ARRAY[g.cmin]
    FROM relation AS m
    JOIN pg_trigger AS g ON g.tgrelid = m.objid AND m.classid = 'pg_class'::regclass
    WHERE NOT g.tgisinternal
    UNION ALL
    SELECT m.classid, m.objid, 5, 0, u.oid, 'rule ' || u.rulename,
        pg_get_ruledef(u.oid, true) || CASE u.ev_enabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ENABLE REPLICA' WHEN 'A' THEN ' ENABLE ALWAYS' ELSE '' END,
        ARRAY[u.xmin], ARRAY[u.cmin]
    FROM relation AS m
    JOIN pg_rewrite AS u ON u.ev_class = m.objid AND m.classid = 'pg_class'::regclass
    WHERE u.rulename <> '_RETURN'
    UNION ALL
    SELECT m.classid, m.objid, 6, 0, p.oid, 'policy ' || p.polname,
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END
        || ' FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END
        || ' TO ' || (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ' ORDER BY role) FROM unnest(p.polroles) AS role)
        || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
        || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
        ARRAY[p.xmin], ARRAY[p.cmin]
    FROM relation AS m
    JOIN pg_policy AS p ON p.polrelid = m.objid AND m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT m.classid, m.objid, 7, 0, s.oid, 'statistics ' || s.stxname,
        array_to_string(s.stxkind, ',') || ' ON ' || pg_get_statisticsobjdef_columns(s.oid),
        ARRAY[s.xmin], ARRAY[s.cmin]
    FROM relation AS m
    JOIN pg_statistic_ext AS s ON s.stxrelid = m.objid AND m.classid = 'pg_class'::regclass
    UNION ALL
    -- The sequences of serial and identity columns.
    SELECT m.classid, m.objid, 8, d.refobjsubid, c.oid, 'sequence ' || c.relname,
        format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s%s OWNED BY %I', format_type(q.seqtypid, NULL),
            q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END,
            (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid)),
        ARRAY[q.xmin], ARRAY[q.cmin]
    FROM relation AS m
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.objid AND d.refobjsubid > 0
        AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
    JOIN pg_sequence AS q ON q.seqrelid = c.oid
    WHERE m.classid = 'pg_class'::regclass
    UNION ALL
    SELECT m.classid, m.objid, 0, 0, 0, 'definition',
        format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s%s', format_type(q.seqtypid, NULL),
            q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END),
        ARRAY[q.xmin], ARRAY[q.cmin]
    FROM relation AS m
    JOIN pg_sequence AS q ON q.seqrelid = m.objid
    WHERE m.classid = 'pg_class'::regclass AND m.kind = 'sequence'
    UNION ALL
    SELECT m.classid, m.objid, 0, 0, 0, 'definition', pg_get_viewdef(m.objid, true),
        ARRAY[u.xmin], ARRAY[u.cmin]
    FROM relation AS m
    JOIN pg_rewrite AS u ON u.ev_class = m.objid AND u.rulename = '_RETURN'
    WHERE m.kind IN ('view', 'materialized view')
    UNION ALL
    -- Other properties of a relation, where they differ from the default.
    SELECT m.classid, m.objid, 9, x.place, 0, x.part, x.text, ARRAY[c.xmin], ARRAY[c.cmin]
    FROM relation AS m
    JOIN pg_class AS c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
    CROSS JOIN LATERAL (VALUES
        (1, 'persistence', CASE WHEN c.relpersistence = 'u' THEN 'UNLOGGED' END),
        (2, 'options', array_to_string(c.reloptions, ', ')),
        (3, 'row level security', nullif(concat_ws(' ', CASE WHEN c.relrowsecurity THEN 'ENABLED' END, CASE WHEN c.relforcerowsecurity THEN 'FORCED' END), '')),
        (4, 'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END),
        (5, 'partition bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END),
        (6, 'inherits', (SELECT string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno) FROM pg_inherits AS h WHERE h.inhrelid = c.oid)),
        (7, 'foreign server', (SELECT s.srvname || coalesce(' (' || array_to_string(f.ftoptions, ', ') || ')', '') FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)),
        (8, 'replica identity', CASE
            WHEN c.relkind NOT IN ('r', 'p', 'm') THEN NULL
            WHEN c.relreplident = 'f' THEN 'FULL'
            WHEN c.relreplident = 'n' THEN 'NOTHING'
            WHEN c.relreplident = 'i' THEN 'USING INDEX ' || (SELECT i.indexrelid::regclass FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisreplident)
        END),
        (9, 'cluster', (SELECT 'ON ' || i.indexrelid::regclass FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisclustered)),
        (10, 'type', 'OF ' || format_type(nullif(c.reloftype, 0), NULL)),
        (11, 'toast options', (SELECT array_to_string(o.reloptions, ', ') FROM pg_class AS o WHERE o.oid = c.reltoastrelid)),
        (12, 'rows', CASE WHEN NOT c.relispopulated THEN 'WITH NO DATA' END)
    ) AS x (place, part, text)
    WHERE x.text IS NOT NULL
    UNION ALL
    -- The schema's name is removed from the first line, so that texts of two schemas can be compared.
    SELECT m.classid, m.objid, 0, 0, 0, 'definition',
        overlay(f.text PLACING '' FROM strpos(f.text, quote_ident(m.schema) || '.') FOR length(quote_ident(m.schema)) + 1),
        ARRAY[p.xmin], ARRAY[p.cmin]
    FROM relation AS m
    JOIN pg_proc AS p ON p.oid = m.objid
    CROSS JOIN LATERAL (SELECT pg_get_functiondef(m.objid) AS text WHERE m.subkind <> 'a') AS f
    WHERE m.classid = 'pg_proc'::regclass AND m.subkind <> 'a'
    UNION ALL
    SELECT m.classid, m.objid, 0, 0, 0, 'definition',
        concat_ws(', ', 'RETURNS ' || pg_get_function_result(m.objid), 'KIND ' || g.aggkind::text,
            'SFUNC ' || g.aggtransfn::oid::regprocedure, 'STYPE ' || format_type(g.aggtranstype, NULL), 'SSPACE ' || g.aggtransspace,
            'FINALFUNC ' || nullif(g.aggfinalfn::oid, 0)::regprocedure, 'FINALFUNC_EXTRA ' || g.aggfinalextra, 'FINALFUNC_MODIFY ' || g.aggfinalmodify::text,
            'COMBINEFUNC ' || nullif(g.aggcombinefn::oid, 0)::regprocedure, 'SERIALFUNC ' || nullif(g.aggserialfn::oid, 0)::regprocedure,
            'DESERIALFUNC ' || nullif(g.aggdeserialfn::oid, 0)::regprocedure, 'INITCOND ' || quote_literal(g.agginitval),
            'MSFUNC ' || nullif(g.aggmtransfn::oid, 0)::regprocedure, 'MINVFUNC ' || nullif(g.aggminvtransfn::oid, 0)::regprocedure,
            'MSTYPE ' || format_type(nullif(g.aggmtranstype, 0), NULL), 'MSSPACE ' || g.aggmtransspace, 'MFINALFUNC ' || nullif(g.aggmfinalfn::oid, 0)::regprocedure,
            'MFINALFUNC_EXTRA ' || g.aggmfinalextra, 'MFINALFUNC_MODIFY ' || g.aggmfinalmodify::text, 'MINITCOND ' || quote_literal(g.aggminitval),
            'SORTOP ' || nullif(g.aggsortop, 0)::regoperator, 'PARALLEL ' || p.proparallel::text),
        ARRAY[p.xmin, g.xmin], ARRAY[p.cmin, g.cmin]
    FROM relation AS m
    JOIN pg_aggregate AS g ON g.aggfnoid = m.objid
    JOIN pg_proc AS p ON p.oid = m.objid
    WHERE m.classid = 'pg_proc'::regclass AND m.subkind = 'a'
    UNION ALL
    SELECT m.classid, m.objid, 0, 0, 0, 'definition',
        CASE t.typtype
            WHEN 'e' THEN 'ENUM (' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid), '') || ')'
            WHEN 'd' THEN 'DOMAIN ' || format_type(t.typbasetype, t.typtypmod)
                || coalesce(' COLLATE ' || (SELECT t.typcollation::regcollation FROM pg_type AS b
                    WHERE b.oid = t.typbasetype AND t.typcollation <> b.typcollation), '')
                || coalesce(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
            WHEN 'r' THEN (
                SELECT format('RANGE (%s)', concat_ws(', ', 'SUBTYPE ' || format_type(r.rngsubtype, NULL),
                    'SUBTYPE_OPCLASS ' || (
                        SELECT CASE WHEN pg_opclass_is_visible(o.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(o.opcname)
                        FROM pg_opclass AS o JOIN pg_namespace AS n ON n.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
                    'COLLATION ' || nullif(r.rngcollation, 0)::regcollation,
                    'CANONICAL ' || nullif(r.rngcanonical::oid, 0)::regprocedure, 'SUBTYPE_DIFF ' || nullif(r.rngsubdiff::oid, 0)::regprocedure,
                    'MULTIRANGE_TYPE_NAME ' || format_type(r.rngmultitypid, NULL)))
                FROM pg_range AS r WHERE r.rngtypid = t.oid)
            WHEN 'b' THEN format('BASE (%s)', concat_ws(', ', 'INPUT ' || t.typinput::oid::regprocedure, 'OUTPUT ' || t.typoutput::oid::regprocedure,
                'RECEIVE ' || nullif(t.typreceive::oid, 0)::regprocedure, 'SEND ' || nullif(t.typsend::oid, 0)::regprocedure,
                'TYPMOD_IN ' || nullif(t.typmodin::oid, 0)::regprocedure, 'TYPMOD_OUT ' || nullif(t.typmodout::oid, 0)::regprocedure,
                'ANALYZE ' || nullif(t.typanalyze::oid, 0)::regprocedure, 'SUBSCRIPT ' || nullif(t.typsubscript::oid, 0)::regprocedure,
                'INTERNALLENGTH ' || t.typlen, CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END, 'ALIGNMENT ' || t.typalign::text, 'STORAGE ' || t.typstorage::text,
                'CATEGORY ' || quote_literal(t.typcategory::text), CASE WHEN t.typispreferred THEN 'PREFERRED' END, 'DEFAULT ' || quote_literal(t.typdefault),
                'ELEMENT ' || format_type(nullif(t.typelem, 0), NULL), 'DELIMITER ' || quote_literal(t.typdelim::text), CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE' END))
            ELSE 'COMPOSITE'
        END,
        t.xmin || ARRAY(SELECT e.xmin FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.oid),
        t.cmin || ARRAY(SELECT e.cmin FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.oid)
    FROM relation AS m
    JOIN pg_type AS t ON t.oid = m.objid
    WHERE m.kind = 'type'
    UNION ALL
    SELECT m.classid, m.objid, 0, v.place, 0, v.part, v.text, ARRAY[x.xmin], ARRAY[x.cmin]
    FROM relation AS m
    JOIN pg_extension AS x ON x.oid = m.objid
    JOIN pg_namespace AS n ON n.oid = x.extnamespace
    CROSS JOIN LATERAL (VALUES (1, 'schema', n.nspname::text), (2, 'version', x.extversion)) AS v (place, part, text)
    WHERE m.kind = 'extension'
    UNION ALL
    SELECT m.classid, m.objid, 0, 0, 0, 'definition', coalesce(k.definition, ''), k.xmins, k.cmins
    FROM relation AS m
    JOIN kind AS k USING (classid, objid)
    UNION ALL
    SELECT m.classid, m.objid, 1, 0, 0, 'mapping options', k.hidden, NULL, NULL
    FROM relation AS m
    JOIN kind AS k USING (classid, objid)
    WHERE k.hidden IS NOT NULL
    -- include relation_privileges.sql if grants
),
parts AS (
    SELECT p.classid, p.objid,
        jsonb_agg(jsonb_build_array(p.part, p.text, w.cid, p.number::bigint) ORDER BY p.rank, p.place, p.part COLLATE "C") AS list
    FROM part AS p
    CROSS JOIN run
    CROSS JOIN LATERAL (
        SELECT max(r.cid::text::int) AS cid FROM unnest(p.xmins, p.cmins) AS r (xmin, cid) WHERE r.xmin = ANY (run.xids)) AS w
    GROUP BY p.classid, p.objid
),
locked AS MATERIALIZED (
    SELECT concat_ws(':', coalesce(l.classid, 'pg_class'::regclass::oid)::regclass, coalesce(l.objid, l.relation)) AS id
    FROM pg_locks AS l
    WHERE $3::boolean AND l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND l.locktype IN ('relation', 'object')
      AND $2::jsonb ? concat_ws(':', coalesce(l.classid, 'pg_class'::regclass::oid)::regclass, coalesce(l.objid, l.relation))
)
SELECT jsonb_build_object(
    'relations', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'id', m.classid::text || ':' || m.objid, 'kind', m.kind, 'schema', m.schema, 'name', m.name, 'cids', coalesce(to_jsonb(m.cids), '[]'),
                'parts', coalesce(p.list, '[]'))
            ORDER BY m.cids[1] NULLS FIRST, m.schema COLLATE "C", m.name COLLATE "C"), '[]')
        FROM relation AS m
        LEFT JOIN parts AS p USING (classid, objid)),
    'locked', (SELECT coalesce(jsonb_agg(DISTINCT l.id), '[]') FROM locked AS l),
    'writers', run.document -> 'writers',
    'committed', run.document -> 'committed')
FROM run
