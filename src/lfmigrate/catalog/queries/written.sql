-- Which objects has this transaction created or changed, and has another session changed any meanwhile?
--
-- $1  text: a transaction id: others are asked about from here on; null for this transaction alone.
-- $2  text: the qualified name of the history table, which is left out, as is its schema; it need not exist.
--
-- The result is left in the setting lfmigrate.written, for relations.sql: a jsonb object of
--   objects  [{id, changed, cids}, ...]: `id` is "catalog:oid"; `changed` is false if only the relation's own
--            row was written; `cids` are the commands of this transaction that wrote the object, ascending
--   own      the ids of this transaction and its subtransactions, without their epoch
--   writers  the same with it
--   committed  the ids of the transactions since $1 that other sessions have committed, with their epoch
-- No columns are returned.
WITH
    -- include recent_rows.sql
,
-- The attributes of a composite type are those of a row of pg_class.
own_row AS MATERIALIZED (
    SELECT r.classid, r.objid, r.is_part, r.cid FROM written_row AS r WHERE r.status = 'in progress'
    UNION ALL
    SELECT 'pg_type'::regclass, c.reltype, true, r.cid
    FROM written_row AS r
    JOIN pg_class AS c ON c.oid = r.objid AND c.relkind = 'c'
    WHERE r.status = 'in progress' AND r.classid = 'pg_class'::regclass AND r.is_part
),
object AS MATERIALIZED (
    SELECT r.classid, r.objid, bool_or(r.is_part) AS changed,
        coalesce(array_agg(DISTINCT r.cid) FILTER (WHERE r.is_part), array_agg(DISTINCT r.cid)) AS cids
    FROM own_row AS r
    GROUP BY r.classid, r.objid
)
SELECT
FROM set_config('lfmigrate.written', jsonb_build_object(
    'objects', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.classid::text || ':' || w.objid, 'changed', w.changed, 'cids', w.cids)), '[]')
        FROM object AS w
        LEFT JOIN pg_class AS c ON w.classid = 'pg_class'::regclass AND c.oid = w.objid
        LEFT JOIN pg_type AS t ON w.classid = 'pg_type'::regclass AND t.oid = w.objid
        CROSS JOIN to_regclass($2) AS history
        -- Only what relations.sql describes: no indexes, TOAST tables, or types of rows and arrays.
        WHERE CASE w.classid
            WHEN 'pg_class'::regclass THEN c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.oid IS DISTINCT FROM history
            WHEN 'pg_type'::regclass THEN t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typarray <> 0 OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS r WHERE r.oid = t.typrelid AND r.relkind = 'c')
            WHEN 'pg_namespace'::regclass THEN w.objid IS DISTINCT FROM (SELECT h.relnamespace FROM pg_class AS h WHERE h.oid = history)
            ELSE true
        END),
    'own', (SELECT coalesce(jsonb_agg(DISTINCT r.xmin::text), '[]') FROM written_row AS r WHERE r.status = 'in progress'),
    'writers', (SELECT coalesce(jsonb_agg(DISTINCT r.full::text), '[]') FROM written_row AS r WHERE r.status = 'in progress'),
    'committed', (SELECT coalesce(jsonb_agg(c.id), '[]') FROM committed AS c)
)::text, true)
