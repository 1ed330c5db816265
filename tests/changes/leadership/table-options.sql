-- expect: drifted table program_resources: options
ALTER TABLE program_resources SET (fillfactor = 70);
