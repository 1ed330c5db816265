-- A period that contains another costs at least as much; the trends give the change of the PMPM
--
-- Cost is PMPM times member months, for every category. The change may be 0.02 off, because both
-- the year before and the percentage are rounded.

SELECT outer_period.period_key, inside.slug AS subject,
       format('it costs %s, and in %s, which lies within, %s', whole.cost, inner_period.period_key,
              part.cost) AS problem
FROM performance_periods AS outer_period
JOIN performance_periods AS inner_period
     ON inner_period.id <> outer_period.id
        AND inner_period.start_date >= outer_period.start_date
        AND inner_period.end_date <= outer_period.end_date
JOIN cost_categories AS inside ON inside.period_id = inner_period.id
JOIN cost_categories AS outside
     ON outside.period_id = outer_period.id AND outside.slug = inside.slug
CROSS JOIN LATERAL (
    SELECT outside.spending_pmpm_actual * outer_period.member_months
) AS whole (cost)
CROSS JOIN LATERAL (
    SELECT inside.spending_pmpm_actual * inner_period.member_months
) AS part (cost)
WHERE whole.cost < part.cost
UNION ALL
SELECT period.period_key, metric.metric_type,
       format('it changed by %s %%, and the categories'' trends give %s %%', metric.change_percent,
              before.change)
FROM performance_periods AS period
JOIN performance_metrics AS metric
     ON metric.period_id = period.id AND metric.metric_type = 'cost_pmpm'
CROSS JOIN LATERAL (
    SELECT round(100 * (sum(category.spending_pmpm_actual)
                        / nullif(sum(category.spending_pmpm_actual
                                     / nullif(1 + category.trend_percent / 100, 0)), 0) - 1), 2)
    FROM cost_categories AS category
    WHERE category.period_id = period.id
    HAVING bool_and(category.trend_percent IS NOT NULL)
) AS before (change)
WHERE NOT coalesce(abs(metric.change_percent - before.change) <= 0.02, false)
ORDER BY 1, 2, 3;
