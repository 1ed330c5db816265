-- Impacts add up to the savings, no category is promised more than it overspends, details fit
--
-- A recommendation touches three categories at the most, all of them of the active period. Impacts
-- that are not quantified add nothing, and a recommendation whose savings are unknown has none
-- that are. Resources belong to recommendations that have a page of details.

WITH link AS (
    SELECT link.recommendation_id, link.impact_amount, category.slug, category.id AS category_id,
           category.spending_variance_amount, period.period_key, period.is_active
    FROM recommendation_cost_categories AS link
    JOIN cost_categories AS category ON category.id = link.cost_category_id
    JOIN performance_periods AS period ON period.id = category.period_id
)
SELECT 'recommendation' AS kind, recommendation.title AS name, wrong.problem
FROM recommendations AS recommendation
CROSS JOIN LATERAL (
    SELECT count(*) AS categories, count(*) FILTER (WHERE NOT link.is_active) AS inactive,
           sum(link.impact_amount) AS impact
    FROM link
    WHERE link.recommendation_id = recommendation.id
) AS touched
CROSS JOIN LATERAL (VALUES
    (recommendation.estimated_savings IS DISTINCT FROM touched.impact,
     format('its savings are %s, and its impacts add up to %s',
            coalesce(recommendation.estimated_savings::text, 'unknown'),
            coalesce(touched.impact::text, 'nothing'))),
    (touched.categories > 3, format('it touches %s categories', touched.categories)),
    (touched.inactive > 0,
     format('%s of its categories are not of the active period', touched.inactive)),
    (NOT recommendation.has_program_details
         AND EXISTS (SELECT FROM program_resources AS resource
                     WHERE resource.recommendation_id = recommendation.id),
     'it has resources, and no page of details')
) AS wrong (found, problem)
WHERE wrong.found
UNION ALL
SELECT 'category', format('%s in %s', link.slug, link.period_key),
       format('%s are promised, and it overspends %s', sum(link.impact_amount),
              coalesce(link.spending_variance_amount::text, 'an unknown amount'))
FROM link
GROUP BY link.category_id, link.slug, link.period_key, link.spending_variance_amount
HAVING sum(link.impact_amount) > greatest(coalesce(link.spending_variance_amount, 0), 0)
ORDER BY 1, 2, 3;
