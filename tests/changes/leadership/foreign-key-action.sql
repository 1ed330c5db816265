-- expect: drifted table program_resources: constraint program_resources_recommendation_id_fkey
ALTER TABLE program_resources
    DROP CONSTRAINT program_resources_recommendation_id_fkey,
    ADD CONSTRAINT program_resources_recommendation_id_fkey
        FOREIGN KEY (recommendation_id) REFERENCES recommendations (id) ON DELETE RESTRICT;
