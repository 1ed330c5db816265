-- The document of /api/recommendations/{id}. No row: there is no such recommendation.
-- parts: recommendations
chosen AS (
    SELECT r.*,
           source.program_overview AS "programOverview",
           source.video_url AS "videoUrl",
           (SELECT yes FROM may_change) AS "canChangeStatus",
           CASE WHEN source.has_program_details THEN resources.document END AS "programResources"
    FROM recommendation_list AS r
    JOIN recommendations AS source ON source.id = r.id
    CROSS JOIN LATERAL (
        SELECT json_build_object(
            'bestPractices', coalesce(json_agg(row_to_json(p) ORDER BY "displayOrder" NULLS LAST, id)
                                      FILTER (WHERE "resourceType" = 'best_practice'), '[]'),
            'testimonials', coalesce(json_agg(row_to_json(p) ORDER BY "displayOrder" NULLS LAST, id)
                                     FILTER (WHERE "resourceType" = 'testimonial'), '[]'),
            'implementationSteps',
                coalesce(json_agg(row_to_json(p) ORDER BY "displayOrder" NULLS LAST, id)
                         FILTER (WHERE "resourceType" = 'implementation_step'), '[]')
        ) AS document
        FROM (
            SELECT id,
                   recommendation_id AS "recommendationId",
                   resource_type AS "resourceType",
                   title,
                   content,
                   display_order AS "displayOrder",
                   author,
                   author_role AS "authorRole"
            FROM program_resources
            WHERE recommendation_id = r.id
        ) AS p
    ) AS resources
    WHERE r.id = %(id)s::integer
),
-- What it saves in a category of that name: in the active period, or else in the newest.
impact AS (
    SELECT (
        SELECT link.impact_amount
        FROM recommendation_cost_categories AS link
        JOIN cost_categories AS c ON c.id = link.cost_category_id
        JOIN performance_periods AS p ON p.id = c.period_id
        WHERE link.recommendation_id = %(id)s::integer
          AND c.category_name = %(category_name)s::text
        ORDER BY p.is_active DESC, p.start_date DESC, p.end_date DESC, p.id DESC
        LIMIT 1
    ) AS "impactAmount"
)
SELECT CASE WHEN %(category_name)s::text IS NULL
            THEN row_to_json(chosen)
            ELSE (SELECT row_to_json(d) FROM (SELECT chosen.*, impact.*) AS d)
       END::text AS document
FROM chosen CROSS JOIN impact
