-- Change, direction and comparison follow from a metric's values; the savings from the variances
--
-- The savings opportunity is the sum of the positive variances, and the sum of the overspending
-- opportunities that are shown.

WITH overspent AS (
    SELECT period.id,
           coalesce((SELECT sum(category.spending_variance_amount)
                     FROM cost_categories AS category
                     WHERE category.period_id = period.id
                       AND category.spending_variance_amount > 0), 0) AS by_categories,
           coalesce((SELECT sum(opportunity.amount_variance)
                     FROM cost_opportunities AS opportunity
                     WHERE opportunity.period_id = period.id
                       AND opportunity.opportunity_type = 'overspending'
                       AND opportunity.show_on_dashboard), 0) AS shown
    FROM performance_periods AS period
)
SELECT period.period_key, metric.metric_type, wrong.problem
FROM performance_metrics AS metric
JOIN performance_periods AS period ON period.id = metric.period_id
JOIN overspent ON overspent.id = period.id
CROSS JOIN LATERAL (VALUES
    (metric.change_percent
         IS DISTINCT FROM round(100 * (metric.current_value - metric.previous_value)
                                / nullif(metric.previous_value, 0), 2),
     'the change in percent does not follow from the values'),
    (metric.change_direction
         IS DISTINCT FROM (ARRAY['down', 'flat', 'up'])
                          [2 + sign(metric.current_value - metric.previous_value)::integer],
     format('it went from %s to %s, and the direction is "%s"', metric.previous_value,
            metric.current_value, metric.change_direction)),
    (metric.is_above_benchmark
         IS DISTINCT FROM (sign(metric.current_value - metric.benchmark_value) = 1),
     'is_above_benchmark does not follow from the values'),
    (metric.metric_type = 'cost_savings_opportunity'
         AND metric.current_value <> overspent.by_categories,
     format('it is %s, and the positive variances add up to %s', metric.current_value,
            overspent.by_categories)),
    (metric.metric_type = 'cost_savings_opportunity' AND metric.current_value <> overspent.shown,
     format('it is %s, and the overspending opportunities that are shown add up to %s',
            metric.current_value, overspent.shown))
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY period.start_date, period.period_key, metric.id;
