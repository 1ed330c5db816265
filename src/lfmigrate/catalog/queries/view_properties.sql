-- Which properties do these views have that CREATE VIEW does not state, or need not?
--
-- $1  jsonb array of {"schema", "name"}; what is not a view is left out.
--
-- For restore_view_properties.sql. Definitions are the server's own texts: set search_path to no schema, so that they
-- hold under any. One row: a jsonb array of
--   {schema, name, owner, options, acl, grants: [{privilege, grantee, grantable, column}], comment, columns: [{name, comment, default}],
--    parts: [{kind, name, definition, comment}]}; `acl` is null where nothing was ever granted or revoked, `grants` has
--   the owner's own privileges as well, `parts` are the triggers and rules
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'schema', n.nspname, 'name', c.relname, 'owner', pg_get_userbyid(c.relowner), 'options', to_jsonb(c.reloptions), 'acl', c.relacl::text,
    'grants', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', g.privilege_type, 'grantee', CASE g.grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
            'grantable', g.is_grantable, 'column', g.attname)), '[]')
        FROM (
            SELECT a.privilege_type, a.grantee, a.is_grantable, NULL AS attname
            FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
            UNION ALL
            SELECT a.privilege_type, a.grantee, a.is_grantable, t.attname
            FROM pg_attribute AS t
            CROSS JOIN LATERAL aclexplode(t.attacl) AS a
            WHERE t.attrelid = c.oid) AS g),
    'comment', obj_description(c.oid, 'pg_class'),
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.attname, 'comment', col_description(c.oid, t.attnum), 'default', pg_get_expr(d.adbin, d.adrelid))), '[]')
        FROM pg_attribute AS t
        LEFT JOIN pg_attrdef AS d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
        WHERE t.attrelid = c.oid AND t.attnum > 0),
    'parts', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('kind', p.kind, 'name', p.name, 'definition', p.definition, 'comment', p.comment)), '[]')
        FROM (
            SELECT 'TRIGGER' AS kind, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition, obj_description(t.oid, 'pg_trigger') AS comment
            FROM pg_trigger AS t
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
            UNION ALL
            SELECT 'RULE', r.rulename, pg_get_ruledef(r.oid), obj_description(r.oid, 'pg_rewrite')
            FROM pg_rewrite AS r
            WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS p))), '[]')
FROM jsonb_to_recordset($1::jsonb) AS w (schema text, name text)
JOIN pg_namespace AS n ON n.nspname = w.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'v'
