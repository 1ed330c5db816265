-- Drop a view that CREATE OR REPLACE cannot change, and save its other properties.
--
-- The view is given by the settings lfmigrate.view_schema and lfmigrate.view_name. Its properties are left in
-- the setting lfmigrate.view_kept, for restore_view_properties.sql. Without CASCADE, this fails if
-- something depends on the view, and names it.
DO $drop$
DECLARE
    view_name CONSTANT text := format('%I.%I', current_setting('lfmigrate.view_schema'), current_setting('lfmigrate.view_name'));
    view_oid CONSTANT oid := to_regclass(view_name);
    kept jsonb;
BEGIN
    SELECT jsonb_build_object(
        'owner', CASE WHEN c.relowner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN pg_get_userbyid(c.relowner) END,
        'options', to_jsonb(c.reloptions),
        'grants', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type, 'grantee', CASE a.grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, 'grantable', a.is_grantable, 'column', NULL)), '[]')
            FROM aclexplode(c.relacl) AS a)
            || (
            SELECT coalesce(jsonb_agg(jsonb_build_object('privilege', a.privilege_type, 'grantee', CASE a.grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, 'grantable', a.is_grantable, 'column', t.attname)), '[]')
            FROM pg_attribute AS t CROSS JOIN LATERAL aclexplode(t.attacl) AS a
            WHERE t.attrelid = c.oid),
        'comment', obj_description(c.oid, 'pg_class'),
        'columns', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.attname, 'comment', col_description(c.oid, t.attnum), 'default', pg_get_expr(d.adbin, d.adrelid))), '[]')
            FROM pg_attribute AS t
            LEFT JOIN pg_attrdef AS d ON d.adrelid = t.attrelid AND d.adnum = t.attnum
            WHERE t.attrelid = c.oid AND t.attnum > 0),
        'triggers', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.tgname, 'definition', pg_get_triggerdef(t.oid), 'comment', obj_description(t.oid, 'pg_trigger'))), '[]')
            FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
        'rules', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.rulename, 'definition', pg_get_ruledef(r.oid), 'comment', obj_description(r.oid, 'pg_rewrite'))), '[]')
            FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'))
    INTO kept
    FROM pg_class AS c
    WHERE c.oid = view_oid;
    PERFORM set_config('lfmigrate.view_kept', coalesce(kept, '{}')::text, true);
    EXECUTE 'DROP VIEW IF EXISTS ' || view_name;
END
$drop$
