-- Ranks stay within one denominator per period, orders are unique, every period has the same slugs
--
-- Orders are those of categories, measures and opportunities within a period, and of drill-downs
-- within a category. Every period has metrics, categories and efficiency measures.

WITH denominator AS (
    SELECT category.period_id, min(category.total_categories) AS least,
           max(category.total_categories) AS most
    FROM cost_categories AS category
    GROUP BY category.period_id
), place AS (
    SELECT 'cost_categories' AS list, category.period_id, category.display_order
    FROM cost_categories AS category
    UNION ALL
    SELECT 'efficiency_kpis', kpi.period_id, kpi.display_order
    FROM efficiency_kpis AS kpi
    UNION ALL
    SELECT 'cost_opportunities', opportunity.period_id, opportunity.display_order
    FROM cost_opportunities AS opportunity
    UNION ALL
    SELECT 'hospitals of ' || category.slug, category.period_id, hospital.display_order
    FROM cost_category_hospitals AS hospital
    JOIN cost_categories AS category ON category.id = hospital.cost_category_id
    UNION ALL
    SELECT 'DRGs of ' || category.slug, category.period_id, drg.display_order
    FROM cost_category_drgs AS drg
    JOIN cost_categories AS category ON category.id = drg.cost_category_id
    UNION ALL
    SELECT 'discharging hospitals of ' || category.slug, category.period_id,
           hospital.display_order
    FROM cost_category_discharging_hospitals AS hospital
    JOIN cost_categories AS category ON category.id = hospital.cost_category_id
), problem (period_id, subject, problem) AS (
    SELECT denominator.period_id, 'cost_categories',
           format('there are several denominators, from %s to %s', denominator.least,
                  denominator.most)
    FROM denominator
    WHERE denominator.least <> denominator.most
    UNION ALL
    SELECT category.period_id, category.slug,
           format('rank %s of %s', category.aco_rank,
                  coalesce(category.total_categories, denominator.most))
    FROM cost_categories AS category
    JOIN denominator ON denominator.period_id = category.period_id
    WHERE category.aco_rank
          NOT BETWEEN 1 AND coalesce(category.total_categories, denominator.most)
    UNION ALL
    SELECT kpi.period_id, kpi.kpi_type, format('rank %s of %s', kpi.aco_rank, denominator.most)
    FROM efficiency_kpis AS kpi
    JOIN denominator ON denominator.period_id = kpi.period_id
    WHERE kpi.aco_rank NOT BETWEEN 1 AND denominator.most
    UNION ALL
    SELECT place.period_id, place.list,
           format('display_order %s occurs %s times', place.display_order, count(*))
    FROM place
    WHERE place.display_order IS NOT NULL
    GROUP BY place.period_id, place.list, place.display_order
    HAVING count(*) > 1
    UNION ALL
    SELECT period.id, slug.slug, 'this category is missing, which other periods have'
    FROM performance_periods AS period
    CROSS JOIN (SELECT DISTINCT category.slug FROM cost_categories AS category) AS slug
    WHERE NOT EXISTS (SELECT FROM cost_categories AS category
                      WHERE category.period_id = period.id AND category.slug = slug.slug)
    UNION ALL
    SELECT period.id, list.name, 'there are none'
    FROM performance_periods AS period
    CROSS JOIN LATERAL (VALUES
        ('performance_metrics',
         EXISTS (SELECT FROM performance_metrics AS x WHERE x.period_id = period.id)),
        ('cost_categories',
         EXISTS (SELECT FROM cost_categories AS x WHERE x.period_id = period.id)),
        ('efficiency_kpis',
         EXISTS (SELECT FROM efficiency_kpis AS x WHERE x.period_id = period.id))
    ) AS list (name, present)
    WHERE NOT list.present
)
SELECT period.period_key, problem.subject, problem.problem
FROM problem
JOIN performance_periods AS period ON period.id = problem.period_id
ORDER BY period.start_date, period.period_key, problem.subject, problem.problem;
