-- says: should be red
UPDATE cost_categories SET performance_status = 'green' WHERE slug = 'ip-surgical';

-- says: is_opportunity is f
UPDATE cost_categories SET is_opportunity = false WHERE slug = 'ip-surgical';

-- says: is_strength is f
UPDATE cost_categories SET is_strength = false;
