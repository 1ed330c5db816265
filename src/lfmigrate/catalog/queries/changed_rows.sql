-- How many rows of which tables has this session changed or deleted?
--
-- These are the server's running statistics. They may include earlier transactions of the session, so
-- compare two readings from the same transaction. One row: a jsonb object of "pg_class:oid" -> number.
SELECT coalesce(jsonb_object_agg('pg_class:' || s.relid, s.n_tup_upd + s.n_tup_del), '{}')
FROM pg_stat_xact_user_tables AS s
WHERE s.n_tup_upd + s.n_tup_del > 0
