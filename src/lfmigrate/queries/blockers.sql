-- Whom does the session wait for that holds lfmigrate's lock?
--
-- Asked from a second connection. Behind a pooler, a client does not know the process that works for
-- it; but it is the one that holds the advisory lock, whose key is $1.
SELECT coalesce(jsonb_agg(DISTINCT format('process %s, role %s, application "%s"%s: %s', a.pid, a.usename,
    a.application_name, ', transaction open since ' || date_trunc('second', a.xact_start),
    coalesce(nullif(left(regexp_replace(a.query, '\s+', ' ', 'g'), 80), ''), a.state))), '[]')
FROM pg_locks AS l
CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) AS blocker (pid)
JOIN pg_stat_activity AS a ON a.pid = blocker.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
