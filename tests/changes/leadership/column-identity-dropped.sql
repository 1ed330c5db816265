-- expect: drifted table program_resources: column id; sequence program_resources_id_seq
ALTER TABLE program_resources ALTER COLUMN id DROP IDENTITY;
