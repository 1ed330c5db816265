-- expect: drifted table cost_category_hospitals: column discharges
ALTER TABLE cost_category_hospitals ALTER COLUMN discharges SET NOT NULL;
