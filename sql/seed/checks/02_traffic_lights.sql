-- Red is above +3 %, green below -3 %, yellow between; red is an opportunity, green a strength
--
-- Compared with the PMPM themselves, because the stored percentage is rounded.

SELECT period.period_key, category.slug, wrong.problem
FROM cost_categories AS category
JOIN performance_periods AS period ON period.id = category.period_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN category.spending_pmpm_actual > 1.03 * category.spending_pmpm_benchmark
                THEN 'red'
                WHEN category.spending_pmpm_actual < 0.97 * category.spending_pmpm_benchmark
                THEN 'green'
                ELSE 'yellow'
           END
) AS expected (status)
CROSS JOIN LATERAL (VALUES
    (category.performance_status <> expected.status,
     format('%s, and at %s %% it should be %s', category.performance_status,
            category.spending_variance_percent, expected.status)),
    (category.is_opportunity <> (expected.status = 'red'),
     format('is_opportunity is %s, and it should be %s', category.is_opportunity,
            expected.status = 'red')),
    (category.is_strength <> (expected.status = 'green'),
     format('is_strength is %s, and it should be %s', category.is_strength,
            expected.status = 'green'))
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY period.start_date, period.period_key, category.display_order, category.slug;
