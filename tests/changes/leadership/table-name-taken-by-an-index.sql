-- expect: missing table program_resources
ALTER TABLE program_resources RENAME TO resources;
CREATE INDEX program_resources ON resources (title);
