-- expect: drifted table program_resources: column author_role
ALTER TABLE program_resources DROP COLUMN author_role;
