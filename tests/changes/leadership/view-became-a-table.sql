-- expect: drifted table v_current_cost_categories: kind; definition
CREATE TABLE copied AS SELECT * FROM v_current_cost_categories;
DROP VIEW v_current_cost_categories;
ALTER TABLE copied RENAME TO v_current_cost_categories;
