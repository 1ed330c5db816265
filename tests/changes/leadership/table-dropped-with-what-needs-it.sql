-- expect: missing table cost_categories
-- expect: missing view v_current_cost_categories
-- expect: missing view v_recommendations_with_categories
-- expect: drifted table recommendation_cost_categories: constraint recommendation_cost_categories_cost_category_id_fkey
-- expect: drifted table cost_opportunities: constraint cost_opportunities_cost_category_id_period_id_fkey
-- expect: drifted table cost_category_hospitals: constraint cost_category_hospitals_cost_category_id_fkey
-- expect: drifted table cost_category_drgs: constraint cost_category_drgs_cost_category_id_fkey
-- expect: drifted table cost_category_discharging_hospitals: constraint cost_category_discharging_hospitals_cost_category_id_fkey
DROP TABLE cost_categories CASCADE;
