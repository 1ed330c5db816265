-- How are these triggers and rules, and these views and routines, defined?
--
-- $1  jsonb array of {"id", "part"}: the id of the relation, as in inventory.sql, and the part, such as "trigger audit"; null for a
--     view or a routine, of which there is only the definition.
--
-- The texts hold under any search_path if it is set to no schema. One row: a jsonb array of
--   {id, part, kind, name, relation, definition, enabled, comment}, where `enabled` is what ALTER TABLE says
SELECT (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'part', w.part, 'kind', p.kind, 'name', p.name, 'relation', split_part(w.id, ':', 2)::oid::regclass,
        'definition', p.definition, 'comment', p.comment, 'enabled', CASE p.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END)), '[]')
    FROM jsonb_to_recordset($1::jsonb) AS w (id text, part text)
    JOIN (
        SELECT g.tgrelid AS relation, 'trigger ' || g.tgname AS part, 'TRIGGER' AS kind, g.tgname AS name, pg_get_triggerdef(g.oid) AS definition, g.tgenabled AS enabled,
            obj_description(g.oid, 'pg_trigger') AS comment
        FROM pg_trigger AS g
        UNION ALL
        SELECT u.ev_class, 'rule ' || u.rulename, 'RULE', u.rulename, pg_get_ruledef(u.oid), u.ev_enabled, obj_description(u.oid, 'pg_rewrite')
        FROM pg_rewrite AS u
    ) AS p ON p.relation = split_part(w.id, ':', 2)::oid AND p.part = w.part)
|| (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'part', NULL, 'definition', d.text)), '[]')
    FROM jsonb_to_recordset($1::jsonb) AS w (id text, part text)
    JOIN LATERAL (
        SELECT format('CREATE VIEW %s AS %s', c.oid::regclass, pg_get_viewdef(c.oid)) AS text FROM pg_class AS c
        WHERE split_part(w.id, ':', 1) = 'pg_class' AND c.oid = split_part(w.id, ':', 2)::oid AND c.relkind = 'v'
        UNION ALL
        SELECT pg_get_functiondef(f.oid) FROM pg_proc AS f
        WHERE split_part(w.id, ':', 1) = 'pg_proc' AND f.oid = split_part(w.id, ':', 2)::oid AND f.prokind <> 'a'
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
            'PARALLEL = ' || CASE f.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' ELSE 'UNSAFE' END, CASE WHEN g.aggkind = 'h' THEN 'HYPOTHETICAL' END))
        FROM pg_proc AS f
        JOIN pg_aggregate AS g ON g.aggfnoid = f.oid
        CROSS JOIN LATERAL (SELECT '{"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}'::jsonb AS words) AS m
        WHERE split_part(w.id, ':', 1) = 'pg_proc' AND f.oid = split_part(w.id, ':', 2)::oid
    ) AS d ON true
    WHERE w.part IS NULL)
