-- expect: drifted table program_resources: replica identity
ALTER TABLE program_resources REPLICA IDENTITY FULL;
