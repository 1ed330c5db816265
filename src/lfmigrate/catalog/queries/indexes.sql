-- Which indexes have one of some names, are on a table of such a name, or are being replaced by one?
--
-- $1  a jsonb array of names.
--
-- One that is being built is invalid, too: the server tells which, in every session's own words.
-- An index on a partitioned table is left out: it may wait for its partitions' own.
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
WHERE $1::jsonb ?| ARRAY[c.relname::text, t.relname::text, s.stem]
