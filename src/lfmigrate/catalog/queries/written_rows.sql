-- How many rows of which tables has this session inserted, how many updated, and how many deleted?
--
-- These are the server's running statistics, kept if track_counts is on. They may include earlier
-- transactions of the session, so compare two readings from the same transaction. The rows of a
-- partition count for the partitioned table. One row: null if nothing is counted, else a jsonb array of
-- {schema, name, inserted, updated, deleted}; a row that was updated and then deleted counts in both.
SELECT CASE WHEN current_setting('track_counts')::boolean THEN (
    SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'inserted', s.inserted, 'updated', s.updated, 'deleted', s.deleted)), '[]')
    FROM (
        SELECT coalesce(pg_partition_root(x.relid), x.relid) AS relid, sum(x.n_tup_ins) AS inserted, sum(x.n_tup_upd) AS updated,
            sum(x.n_tup_del) AS deleted
        FROM pg_stat_xact_user_tables AS x
        WHERE x.n_tup_ins + x.n_tup_upd + x.n_tup_del > 0
        GROUP BY 1
    ) AS s
    JOIN pg_class AS c ON c.oid = s.relid AND c.relpersistence <> 't'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
) END
