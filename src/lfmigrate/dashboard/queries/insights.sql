-- The document of /api/performance-insights. No row: no such period.
-- parts: periods, summary, recommendations
metrics AS (
    SELECT id,
           period_id AS "periodId",
           metric_type AS "metricType",
           current_value AS "currentValue",
           previous_value AS "previousValue",
           change_percent AS "changePercent",
           change_direction AS "changeDirection",
           benchmark_value AS "benchmarkValue",
           is_above_benchmark AS "isAboveBenchmark",
           display_format AS "displayFormat"
    FROM performance_metrics
    WHERE period_id = (SELECT id FROM period)
),
variances AS (
    SELECT c.id,
           c.slug,
           c.category_name AS "categoryName",
           c.performance_status AS "performanceStatus",
           c.spending_variance_amount AS "spendingVarianceAmount",
           c.spending_variance_percent AS "spendingVariancePercent"
    FROM cost_categories AS c
    WHERE c.period_id = (SELECT id FROM period)
),
opportunities AS (
    SELECT o.id,
           o.period_id AS "periodId",
           o.cost_category_id AS "costCategoryId",
           o.opportunity_type AS "opportunityType",
           o.amount_variance AS "amountVariance",
           o.percent_variance AS "percentVariance",
           o.aco_rank AS "acoRank",
           o.display_order AS "displayOrder",
           c.slug AS "categorySlug",
           c.category_name AS "categoryName",
           c.performance_status AS "performanceStatus",
           c.spending_pmpm_actual AS "spendingPmpmActual",
           c.spending_pmpm_benchmark AS "spendingPmpmBenchmark"
    FROM cost_opportunities AS o
    JOIN cost_categories AS c ON c.id = o.cost_category_id
    WHERE o.period_id = (SELECT id FROM period) AND o.show_on_dashboard
),
kpis AS (
    SELECT id,
           period_id AS "periodId",
           kpi_type AS "kpiType",
           kpi_label AS "kpiLabel",
           actual_value AS "actualValue",
           aco_benchmark AS "acoBenchmark",
           milliman_benchmark AS "millimanBenchmark",
           variance_percent AS "variancePercent",
           performance_status AS "performanceStatus",
           display_format AS "displayFormat",
           display_order AS "displayOrder",
           aco_rank AS "acoRank"
    FROM efficiency_kpis
    WHERE period_id = (SELECT id FROM period)
),
top AS (
    SELECT r.*
    FROM recommendation_list AS r
    WHERE r.priority = 'high' AND r.status <> 'rejected'
    ORDER BY r."estimatedSavings" DESC NULLS LAST, r.id
    LIMIT 2
),
updated AS (
    SELECT greatest(
        (SELECT max(updated_at) FROM performance_periods),
        (SELECT max(updated_at) FROM performance_metrics
         WHERE period_id = (SELECT id FROM period)),
        (SELECT max(updated_at) FROM cost_categories WHERE period_id = (SELECT id FROM period)),
        (SELECT max(updated_at) FROM cost_opportunities
         WHERE period_id = (SELECT id FROM period)),
        (SELECT max(updated_at) FROM efficiency_kpis WHERE period_id = (SELECT id FROM period)),
        (SELECT at FROM recommendations_updated)
    ) AS at
)
SELECT row_to_json(document)::text AS document
FROM (
    SELECT row_to_json(period) AS period,
           (SELECT document FROM period_list) AS periods,
           (SELECT row_to_json(s) FROM summary AS s) AS summary,
           (SELECT coalesce(json_agg(row_to_json(m) ORDER BY m.id), '[]') FROM metrics AS m)
               AS metrics,
           -- All of them, so that the bars of a chart add up to the summary's netAmount.
           (SELECT coalesce(json_agg(row_to_json(v)
                                     ORDER BY "spendingVarianceAmount" DESC NULLS LAST, id), '[]')
            FROM variances AS v) AS categories,
           (SELECT coalesce(json_agg(row_to_json(o)
                                     ORDER BY "displayOrder", abs("amountVariance") DESC NULLS LAST,
                                              id), '[]')
            FROM opportunities AS o) AS "costOpportunities",
           (SELECT coalesce(json_agg(row_to_json(k) ORDER BY "displayOrder" NULLS LAST, id), '[]')
            FROM kpis AS k) AS "efficiencyKpis",
           (SELECT coalesce(json_agg(row_to_json(t)
                                     ORDER BY "estimatedSavings" DESC NULLS LAST, id), '[]')
            FROM top AS t) AS "topRecommendations",
           (SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM updated)
               AS "dataUpdatedAt"
    FROM period
) AS document
