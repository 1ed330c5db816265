-- since: 17
-- expect: drifted table cost_category_drgs: column avg_spend_per_patient
ALTER TABLE cost_category_drgs ALTER COLUMN avg_spend_per_patient
    SET EXPRESSION AS (round(total_spend / patient_count, 2));
