-- Categories add up to the PMPM, the PMPM to the total cost, the patients to the member months
--
-- Actual and benchmark each. Member months may be 5 % off patients times months, because patients
-- come and go within a period.

WITH summed AS (
    SELECT period.id, period.period_key, period.start_date, period.member_months,
           12 * extract(year FROM age(period.end_date + 1, period.start_date))
               + extract(month FROM age(period.end_date + 1, period.start_date)) AS months,
           (SELECT sum(category.spending_pmpm_actual)
            FROM cost_categories AS category WHERE category.period_id = period.id) AS pmpm,
           (SELECT sum(category.spending_pmpm_benchmark)
            FROM cost_categories AS category WHERE category.period_id = period.id) AS benchmark
    FROM performance_periods AS period
)
SELECT summed.period_key, metric.metric_type, wrong.problem
FROM summed
JOIN performance_metrics AS metric ON metric.period_id = summed.id
LEFT JOIN performance_metrics AS cost_pmpm
     ON cost_pmpm.period_id = summed.id AND cost_pmpm.metric_type = 'cost_pmpm'
CROSS JOIN LATERAL (VALUES
    (metric.metric_type = 'cost_pmpm' AND metric.current_value IS DISTINCT FROM summed.pmpm,
     format('it is %s, and the categories add up to %s', metric.current_value, summed.pmpm)),
    (metric.metric_type = 'cost_pmpm' AND metric.benchmark_value IS DISTINCT FROM summed.benchmark,
     format('its benchmark is %s, and those of the categories add up to %s',
            metric.benchmark_value, summed.benchmark)),
    (metric.metric_type = 'total_cost'
         AND metric.current_value IS DISTINCT FROM cost_pmpm.current_value * summed.member_months,
     format('it is %s, and PMPM and member months give %s', metric.current_value,
            cost_pmpm.current_value * summed.member_months)),
    (metric.metric_type = 'total_cost'
         AND metric.benchmark_value
             IS DISTINCT FROM cost_pmpm.benchmark_value * summed.member_months,
     format('its benchmark is %s, and PMPM and member months give %s', metric.benchmark_value,
            cost_pmpm.benchmark_value * summed.member_months)),
    (metric.metric_type = 'patient_count'
         AND NOT coalesce(abs(summed.member_months - metric.current_value * summed.months)
                          <= 0.05 * metric.current_value * summed.months, false),
     format('%s patients in %s months are far from %s member months',
            trim_scale(metric.current_value), summed.months, summed.member_months))
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY summed.start_date, summed.period_key, metric.id;
