-- Which large objects exist, whose are they, and what is in them?
--
-- $1  jsonb array of their numbers; null for all.
--
-- Reading one locks pg_largeobject as writing does. The digest is that of the digests of its pieces of 1 MiB; size and digest are null
-- if the role may not read it. `writable` is whether it may write it. One row: a jsonb array of
--   {number, owner, size, digest, writable, comment, grants: [[role, privilege, grantable]]}; the role "" is PUBLIC
SELECT coalesce(jsonb_agg(jsonb_build_object('number', o.oid::bigint, 'owner', pg_get_userbyid(o.lomowner), 'size', s.size,
    'digest', CASE WHEN p.readable THEN (
        SELECT encode(sha256(convert_to(coalesce(string_agg(encode(sha256(lo_get(o.oid, i.n << 20, 1 << 20)), 'hex'), '' ORDER BY i.n), ''), 'UTF8')), 'hex')
        FROM generate_series(0::bigint, (s.size - 1) >> 20) AS i (n)) END,
    'writable', p.writable, 'comment', obj_description(o.oid, 'pg_largeobject'),
    'grants', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) ELSE '' END, a.privilege_type, a.is_grantable)), '[]')
        FROM aclexplode(o.lomacl) AS a
        WHERE a.grantee <> o.lomowner))
    ORDER BY o.oid), '[]')
FROM pg_largeobject_metadata AS o
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(a.privilege_type = 'SELECT'), false) OR e.every AS readable, coalesce(bool_or(a.privilege_type = 'UPDATE'), false) OR e.every AS writable
    FROM (SELECT current_setting('lo_compat_privileges')::boolean OR r.rolsuper AS every FROM pg_roles AS r WHERE r.rolname = current_user) AS e
    LEFT JOIN aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS a ON a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')
    GROUP BY e.every) AS p
CROSS JOIN LATERAL (
    -- Opened for reading, and closed again.
    SELECT CASE WHEN p.readable THEN (
        SELECT CASE WHEN lo_close(e.fd) = 0 THEN e.size END
        FROM (SELECT f.fd, lo_lseek64(f.fd, 0, 2) AS size FROM (SELECT lo_open(o.oid, 262144) AS fd OFFSET 0) AS f OFFSET 0) AS e) END AS size) AS s
WHERE $1::jsonb IS NULL OR o.oid IN (SELECT n.number::oid FROM jsonb_array_elements_text($1::jsonb) AS n (number))
