-- In which tables has this transaction changed or deleted rows?
--
-- Counted by the server as it goes; what a savepoint has rolled back is counted too.
-- One row: a jsonb array of "pg_class:oid".
SELECT coalesce(jsonb_agg('pg_class:' || s.relid), '[]')
FROM pg_stat_xact_user_tables AS s
WHERE s.n_tup_upd + s.n_tup_del > 0
