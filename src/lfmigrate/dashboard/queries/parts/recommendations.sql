-- recommendation_list: all of them, as documents show them
recommendation_list AS (
    SELECT r.id,
           r.title,
           r.description,
           r.status,
           r.priority,
           r.is_measurable AS "isMeasurable",
           r.estimated_savings AS "estimatedSavings",
           r.affected_lives AS "affectedLives",
           r.cohort_size AS "cohortSize",
           r.implementation_complexity AS "implementationComplexity",
           r.patient_cohort AS "patientCohort",
           r.has_program_details AS "hasProgramDetails",
           r.can_convert_to_workflow AS "canConvertToWorkflow",
           r.workflow_type AS "workflowType",
           to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               AS "createdAt",
           to_char(r.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               AS "updatedAt",
           to_char(r.status_changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
               AS "statusChangedAt",
           r.status_changed_by AS "statusChangedBy",
           coalesce(touched.document, '[]') AS "affectedCategories"
    FROM recommendations AS r
    CROSS JOIN LATERAL (
        SELECT json_agg(row_to_json(t)
                        ORDER BY "impactAmount" DESC NULLS LAST, "categoryName", "categoryId")
                   AS document
        FROM (
            -- Links belong to rows of one period; of several to one slug, the active period's counts.
            SELECT DISTINCT ON (c.slug)
                   c.id AS "categoryId",
                   c.category_name AS "categoryName",
                   c.slug AS "categorySlug",
                   c.performance_status AS "performanceStatus",
                   link.impact_amount AS "impactAmount"
            FROM recommendation_cost_categories AS link
            JOIN cost_categories AS c ON c.id = link.cost_category_id
            JOIN performance_periods AS p ON p.id = c.period_id
            WHERE link.recommendation_id = r.id
            ORDER BY c.slug, p.is_active DESC, p.start_date DESC, p.end_date DESC, p.id DESC
        ) AS t
    ) AS touched
),
-- Their order, unless another one is asked for; the last key is always the id.
recommendation_order AS (
    SELECT id,
           row_number() OVER (
               ORDER BY CASE priority WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 END
                            NULLS LAST,
                        estimated_savings DESC NULLS LAST,
                        id
           ) AS place
    FROM recommendations
),
may_change AS (
    SELECT NOT %(read_only)s::boolean
           AND NOT pg_is_in_recovery()
           AND current_setting('default_transaction_read_only') = 'off'
           AND has_column_privilege('recommendations', 'status', 'UPDATE')
           AND has_column_privilege('recommendations', 'status_changed_by', 'UPDATE') AS yes
),
recommendations_updated AS (
    SELECT greatest(
        (SELECT max(updated_at) FROM recommendations),
        (SELECT max(created_at) FROM recommendation_cost_categories)
    ) AS at
)
