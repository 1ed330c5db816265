-- Which tables do other migration tools keep here, and what is in them?
--
-- A table without a schema is the one that its unqualified name means. "needs" are columns that it has in every version of the
-- tool, "lacks" those by which another tool's table of the same name is recognized. Rows are read as they are, without the
-- columns that only take space; what the role may not read is null.
--
-- The answer, in lfmigrate.tool_tables: a jsonb array of objects with tool, schema, name and rows.
DO $tool_tables$
DECLARE
    known record;
    found jsonb := '[]';
    rows_found jsonb;
BEGIN
    PERFORM set_config('bytea_output', 'hex', true);
    FOR known IN
        SELECT k.tool, c.oid::regclass AS id, n.nspname AS schema, c.relname AS name
        FROM (VALUES
            ('diesel', NULL, '__diesel_schema_migrations', '{version}', '{}'),
            ('movine', NULL, 'movine_migrations', '{name,hash}', '{}'),
            ('hasura', 'hdb_catalog', 'schema_migrations', '{version,dirty}', '{}'),
            ('hasura', 'hdb_catalog', 'hdb_version', '{cli_state}', '{}'),
            ('prisma', NULL, '_prisma_migrations', '{migration_name,checksum,finished_at,rolled_back_at}', '{}'),
            ('goose', NULL, 'goose_db_version', '{id,version_id,is_applied}', '{}'),
            ('golang-migrate', NULL, 'schema_migrations', '{version,dirty}', '{}'),
            ('sqlx', NULL, '_sqlx_migrations', '{version,success,checksum}', '{}'),
            ('dbmate', NULL, 'schema_migrations', '{version}', '{dirty,inserted_at}'),
            ('flyway', NULL, 'flyway_schema_history', '{installed_rank,version,type,script,checksum,success}', '{}'),
            ('flyway', NULL, 'schema_version', '{installed_rank,version,type,script,checksum,success}', '{}'),
            ('drizzle', 'drizzle', '__drizzle_migrations', '{hash,created_at}', '{}'),
            ('supabase', 'supabase_migrations', 'schema_migrations', '{version}', '{}'),
            ('sql-migrate', NULL, 'gorp_migrations', '{id,applied_at}', '{}'),
            ('node-pg-migrate', NULL, 'pgmigrations', '{name,run_on}', '{}'),
            ('graphile-migrate', 'graphile_migrate', 'migrations', '{hash,previous_hash,filename}', '{}'),
            ('tern', 'public', 'schema_version', '{version}', '{installed_rank}'),
            ('postgres-migrations', NULL, 'migrations', '{id,name,hash,executed_at}', '{}'),
            ('pop', NULL, 'schema_migration', '{version}', '{}'),
            ('mybatis', NULL, 'changelog', '{id,applied_at,description}', '{}'),
            ('liquibase', NULL, 'databasechangelog', '{id,author,filename,exectype}', '{}'),
            ('sqitch', 'sqitch', 'changes', '{change_id,change,project,committed_at}', '{}'),
            ('alembic', NULL, 'alembic_version', '{version_num}', '{}'),
            ('django', NULL, 'django_migrations', '{app,name,applied}', '{}'),
            ('yoyo', NULL, '_yoyo_migration', '{migration_id}', '{}'),
            ('pyway', NULL, 'pyway', '{installed_rank,version,name,checksum}', '{}')
        ) AS k (tool, schema, name, needs, lacks)
        JOIN pg_class AS c ON c.relname = k.name AND c.relkind IN ('r', 'p')
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT array_agg(a.attname::text) AS columns
            FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS has
        WHERE CASE WHEN k.schema IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = k.schema END
        AND has.columns @> k.needs::text[] AND NOT has.columns && k.lacks::text[]
        ORDER BY k.tool, n.nspname, c.relname
    LOOP
        BEGIN
            EXECUTE format(
                'SELECT coalesce(jsonb_agg(to_jsonb(t) - %L::text[]), ''[]'') FROM %s AS t',
                '{statements,logs,down_sql}', known.id)
            INTO rows_found;
        EXCEPTION
            WHEN insufficient_privilege OR lock_not_available THEN
                rows_found := NULL;
        END;
        found := found || jsonb_build_object(
            'tool', known.tool, 'schema', known.schema, 'name', known.name, 'rows', rows_found);
    END LOOP;
    PERFORM set_config('lfmigrate.tool_tables', found::text, true);
END
$tool_tables$
