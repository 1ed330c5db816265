-- How are these triggers and rules, and these views and routines, defined?
--
-- $1  jsonb array of {"id", "part"}: the id of the relation, as in inventory.sql, and the part, such as "trigger audit"
--
-- The setting lfmigrate.recreated has the views and routines, as recreated.sql describes them. The texts hold under any search_path if it
-- is set to no schema. One row: a jsonb array of
--   {id, part, kind, name, relation, definition, enabled, comment, stamp}, where `enabled` is what ALTER TABLE says, and of a view or a
--   routine {id, part: null, key, kind, definition, stamp}; `stamp` changes when the definition is written
SELECT (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'part', w.part, 'kind', p.kind, 'name', p.name, 'relation', split_part(w.id, ':', 2)::oid::regclass,
        'definition', p.definition, 'comment', p.comment, 'stamp', p.stamp, 'enabled', CASE p.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END)), '[]')
    FROM jsonb_to_recordset($1::jsonb) AS w (id text, part text)
    JOIN (
        SELECT g.tgrelid AS relation, 'trigger ' || g.tgname AS part, 'TRIGGER' AS kind, g.tgname AS name, pg_get_triggerdef(g.oid) AS definition, g.tgenabled AS enabled,
            obj_description(g.oid, 'pg_trigger') AS comment, g.ctid::text AS stamp
        FROM pg_trigger AS g
        UNION ALL
        SELECT u.ev_class, 'rule ' || u.rulename, 'RULE', u.rulename, pg_get_ruledef(u.oid), u.ev_enabled, obj_description(u.oid, 'pg_rewrite'), u.ctid::text
        FROM pg_rewrite AS u
    ) AS p ON p.relation = split_part(w.id, ':', 2)::oid AND p.part = w.part)
|| (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', CASE w.space WHEN 'relation' THEN 'pg_class:' ELSE 'pg_proc:' END || w.oid, 'part', NULL,
        'key', jsonb_build_array(w.space, w.schema, w.name), 'kind', w.kind, 'definition', d.text, 'stamp', d.stamp)), '[]')
    FROM jsonb_to_recordset(current_setting('lfmigrate.recreated')::jsonb) AS w (space text, schema text, name text, kind text, oid oid)
    JOIN LATERAL (
        SELECT format('CREATE VIEW %s AS %s', c.oid::regclass, pg_get_viewdef(c.oid)) AS text, (SELECT u.ctid::text FROM pg_rewrite AS u WHERE u.ev_class = c.oid AND u.rulename = '_RETURN') AS stamp FROM pg_class AS c
        WHERE w.space = 'relation' AND c.oid = w.oid AND c.relkind = 'v'
        UNION ALL
        SELECT pg_get_functiondef(f.oid), f.ctid::text FROM pg_proc AS f
        WHERE w.space = 'routine' AND f.oid = w.oid AND f.prokind <> 'a'
        UNION ALL
        SELECT format('CREATE AGGREGATE %s(%s) (%s)', f.oid::regproc, coalesce(nullif(pg_get_function_arguments(f.oid), ''), '*'), concat_ws(', ',
            'SFUNC = ' || g.aggtransfn::oid::regproc, 'STYPE = ' || format_type(g.aggtranstype, NULL), 'SSPACE = ' || nullif(g.aggtransspace, 0),
            'FINALFUNC = ' || nullif(g.aggfinalfn::oid, 0)::regproc, CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
            'FINALFUNC_MODIFY = ' || (m.words ->> g.aggfinalmodify::text), 'COMBINEFUNC = ' || nullif(g.aggcombinefn::oid, 0)::regproc,
            'SERIALFUNC = ' || nullif(g.aggserialfn::oid, 0)::regproc, 'DESERIALFUNC = ' || nullif(g.aggdeserialfn::oid, 0)::regproc,
            'INITCOND = ' || quote_literal(g.agginitval), 'MSFUNC = ' || nullif(g.aggmtransfn::oid, 0)::regproc, 'MINVFUNC = ' || nullif(g.aggminvtransfn::oid, 0)::regproc,
            CASE WHEN g.aggmtransfn <> 0 THEN concat_ws(', ', 'MSTYPE = ' || format_type(g.aggmtranstype, NULL), 'MSSPACE = ' || nullif(g.aggmtransspace, 0),
                'MFINALFUNC = ' || nullif(g.aggmfinalfn::oid, 0)::regproc, CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
                'MFINALFUNC_MODIFY = ' || (m.words ->> g.aggmfinalmodify::text), 'MINITCOND = ' || quote_literal(g.aggminitval)) END,
            'SORTOP = OPERATOR(' || (SELECT format('%I.%s', n.nspname, o.oprname) FROM pg_operator AS o JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE o.oid = g.aggsortop) || ')',
            'PARALLEL = ' || CASE f.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END, CASE WHEN g.aggkind = 'h' THEN 'HYPOTHETICAL' END)), f.ctid::text
        FROM pg_proc AS f
        JOIN pg_aggregate AS g ON g.aggfnoid = f.oid
        CROSS JOIN LATERAL (SELECT '{"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}'::jsonb AS words) AS m
        WHERE w.space = 'routine' AND f.oid = w.oid
    ) AS d ON true)
