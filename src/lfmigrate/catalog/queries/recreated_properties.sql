-- Which properties do the objects that recreated.sql has found have, that their CREATE does not state, or need not?
--
-- For restore_properties.sql and restore_contents.sql. Definitions are the server's own texts: set search_path to no
-- schema, so that they hold under any. One row: a jsonb array of
--   {space, schema, name, kind, identity, namespace, proname, arguments, owner, owner_role, options, toast_options, acl,
--    grants: [{privilege, grantee, role, grantor, grantable, column}],
--    comment, columns: [{name, comment, default, statistics, options}], parts: [{kind, name, definition, comment}],
--    contents: [{kind, name, schema, definition, comment, clustered, owner, statistics}], populated}; `acl` is null where nothing was
--   ever granted or revoked, `grants` has the owner's own privileges as well, `parts` are the triggers and rules, `contents` the
--   indexes and statistics of a materialized view, `statistics` are targets. Roles, the schema and the types of arguments are oids, since
--   a later migration may rename or drop one; the grantee 0 is PUBLIC, `role` is only for messages
WITH asked AS MATERIALIZED (
    SELECT r.* FROM jsonb_to_recordset(current_setting('lfmigrate.recreated')::jsonb) AS r (space text, schema text, name text, kind text, oid oid)
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'space', w.space, 'schema', w.schema, 'name', w.name, 'kind', w.kind, 'identity', w.oid::regclass::text, 'namespace', c.relnamespace::bigint,
    'owner', c.relowner::bigint, 'owner_role', pg_get_userbyid(c.relowner), 'options', to_jsonb(c.reloptions),
    'toast_options', (SELECT to_jsonb(o.reloptions) FROM pg_class AS o WHERE o.oid = c.reltoastrelid), 'acl', c.relacl::text,
    'grants', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', g.privilege_type, 'grantee', g.grantee::bigint, 'role', CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END,
            'grantor', g.grantor::bigint, 'grantable', g.is_grantable, 'column', g.attname)), '[]')
        FROM (
            SELECT a.privilege_type, a.grantor, a.grantee, a.is_grantable, NULL AS attname
            FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
            UNION ALL
            SELECT a.privilege_type, a.grantor, a.grantee, a.is_grantable, t.attname
            FROM pg_attribute AS t
            CROSS JOIN LATERAL aclexplode(t.attacl) AS a
            WHERE t.attrelid = c.oid) AS g),
    'comment', obj_description(c.oid, 'pg_class'),
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.attname, 'comment', col_description(c.oid, t.attnum), 'default', pg_get_expr(d.adbin, d.adrelid),
            -- Unset, it is -1 before 17.
            'statistics', nullif(t.attstattarget, -1), 'options', to_jsonb(t.attoptions))), '[]')
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
            WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS p),
    'contents', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('kind', p.kind, 'name', p.name, 'schema', n.nspname, 'definition', p.definition, 'comment', p.comment, 'clustered', p.clustered, 'owner', p.owner::bigint, 'statistics', p.target)
            ORDER BY p.kind, p.name), '[]')
        FROM (
            SELECT 'INDEX' AS kind, x.relname AS name, x.relnamespace AS namespace, pg_get_indexdef(i.indexrelid) AS definition, obj_description(i.indexrelid, 'pg_class') AS comment, i.indisclustered AS clustered, x.relowner AS owner, NULL::integer AS target
            FROM pg_index AS i
            JOIN pg_class AS x ON x.oid = i.indexrelid
            WHERE i.indrelid = c.oid AND i.indisvalid
            UNION ALL
            SELECT 'STATISTICS', s.stxname, s.stxnamespace, pg_get_statisticsobjdef(s.oid), obj_description(s.oid, 'pg_statistic_ext'), false, s.stxowner, nullif(s.stxstattarget, -1)
            FROM pg_statistic_ext AS s
            WHERE s.stxrelid = c.oid) AS p
        JOIN pg_namespace AS n ON n.oid = p.namespace
        WHERE c.relkind = 'm'),
    'populated', c.relispopulated)), '[]')
|| (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'space', w.space, 'schema', w.schema, 'name', w.name, 'kind', w.kind, 'identity', w.oid::regprocedure::text, 'namespace', p.pronamespace::bigint, 'proname', p.proname, 'arguments', p.proargtypes::text,
        'owner', p.proowner::bigint, 'owner_role', pg_get_userbyid(p.proowner), 'options', NULL, 'toast_options', NULL, 'acl', p.proacl::text,
        'grants', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type, 'grantee', a.grantee::bigint, 'role', CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END,
                'grantor', a.grantor::bigint, 'grantable', a.is_grantable, 'column', NULL)), '[]')
            FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a),
        'comment', obj_description(p.oid, 'pg_proc'), 'columns', '[]'::jsonb, 'parts', '[]'::jsonb, 'contents', '[]'::jsonb, 'populated', NULL)), '[]')
    FROM asked AS w
    JOIN pg_proc AS p ON p.oid = w.oid
    WHERE w.space = 'routine')
FROM asked AS w
JOIN pg_class AS c ON c.oid = w.oid
WHERE w.space = 'relation'
