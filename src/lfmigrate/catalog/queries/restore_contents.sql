-- Restore what a materialized view contained that was dropped, after the last statement of its file: whether it has
-- rows, and the indexes and statistics that the file does not create.
--
-- The file has filled it with the privileges of the run. If it belongs to another role, which may see fewer rows, it is
-- filled again: REFRESH runs as the owner.
--
-- The setting lfmigrate.recreated has what recreated_properties.sql found. Of any object, check that the file has
-- created it again.
DO $restore$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.recreated')::jsonb;
    is_routine CONSTANT boolean := kept ->> 'kind' = 'ROUTINE';
    object_oid oid := CASE
        WHEN is_routine THEN (SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = (kept ->> 'namespace')::oid AND p.proname = kept ->> 'proname' AND p.proargtypes::text = kept ->> 'arguments')
        ELSE (SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = (kept ->> 'namespace')::oid AND c.relname = kept ->> 'name')
    END;
    object_name text;
    item jsonb;
BEGIN
    IF object_oid IS NULL THEN
        -- The schema, or the type of an argument, may have been dropped and created again.
        BEGIN
            object_oid := CASE WHEN is_routine THEN to_regprocedure(kept ->> 'identity')::oid ELSE to_regclass(kept ->> 'identity')::oid END;
        EXCEPTION WHEN undefined_object OR invalid_schema_name THEN
            -- It does not exist by any name; before 16 that is an error for a type.
            NULL;
        END;
    END IF;
    IF object_oid IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('%s %s had to be dropped, and its file did not create it again', lower(kept ->> 'kind'), kept ->> 'identity'),
            HINT = 'Drop it in a migration if it is not needed any more.';
    END IF;
    IF kept ->> 'kind' <> 'MATERIALIZED VIEW' THEN
        RETURN;
    END IF;
    object_name := object_oid::regclass::text;
    IF NOT (kept ->> 'populated')::boolean THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW %s WITH NO DATA', object_name);
    ELSIF (
        SELECT NOT c.relispopulated OR ((kept ->> 'owner')::oid = c.relowner AND r.rolname <> current_user)
        FROM pg_class AS c
        JOIN pg_roles AS r ON r.oid = c.relowner
        WHERE c.oid = object_oid)
    THEN
        BEGIN
            EXECUTE format('REFRESH MATERIALIZED VIEW %s', object_name);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                MESSAGE = format('materialized view %s cannot be filled with the privileges of its owner: %s', kept ->> 'identity', SQLERRM),
                HINT = 'Grant them to the owner, or set the owner in the file, which fills it with the privileges of the run.';
        END;
    END IF;
    FOR item IN
        SELECT old.value
        FROM jsonb_array_elements(kept -> 'contents') AS old
        WHERE NOT EXISTS (
            SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
            WHERE i.indrelid = object_oid AND x.relname = old.value ->> 'name' AND old.value ->> 'kind' = 'INDEX'
            UNION ALL
            SELECT FROM pg_statistic_ext AS s
            WHERE s.stxrelid = object_oid AND s.stxname = old.value ->> 'name' AND old.value ->> 'kind' = 'STATISTICS')
    LOOP
        BEGIN
            EXECUTE item ->> 'definition';
        EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                MESSAGE = format('%s "%s" does not fit the new columns of materialized view "%s": %s', lower(item ->> 'kind'), item ->> 'name', kept ->> 'name', SQLERRM),
                HINT = 'Drop it in an earlier migration; the materialized view''s file can create another one.';
        END;
        IF item ->> 'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON %s %I.%I IS %L', item ->> 'kind', item ->> 'schema', item ->> 'name', item ->> 'comment');
        END IF;
        IF item ->> 'statistics' IS NOT NULL THEN
            EXECUTE format('ALTER STATISTICS %I.%I SET STATISTICS %s', item ->> 'schema', item ->> 'name', item ->> 'statistics');
        END IF;
        IF item ->> 'kind' = 'STATISTICS' AND EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = (item ->> 'owner')::oid AND r.rolname <> current_user) THEN
            EXECUTE format('ALTER STATISTICS %I.%I OWNER TO %I', item ->> 'schema', item ->> 'name', pg_get_userbyid((item ->> 'owner')::oid));
        END IF;
        IF (item ->> 'clustered')::boolean THEN
            EXECUTE format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', object_name, item ->> 'name');
        END IF;
    END LOOP;
END
$restore$
