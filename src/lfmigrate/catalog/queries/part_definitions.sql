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
    ) AS d ON true
    WHERE w.part IS NULL)
