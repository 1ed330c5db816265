-- periods: all reporting periods, as documents show them; period: the one that is asked for
periods AS (
    SELECT id,
           period_key AS "periodKey",
           period_label AS "periodLabel",
           start_date AS "startDate",
           end_date AS "endDate",
           is_active AS "isActive",
           member_months AS "memberMonths"
    FROM performance_periods
),
period AS (
    -- An older table may have several that are active.
    SELECT *
    FROM periods
    WHERE CASE WHEN %(period_key)s::text IS NULL THEN "isActive"
               ELSE "periodKey" = %(period_key)s::text
          END
    ORDER BY "startDate" DESC, "endDate" DESC, id DESC
    LIMIT 1
),
period_list AS (
    SELECT coalesce(json_agg(row_to_json(p) ORDER BY "isActive" DESC, id), '[]') AS document
    FROM periods AS p
)
