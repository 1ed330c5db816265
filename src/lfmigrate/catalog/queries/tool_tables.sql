-- Which tables do other migration tools keep here, and what is in them?
--
-- A table without a schema is the one that its unqualified name means. "needs" are columns that it has in every version of the
-- tool, each with the category of its type, as in pg_type: an application's own table of the name has others. "lacks" are those by
-- which another tool's table of the same name is recognized. Only the columns in "needs" are read; the rows are null if the role may
-- not read them, or only in part: a policy would hide what is applied.
--
-- Any role may have created a table of such a name, and its code must not run here: so types are the server's own, for jsonb calls
-- the casts of others; row_security is off; children are not read; and names are looked up in pg_catalog alone.
--
-- The answer, in lfmigrate.tool_tables: a jsonb array of objects with tool, schema, name, by_path and rows.
DO $tool_tables$
DECLARE
    known record;
    found jsonb := '[]';
    rows_found jsonb;
    row_security_was CONSTANT text := pg_catalog.current_setting('row_security');
    search_path_was CONSTANT text := pg_catalog.current_setting('search_path');
    search_path CONSTANT name[] := pg_catalog.current_schemas(true);
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    PERFORM set_config('bytea_output', 'hex', true);
    PERFORM set_config('row_security', 'off', true);
    FOR known IN
        SELECT k.tool, c.oid::regclass AS id, n.nspname AS schema, c.relname AS name, k.schema IS NULL AS by_path,
            (
                SELECT string_agg(format('%1$L, t.%1$I', split_part(need, ' ', 1)), ', ') FROM unnest(k.needs::text[]) AS need
            ) AS row
        FROM (VALUES
            ('diesel', NULL, '__diesel_schema_migrations', '{version S}', '{}'),
            ('movine', NULL, 'movine_migrations', '{name S,hash S}', '{}'),
            ('hasura', 'hdb_catalog', 'schema_migrations', '{version N,dirty B}', '{}'),
            ('hasura', 'hdb_catalog', 'hdb_version', '{cli_state U}', '{}'),
            ('prisma', NULL, '_prisma_migrations', '{migration_name S,checksum S,finished_at D,rolled_back_at D}', '{}'),
            ('goose', NULL, 'goose_db_version', '{id N,version_id N,is_applied B}', '{}'),
            ('golang-migrate', NULL, 'schema_migrations', '{version N,dirty B}', '{}'),
            ('sqlx', NULL, '_sqlx_migrations', '{version N,success B,checksum U}', '{}'),
            ('dbmate', NULL, 'schema_migrations', '{version S}', '{dirty,inserted_at}'),
            ('flyway', NULL, 'flyway_schema_history', '{installed_rank N,version S,type S,script S,checksum N,success B}', '{}'),
            ('flyway', NULL, 'schema_version', '{installed_rank N,version S,type S,script S,checksum N,success B}', '{}'),
            ('drizzle', 'drizzle', '__drizzle_migrations', '{hash S,created_at N}', '{}'),
            ('supabase', 'supabase_migrations', 'schema_migrations', '{version S}', '{}'),
            ('sql-migrate', NULL, 'gorp_migrations', '{id S,applied_at D}', '{}'),
            ('node-pg-migrate', NULL, 'pgmigrations', '{name S,run_on D}', '{}'),
            ('graphile-migrate', 'graphile_migrate', 'migrations', '{hash S,previous_hash S,filename S}', '{}'),
            ('tern', 'public', 'schema_version', '{version N}', '{installed_rank}'),
            ('postgres-migrations', NULL, 'migrations', '{id N,name S,hash S,executed_at D}', '{}'),
            ('pop', NULL, 'schema_migration', '{version S}', '{}'),
            ('mybatis', NULL, 'changelog', '{id N,applied_at S,description S}', '{}'),
            ('liquibase', NULL, 'databasechangelog', '{id S,author S,filename S,exectype S}', '{}'),
            ('sqitch', 'sqitch', 'changes', '{change_id S,change S,project S,committed_at D}', '{}'),
            ('alembic', NULL, 'alembic_version', '{version_num S}', '{}'),
            ('django', NULL, 'django_migrations', '{app S,name S,applied D}', '{}'),
            ('yoyo', NULL, '_yoyo_migration', '{migration_id S}', '{}'),
            ('pyway', NULL, 'pyway', '{installed_rank N,version S,name S,checksum S}', '{}')
        ) AS k (tool, schema, name, needs, lacks)
        JOIN pg_class AS c ON c.relname = k.name AND c.relkind = 'r'
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT array_agg(a.attname::text) AS columns,
                array_agg(format('%s %s', a.attname, t.typcategory))
                    FILTER (WHERE t.typnamespace = 'pg_catalog'::regnamespace) AS typed
            FROM pg_attribute AS a
            JOIN pg_type AS t ON t.oid = a.atttypid
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS has
        WHERE CASE WHEN k.schema IS NOT NULL THEN n.nspname = k.schema
        -- As pg_table_is_visible, which asks for the search path of now.
        ELSE n.nspname = ANY (search_path) AND NOT EXISTS (
            SELECT FROM pg_class AS other
            JOIN pg_namespace AS o ON o.oid = other.relnamespace
            WHERE other.relname = c.relname
            AND array_position(search_path, o.nspname) < array_position(search_path, n.nspname)
        ) END
        AND has.typed @> k.needs::text[] AND NOT has.columns && k.lacks::text[]
        ORDER BY k.tool, n.nspname, c.relname
    LOOP
        BEGIN
            EXECUTE format(
                'SELECT coalesce(jsonb_agg(jsonb_build_object(%s)), ''[]'') FROM ONLY %s AS t', known.row, known.id)
            INTO rows_found;
        EXCEPTION
            WHEN insufficient_privilege OR lock_not_available THEN
                rows_found := NULL;
        END;
        found := found || jsonb_build_object(
            'tool', known.tool, 'schema', known.schema, 'name', known.name, 'by_path', known.by_path,
            'rows', rows_found);
    END LOOP;
    PERFORM set_config('row_security', row_security_was, true);
    PERFORM set_config('lfmigrate.tool_tables', found::text, true);
    PERFORM set_config('search_path', search_path_was, true);
END
$tool_tables$
