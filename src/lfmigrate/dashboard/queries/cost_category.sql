-- The document of /api/cost-categories/{slug}. No row: no such period. A row without a document: the
-- period does not have the slug; `elsewhere` are the periods that do.
-- parts: periods, categories, recommendations
category AS (
    SELECT c.*
    FROM categories AS c
    JOIN period ON period.id = c."periodId"
    WHERE c.slug = %(slug)s::text
),
by_period AS (
    SELECT p."periodKey", p."periodLabel", p."startDate", p."endDate",
           c."spendingPmpmActual", c."spendingPmpmBenchmark", c."spendingVariancePercent",
           c."utilizationActual", c."utilizationBenchmark", c."performanceStatus"
    FROM categories AS c
    JOIN periods AS p ON p.id = c."periodId"
    WHERE c.slug = %(slug)s::text
),
-- Links belong to rows of one period: that of the requested one, or of the active, or of the newest.
impacts AS (
    SELECT DISTINCT ON (link.recommendation_id)
           link.recommendation_id,
           link.impact_amount AS amount
    FROM recommendation_cost_categories AS link
    JOIN cost_categories AS c ON c.id = link.cost_category_id
    JOIN periods AS p ON p.id = c.period_id
    WHERE c.slug = %(slug)s::text
    ORDER BY link.recommendation_id,
             p.id = (SELECT id FROM period) DESC,
             p."isActive" DESC, p."startDate" DESC, p."endDate" DESC, p.id DESC
),
touching AS (
    SELECT r.*,
           impacts.amount AS "impactAmount",
           CASE WHEN category."spendingVarianceAmount" > 0
                THEN round(100 * impacts.amount / category."spendingVarianceAmount", 1)
           END AS "impactSharePercent"
    FROM impacts
    JOIN recommendation_list AS r ON r.id = impacts.recommendation_id
    CROSS JOIN category
    WHERE r.status <> 'rejected'
),
hospitals AS (
    SELECT h.id,
           h.cost_category_id AS "costCategoryId",
           h.hospital_name AS "hospitalName",
           h.discharges,
           h.avg_los AS "avgLos",
           h.spend,
           round(h.spend / nullif(h.discharges, 0), 2) AS "spendPerDischarge",
           h.readmission_rate AS "readmissionRate",
           h.display_order AS "displayOrder"
    FROM cost_category_hospitals AS h
    JOIN category ON category.id = h.cost_category_id
    ORDER BY h.display_order NULLS LAST, h.spend DESC NULLS LAST, h.id
    LIMIT 501
),
drgs AS (
    SELECT d.id,
           d.cost_category_id AS "costCategoryId",
           d.drg_code AS "drgCode",
           d.drg_description AS "drgDescription",
           d.patient_count AS "patientCount",
           d.total_spend AS "totalSpend",
           d.avg_spend_per_patient AS "avgSpendPerPatient",
           d.benchmark_avg AS "benchmarkAvg",
           d.percent_above_benchmark AS "percentAboveBenchmark",
           d.display_order AS "displayOrder"
    FROM cost_category_drgs AS d
    JOIN category ON category.id = d.cost_category_id
    ORDER BY d.display_order NULLS LAST, d.total_spend DESC NULLS LAST, d.id
    LIMIT 501
),
discharging AS (
    SELECT h.id,
           h.cost_category_id AS "costCategoryId",
           h.hospital_name AS "hospitalName",
           h.discharges,
           h.percent_discharged_to_irf AS "percentDischargedToIrf",
           h.percent_discharged_to_irf_benchmark AS "percentDischargedToIrfBenchmark",
           h.display_order AS "displayOrder"
    FROM cost_category_discharging_hospitals AS h
    JOIN category ON category.id = h.cost_category_id
    ORDER BY h.display_order NULLS LAST, h.discharges DESC NULLS LAST, h.id
    LIMIT 501
),
lists AS (
    SELECT 'hospitals' AS name, row_to_json(h) AS document,
           row_number() OVER (ORDER BY "displayOrder" NULLS LAST, spend DESC NULLS LAST, id)
               AS place
    FROM hospitals AS h
    UNION ALL
    SELECT 'drgs', row_to_json(d),
           row_number() OVER (ORDER BY "displayOrder" NULLS LAST, "totalSpend" DESC NULLS LAST, id)
    FROM drgs AS d
    UNION ALL
    SELECT 'dischargingHospitals', row_to_json(h),
           row_number() OVER (ORDER BY "displayOrder" NULLS LAST, discharges DESC NULLS LAST, id)
    FROM discharging AS h
    UNION ALL
    SELECT 'recommendations', row_to_json(t), row_number() OVER (ORDER BY o.place)
    FROM touching AS t JOIN recommendation_order AS o ON o.id = t.id
),
documents AS (
    SELECT name, json_agg(document ORDER BY place) AS list
    FROM lists
    WHERE place <= 500
    GROUP BY name
),
updated AS (
    SELECT greatest(
        (SELECT max(updated_at) FROM performance_periods),
        (SELECT max(updated_at) FROM cost_categories WHERE slug = %(slug)s::text),
        (SELECT max(created_at) FROM cost_category_hospitals
         WHERE cost_category_id = (SELECT id FROM category)),
        (SELECT max(created_at) FROM cost_category_drgs
         WHERE cost_category_id = (SELECT id FROM category)),
        (SELECT max(created_at) FROM cost_category_discharging_hospitals
         WHERE cost_category_id = (SELECT id FROM category)),
        (SELECT at FROM recommendations_updated)
    ) AS at
)
SELECT (SELECT row_to_json(document)::text FROM (
    SELECT row_to_json(category) AS category,
           row_to_json(period) AS period,
           (SELECT document FROM period_list) AS periods,
           (SELECT json_agg(row_to_json(b) ORDER BY "startDate", "endDate", "periodKey")
            FROM by_period AS b) AS "byPeriod",
           coalesce((SELECT list FROM documents WHERE name = 'recommendations'), '[]')
               AS recommendations,
           coalesce((SELECT list FROM documents WHERE name = 'hospitals'), '[]') AS hospitals,
           coalesce((SELECT list FROM documents WHERE name = 'drgs'), '[]') AS drgs,
           coalesce((SELECT list FROM documents WHERE name = 'dischargingHospitals'), '[]')
               AS "dischargingHospitals",
           (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM lists
            WHERE place = 501) AS truncated,
           (SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM updated)
               AS "dataUpdatedAt"
    FROM category
) AS document) AS document,
period."periodKey" AS period_key,
(SELECT coalesce(json_agg(row_to_json(p) ORDER BY p."isActive" DESC, p.id), '[]')
 FROM periods AS p JOIN by_period AS b ON b."periodKey" = p."periodKey") AS elsewhere
FROM period
