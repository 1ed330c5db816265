-- says: several denominators
UPDATE cost_categories SET total_categories = 30 WHERE slug = 'radiology';

-- says: rank 25 of 24
UPDATE efficiency_kpis SET aco_rank = 25 WHERE display_order = 1;

-- says: occurs 2 times
UPDATE cost_categories SET display_order = 1 WHERE display_order = 2;

-- says: this category is missing
UPDATE cost_categories SET slug = 'gone' WHERE slug = 'radiology' AND period_id = 2;

-- says: there are none
DELETE FROM efficiency_kpis WHERE period_id = 3;

-- says: rank 99 of 24
UPDATE cost_categories SET total_categories = NULL, aco_rank = 99 WHERE slug = 'acute-rehab';

-- says: occurs
UPDATE cost_category_drgs SET display_order = 1;
