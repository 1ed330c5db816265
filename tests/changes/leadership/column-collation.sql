-- expect: drifted table program_resources: column author
ALTER TABLE program_resources ALTER COLUMN author TYPE varchar(255) COLLATE "C";
