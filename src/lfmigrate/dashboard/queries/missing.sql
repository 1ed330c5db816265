-- The relations of migration 002 that are not there.
SELECT name
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS r (name, place)
WHERE to_regclass(name) IS NULL
ORDER BY place
