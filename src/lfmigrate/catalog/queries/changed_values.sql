-- How many values of a column would another type change, and how are they converted?
--
-- The setting lfmigrate.column is a column, of type text, of the table in lfmigrate.table; it has the values as COPY wrote
-- them. lfmigrate.old is the type that they had, or empty if only its definition has changed, and lfmigrate.new the type
-- that they get. The setting lfmigrate.changed becomes a jsonb object {rows, expression}: the number of values that would
-- not be the same afterwards, and what converts one; null if nothing does.
--
-- A type that was saved is used only if it is nothing but the name of a type.
DO $values$
DECLARE
    rows_of CONSTANT text := current_setting('lfmigrate.table');
    value CONSTANT text := current_setting('lfmigrate.column');
    as_new CONSTANT text := format(E'CAST(%s AS %s\n)', value, current_setting('lfmigrate.new'));
    old text := nullif(current_setting('lfmigrate.old'), '');
    as_old text;
    converted text;
    ways jsonb := '[]';
    way jsonb;
    one text;
    is_changed boolean;
    changed bigint;
BEGIN
    BEGIN
        IF to_regtype(old) IS NULL THEN
            old := NULL;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        old := NULL;
    END;
    IF old IS NOT NULL THEN
        as_old := format(E'CAST(%s AS %s\n)', value, old);
        converted := format(E'CAST(%s AS %s\n)', as_old, current_setting('lfmigrate.new'));
        -- By the casts between the types, or else by their texts.
        ways := jsonb_build_array(
            jsonb_build_array(converted, as_old, format(E'CAST(%s AS %s\n)', converted, old)),
            jsonb_build_array(as_new, as_old, format(E'CAST(%s::text AS %s\n)', as_new, old)));
    END IF;
    ways := ways || jsonb_build_array(jsonb_build_array(as_new, value, as_new || '::text'));
    FOR way IN SELECT w.value FROM jsonb_array_elements(ways) WITH ORDINALITY AS w (value, number) ORDER BY w.number LOOP
        BEGIN
            EXECUTE format('SELECT count(*) FROM %s WHERE %s IS DISTINCT FROM %s', rows_of, way ->> 1, way ->> 2) INTO changed;
        EXCEPTION
            -- There is no such cast, or no equality.
            WHEN cannot_coerce OR undefined_function THEN
                CONTINUE;
            -- A value is rejected; which ones are, shows only one by one.
            WHEN OTHERS THEN
                changed := 0;
                FOR one IN EXECUTE format('SELECT %s FROM %s WHERE %s IS NOT NULL', value, rows_of, value) LOOP
                    BEGIN
                        EXECUTE format('SELECT %s IS DISTINCT FROM %s FROM (SELECT $1::text AS %s) AS x', way ->> 1, way ->> 2, value)
                        INTO is_changed USING one;
                    EXCEPTION WHEN OTHERS THEN
                        is_changed := true;
                    END;
                    changed := changed + is_changed::int;
                END LOOP;
        END;
        PERFORM set_config('lfmigrate.changed', jsonb_build_object('rows', changed, 'expression', way ->> 0)::text, true);
        RETURN;
    END LOOP;
    EXECUTE format('SELECT count(%s) FROM %s', value, rows_of) INTO changed;
    PERFORM set_config('lfmigrate.changed', jsonb_build_object('rows', changed, 'expression', NULL)::text, true);
END
$values$
