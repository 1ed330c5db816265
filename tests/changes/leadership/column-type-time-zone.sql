-- expect: drifted table program_resources: column created_at
ALTER TABLE program_resources ALTER COLUMN created_at TYPE timestamp;
