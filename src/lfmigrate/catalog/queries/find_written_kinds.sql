-- What do the objects of kinds.sql look like that are asked for, or that written.sql has found in this transaction?
--
-- As find_kinds.sql, but in a block, which plans a query only when it comes to it: nearly always, there are none.
DO $kinds$
DECLARE
    asked jsonb := current_setting('lfmigrate.asked_kinds')::jsonb;
    written jsonb := (
        SELECT coalesce(jsonb_agg(split_part(w.id, ':', 2)), '[]')
        FROM jsonb_to_recordset(current_setting('lfmigrate.written')::jsonb -> 'objects') AS w (id text)
        WHERE w.id !~ '^(pg_class|pg_proc|pg_type|pg_namespace|pg_extension):');
BEGIN
    asked := jsonb_build_object('names', asked -> 'names', 'oids', (asked -> 'oids') || written);
    PERFORM set_config('lfmigrate.asked_kinds', asked::text, true);
    PERFORM set_config('lfmigrate.kinds', '[]', true);
    IF asked <> '{"names": [], "oids": []}' THEN
        PERFORM set_config('lfmigrate.kinds', (
            -- include kinds_found.sql
        )::text, true);
    END IF;
END
$kinds$
