-- The document of /api/cost-categories. No row: no such period.
-- parts: periods, categories, summary
chosen AS (
    SELECT c.*
    FROM categories AS c
    JOIN period ON period.id = c."periodId"
    WHERE %(status)s::text IS NULL OR c."performanceStatus"::text = %(status)s::text
),
page AS (
    SELECT c.*,
           row_number() OVER (
               ORDER BY CASE WHEN %(sort)s::text = 'name' THEN c."categoryName" END,
                        CASE WHEN %(sort)s::text = 'rank' THEN c."acoRank" END NULLS LAST,
                        CASE %(sort)s::text
                            WHEN '-varianceAmount' THEN c."spendingVarianceAmount"
                            WHEN '-variancePercent' THEN c."spendingVariancePercent"
                        END DESC NULLS LAST,
                        CASE WHEN %(sort)s::text = 'displayOrder' THEN c."displayOrder" END
                            NULLS LAST,
                        c.id
           ) AS place
    FROM chosen AS c
    ORDER BY place
    LIMIT %(limit)s::integer OFFSET %(offset)s::integer
)
SELECT row_to_json(document)::text AS document,
       document."totalCount" AS total,
       (SELECT "periodKey" FROM period) AS period_key
FROM (
    SELECT row_to_json(period) AS period,
           (SELECT document FROM period_list) AS periods,
           (SELECT row_to_json(s) FROM summary AS s) AS summary,
           (SELECT count(*) FROM chosen) AS "totalCount",
           (SELECT coalesce(json_agg(row_to_json(c) ORDER BY page.place), '[]')
            FROM page JOIN categories AS c ON c.id = page.id) AS categories,
           (SELECT to_char(greatest(max(c.updated_at),
                                    (SELECT max(updated_at) FROM performance_periods))
                           AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            FROM cost_categories AS c WHERE c.period_id = period.id) AS "dataUpdatedAt"
    FROM period
) AS document
