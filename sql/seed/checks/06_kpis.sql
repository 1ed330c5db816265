-- A measure that repeats a category's utilization has its numbers; a percentage is in 0 to 100
--
-- Which measure repeats which category is listed here, as kpi_type and slug.

WITH repeated (kpi_type, slug) AS (VALUES
    ('avoidable_ed_visits_per_k', 'avoidable-ed-visits'),
    ('irf_admits_per_k', 'acute-rehab'),
    ('generic_dispensing_rate', 'generic-drugs')
)
SELECT period.period_key, kpi.kpi_type, wrong.problem
FROM efficiency_kpis AS kpi
JOIN performance_periods AS period ON period.id = kpi.period_id
LEFT JOIN repeated ON repeated.kpi_type = kpi.kpi_type
LEFT JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = repeated.slug
CROSS JOIN LATERAL (VALUES
    (repeated.slug IS NOT NULL
         AND (kpi.actual_value, kpi.aco_benchmark)
             IS DISTINCT FROM (category.utilization_actual, category.utilization_benchmark),
     format('%s against %s, and category %s has %s against %s', kpi.actual_value,
            kpi.aco_benchmark, repeated.slug, category.utilization_actual,
            category.utilization_benchmark)),
    (kpi.display_format = 'percent'
         AND NOT coalesce(kpi.actual_value BETWEEN 0 AND 100
                          AND coalesce(kpi.aco_benchmark, 0) BETWEEN 0 AND 100
                          AND coalesce(kpi.milliman_benchmark, 0) BETWEEN 0 AND 100, false),
     'a percentage is outside of 0 to 100')
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY period.start_date, period.period_key, kpi.display_order, kpi.kpi_type;
