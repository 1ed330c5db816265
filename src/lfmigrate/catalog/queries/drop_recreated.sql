-- Drop the views, materialized views and routines that recreated.sql has found.
--
-- In an order that the server allows, because one may depend on the other: what cannot be dropped yet is tried again
-- after the others. What depends on them otherwise fails with the server's error.
DO $drop$
DECLARE
    remaining jsonb := current_setting('lfmigrate.recreated')::jsonb;
    later jsonb;
    item jsonb;
    is_last boolean := false;
BEGIN
    WHILE jsonb_array_length(remaining) > 0 LOOP
        later := '[]';
        FOR item IN SELECT r.value FROM jsonb_array_elements(remaining) AS r
        LOOP
            BEGIN
                EXECUTE format('DROP %s %s', item ->> 'kind', CASE item ->> 'kind' WHEN 'ROUTINE' THEN (item ->> 'oid')::oid::regprocedure::text ELSE (item ->> 'oid')::oid::regclass::text END);
            EXCEPTION WHEN dependent_objects_still_exist THEN
                IF is_last THEN
                    RAISE;
                END IF;
                later := later || item;
            END;
        END LOOP;
        is_last := jsonb_array_length(later) = jsonb_array_length(remaining);
        remaining := later;
    END LOOP;
END
$drop$
