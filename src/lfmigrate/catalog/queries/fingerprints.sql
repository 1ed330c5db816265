-- Which relations, routines, types, schemas, extensions and objects of kinds.sql exist, and how is each view and routine defined?
--
-- Asked before and after a run: an object that is new was created, a view or routine with another fingerprint
-- was replaced. `CREATE OR REPLACE` itself does not report which. Owner and grants are not part of a definition.
-- The fingerprint of a table is the number of columns that it has ever had: a column with a higher number was
-- added later, whatever it is called now; and the file of its rows, which changes if they are emptied or rewritten: "4:16400".
-- Up to PostgreSQL 16, a stored query includes the positions of its words in the text: these are removed,
-- because reformatting a file replaces nothing.
-- One row: a jsonb object of "catalog:oid" -> fingerprint.
WITH kind AS NOT MATERIALIZED (
    -- include kind_rows.sql
),
own AS MATERIALIZED (
    SELECT n.oid
    FROM pg_namespace AS n
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'
)
SELECT coalesce(jsonb_object_agg(f.id, f.fingerprint), '{}')
FROM (
    SELECT 'pg_class:' || c.oid AS id, md5(concat_ws(' ', array_to_string(c.reloptions, ','), q.definition)) AS fingerprint
    FROM own
    JOIN pg_class AS c ON c.relnamespace = own.oid AND c.relkind IN ('v', 'm')
    JOIN pg_rewrite AS r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
    CROSS JOIN LATERAL (SELECT CASE WHEN current_setting('server_version_num')::int >= 170000 THEN r.ev_action::text
        ELSE regexp_replace(r.ev_action::text, ':(location|stmt_location|stmt_len) -?[0-9]+', '', 'g') END) AS q (definition)
    UNION ALL
    SELECT 'pg_proc:' || p.oid,
        md5(ROW(p.prosrc, p.probin, q.definition, p.prokind, p.prolang, p.proargtypes, p.proallargtypes,
            p.proargmodes, p.proargnames, p.prorettype, p.proretset, p.provolatile,
            p.proisstrict, p.prosecdef, p.proleakproof, p.proparallel, p.procost, p.prorows, p.proconfig)::text
            || coalesce((SELECT g::text FROM pg_aggregate AS g WHERE g.aggfnoid = p.oid), ''))
    FROM own
    JOIN pg_proc AS p ON p.pronamespace = own.oid
    CROSS JOIN LATERAL (SELECT concat_ws(' ', p.prosqlbody, p.proargdefaults) AS text) AS d
    CROSS JOIN LATERAL (SELECT CASE WHEN current_setting('server_version_num')::int >= 170000 THEN d.text
        ELSE regexp_replace(d.text, ':(location|stmt_location|stmt_len) -?[0-9]+', '', 'g') END) AS q (definition)
    WHERE NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'pg_class:' || c.oid, concat_ws(':', c.relnatts, CASE WHEN c.relkind = 'r' THEN pg_relation_filenode(c.oid) END) FROM own
    JOIN pg_class AS c ON c.relnamespace = own.oid AND c.relkind IN ('r', 'p', 'f', 'S')
    UNION ALL
    SELECT 'pg_type:' || t.oid, '' FROM own
    JOIN pg_type AS t ON t.typnamespace = own.oid
    LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typarray <> 0 OR t.typtype = 'c' AND c.relkind = 'c'
    UNION ALL
    SELECT 'pg_namespace:' || own.oid, '' FROM own
    UNION ALL
    SELECT 'pg_extension:' || x.oid, x.extversion FROM pg_extension AS x
    UNION ALL
    SELECT k.classid || ':' || k.objid, '' FROM kind AS k WHERE k.counts
) AS f
