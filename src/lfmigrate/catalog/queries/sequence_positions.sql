-- Where are the sequences that the role may set?
--
-- The setting lfmigrate.sequences is a jsonb array of the oids to ask for, or null for all. The setting
-- lfmigrate.positions becomes a jsonb object of oid -> {name, value, called, step}. That of lfmigrate's history is left
-- out.
-- Reading a sequence locks it to the end of the transaction, and thousands would fill the server's lock table: each
-- is read in a block that is rolled back, which releases its lock. Variables keep what they have.
DO $positions$
DECLARE
    chosen CONSTANT jsonb := nullif(current_setting('lfmigrate.sequences')::jsonb, 'null');
    oids text[] := '{}';
    positions jsonb[] := '{}';
    found record;
    last_number bigint;
    called boolean;
BEGIN
    FOR found IN
        SELECT c.oid, n.nspname, c.relname, s.seqincrement
        FROM pg_sequence AS s
        JOIN pg_class AS c ON c.oid = s.seqrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relpersistence <> 't'
            AND has_schema_privilege(n.oid, 'USAGE')
            -- The planner may filter before it joins, and the functions fail for other relations.
            AND CASE c.relkind WHEN 'S' THEN
                has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE')
            END
            AND NOT EXISTS (
                SELECT
                FROM pg_depend AS d
                JOIN pg_class AS t ON t.oid = d.refobjid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                    AND t.relname = 'lfmigrate_history'
            )
            AND (chosen IS NULL OR chosen ? c.oid::text)
        ORDER BY n.nspname, c.relname
    LOOP
        BEGIN
            EXECUTE format('SELECT last_value, is_called FROM %I.%I', found.nspname, found.relname) INTO last_number, called;
            RAISE EXCEPTION USING ERRCODE = 'LF004';
        EXCEPTION
            WHEN SQLSTATE 'LF004' THEN
                oids := oids || found.oid::text;
                positions := positions || jsonb_build_object(
                    'name', format('%I.%I', found.nspname, found.relname), 'value', last_number, 'called', called,
                    'step', found.seqincrement);
            -- Another session has dropped it meanwhile.
            WHEN undefined_table THEN
                NULL;
        END;
    END LOOP;
    PERFORM set_config('lfmigrate.positions',
        (SELECT coalesce(jsonb_object_agg(p.id, p.position), '{}') FROM unnest(oids, positions) AS p (id, position))::text, true);
END
$positions$
