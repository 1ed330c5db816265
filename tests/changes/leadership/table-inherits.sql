-- expect: drifted table program_resources: inherits
CREATE TABLE thing (title varchar(255));
ALTER TABLE program_resources INHERIT thing;
