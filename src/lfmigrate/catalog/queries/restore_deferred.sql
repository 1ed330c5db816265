-- Restore the defaults, triggers and rules of a view that call a function which was re-created after it.
--
-- The setting lfmigrate.recreated has what recreated_properties.sql found, with what restore_properties.sql left to do as
-- `deferred`. What the view's file has stated meanwhile counts.
DO $restore$
DECLARE
    kept CONSTANT jsonb := current_setting('lfmigrate.recreated')::jsonb;
    object_oid CONSTANT oid := coalesce(
        (SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = (kept ->> 'namespace')::oid AND c.relname = kept ->> 'name'),
        to_regclass(kept ->> 'identity')::oid);
    object_name CONSTANT text := object_oid::regclass::text;
    item jsonb;
    is_there boolean;
    has_comment boolean;
BEGIN
    FOR item, is_there, has_comment IN
        SELECT d.value, p.oid IS NOT NULL, obj_description(p.oid, p.catalog) IS NOT NULL
        FROM jsonb_array_elements(kept -> 'deferred') AS d
        LEFT JOIN (
            SELECT 'DEFAULT' AS kind, t.attname AS name, f.oid, 'pg_attrdef' AS catalog
            FROM pg_attrdef AS f JOIN pg_attribute AS t ON t.attrelid = f.adrelid AND t.attnum = f.adnum
            WHERE f.adrelid = object_oid
            UNION ALL
            SELECT 'TRIGGER', t.tgname, t.oid, 'pg_trigger' FROM pg_trigger AS t WHERE t.tgrelid = object_oid
            UNION ALL
            SELECT 'RULE', r.rulename, r.oid, 'pg_rewrite' FROM pg_rewrite AS r WHERE r.ev_class = object_oid) AS p
            ON p.kind = d.value ->> 'kind' AND p.name = d.value ->> 'name'
    LOOP
        BEGIN
            IF is_there THEN
                NULL;
            ELSIF item ->> 'kind' = 'DEFAULT' THEN
                EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', object_name, item ->> 'name', item ->> 'definition');
            ELSE
                EXECUTE item ->> 'definition';
            END IF;
            IF item ->> 'comment' IS NOT NULL AND NOT has_comment THEN
                EXECUTE format('COMMENT ON %s %I ON %s IS %L', item ->> 'kind', item ->> 'name', object_name, item ->> 'comment');
            END IF;
        EXCEPTION WHEN undefined_function THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE,
                MESSAGE = format('%s "%s" of view "%s" cannot be restored: %s', CASE item ->> 'kind' WHEN 'DEFAULT' THEN 'the default of column' ELSE lower(item ->> 'kind') END, item ->> 'name', kept ->> 'name', SQLERRM),
                HINT = 'Drop it in an earlier migration; the view''s file can create it again.';
        END;
    END LOOP;
END
$restore$
