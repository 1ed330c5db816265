-- says: its savings are 1.00
UPDATE recommendations SET estimated_savings = 1;

-- says: and it overspends
UPDATE recommendation_cost_categories SET impact_amount = 400000 WHERE impact_amount = 180000;

-- says: not of the active period
UPDATE performance_periods SET is_active = false;

-- says: touches 4 categories
INSERT INTO recommendation_cost_categories (recommendation_id, cost_category_id)
SELECT 1, id FROM cost_categories WHERE period_id = 1 AND slug LIKE '%radiology' UNION
SELECT 1, id FROM cost_categories WHERE period_id = 1 AND slug = 'lab-services';

-- says: no page of details
UPDATE recommendations SET has_program_details = false;
