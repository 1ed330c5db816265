-- expect: drifted table program_resources: persistence
ALTER TABLE program_resources SET UNLOGGED;
