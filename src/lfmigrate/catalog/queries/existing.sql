-- Which of these objects exist, and what are they called?
--
-- $1  jsonb array of ids as in inventory.sql.
--
-- Asked on a second connection, which sees the database as it was before an open transaction. Only catalogs are read, which
-- no lock keeps from that. One row: a jsonb array of descriptions.
SELECT coalesce(jsonb_agg(concat_ws(' ', t.type, t.identity) ORDER BY t.type COLLATE "C", t.identity COLLATE "C"), '[]')
FROM jsonb_array_elements_text($1::jsonb) AS i (id)
CROSS JOIN LATERAL pg_identify_object(split_part(i.id, ':', 1)::regclass, split_part(i.id, ':', 2)::oid,
    coalesce(nullif(split_part(i.id, ':', 3), ''), '0')::int) AS t
WHERE t.identity IS NOT NULL
