-- Hospitals add up to their category, DRGs stay within it, discharges to IRFs are the IRF stays
--
-- Spend to the cent; discharges to the nearest whole one, because the utilization is rounded. Where
-- one hospital's are not known, the others' must not exceed the category's. An average per patient
-- is the total by the patients.

WITH category AS (
    SELECT category.id, category.slug, category.utilization_unit, period.period_key,
           period.start_date, category.spending_pmpm_actual * period.member_months AS spend,
           category.utilization_actual * period.member_months / 12000 AS events
    FROM cost_categories AS category
    JOIN performance_periods AS period ON period.id = category.period_id
), problem (category_id, problem) AS (
    SELECT category.id,
           format('its hospitals'' spend adds up to %s, and PMPM and member months give %s',
                  sum(hospital.spend), category.spend)
    FROM category
    JOIN cost_category_hospitals AS hospital ON hospital.cost_category_id = category.id
    GROUP BY category.id, category.spend
    HAVING CASE WHEN bool_and(hospital.spend IS NOT NULL) THEN sum(hospital.spend) <> category.spend
                ELSE sum(hospital.spend) > category.spend
           END
    UNION ALL
    SELECT category.id,
           format('its hospitals'' discharges add up to %s, and the utilization gives %s',
                  sum(hospital.discharges), round(category.events, 2))
    FROM category
    JOIN cost_category_hospitals AS hospital ON hospital.cost_category_id = category.id
    GROUP BY category.id, category.events
    HAVING CASE WHEN bool_and(hospital.discharges IS NOT NULL)
                THEN sum(hospital.discharges) <> round(category.events)
                ELSE sum(hospital.discharges) > round(category.events)
           END
    UNION ALL
    SELECT category.id,
           format('its DRGs cost %s, which is more than its %s', sum(drg.total_spend),
                  category.spend)
    FROM category
    JOIN cost_category_drgs AS drg ON drg.cost_category_id = category.id
    GROUP BY category.id, category.spend
    HAVING sum(drg.total_spend) > category.spend
    UNION ALL
    SELECT category.id,
           format('DRG %s: the average is %s, and %s for %s patients give %s', drg.drg_code,
                  drg.avg_spend_per_patient, drg.total_spend, drg.patient_count,
                  round(drg.total_spend / nullif(drg.patient_count, 0), 2))
    FROM category
    JOIN cost_category_drgs AS drg ON drg.cost_category_id = category.id
    WHERE drg.avg_spend_per_patient
          IS DISTINCT FROM round(drg.total_spend / nullif(drg.patient_count, 0), 2)
    UNION ALL
    SELECT category.id,
           format('%s discharges to an IRF are listed, and the utilization gives %s stays',
                  sum(hospital.discharges), round(category.events, 2))
    FROM category
    JOIN cost_category_discharging_hospitals AS hospital
         ON hospital.cost_category_id = category.id
    GROUP BY category.id, category.events
    HAVING CASE WHEN bool_and(hospital.discharges IS NOT NULL)
                THEN sum(hospital.discharges) <> round(category.events)
                ELSE sum(hospital.discharges) > round(category.events)
           END
)
SELECT category.period_key, category.slug, problem.problem
FROM problem
JOIN category ON category.id = problem.category_id
ORDER BY category.start_date, category.period_key, category.slug, problem.problem;
