-- Restore the properties of a view that was dropped, right after its file has created it.
--
-- The setting lfmigrate.view has what view_properties.sql found. What the rest of the file states overrides it, as
-- after a CREATE OR REPLACE VIEW that left the properties alone. Those of columns that no longer exist are lost.
-- Every name is qualified, because the file may have set search_path.
DO $restore$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.view')::jsonb;
    view_name CONSTANT text := format('%I.%I', kept ->> 'schema', kept ->> 'name');
    view_oid CONSTANT oid := view_name::regclass;
    item jsonb;
    grantee text;
BEGIN
    IF kept ->> 'options' IS NOT NULL AND (SELECT c.reloptions IS NULL FROM pg_class AS c WHERE c.oid = view_oid) THEN
        EXECUTE format('ALTER VIEW %s SET (%s)', view_name, (
            SELECT string_agg(format('%I = %L', split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', ')
            FROM jsonb_array_elements_text(kept -> 'options') AS o (option)));
    END IF;
    IF kept ->> 'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON VIEW %s IS %L', view_name, kept ->> 'comment');
    END IF;
    FOR item IN
        SELECT old.value
        FROM jsonb_array_elements(kept -> 'columns') AS old
        JOIN pg_attribute AS t ON t.attrelid = view_oid AND t.attname = old.value ->> 'name'
    LOOP
        IF item ->> 'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', view_name, item ->> 'name', item ->> 'comment');
        END IF;
        IF item ->> 'default' IS NOT NULL THEN
            EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view_name, item ->> 'name', item ->> 'default');
        END IF;
    END LOOP;
    IF jsonb_array_length(kept -> 'parts') > 0 THEN
        BEGIN
            FOR item IN SELECT p.value FROM jsonb_array_elements(kept -> 'parts') AS p
            LOOP
                EXECUTE item ->> 'definition';
                IF item ->> 'comment' IS NOT NULL THEN
                    EXECUTE format('COMMENT ON %s %I ON %s IS %L', item ->> 'kind', item ->> 'name', view_name, item ->> 'comment');
                END IF;
            END LOOP;
        EXCEPTION WHEN undefined_column OR undefined_function OR datatype_mismatch THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                MESSAGE = format('%s "%s" does not fit the new columns of view "%s": %s', lower(item ->> 'kind'), item ->> 'name', kept ->> 'name', SQLERRM),
                HINT = 'Drop it in a migration; the view''s file can create it again.';
        END;
    END IF;
    -- Default privileges may have granted what the view did not grant.
    IF kept ->> 'acl' IS DISTINCT FROM (SELECT c.relacl::text FROM pg_class AS c WHERE c.oid = view_oid) THEN
        FOR grantee IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
            FROM pg_class AS c
            CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
            WHERE c.oid = view_oid
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', view_name, grantee);
        END LOOP;
        FOR item IN SELECT g.value FROM jsonb_array_elements(kept -> 'grants') AS g WHERE g.value ->> 'column' IS NULL
        LOOP
            EXECUTE format('GRANT %s ON %s TO %s%s', item ->> 'privilege', view_name, item ->> 'grantee', CASE WHEN (item ->> 'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
        END LOOP;
    END IF;
    FOR item IN
        SELECT g.value
        FROM jsonb_array_elements(kept -> 'grants') AS g
        JOIN pg_attribute AS t ON t.attrelid = view_oid AND t.attname = g.value ->> 'column'
    LOOP
        EXECUTE format('GRANT %s (%I) ON %s TO %s%s', item ->> 'privilege', item ->> 'column', view_name, item ->> 'grantee', CASE WHEN (item ->> 'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    -- Last, because the current role may not be a member of the owner's.
    IF kept ->> 'owner' <> (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = view_oid) THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', view_name, kept ->> 'owner');
    END IF;
END
$restore$
