-- expect: drifted table program_resources: constraint program_resources_recommendation_id_fkey
ALTER TABLE program_resources DISABLE TRIGGER ALL;
