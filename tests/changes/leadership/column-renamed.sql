-- expect: drifted table program_resources: column author_role; column author_position
ALTER TABLE program_resources RENAME COLUMN author_role TO author_position;
