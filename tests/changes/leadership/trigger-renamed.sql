-- expect: drifted table cost_categories: trigger cost_categories_set_updated_at; trigger stamp
ALTER TRIGGER cost_categories_set_updated_at ON cost_categories RENAME TO stamp;
