-- Restore the properties of a view that was dropped and re-created.
--
-- These are what drop_view.sql saved: owner, options, grants, comments, column defaults, triggers and
-- rules. Comments, defaults, triggers and rules that the view's file has set are kept; properties of columns that no longer exist are lost.
DO $restore$
DECLARE
    view_name CONSTANT text := format('%I.%I', current_setting('lfmigrate.view_schema'), current_setting('lfmigrate.view_name'));
    view_oid CONSTANT oid := to_regclass(view_name);
    kept CONSTANT jsonb := current_setting('lfmigrate.view_kept')::jsonb;
    item jsonb;
    statement text;
BEGIN
    FOR statement IN SELECT option FROM jsonb_array_elements_text(CASE jsonb_typeof(kept -> 'options') WHEN 'array' THEN kept -> 'options' ELSE '[]' END) AS o (option)
    LOOP
        EXECUTE format('ALTER VIEW %s SET (%s)', view_name, statement);
    END LOOP;
    IF kept ->> 'comment' IS NOT NULL AND obj_description(view_oid, 'pg_class') IS NULL THEN
        EXECUTE format('COMMENT ON VIEW %s IS %L', view_name, kept ->> 'comment');
    END IF;
    FOR item IN
        SELECT old.value
        FROM jsonb_array_elements(kept -> 'columns') AS old
        JOIN pg_attribute AS t ON t.attrelid = view_oid AND t.attname = old.value ->> 'name'
    LOOP
        IF item ->> 'comment' IS NOT NULL AND col_description(view_oid, (SELECT t.attnum FROM pg_attribute AS t WHERE t.attrelid = view_oid AND t.attname = item ->> 'name')) IS NULL THEN
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', view_name, item ->> 'name', item ->> 'comment');
        END IF;
        IF item ->> 'default' IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attrdef AS d JOIN pg_attribute AS t ON t.attrelid = d.adrelid AND t.attnum = d.adnum WHERE d.adrelid = view_oid AND t.attname = item ->> 'name') THEN
            EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view_name, item ->> 'name', item ->> 'default');
        END IF;
    END LOOP;
    FOR item IN SELECT p.value FROM jsonb_array_elements(kept -> 'triggers') AS p
    LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = view_oid AND t.tgname = item ->> 'name') THEN
            EXECUTE item ->> 'definition';
        END IF;
        IF item ->> 'comment' IS NOT NULL AND (SELECT obj_description(t.oid, 'pg_trigger') FROM pg_trigger AS t WHERE t.tgrelid = view_oid AND t.tgname = item ->> 'name') IS NULL THEN
            EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', item ->> 'name', view_name, item ->> 'comment');
        END IF;
    END LOOP;
    FOR item IN SELECT p.value FROM jsonb_array_elements(kept -> 'rules') AS p
    LOOP
        IF NOT EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = view_oid AND r.rulename = item ->> 'name') THEN
            EXECUTE item ->> 'definition';
        END IF;
        IF item ->> 'comment' IS NOT NULL AND (SELECT obj_description(r.oid, 'pg_rewrite') FROM pg_rewrite AS r WHERE r.ev_class = view_oid AND r.rulename = item ->> 'name') IS NULL THEN
            EXECUTE format('COMMENT ON RULE %I ON %s IS %L', item ->> 'name', view_name, item ->> 'comment');
        END IF;
    END LOOP;
    FOR item IN
        SELECT g.value
        FROM jsonb_array_elements(kept -> 'grants') AS g
        WHERE g.value ->> 'column' IS NULL
           OR EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = view_oid AND t.attname = g.value ->> 'column')
    LOOP
        EXECUTE format('GRANT %s%s ON %s TO %s%s', item ->> 'privilege', CASE WHEN item ->> 'column' IS NOT NULL THEN format(' (%I)', item ->> 'column') ELSE '' END, view_name, item ->> 'grantee', CASE WHEN (item ->> 'grantable')::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    -- Last, because the current role may not be a member of the owner's.
    IF kept ->> 'owner' IS NOT NULL THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', view_name, kept ->> 'owner');
    END IF;
END
$restore$
