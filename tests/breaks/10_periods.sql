-- says: which lies within
UPDATE performance_periods SET member_months = 40000 WHERE period_key = 'last_12_months';

-- says: categories' trends give
UPDATE cost_categories SET trend_percent = 20 WHERE slug = 'other-services';
