-- What must a shadow database have in common with this one?
--
-- One row: a jsonb object of
--   may_create   whether the role may create databases
--   database     encoding, lc_collate, lc_ctype, provider (c, i or b), locale and rules
--   settings     name -> value, of what was set for this database or this role
--   extensions   [name, version, schema], in the order in which they were created
-- Columns of pg_database that not every version has are read from its row as JSON. A setting of no module that
-- is loaded, such as app.tenant, is not in pg_settings.
SELECT jsonb_build_object(
    'may_create', (SELECT r.rolcreatedb OR r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user),
    'database', (
        SELECT jsonb_build_object(
            'encoding', pg_encoding_to_char(d.encoding), 'lc_collate', d.datcollate, 'lc_ctype', d.datctype,
            'provider', coalesce(j.row ->> 'datlocprovider', 'c'),
            'locale', coalesce(j.row ->> 'datlocale', j.row ->> 'daticulocale'), 'rules', j.row ->> 'daticurules')
        FROM pg_database AS d
        CROSS JOIN LATERAL to_jsonb(d) AS j (row)
        WHERE d.datname = current_database()),
    'settings', (
        SELECT coalesce(jsonb_object_agg(s.name, s.value), '{}')
        FROM (
            SELECT s.name, s.setting AS value
            FROM pg_settings AS s
            WHERE s.source IN ('database', 'database user', 'user')
            UNION
            SELECT n.name, current_setting(n.name, true)
            FROM pg_db_role_setting AS g
            CROSS JOIN LATERAL unnest(g.setconfig) AS c (text)
            CROSS JOIN LATERAL split_part(c.text, '=', 1) AS n (name)
            WHERE n.name LIKE '%.%' AND NOT EXISTS (SELECT FROM pg_settings AS s WHERE s.name = n.name)
              AND g.setdatabase IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
              AND g.setrole IN (0, (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user))
        ) AS s
        WHERE s.value IS NOT NULL),
    'extensions', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(x.extname, x.extversion, n.nspname) ORDER BY x.oid), '[]')
        FROM pg_extension AS x
        JOIN pg_namespace AS n ON n.oid = x.extnamespace
        WHERE x.extname <> 'plpgsql'))
