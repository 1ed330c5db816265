-- Which privileges is the role missing? If any, fail with all of them before the first statement that needs one.
--
-- The setting lfmigrate.needs is a jsonb array of {privilege, schema, name, database, file}; the file is one that needs it. A table or schema
-- that does not exist yet will belong to the role. A privilege on some columns is considered sufficient,
-- because only the statement shows which columns it uses.
DO $privileges$
DECLARE
    role CONSTANT text := quote_ident(current_user);
    home CONSTANT text := current_setting('lfmigrate.history_schema');
    ledger CONSTANT regclass := to_regclass(format('%I.lfmigrate_history', home));
    missing text[] := '{}';
    lacks text;
BEGIN
    IF ledger IS NOT NULL THEN
        IF NOT has_schema_privilege(home, 'USAGE') THEN
            missing := missing || format('GRANT USAGE ON SCHEMA %I TO %s;', home, role);
        END IF;
        lacks := concat_ws(', ', CASE WHEN NOT has_table_privilege(ledger, 'SELECT') THEN 'SELECT' END,
            CASE WHEN NOT has_table_privilege(ledger, 'INSERT') THEN 'INSERT' END,
            CASE WHEN NOT has_table_privilege(ledger, 'UPDATE') THEN 'UPDATE' END);
        IF lacks <> '' THEN
            missing := missing || format('GRANT %s ON %I.lfmigrate_history TO %s;', lacks, home, role);
        END IF;
    ELSIF to_regnamespace(quote_ident(home)) IS NULL THEN
        IF NOT has_database_privilege(current_database(), 'CREATE') THEN
            missing := missing || format('GRANT CREATE ON DATABASE %I TO %s;', current_database(), role);
        END IF;
    ELSIF NOT has_schema_privilege(home, 'CREATE') OR NOT has_schema_privilege(home, 'USAGE') THEN
        missing := missing || format('GRANT USAGE, CREATE ON SCHEMA %I TO %s;', home, role);
    END IF;
    SELECT missing || coalesce(array_agg(DISTINCT m.line ORDER BY m.line), '{}')
    INTO missing
    FROM jsonb_to_recordset(current_setting('lfmigrate.needs')::jsonb)
        AS n (privilege text, schema text, name text, database boolean, file text)
    LEFT JOIN pg_namespace AS s ON s.nspname = coalesce(n.schema, current_schema()) AND n.name IS NULL
    -- Where a schema is named, to_regclass would fail if the role may not use it.
    LEFT JOIN pg_namespace AS h ON h.nspname = n.schema AND n.name IS NOT NULL
    LEFT JOIN pg_class AS c ON n.name IS NOT NULL AND c.oid = CASE
        WHEN n.schema IS NULL THEN to_regclass(quote_ident(n.name))
        ELSE (SELECT k.oid FROM pg_class AS k WHERE k.relname = n.name AND k.relnamespace = h.oid)
    END
    CROSS JOIN LATERAL (SELECT CASE
        WHEN h.oid IS NOT NULL AND NOT has_schema_privilege(h.oid, 'USAGE')
            THEN format('GRANT USAGE ON SCHEMA %I TO %s;', h.nspname, role)
        END
        UNION ALL SELECT CASE
        WHEN n.database AND NOT has_database_privilege(current_database(), 'CREATE')
            THEN format('GRANT CREATE ON DATABASE %I TO %s;', current_database(), role)
        WHEN s.oid IS NOT NULL AND NOT (has_schema_privilege(s.oid, 'CREATE') AND has_schema_privilege(s.oid, 'USAGE'))
            THEN format('GRANT USAGE, CREATE ON SCHEMA %I TO %s;', s.nspname, role)
        WHEN c.oid IS NULL THEN NULL
        WHEN n.privilege IN ('OWNER', 'DROP') THEN CASE
            WHEN pg_has_role(c.relowner, 'USAGE') THEN NULL
            WHEN n.privilege = 'DROP' AND (SELECT pg_has_role(o.nspowner, 'USAGE') FROM pg_namespace AS o WHERE o.oid = c.relnamespace) THEN NULL
            -- Who belongs to a superuser's role may become a superuser.
            WHEN (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = c.relowner) THEN format(
                'ALTER %s OWNER TO %s;  -- or connect as its owner, %I; for %s', (
                    SELECT CASE k.relkind WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW ' WHEN 'S' THEN 'SEQUENCE '
                        WHEN 'f' THEN 'FOREIGN TABLE ' ELSE 'TABLE ' END || k.oid::regclass
                    FROM pg_class AS k
                    -- An index has the owner of its table.
                    WHERE k.oid = coalesce((SELECT x.indrelid FROM pg_index AS x WHERE x.indexrelid = c.oid), c.oid)),
                role, pg_get_userbyid(c.relowner), n.file)
            ELSE format('GRANT %I TO %s;  -- the owner of %s, for %s', pg_get_userbyid(c.relowner), role, c.oid::regclass, n.file)
        END
        WHEN n.privilege IN ('INSERT', 'UPDATE', 'REFERENCES') THEN CASE
            WHEN NOT has_any_column_privilege(c.oid, n.privilege) THEN format('GRANT %s ON %s TO %s;', n.privilege, c.oid::regclass, role)
        END
        WHEN n.privilege <> 'CREATE' AND NOT has_table_privilege(c.oid, n.privilege)
            THEN format('GRANT %s ON %s TO %s;', n.privilege, c.oid::regclass, role)
        END) AS m (line)
    WHERE m.line IS NOT NULL AND m.line <> ALL (missing);
    IF cardinality(missing) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'LF003',
            MESSAGE = format('role %s is missing %s', role,
                CASE WHEN cardinality(missing) = 1 THEN '1 privilege' ELSE cardinality(missing) || ' privileges' END),
            DETAIL = array_to_string(missing, E'\n');
    END IF;
END
$privileges$
