-- Which settings has this session changed, and what else does it have, before lfmigrate does anything?
--
-- BEGIN sets three itself, which end with the transaction. All advisory locks are the session's, because the
-- transaction has only begun. One row: a jsonb object of
--   settings  {name: value}
--   own       the kinds of what it has: "cursors", "prepared", "channels", "locks", "temporary".
SELECT jsonb_build_object(
    'settings', (
        SELECT coalesce(jsonb_object_agg(s.name, s.setting), '{}')
        FROM pg_settings AS s
        WHERE s.source = 'session'
          AND s.name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')),
    'own', (
        SELECT coalesce(jsonb_agg(k.kind), '[]')
        FROM (VALUES
            ('cursors', EXISTS (SELECT FROM pg_cursors AS c WHERE c.is_holdable)),
            ('prepared', EXISTS (SELECT FROM pg_prepared_statements)),
            ('channels', EXISTS (SELECT FROM pg_listening_channels())),
            ('locks', EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND l.locktype = 'advisory')),
            ('temporary', EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = pg_my_temp_schema()))
        ) AS k (kind, has)
        WHERE k.has))
