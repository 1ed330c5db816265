-- since: 18
-- expect: drifted table cost_category_hospitals: column discharges; constraint discharges_known
ALTER TABLE cost_category_hospitals ADD CONSTRAINT discharges_known NOT NULL discharges NOT VALID;
