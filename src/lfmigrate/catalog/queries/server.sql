-- Which server, database and schema is this, and is it writable?
SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'database', current_database(),
    'role', current_user,
    'schema', current_schema(),
    'search_path', current_setting('search_path'),
    'session_user', session_user,
    'role_setting', coalesce(nullif(current_setting('role'), ''), 'none'),
    'xmin', pg_snapshot_xmin(pg_current_snapshot())::text,
    'jit', current_setting('jit'),
    'standby', pg_is_in_recovery(),
    'read_only', current_setting('default_transaction_read_only')::boolean)
