-- Restore the definition that a view, a routine, a trigger or a rule had before a migration replaced it.
--
-- The setting lfmigrate.previous has it as `engine.previous` has recorded it. Whether it still exists does not matter. Every name is
-- qualified. What depends on it and keeps it from getting its old columns or result type back fails with the server's error.
--
-- Leaves what restore_properties.sql restores in the setting lfmigrate.recreated: roles and schemas are found by name, because the
-- oids of then may be others'.
DO $previous$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.previous')::jsonb;
    properties jsonb := kept -> 'properties';
    relation oid;
    existed boolean;
BEGIN
    IF kept ->> 'kind' IN ('TRIGGER', 'RULE') THEN
        relation := to_regclass(kept ->> 'relation');
        IF relation IS NOT NULL THEN
            EXECUTE format('DROP %s IF EXISTS %I ON %s', kept ->> 'kind', kept ->> 'name', relation::regclass);
            EXECUTE kept ->> 'definition';
            IF kept ->> 'enabled' IS NOT NULL THEN
                EXECUTE format('ALTER TABLE ONLY %s %s %s %I', relation::regclass, kept ->> 'enabled', kept ->> 'kind', kept ->> 'name');
            END IF;
            IF kept ->> 'comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON %s %I ON %s IS %L', kept ->> 'kind', kept ->> 'name', relation::regclass, kept ->> 'comment');
            END IF;
        END IF;
        RETURN;
    END IF;
    existed := CASE kept ->> 'kind' WHEN 'VIEW' THEN to_regclass(properties ->> 'identity') IS NOT NULL ELSE to_regprocedure(properties ->> 'identity') IS NOT NULL END;
    BEGIN
        EXECUTE regexp_replace(kept ->> 'definition', '^CREATE (OR REPLACE )?', 'CREATE OR REPLACE ');
    EXCEPTION WHEN invalid_table_definition OR invalid_function_definition THEN
        EXECUTE format('DROP %s %s', kept ->> 'kind', properties ->> 'identity');
        EXECUTE kept ->> 'definition';
        existed := false;
    END;
    IF existed THEN
        EXECUTE format('COMMENT ON %s %s IS NULL', kept ->> 'kind', properties ->> 'identity');
        properties := properties || jsonb_build_object('parts', (
            SELECT coalesce(jsonb_agg(p.value), '[]')
            FROM jsonb_array_elements(properties -> 'parts') AS p
            WHERE NOT EXISTS (
                SELECT FROM pg_trigger AS g WHERE g.tgrelid = to_regclass(properties ->> 'identity') AND g.tgname = p.value ->> 'name' AND p.value ->> 'kind' = 'TRIGGER'
                UNION ALL
                SELECT FROM pg_rewrite AS u WHERE u.ev_class = to_regclass(properties ->> 'identity') AND u.rulename = p.value ->> 'name' AND p.value ->> 'kind' = 'RULE')));
    END IF;
    PERFORM set_config('lfmigrate.recreated', (properties || jsonb_build_object(
        'namespace', 0, 'owner', (SELECT r.oid::bigint FROM pg_roles AS r WHERE r.rolname = properties ->> 'owner_role'),
        'grants', (
            SELECT coalesce(jsonb_agg(g.value || jsonb_build_object('grantee', coalesce(r.oid, 0)::bigint) ORDER BY g.number), '[]')
            FROM jsonb_array_elements(properties -> 'grants') WITH ORDINALITY AS g (value, number)
            LEFT JOIN pg_roles AS r ON r.rolname = g.value ->> 'role'
            WHERE r.oid IS NOT NULL OR g.value ->> 'grantee' = '0'))
    )::text, true);
END
$previous$
