-- Restore the definitions that views, routines, triggers and rules had before a migration replaced or dropped them.
--
-- The setting lfmigrate.previous has them as `engine.previous` has recorded them: a jsonb array. Whether one still exists does not
-- matter. Every name is qualified. As one may need another, what fails is tried again after the others; if that does not help, all
-- are dropped and re-created, because one may depend on the columns that another loses. With
--   early     only those that exist are restored, and none that fails: it is done once more after the down file
--   cascade   what depends on one that has to be dropped is dropped as well
--   optional  it is left out even if the role may not create it
-- What cannot be defined as it was is left as it is. If something else depends on what would have to be dropped, that fails with the
-- server's error, which names it in its field "table name".
--
-- What has another name by now is found by its id. A trigger or rule is created on no other table of the same name, unless it is there
-- as the migration has left it: then the database was restored from a dump. Roles are found by name, because the oids of then may
-- be others'; without its owner, nothing is restored that would run with the privileges of another one.
--
-- Leaves two settings: lfmigrate.restorable, a jsonb array of what restore_properties.sql restores; and lfmigrate.not_restored, a jsonb
-- array of {label, identity, message, partial}, where only a role's privileges are missing if it is partial.
DO $previous$
DECLARE
    everything jsonb := '[]';
    remaining jsonb;
    later jsonb;
    kept jsonb;
    properties jsonb;
    restored jsonb := '[]';
    failed jsonb := '[]';
    relation oid;
    existed boolean;
    is_last boolean := false;
    are_dropped boolean := false;
    is_less boolean;
    is_blocked boolean := false;
    facts text;
    old_name text;
    new_name text;
    mark text;
BEGIN
    FOR kept IN SELECT e.value FROM jsonb_array_elements(current_setting('lfmigrate.previous')::jsonb) AS e
    LOOP
        relation := split_part(kept ->> 'id', ':', 2)::oid;
        old_name := coalesce(kept ->> 'relation', kept #>> '{properties,identity}');
        new_name := CASE
            WHEN kept ->> 'kind' NOT IN ('TRIGGER', 'RULE') AND kept ->> 'id' IS DISTINCT FROM kept #>> '{left,id}' THEN NULL
            WHEN kept ->> 'kind' = 'ROUTINE' THEN (SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.oid = relation)
            ELSE (SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.oid = relation) END;
        IF new_name <> old_name THEN
            IF kept ->> 'kind' IN ('TRIGGER', 'RULE') THEN
                kept := kept || jsonb_build_object('relation', new_name);
                mark := CASE kept ->> 'kind' WHEN 'TRIGGER' THEN ' ON ' ELSE ' TO ' END;
            ELSE
                kept := jsonb_set(kept, '{properties,identity}', to_jsonb(new_name));
                mark := ' ';
                IF kept ->> 'kind' = 'ROUTINE' THEN
                    -- The names of the arguments are not in it.
                    old_name := left(old_name, strpos(old_name, '(') - 1);
                    new_name := left(new_name, strpos(new_name, '(') - 1);
                END IF;
            END IF;
            kept := kept || jsonb_build_object('definition', overlay(kept ->> 'definition' PLACING mark || new_name FROM strpos(kept ->> 'definition', mark || old_name) FOR length(mark || old_name)));
        ELSIF new_name IS NULL AND kept ->> 'kind' IN ('TRIGGER', 'RULE') THEN
            relation := to_regclass(old_name);
            kept := kept || jsonb_build_object('elsewhere', NOT EXISTS (
                SELECT FROM pg_trigger AS g WHERE g.tgrelid = relation AND g.tgname = kept ->> 'name' AND pg_get_triggerdef(g.oid) = kept #>> '{left,definition}'
                UNION ALL
                SELECT FROM pg_rewrite AS u WHERE u.ev_class = relation AND u.rulename = kept ->> 'name' AND pg_get_ruledef(u.oid) = kept #>> '{left,definition}'));
        END IF;
        everything := everything || kept;
    END LOOP;
    remaining := everything;
    WHILE jsonb_array_length(remaining) > 0 LOOP
        later := '[]';
        FOR kept IN SELECT r.value FROM jsonb_array_elements(remaining) AS r
        LOOP
            BEGIN
                properties := kept -> 'properties';
                IF kept ->> 'kind' IN ('TRIGGER', 'RULE') THEN
                    relation := to_regclass(kept ->> 'relation');
                    CONTINUE WHEN kept ? 'early' AND (relation IS NULL OR (kept ->> 'elsewhere')::boolean OR NOT EXISTS (
                        SELECT FROM pg_trigger AS g WHERE g.tgrelid = relation AND g.tgname = kept ->> 'name' AND kept ->> 'kind' = 'TRIGGER'
                        UNION ALL
                        SELECT FROM pg_rewrite AS u WHERE u.ev_class = relation AND u.rulename = kept ->> 'name' AND kept ->> 'kind' = 'RULE'));
                    IF relation IS NULL OR (kept ->> 'elsewhere')::boolean THEN
                        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format(CASE WHEN relation IS NULL THEN 'relation "%s" does not exist' ELSE '"%s" is not the relation that it was on' END, kept ->> 'relation');
                    END IF;
                    EXECUTE format('DROP %s IF EXISTS %I ON %s', kept ->> 'kind', kept ->> 'name', relation::regclass);
                    EXECUTE kept ->> 'definition';
                    IF kept ->> 'enabled' IS NOT NULL THEN
                        EXECUTE format('ALTER TABLE ONLY %s %s %s %I', relation::regclass, kept ->> 'enabled', kept ->> 'kind', kept ->> 'name');
                    END IF;
                    IF kept ->> 'comment' IS NOT NULL THEN
                        EXECUTE format('COMMENT ON %s %I ON %s IS %L', kept ->> 'kind', kept ->> 'name', relation::regclass, kept ->> 'comment');
                    END IF;
                    CONTINUE;
                END IF;
                BEGIN
                    existed := CASE kept ->> 'kind' WHEN 'VIEW' THEN to_regclass(properties ->> 'identity') IS NOT NULL ELSE to_regprocedure(properties ->> 'identity') IS NOT NULL END;
                EXCEPTION WHEN undefined_object OR invalid_schema_name THEN
                    -- Before 16, a type that does not exist is an error.
                    existed := false;
                END;
                CONTINUE WHEN kept ? 'early' AND NOT existed;
                IF (kept ->> 'kind' = 'VIEW' OR kept ->> 'definition' LIKE '%SECURITY DEFINER%') AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = properties ->> 'owner_role') THEN
                    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s", its owner, does not exist', properties ->> 'owner_role');
                END IF;
                BEGIN
                    EXECUTE regexp_replace(kept ->> 'definition', '^CREATE (OR REPLACE )?', 'CREATE OR REPLACE ');
                EXCEPTION WHEN invalid_table_definition OR invalid_function_definition OR wrong_object_type THEN
                    EXECUTE format('DROP %s %s%s', kept ->> 'kind', properties ->> 'identity', CASE WHEN kept ? 'cascade' THEN ' CASCADE' ELSE '' END);
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
                restored := restored || (properties || jsonb_build_object(
                    'namespace', 0, 'owner', (SELECT r.oid::bigint FROM pg_roles AS r WHERE r.rolname = properties ->> 'owner_role'),
                    'grants', (
                        SELECT coalesce(jsonb_agg(g.value || jsonb_build_object('grantee', coalesce(r.oid, 0)::bigint) ORDER BY g.number), '[]')
                        FROM jsonb_array_elements(properties -> 'grants') WITH ORDINALITY AS g (value, number)
                        LEFT JOIN pg_roles AS r ON r.rolname = g.value ->> 'role'
                        WHERE r.oid IS NOT NULL OR g.value ->> 'grantee' = '0')));
                failed := failed || (
                    SELECT coalesce(jsonb_agg(jsonb_build_object('label', kept -> 'label', 'identity', properties -> 'identity', 'message', format('role "%s" does not exist', g.role), 'partial', true)), '[]')
                    FROM (
                        SELECT DISTINCT e.value ->> 'role' AS role
                        FROM jsonb_array_elements(properties -> 'grants') AS e
                        WHERE e.value ->> 'grantee' <> '0' AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = e.value ->> 'role')) AS g);
            EXCEPTION WHEN OTHERS THEN
                is_blocked := is_blocked OR SQLSTATE = '2BP01';
                GET STACKED DIAGNOSTICS facts = PG_EXCEPTION_DETAIL;
                IF left(SQLSTATE, 2) NOT IN ('0A', '2B', '3F', '42') THEN
                    RAISE;
                ELSIF NOT is_last THEN
                    later := later || kept;
                ELSIF SQLSTATE = '2BP01' AND NOT kept ? 'early' THEN
                    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, DETAIL = facts, TABLE = properties ->> 'identity';
                ELSIF kept ? 'early' OR kept ? 'optional' OR SQLSTATE <> '42501' THEN
                    failed := failed || jsonb_build_object('label', kept -> 'label', 'identity', properties -> 'identity', 'message', SQLERRM, 'partial', false);
                ELSE
                    RAISE;
                END IF;
            END;
        END LOOP;
        IF jsonb_array_length(later) = jsonb_array_length(remaining) THEN
            IF are_dropped OR NOT is_blocked OR later -> 0 ? 'early' THEN
                is_last := true;
            ELSE
                are_dropped := true;
                restored := '[]';
                failed := '[]';
                remaining := (SELECT jsonb_agg(e.value) FROM jsonb_array_elements(everything) AS e WHERE e.value ->> 'kind' NOT IN ('TRIGGER', 'RULE') OR later @> jsonb_build_array(e.value));
                later := remaining;
                is_less := true;
                WHILE is_less LOOP
                    is_less := false;
                    FOR kept IN SELECT e.value FROM jsonb_array_elements(remaining) AS e WHERE e.value ->> 'kind' NOT IN ('TRIGGER', 'RULE')
                    LOOP
                        BEGIN
                            EXECUTE format('DROP %s %s', kept ->> 'kind', kept #>> '{properties,identity}');
                            is_less := true;
                        EXCEPTION WHEN OTHERS THEN
                            -- It does not exist, or something else depends on it, which is named when it cannot be restored.
                            IF left(SQLSTATE, 2) NOT IN ('2B', '3F', '42') THEN
                                RAISE;
                            END IF;
                        END;
                    END LOOP;
                END LOOP;
            END IF;
        END IF;
        remaining := later;
    END LOOP;
    PERFORM set_config('lfmigrate.restorable', restored::text, true);
    PERFORM set_config('lfmigrate.not_restored', failed::text, true);
END
$previous$
