-- Restore the definitions that views, routines, triggers and rules had before a migration replaced or dropped them.
--
-- The setting lfmigrate.previous has them as `engine.previous` has recorded them: a jsonb array. Whether one still exists does not
-- matter. Every name is qualified. As one may need another, what fails is tried again after the others; if that does not help, all
-- are dropped and re-created, because one may depend on the columns that another loses. With
--   early     only those that exist are restored, and none that fails: it is done once more after the down file
--   cascade   what depends on one that has to be dropped is dropped as well
--   optional  it is left out if it fails; otherwise that fails with the server's error, and what keeps it from being
--             dropped as well: the error then names it in its field "table name"
--
-- Leaves two settings: lfmigrate.restorable, a jsonb array of what restore_properties.sql restores, with the roles and schemas found by
-- name, because the oids of then may be others'; and lfmigrate.not_restored, a jsonb array of {label, identity, message}.
DO $previous$
DECLARE
    everything CONSTANT jsonb := current_setting('lfmigrate.previous')::jsonb;
    remaining jsonb := everything;
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
BEGIN
    WHILE jsonb_array_length(remaining) > 0 LOOP
        later := '[]';
        FOR kept IN SELECT r.value FROM jsonb_array_elements(remaining) AS r
        LOOP
            BEGIN
                properties := kept -> 'properties';
                IF kept ->> 'kind' IN ('TRIGGER', 'RULE') THEN
                    relation := to_regclass(kept ->> 'relation');
                    CONTINUE WHEN relation IS NULL OR kept ? 'early' AND NOT EXISTS (
                        SELECT FROM pg_trigger AS g WHERE g.tgrelid = relation AND g.tgname = kept ->> 'name' AND kept ->> 'kind' = 'TRIGGER'
                        UNION ALL
                        SELECT FROM pg_rewrite AS u WHERE u.ev_class = relation AND u.rulename = kept ->> 'name' AND kept ->> 'kind' = 'RULE');
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
            EXCEPTION WHEN OTHERS THEN
                is_blocked := is_blocked OR SQLSTATE = '2BP01';
                GET STACKED DIAGNOSTICS facts = PG_EXCEPTION_DETAIL;
                IF left(SQLSTATE, 2) NOT IN ('0A', '2B', '3F', '42') THEN
                    RAISE;
                ELSIF NOT is_last THEN
                    later := later || kept;
                ELSIF SQLSTATE = '2BP01' AND NOT kept ? 'early' THEN
                    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, DETAIL = facts, TABLE = properties ->> 'identity';
                ELSIF kept ? 'early' OR kept ? 'optional' THEN
                    failed := failed || jsonb_build_object('label', kept -> 'label', 'identity', properties -> 'identity', 'message', SQLERRM);
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
