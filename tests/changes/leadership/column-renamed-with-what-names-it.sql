-- expect: drifted table cost_categories: column slug; constraint cost_categories_slug_check; constraint cost_categories_slug_period_id_key; column handle
-- expect: drifted view v_current_cost_categories: definition
-- expect: drifted view v_recommendations_with_categories: definition
ALTER TABLE cost_categories RENAME COLUMN slug TO handle;
