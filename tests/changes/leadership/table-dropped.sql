-- expect: missing table program_resources
DROP TABLE program_resources;
