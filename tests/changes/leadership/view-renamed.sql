-- expect: missing view v_current_cost_categories
ALTER VIEW v_current_cost_categories RENAME TO v_current;
