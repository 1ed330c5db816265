-- What are these roles, and which statements re-create them?
--
-- $1  jsonb array of ids, "pg_authid:16400".
--
-- Passwords can be read by superusers only, and are left out, as are the role's own settings. One row: a jsonb array of {id, name, definition}
SELECT coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'name', r.rolname, 'definition', concat_ws('; ',
    concat_ws(' ', 'CREATE ROLE', quote_ident(r.rolname), CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN NOT r.rolinherit THEN 'NOINHERIT' END,
        CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END,
        CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
        'CONNECTION LIMIT ' || nullif(r.rolconnlimit, -1), 'VALID UNTIL ' || quote_literal(r.rolvaliduntil::text)),
    (SELECT string_agg(format('GRANT %I TO %I%s', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member), CASE WHEN m.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END), '; ' ORDER BY m.roleid, m.member)
        FROM pg_auth_members AS m WHERE r.oid IN (m.roleid, m.member)))) ORDER BY r.rolname), '[]')
FROM jsonb_array_elements_text($1::jsonb) AS i (id)
JOIN pg_roles AS r ON r.oid = split_part(i.id, ':', 2)::oid
