-- expect: missing view v_current_cost_categories
DROP VIEW v_current_cost_categories;
