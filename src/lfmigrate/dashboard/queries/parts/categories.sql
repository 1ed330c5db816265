-- categories: those of all periods, as documents show them
--
-- PMPM = use * unit cost, so a variance is the sum of two effects: the use that differs, at the
-- benchmark's unit cost, and the rest, which is price. Only units that count events can be split.
categories AS (
    SELECT c.id,
           c.period_id AS "periodId",
           c.display_order AS "displayOrder",
           c.slug,
           c.category_name AS "categoryName",
           c.description,
           c.spending_pmpm_actual AS "spendingPmpmActual",
           c.spending_pmpm_benchmark AS "spendingPmpmBenchmark",
           c.spending_variance_amount AS "spendingVarianceAmount",
           c.spending_variance_percent AS "spendingVariancePercent",
           c.trend_percent AS "trendPercent",
           c.utilization_actual AS "utilizationActual",
           c.utilization_benchmark AS "utilizationBenchmark",
           c.utilization_variance_percent AS "utilizationVariancePercent",
           c.utilization_unit AS "utilizationUnit",
           c.performance_status AS "performanceStatus",
           -- As v_current_cost_categories, which has the active period only.
           CASE c.performance_status
               WHEN 'green' THEN 'Efficient'
               WHEN 'yellow' THEN 'Watch'
               WHEN 'red' THEN 'Priority'
               ELSE 'Unknown'
           END AS "statusLabel",
           c.is_opportunity AS "isOpportunity",
           c.is_strength AS "isStrength",
           c.aco_rank AS "acoRank",
           c.total_categories AS "totalCategories",
           effect.of_use AS "useEffectAmount",
           c.spending_variance_amount - effect.of_use AS "priceEffectAmount"
    FROM cost_categories AS c
    JOIN performance_periods AS p ON p.id = c.period_id
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN c.utilization_unit ~ '_per_(k|member)$'
                 AND c.utilization_benchmark > 0
                 AND c.spending_variance_amount IS NOT NULL
            THEN round((c.spending_pmpm_benchmark * c.utilization_actual
                        / c.utilization_benchmark - c.spending_pmpm_benchmark)
                       * p.member_months, 2)
        END AS of_use
    ) AS effect
)
