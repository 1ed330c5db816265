-- since: 15
-- expect: drifted table cost_category_drgs: constraint cost_category_drgs_cost_category_id_drg_code_key
ALTER TABLE cost_category_drgs
    DROP CONSTRAINT cost_category_drgs_cost_category_id_drg_code_key,
    ADD CONSTRAINT cost_category_drgs_cost_category_id_drg_code_key
        UNIQUE NULLS NOT DISTINCT (cost_category_id, drg_code);
