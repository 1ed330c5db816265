-- Restore the properties of an object that was dropped, right after its file has created it.
--
-- The setting lfmigrate.recreated has what recreated_properties.sql found. What the rest of the file states overrides it, as
-- after a CREATE OR REPLACE that left the properties alone. Those of columns that no longer exist are lost.
-- Every name is qualified, because the file may have set search_path. A role that has been dropped since then had no
-- privileges any more.
--
-- Of several routines with one name, which a file creates one after the other, only the one that exists already is
-- restored, and lfmigrate.restored remembers that.
--
-- A default, a trigger or a rule that calls a function which is re-created later is left to restore_deferred.sql:
-- lfmigrate.deferred has them, as [{kind, name, definition, comment}].
DO $restore$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.recreated')::jsonb;
    object_kind CONSTANT text := kept ->> 'kind';
    is_routine CONSTANT boolean := object_kind = 'ROUTINE';
    restored CONSTANT jsonb := coalesce(nullif(current_setting('lfmigrate.restored', true), ''), '[]');
    object_oid oid := CASE
        WHEN is_routine THEN (SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = (kept ->> 'namespace')::oid AND p.proname = kept ->> 'proname' AND p.proargtypes::text = kept ->> 'arguments')
        ELSE (SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = (kept ->> 'namespace')::oid AND c.relname = kept ->> 'name')
    END;
    object_name text;
    granted_on text;
    owner oid;
    acl aclitem[];
    deferred jsonb := '[]';
    file_role CONSTANT text := current_setting('role');
    has_acl boolean;
    item jsonb;
    grantee text;
    grantor name;
    command text;
BEGIN
    PERFORM set_config('lfmigrate.deferred', '[]', true);
    IF object_oid IS NULL THEN
        -- The schema, or the type of an argument, may have been dropped and created again.
        BEGIN
            object_oid := CASE WHEN is_routine THEN to_regprocedure(kept ->> 'identity')::oid ELSE to_regclass(kept ->> 'identity')::oid END;
        EXCEPTION WHEN undefined_object OR invalid_schema_name THEN
            -- It does not exist by any name; before 16 that is an error for a type.
            NULL;
        END;
    END IF;
    -- If it is missing after the last statement of the file, restore_contents.sql says so.
    IF object_oid IS NULL OR (is_routine AND restored @> to_jsonb(object_oid::bigint)) THEN
        RETURN;
    END IF;
    object_name := CASE WHEN is_routine THEN object_oid::regprocedure::text ELSE object_oid::regclass::text END;
    granted_on := CASE WHEN is_routine THEN 'ROUTINE ' ELSE '' END || object_name;
    IF is_routine THEN
        PERFORM set_config('lfmigrate.restored', (restored || to_jsonb(object_oid::bigint))::text, true);
        SELECT p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) INTO owner, acl FROM pg_proc AS p WHERE p.oid = object_oid;
    ELSE
        SELECT c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)) INTO owner, acl FROM pg_class AS c WHERE c.oid = object_oid;
    END IF;
    IF kept ->> 'options' IS NOT NULL AND (SELECT c.reloptions IS NULL FROM pg_class AS c WHERE c.oid = object_oid) THEN
        EXECUTE format('ALTER %s %s SET (%s)', object_kind, object_name, (
            SELECT string_agg(format('%I = %L', split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', ')
            FROM jsonb_array_elements_text(kept -> 'options') AS o (option)));
    END IF;
    IF kept ->> 'toast_options' IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class AS c JOIN pg_class AS o ON o.oid = c.reltoastrelid WHERE c.oid = object_oid AND o.reloptions IS NOT NULL) THEN
        EXECUTE format('ALTER %s %s SET (%s)', object_kind, object_name, (
            SELECT string_agg(format('toast.%I = %L', split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', ')
            FROM jsonb_array_elements_text(kept -> 'toast_options') AS o (option)));
    END IF;
    IF kept ->> 'comment' IS NOT NULL THEN
        EXECUTE format('COMMENT ON %s %s IS %L', object_kind, object_name, kept ->> 'comment');
    END IF;
    FOR item IN
        SELECT old.value
        FROM jsonb_array_elements(kept -> 'columns') AS old
        JOIN pg_attribute AS t ON t.attrelid = object_oid AND t.attname = old.value ->> 'name'
    LOOP
        IF item ->> 'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', object_name, item ->> 'name', item ->> 'comment');
        END IF;
        IF item ->> 'default' IS NOT NULL THEN
            BEGIN
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', object_name, item ->> 'name', item ->> 'default');
            EXCEPTION WHEN undefined_function THEN
                deferred := deferred || jsonb_build_object('kind', 'DEFAULT', 'name', item ->> 'name', 'definition', item ->> 'default');
            END;
        END IF;
        IF item ->> 'statistics' IS NOT NULL THEN
            EXECUTE format('ALTER %s %s ALTER COLUMN %I SET STATISTICS %s', object_kind, object_name, item ->> 'name', item ->> 'statistics');
        END IF;
        IF item ->> 'options' IS NOT NULL THEN
            EXECUTE format('ALTER %s %s ALTER COLUMN %I SET (%s)', object_kind, object_name, item ->> 'name', (
                SELECT string_agg(format('%I = %L', split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1)), ', ')
                FROM jsonb_array_elements_text(item -> 'options') AS o (option)));
        END IF;
    END LOOP;
    FOR item IN SELECT p.value FROM jsonb_array_elements(kept -> 'parts') AS p
    LOOP
        BEGIN
            EXECUTE item ->> 'definition';
            IF item ->> 'comment' IS NOT NULL THEN
                EXECUTE format('COMMENT ON %s %I ON %s IS %L', item ->> 'kind', item ->> 'name', object_name, item ->> 'comment');
            END IF;
        EXCEPTION
            WHEN undefined_function THEN
                deferred := deferred || item;
            WHEN undefined_column OR datatype_mismatch THEN
                RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                    MESSAGE = format('%s "%s" does not fit the new columns of view "%s": %s', lower(item ->> 'kind'), item ->> 'name', kept ->> 'name', SQLERRM),
                    HINT = 'Drop it in an earlier migration; the view''s file can create it again.';
        END;
    END LOOP;
    PERFORM set_config('lfmigrate.deferred', deferred::text, true);
    -- Default privileges may have granted what the object did not grant.
    has_acl := kept ->> 'acl' IS DISTINCT FROM coalesce((SELECT p.proacl FROM pg_proc AS p WHERE is_routine AND p.oid = object_oid), (SELECT c.relacl FROM pg_class AS c WHERE NOT is_routine AND c.oid = object_oid))::text;
    IF has_acl THEN
        FOR grantee IN
            SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
            FROM aclexplode(acl) AS a
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', granted_on, grantee);
        END LOOP;
    END IF;
    -- What others have granted needs the option that the owner has given them.
    FOR item, grantee, grantor IN
        SELECT g.value, coalesce(quote_ident(r.rolname), 'public'), o.rolname
        FROM jsonb_array_elements(kept -> 'grants') WITH ORDINALITY AS g (value, number)
        LEFT JOIN pg_roles AS r ON r.oid = (g.value ->> 'grantee')::oid
        LEFT JOIN pg_roles AS o ON o.oid = (g.value ->> 'grantor')::oid AND g.value ->> 'grantor' <> kept ->> 'owner'
        WHERE (r.oid IS NOT NULL OR g.value ->> 'grantee' = '0')
            AND CASE WHEN g.value ->> 'column' IS NULL THEN has_acl
                ELSE EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = object_oid AND t.attname = g.value ->> 'column') END
        ORDER BY o.oid IS NOT NULL, g.number
    LOOP
        command := format('GRANT %s%s ON %s TO %s%s', item ->> 'privilege', ' (' || quote_ident(item ->> 'column') || ')', granted_on, grantee, CASE WHEN (item ->> 'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
        IF grantor IS NULL THEN
            EXECUTE command;
        ELSE
            BEGIN
                PERFORM set_config('role', grantor, true);
                EXECUTE command;
                PERFORM set_config('role', file_role, true);
            EXCEPTION WHEN insufficient_privilege THEN
                -- The current role may not act for that one, so it grants it itself.
                EXECUTE command;
            END;
        END IF;
    END LOOP;
    -- Last, because the current role may not be a member of the owner's.
    IF (kept ->> 'owner')::oid <> owner THEN
        IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = (kept ->> 'owner')::oid) THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = format('the owner of %s %s was dropped before its file could create it again', lower(object_kind), kept ->> 'identity'),
                HINT = 'Drop the role in a later run.';
        END IF;
        command := format('ALTER %s %s OWNER TO %I', object_kind, object_name, pg_get_userbyid((kept ->> 'owner')::oid));
        BEGIN
            EXECUTE command;
        EXCEPTION WHEN insufficient_privilege THEN
            BEGIN
                -- The file may have set a role that may do less than that of the run.
                PERFORM set_config('role', kept ->> 'run_role', true);
                EXECUTE command;
                PERFORM set_config('role', file_role, true);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                    MESSAGE = format('%s %s had to be dropped, and its owner %I cannot be restored: %s', lower(object_kind), kept ->> 'identity', pg_get_userbyid((kept ->> 'owner')::oid), SQLERRM),
                    -- Who belongs to a superuser's role may become a superuser.
                    HINT = CASE WHEN (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = (kept ->> 'owner')::oid)
                        THEN 'Connect as a superuser, or let the file set another owner.'
                        ELSE format('The owner needs CREATE on the schema (GRANT CREATE ON SCHEMA %I TO %I), and the role of the run has to be a member of it. Or let the file set another owner.',
                            (SELECT n.nspname FROM pg_namespace AS n WHERE n.oid = (kept ->> 'namespace')::oid), pg_get_userbyid((kept ->> 'owner')::oid)) END;
            END;
        END;
    END IF;
END
$restore$
