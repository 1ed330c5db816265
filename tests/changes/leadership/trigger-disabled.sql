-- expect: drifted table cost_categories: trigger cost_categories_set_updated_at
ALTER TABLE cost_categories DISABLE TRIGGER cost_categories_set_updated_at;
