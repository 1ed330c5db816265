-- expect: ok
CREATE TABLE special () INHERITS (program_resources);
