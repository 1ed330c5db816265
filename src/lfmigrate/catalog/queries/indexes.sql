-- Which indexes have one of these names, are on a table of that name or on its TOAST table, or are a REINDEX's copy of one?
--
-- $1  jsonb array of names.
--
-- An index that is being built is invalid as well; pg_stat_progress_create_index shows which ones are.
-- Indexes on partitioned tables are left out: they may be invalid until every partition has its own.
-- One row: a jsonb array of {id, schema, name, valid, in_progress}.
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', c.oid::text, 'schema', n.nspname, 'name', c.relname,
    'valid', i.indisvalid AND i.indisready AND i.indislive,
    'in_progress', EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = c.oid)
) ORDER BY n.nspname, c.relname), '[]')
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid
CROSS JOIN LATERAL (SELECT regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '')) AS s (stem)
LEFT JOIN pg_class AS o ON o.reltoastrelid = t.oid AND t.relkind = 't'
WHERE $1::jsonb ?| ARRAY[c.relname::text, t.relname::text, s.stem, coalesce(o.relname, t.relname)::text]
