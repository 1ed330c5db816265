-- expect: drifted table program_resources: sequence program_resources_id_seq
ALTER TABLE program_resources ALTER COLUMN id SET INCREMENT BY 2;
