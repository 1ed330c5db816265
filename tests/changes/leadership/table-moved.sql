-- expect: missing table program_resources
CREATE SCHEMA elsewhere;
ALTER TABLE program_resources SET SCHEMA elsewhere;
