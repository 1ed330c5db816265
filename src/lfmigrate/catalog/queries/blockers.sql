-- Which sessions block the one that holds lfmigrate's lock, or that runs in the given process?
--
-- $1  the key of the advisory lock.
-- $2  the process id that the client was given.
--
-- Run on a second connection with the same application name. Behind a pooler, a client does not know the
-- process that serves it; but that process holds the advisory lock, if it has already taken it.
-- One row: a jsonb array with a line per session.
SELECT coalesce(jsonb_agg(DISTINCT format('process %s, role %s, application "%s"%s: %s', a.pid, a.usename,
    a.application_name, ', transaction open since ' || date_trunc('second', a.xact_start),
    coalesce(nullif(left(regexp_replace(a.query, '\s+', ' ', 'g'), 80), ''), a.state))), '[]')
FROM (
    SELECT l.pid
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
    UNION
    SELECT s.pid
    FROM pg_stat_activity AS s
    WHERE s.pid = $2::integer AND s.application_name = current_setting('application_name')
) AS waiting
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker (pid)
JOIN pg_stat_activity AS a ON a.pid = blocker.pid
