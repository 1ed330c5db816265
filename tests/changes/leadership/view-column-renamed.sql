-- expect: drifted view v_current_cost_categories: definition; column status_label; column label
ALTER VIEW v_current_cost_categories RENAME COLUMN status_label TO label;
