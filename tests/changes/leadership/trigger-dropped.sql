-- expect: drifted table cost_categories: trigger cost_categories_set_updated_at
DROP TRIGGER cost_categories_set_updated_at ON cost_categories;
