-- Which owners have the relations, and which privileges do roles have on them?
--
-- A part of relations.sql, which includes it if they are asked for. The owner's own are called that, so that they are
-- the same for every owner.
UNION ALL
SELECT x.classid, x.objid, 10, x.place, 0, x.part, x.text, NULL, NULL
FROM (
    WITH held AS MATERIALIZED (
        SELECT m.classid, m.objid, '' AS what, c.relowner AS owner, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl, NULL::jsonb AS privileges
        FROM relation AS m JOIN pg_class AS c ON c.oid = m.objid
        WHERE m.classid = 'pg_class'::regclass
        UNION ALL
        SELECT m.classid, m.objid, ' on column ' || a.attname, c.relowner, a.attacl, NULL
        FROM relation AS m JOIN pg_class AS c ON c.oid = m.objid JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
        WHERE m.classid = 'pg_class'::regclass
        UNION ALL
        SELECT m.classid, m.objid, ' on sequence ' || c.relname, c.relowner, coalesce(c.relacl, acldefault('s', c.relowner)), NULL
        FROM relation AS m
        JOIN pg_depend AS d ON d.refclassid = m.classid AND d.refobjid = m.objid AND d.refobjsubid > 0 AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE m.classid = 'pg_class'::regclass
        UNION ALL
        SELECT m.classid, m.objid, '', p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL
        FROM relation AS m JOIN pg_proc AS p ON p.oid = m.objid
        WHERE m.classid = 'pg_proc'::regclass
        UNION ALL
        SELECT m.classid, m.objid, '', t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)), NULL
        FROM relation AS m JOIN pg_type AS t ON t.oid = m.objid
        WHERE m.classid = 'pg_type'::regclass
        UNION ALL
        SELECT m.classid, m.objid, '', n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)), NULL
        FROM relation AS m JOIN pg_namespace AS n ON n.oid = m.objid
        WHERE m.classid = 'pg_namespace'::regclass
        UNION ALL
        SELECT m.classid, m.objid, '', x.extowner, NULL, NULL
        FROM relation AS m JOIN pg_extension AS x ON x.oid = m.objid
        WHERE m.classid = 'pg_extension'::regclass
        UNION ALL
        SELECT m.classid, m.objid, '', coalesce(k.owner, 0), NULL, k.privileges
        FROM relation AS m JOIN kind AS k USING (classid, objid)
    )
    SELECT h.classid, h.objid, 0 AS place, 'owner' AS part, pg_get_userbyid(h.owner)::text AS text FROM held AS h WHERE h.what = '' AND h.owner <> 0
    UNION ALL
    SELECT h.classid, h.objid, 1,
        'privileges of ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' WHEN h.owner THEN 'the owner' ELSE quote_ident(pg_get_userbyid(a.grantee)) END || h.what,
        string_agg(a.privilege_type || CASE WHEN a.is_grantable AND a.grantee <> h.owner THEN ' WITH GRANT OPTION' ELSE '' END, ', ' ORDER BY a.privilege_type)
    FROM held AS h
    CROSS JOIN LATERAL (
        SELECT DISTINCT e.grantee, e.privilege_type, e.is_grantable FROM aclexplode(h.acl) AS e
        UNION ALL
        SELECT e.grantee, e.privilege_type, e.is_grantable FROM jsonb_to_recordset(h.privileges) AS e (grantee oid, privilege_type text, is_grantable boolean)
    ) AS a
    GROUP BY h.classid, h.objid, h.what, h.owner, a.grantee
) AS x
