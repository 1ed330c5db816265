-- What does a shadow database allow?
--
-- $1  jsonb array: names of settings.
-- $2  jsonb array: names of roles.
-- $3  the qualified name of the history table.
--
-- One row: a jsonb object of `settable`, the settings that this role may set, `roles`, the roles that exist, and
-- `has_history`.
SELECT jsonb_build_object(
    'settable', (
        SELECT coalesce(jsonb_agg(n.name), '[]')
        FROM jsonb_array_elements_text($1::jsonb) AS n (name)
        LEFT JOIN pg_settings AS s ON s.name = n.name
        WHERE s.context = 'user' OR s.name IS NULL AND n.name LIKE '%.%'
           OR s.context = 'superuser' AND (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user)),
    'roles', (
        SELECT coalesce(jsonb_agg(n.name), '[]')
        FROM jsonb_array_elements_text($2::jsonb) AS n (name)
        WHERE EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = n.name)),
    'has_history', to_regclass($3) IS NOT NULL)
