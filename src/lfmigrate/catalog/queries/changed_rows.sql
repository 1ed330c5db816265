-- How many rows of which tables has this session changed or deleted?
--
-- Counted by the server as it goes. It may still count what earlier transactions of the session did, so
-- ask before and after, and within one transaction. One row: a jsonb object of "pg_class:oid" -> number.
SELECT coalesce(jsonb_object_agg('pg_class:' || s.relid, s.n_tup_upd + s.n_tup_del), '{}')
FROM pg_stat_xact_user_tables AS s
WHERE s.n_tup_upd + s.n_tup_del > 0
