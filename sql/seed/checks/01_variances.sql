-- Variances follow from actual and benchmark, and their signs agree
--
-- Percentages are of the benchmark, to two decimals. The amount is the difference times the member
-- months of the period, to the cent; it is unknown exactly where the member months are.

SELECT period.period_key, category.slug, wrong.problem
FROM cost_categories AS category
JOIN performance_periods AS period ON period.id = category.period_id
CROSS JOIN LATERAL (
    SELECT category.spending_pmpm_actual - category.spending_pmpm_benchmark,
           category.utilization_actual - category.utilization_benchmark
) AS difference (pmpm, utilization)
CROSS JOIN LATERAL (VALUES
    (category.spending_variance_percent
         IS DISTINCT FROM round(100 * difference.pmpm
                                / nullif(category.spending_pmpm_benchmark, 0), 2),
     'the spending variance in percent does not follow from the PMPM'),
    (category.utilization_variance_percent
         IS DISTINCT FROM round(100 * difference.utilization
                                / nullif(category.utilization_benchmark, 0), 2),
     'the utilization variance in percent does not follow from the utilization'),
    (category.spending_variance_amount
         IS DISTINCT FROM round(difference.pmpm * period.member_months, 2),
     format('the variance amount is %s, and PMPM and member months give %s',
            coalesce(category.spending_variance_amount::text, 'unknown'),
            coalesce(round(difference.pmpm * period.member_months, 2)::text, 'an unknown one'))),
    (sign(category.spending_variance_amount) <> sign(category.spending_variance_percent),
     'amount and percentage of the variance have different signs')
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY period.start_date, period.period_key, category.display_order, category.slug;
