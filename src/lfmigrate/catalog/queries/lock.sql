-- Take lfmigrate's lock for this transaction; fail if it is held, or if the history has changed since it was
-- read.
--
-- The statements that follow were planned from that reading and have already been sent, so an outdated
-- plan has to fail here. The lock is tried, not waited for: a waiter would hold a snapshot, and a
-- CREATE INDEX CONCURRENTLY of the lock's holder would wait for that in turn. The lock belongs to the
-- transaction, so it works through a pooler and ends with its holder.
-- A transaction id is assigned here, so that written.sql recognizes this transaction's rows.
DO $lock$
DECLARE
    lock_key CONSTANT bigint := current_setting('lfmigrate.lock_key')::bigint;
    history CONSTANT text := format('%I.lfmigrate_history', current_setting('lfmigrate.history_schema'));
    holder text;
    position bigint := 0;
BEGIN
    PERFORM pg_current_xact_id();
    IF NOT pg_try_advisory_xact_lock(lock_key) THEN
        -- xact_start is hidden from roles that are not members of the holder's.
        SELECT format('process %s, role %s, application "%s"%s', a.pid, a.usename,
            a.application_name, ', transaction open since ' || date_trunc('second', a.xact_start))
        INTO holder
        FROM pg_locks AS l
        JOIN pg_stat_activity AS a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
          AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
          AND (l.classid::bigint << 32) | l.objid::bigint = lock_key;
        RAISE EXCEPTION USING ERRCODE = 'LF001', MESSAGE = 'another run of lfmigrate holds the lock',
            DETAIL = coalesce(holder, 'it ended just now');
    END IF;
    -- A separate statement, so that it sees what the last holder committed.
    IF to_regclass(history) IS NOT NULL THEN
        EXECUTE format('SELECT coalesce(max(id), 0) FROM %s', history) INTO position;
    END IF;
    IF position <> current_setting('lfmigrate.position')::bigint THEN
        RAISE EXCEPTION USING ERRCODE = 'LF002', MESSAGE = 'the history was written by another run';
    END IF;
END
$lock$
