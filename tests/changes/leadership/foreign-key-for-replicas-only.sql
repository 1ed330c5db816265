-- expect: drifted table program_resources: constraint program_resources_recommendation_id_fkey
DO $$
DECLARE
    off text;
BEGIN
    FOR off IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'program_resources'::regclass LOOP
        EXECUTE format('ALTER TABLE program_resources ENABLE REPLICA TRIGGER %I', off);
    END LOOP;
END
$$;
