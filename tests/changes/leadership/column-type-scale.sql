-- expect: drifted table cost_category_hospitals: column spend
ALTER TABLE cost_category_hospitals ALTER COLUMN spend TYPE numeric(14,3);
