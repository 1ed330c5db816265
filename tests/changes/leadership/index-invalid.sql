-- expect: drifted table recommendations: index recommendations_status_idx
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'recommendations_status_idx'::regclass;
