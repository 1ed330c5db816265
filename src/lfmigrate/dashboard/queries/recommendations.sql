-- The document of /api/recommendations.
-- parts: recommendations
chosen AS (
    SELECT r.id, r.title, r."estimatedSavings", o.place AS usual,
           (SELECT status_changed_at FROM recommendations WHERE id = r.id) AS changed_at
    FROM recommendation_list AS r
    JOIN recommendation_order AS o ON o.id = r.id
    WHERE (%(status)s::text IS NULL
           OR r.status::text = %(status)s::text
           OR (%(status)s::text = 'not_rejected' AND r.status <> 'rejected'))
      AND (%(priority)s::text IS NULL OR r.priority::text = %(priority)s::text)
      AND (%(category)s::text IS NULL OR EXISTS (
              SELECT FROM recommendation_cost_categories AS link
              JOIN cost_categories AS c ON c.id = link.cost_category_id
              WHERE link.recommendation_id = r.id AND c.slug = %(category)s::text
          ))
),
page AS (
    SELECT id,
           row_number() OVER (
               ORDER BY CASE WHEN %(sort)s::text = '-estimatedSavings' THEN "estimatedSavings" END
                            DESC NULLS LAST,
                        CASE WHEN %(sort)s::text = 'title' THEN title END,
                        CASE WHEN %(sort)s::text = '-statusChangedAt' THEN changed_at END
                            DESC NULLS LAST,
                        CASE WHEN %(sort)s::text = 'priority' THEN usual END,
                        id
           ) AS place
    FROM chosen
    ORDER BY place
    LIMIT %(limit)s::integer OFFSET %(offset)s::integer
)
SELECT row_to_json(document)::text AS document,
       document."totalCount" AS total
FROM (
    SELECT (SELECT coalesce(json_agg(row_to_json(r) ORDER BY page.place), '[]')
            FROM page JOIN recommendation_list AS r ON r.id = page.id) AS recommendations,
           (SELECT count(*) FROM chosen) AS "totalCount",
           json_build_object('status', %(status)s::text, 'priority', %(priority)s::text,
                             'category', %(category)s::text) AS filters,
           (SELECT json_build_object(
                'status', json_build_object(
                    'not_started', count(*) FILTER (WHERE status = 'not_started'),
                    'acknowledged', count(*) FILTER (WHERE status = 'acknowledged'),
                    'accepted', count(*) FILTER (WHERE status = 'accepted'),
                    'rejected', count(*) FILTER (WHERE status = 'rejected'),
                    'already_doing', count(*) FILTER (WHERE status = 'already_doing'),
                    'in_progress', count(*) FILTER (WHERE status = 'in_progress'),
                    'completed', count(*) FILTER (WHERE status = 'completed')),
                'priority', json_build_object(
                    'high', count(*) FILTER (WHERE priority = 'high'),
                    'medium', count(*) FILTER (WHERE priority = 'medium'),
                    'low', count(*) FILTER (WHERE priority = 'low'),
                    'none', count(*) FILTER (WHERE priority IS NULL)))
            FROM recommendations) AS counts,
           -- What the list can be filtered by.
           (SELECT coalesce(json_agg(row_to_json(t) ORDER BY "categoryName", "categorySlug"), '[]')
            FROM (
                SELECT DISTINCT ON (c.slug)
                       c.slug AS "categorySlug", c.category_name AS "categoryName"
                FROM recommendation_cost_categories AS link
                JOIN cost_categories AS c ON c.id = link.cost_category_id
                ORDER BY c.slug, c.id
            ) AS t) AS categories,
           (SELECT yes FROM may_change) AS "canChangeStatus",
           (SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            FROM recommendations_updated) AS "dataUpdatedAt"
) AS document
