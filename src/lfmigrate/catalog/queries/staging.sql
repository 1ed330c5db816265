-- Which temporary tables has this transaction created, and which tables are they named after?
--
-- $1  the prefix of a temporary table's name, before the name of the other table.
--
-- A column is required if it is NOT NULL and has no default. `schema` and `target` are those of the other
-- table, found on the search path; null if there is none.
-- One row: a jsonb array, in order of creation, of {id, name, columns: [{name, required}], schema, target}.
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', c.oid::text,
    'name', c.relname,
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'required', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '') ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
    'schema', n.nspname,
    'target', t.relname) ORDER BY c.oid), '[]')
FROM pg_class AS c
LEFT JOIN pg_class AS t ON t.oid = to_regclass(quote_ident(substr(c.relname, length($1::text) + 1)))
LEFT JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE c.relnamespace = pg_my_temp_schema()
  AND c.relkind = 'r'
  AND c.xmin = pg_current_xact_id()::xid
  AND starts_with(c.relname, $1::text)
