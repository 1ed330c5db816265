-- Changes a status, if it is still what the caller has seen. No row: no such recommendation. A row
-- without a document: a policy does not let the role change it.
-- The name is written together with the status, or the new time would stand next to the name of the
-- person before. The table's triggers set the times. An older table may have an enum.
WITH before AS (
    SELECT id, status, status_changed_at, status_changed_by, updated_at
    FROM recommendations
    WHERE id = %(id)s::integer
    FOR UPDATE
),
changed AS (
    UPDATE recommendations AS r
    SET status = %(new_status)s, status_changed_by = %(changed_by)s::text
    FROM before
    WHERE r.id = before.id
      AND before.status::text <> %(status)s::text
      AND before.status::text = coalesce(%(expected)s::text, before.status::text)
    RETURNING r.id, r.status, r.status_changed_at, r.status_changed_by, r.updated_at
),
after AS (
    SELECT * FROM changed
    UNION ALL
    SELECT * FROM before WHERE NOT EXISTS (SELECT FROM changed)
)
SELECT before.status::text = coalesce(%(expected)s::text, before.status::text) AS agrees,
       CASE WHEN after.id IS NOT NULL THEN json_build_object(
           'id', after.id,
           'status', after.status,
           'statusChangedAt', to_char(after.status_changed_at AT TIME ZONE 'UTC',
                                      'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'statusChangedBy', after.status_changed_by,
           'updatedAt', to_char(after.updated_at AT TIME ZONE 'UTC',
                                'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       )::text END AS document
FROM recommendations AS seen
LEFT JOIN before ON before.id = seen.id
LEFT JOIN after ON after.id = seen.id
WHERE seen.id = %(id)s::integer
