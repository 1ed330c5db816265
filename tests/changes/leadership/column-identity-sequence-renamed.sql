-- expect: drifted table program_resources: sequence program_resources_id_seq; sequence elsewhere
ALTER SEQUENCE program_resources_id_seq RENAME TO elsewhere;
