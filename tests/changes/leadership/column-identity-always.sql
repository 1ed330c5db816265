-- expect: drifted table program_resources: column id
ALTER TABLE program_resources ALTER COLUMN id SET GENERATED ALWAYS;
