-- What a failed CREATE UNIQUE INDEX CONCURRENTLY would be, were it a constraint's.
-- expect: drifted table program_resources: constraint program_resources_pkey
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'program_resources_pkey'::regclass;
