-- says: variance amount
UPDATE performance_periods SET member_months = 46909 WHERE is_active;

-- says: variance amount is
UPDATE cost_categories SET spending_variance_amount = NULL;
