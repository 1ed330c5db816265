-- What do some of the objects of kinds.sql look like?
--
-- A part of find_kinds.sql and find_written_kinds.sql, which include it. The setting lfmigrate.asked_kinds is a jsonb
-- object {names, oids}: an object is described if it has one of these names or oids. One row: a jsonb array of the columns of kinds.sql,
-- with xmins and cmins, those of its rows, and `privileges`: [{grantee, privilege_type, is_grantable}], for an acl.
SELECT coalesce(jsonb_agg(jsonb_build_object('classid', k.classid::oid, 'objid', k.objid, 'kind', k.kind, 'schema_oid', k.schema_oid, 'name', k.name,
    'definition', k.definition, 'xmins', w.xmins, 'cmins', w.cmins, 'owner', k.owner, 'privileges', (SELECT jsonb_agg(DISTINCT jsonb_build_object('grantee', e.grantee, 'privilege_type', e.privilege_type, 'is_grantable', e.is_grantable)) FROM aclexplode(k.acl) AS e), 'hidden', k.hidden)), '[]')
FROM (
    -- include kinds.sql
) AS k
CROSS JOIN LATERAL (
    SELECT jsonb_agg(r.xmin) AS xmins, jsonb_agg(r.cmin) AS cmins
    FROM (
        -- include kind_rows.sql
    ) AS r
    WHERE r.classid = k.classid AND r.objid = k.objid AND r.counts) AS w
-- Arrays, and no joins, because only they are compared before definitions are made of what is not asked for.
WHERE k.name = ANY (ARRAY(SELECT jsonb_array_elements_text(current_setting('lfmigrate.asked_kinds')::jsonb -> 'names')))
   OR k.objid = ANY (ARRAY(SELECT jsonb_array_elements_text(current_setting('lfmigrate.asked_kinds')::jsonb -> 'oids')::oid))
