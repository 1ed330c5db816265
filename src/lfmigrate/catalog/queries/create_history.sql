-- Create the history table if it does not exist: an append-only table of what was done to this database.
--
-- Rows are inserted and completed within the transaction that they describe; once committed, they never
-- change. CREATE SCHEMA IF NOT EXISTS requires the privilege even if the schema exists, so that is
-- checked first.
DO $create_history$
DECLARE
    home CONSTANT text := current_setting('lfmigrate.history_schema');
BEGIN
    IF to_regclass(format('%I.lfmigrate_history', home)) IS NOT NULL THEN
        RETURN;
    END IF;
    IF to_regnamespace(quote_ident(home)) IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', home);
    END IF;
    EXECUTE format($ddl$
        CREATE TABLE %I.lfmigrate_history (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run_id uuid NOT NULL,
            schema_name text NOT NULL,
            action text NOT NULL,
            version text,
            name text NOT NULL,
            file text NOT NULL,
            checksum text NOT NULL,
            sql text NOT NULL,
            down_sql text,
            expected jsonb,
            elapsed_ms integer NOT NULL,
            executed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            executed_by text NOT NULL DEFAULT session_user,
            tool_version text NOT NULL,
            server_version integer NOT NULL DEFAULT current_setting('server_version_num')::int,
            settings jsonb NOT NULL DEFAULT jsonb_build_object(
                'TimeZone', current_setting('TimeZone'), 'DateStyle', current_setting('DateStyle'),
                'IntervalStyle', current_setting('IntervalStyle'))
        )
        $ddl$, home);
    EXECUTE format('COMMENT ON TABLE %I.lfmigrate_history IS %L', home,
        'What lfmigrate did to this database, one event a row; append-only. "expected" holds the relations that the event made or changed, as the catalogs described them, "settings" what literals of times meant in its file.');
END
$create_history$
