-- v_current_cost_categories: the cost categories of the active period
--
-- What:  One row per category, every column of cost_categories and three more. No rows while no
--        period is active.
--
-- Why:   The dashboard's first page asks for just this, and should not have to know how the active
--        period is found or what its colours are called.
--
-- The columns are listed one by one. A "*" is expanded when the view is created and would then make
-- the next CREATE OR REPLACE fail, which can only add columns at the end.

CREATE OR REPLACE VIEW v_current_cost_categories AS
SELECT category.id,
       category.slug,
       category.category_name,
       category.period_id,
       category.spending_pmpm_actual,
       category.spending_pmpm_benchmark,
       category.spending_variance_amount,
       category.spending_variance_percent,
       category.trend_percent,
       category.utilization_actual,
       category.utilization_benchmark,
       category.utilization_variance_percent,
       category.utilization_unit,
       category.performance_status,
       category.is_opportunity,
       category.is_strength,
       category.aco_rank,
       category.total_categories,
       category.description,
       category.display_order,
       category.created_at,
       category.updated_at,
       period.period_label,
       period.period_key,
       CASE category.performance_status
           WHEN 'green'  THEN 'Efficient'
           WHEN 'yellow' THEN 'Watch'
           WHEN 'red'    THEN 'Priority'
           ELSE 'Unknown'
       END AS status_label
FROM cost_categories AS category
JOIN performance_periods AS period ON period.id = category.period_id
WHERE period.is_active;

COMMENT ON VIEW v_current_cost_categories IS
    'The cost categories of the active period, one row each, with the period''s names and a '
    'status label. Not sorted: order by display_order.';

COMMENT ON COLUMN v_current_cost_categories.id IS
    'Surrogate key: one category in one period.';
COMMENT ON COLUMN v_current_cost_categories.slug IS
    'Stable name for programs and addresses, kebab case, such as acute-rehab. The same in every '
    'period.';
COMMENT ON COLUMN v_current_cost_categories.category_name IS
    'Name of the service line for people.';
COMMENT ON COLUMN v_current_cost_categories.period_id IS
    'The period that the numbers are of.';
COMMENT ON COLUMN v_current_cost_categories.spending_pmpm_actual IS
    'What was spent: dollars per member per month, over the member months of the whole '
    'population, so that the categories add up.';
COMMENT ON COLUMN v_current_cost_categories.spending_pmpm_benchmark IS
    'What would have been expected: dollars per member per month.';
COMMENT ON COLUMN v_current_cost_categories.spending_variance_amount IS
    'Dollars of the whole period: (actual - benchmark) * member months. Positive = overspent. '
    'NULL = member months unknown.';
COMMENT ON COLUMN v_current_cost_categories.spending_variance_percent IS
    'Derived, percent: (actual - benchmark) / benchmark * 100 of the PMPM. Positive = overspent. '
    'NULL if the benchmark is 0 or the result is 9,999,900 or more.';
COMMENT ON COLUMN v_current_cost_categories.trend_percent IS
    'Percent: the change of the actual PMPM against the year before.';
COMMENT ON COLUMN v_current_cost_categories.utilization_actual IS
    'How much was used, in utilization_unit.';
COMMENT ON COLUMN v_current_cost_categories.utilization_benchmark IS
    'How much use would have been expected, in utilization_unit.';
COMMENT ON COLUMN v_current_cost_categories.utilization_variance_percent IS
    'Derived, percent: (actual - benchmark) / benchmark * 100 of the utilization. NULL if the '
    'benchmark is 0 or the result is 9,999,900 or more.';
COMMENT ON COLUMN v_current_cost_categories.utilization_unit IS
    'Unit of the utilization, lower snake case, such as admits_per_k (admissions per 1,000 '
    'members and year). An open list.';
COMMENT ON COLUMN v_current_cost_categories.performance_status IS
    'Traffic light of the spending variance: red = above the benchmark, yellow = near it, green = '
    'below it.';
COMMENT ON COLUMN v_current_cost_categories.is_opportunity IS
    'Whether to show the category as a place to save. Never together with is_strength.';
COMMENT ON COLUMN v_current_cost_categories.is_strength IS
    'Whether to show the category as something that goes well. Never together with is_opportunity.';
COMMENT ON COLUMN v_current_cost_categories.aco_rank IS
    'This practice''s place among the practices of the ACO for this category, 1 = best. NULL = '
    'not ranked.';
COMMENT ON COLUMN v_current_cost_categories.total_categories IS
    'Denominator of aco_rank: how many practices are ranked (not how many categories there are). '
    'NULL = unknown.';
COMMENT ON COLUMN v_current_cost_categories.description IS
    'What the category covers, in a sentence or two.';
COMMENT ON COLUMN v_current_cost_categories.display_order IS
    'Place in the list of the period''s categories, ascending.';
COMMENT ON COLUMN v_current_cost_categories.created_at IS
    'When the row was inserted.';
COMMENT ON COLUMN v_current_cost_categories.updated_at IS
    'When the row was last written.';
COMMENT ON COLUMN v_current_cost_categories.period_label IS
    'Name of the active period for people.';
COMMENT ON COLUMN v_current_cost_categories.period_key IS
    'Name of the active period for programs.';
COMMENT ON COLUMN v_current_cost_categories.status_label IS
    'performance_status in a word: green Efficient, yellow Watch, red Priority, anything else '
    'Unknown. What to save is in is_opportunity.';
