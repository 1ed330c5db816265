-- Which tables have to be truncated together with these?
--
-- $1  jsonb array of ids of tables, as in inventory.sql.
--
-- Those that refer to them or to one of their partitions, directly or through others, whether they have rows or not; a
-- partition stands for its partitioned table. NOT VALID foreign keys count, too.
-- One row: a jsonb array of ids; those of $1 are among them.
WITH RECURSIVE reached AS (
    SELECT split_part(i.id, ':', 2)::oid AS oid FROM jsonb_array_elements_text($1::jsonb) AS i (id)
    UNION
    SELECT n.oid
    FROM reached AS r
    CROSS JOIN LATERAL (
        SELECT k.conrelid FROM pg_constraint AS k WHERE k.confrelid = r.oid AND k.contype = 'f'
        UNION ALL
        SELECT p.relid::oid FROM pg_partition_ancestors(r.oid) AS p
        UNION ALL
        SELECT p.relid::oid FROM pg_partition_tree(r.oid) AS p
    ) AS n (oid)
)
SELECT coalesce(jsonb_agg('pg_class:' || r.oid), '[]') FROM reached AS r
