-- Which sequences has this transaction moved?
--
-- nextval and setval hold a lock to the end of a transaction, even if the block that they ran in was rolled back, and
-- even if the sequence was dropped afterwards. Writing to a table holds the same lock. One row: a jsonb array of oids.
SELECT coalesce(jsonb_agg(DISTINCT l.relation::text ORDER BY l.relation::text), '[]')
FROM pg_locks AS l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'RowExclusiveLock'
