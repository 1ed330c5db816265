-- expect: drifted view v_current_cost_categories: options
ALTER VIEW v_current_cost_categories SET (security_barrier);
