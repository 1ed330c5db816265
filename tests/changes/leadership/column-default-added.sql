-- expect: drifted table program_resources: column display_order
ALTER TABLE program_resources ALTER COLUMN display_order SET DEFAULT 1;
