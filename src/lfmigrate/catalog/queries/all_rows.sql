-- May the role see every row of these tables? If not, fail with the tables and the policies that hide rows.
--
-- The setting lfmigrate.tables is a jsonb array of {schema, name}; what is not a table is left out, and so is a
-- partition if its parent is asked for, because its rows are then read through the parent, whose policies alone apply.
-- If the setting lfmigrate.may_lift is true and the transaction may write, a table of the role's own that has
-- FORCE ROW LEVEL SECURITY loses that first. This takes an ACCESS EXCLUSIVE lock, and is to be rolled back.
DO $rows$
DECLARE
    hidden text[] := '{}';
    forced text[] := '{}';
    found record;
BEGIN
    FOR found IN
        WITH asked AS MATERIALIZED (
            SELECT c.oid, n.nspname, c.relname, c.relowner
            FROM jsonb_to_recordset(current_setting('lfmigrate.tables')::jsonb) AS t (schema text, name text)
            JOIN pg_namespace AS n ON n.nspname = t.schema
            JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
            WHERE c.relkind IN ('r', 'p')
        )
        SELECT format('%I.%I', t.nspname, t.relname) AS name,
            -- The owner is under the policies only if they are forced.
            pg_has_role(t.relowner, 'USAGE') AS own,
            (SELECT string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname COLLATE "C")
                FROM pg_policy AS p WHERE p.polrelid = t.oid) AS policies
        FROM asked AS t
        WHERE row_security_active(t.oid)
            AND NOT EXISTS (SELECT FROM pg_partition_ancestors(t.oid) AS p JOIN asked AS parent ON parent.oid = p.relid AND parent.oid <> t.oid)
        ORDER BY t.nspname COLLATE "C", t.relname COLLATE "C"
    LOOP
        IF found.own AND current_setting('lfmigrate.may_lift')::boolean AND NOT current_setting('transaction_read_only')::boolean THEN
            EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', found.name);
            CONTINUE;
        END IF;
        hidden := hidden || format('table %s: %s', found.name, CASE
            WHEN found.policies IS NULL THEN 'row-level security without a policy'
            WHEN found.policies LIKE '%, %' THEN 'policies ' || found.policies
            ELSE 'policy ' || found.policies END);
        IF found.own THEN
            forced := forced || found.name;
        END IF;
    END LOOP;
    IF cardinality(hidden) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'LF004',
            MESSAGE = format('row-level security hides rows of %s from role %s',
                CASE WHEN cardinality(hidden) = 1 THEN '1 table' ELSE cardinality(hidden) || ' tables' END, quote_ident(current_user)),
            DETAIL = array_to_string(hidden, E'\n'),
            HINT = 'Connect as a superuser or a role with BYPASSRLS'
                || CASE WHEN cardinality(forced) = cardinality(hidden)
                    THEN format(', or let the owner run: %s', (SELECT string_agg(format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY;', f.name), ' ') FROM unnest(forced) AS f (name)))
                    WHEN cardinality(forced) = 0 THEN ', or as the tables'' owner.'
                    ELSE '.' END;
    END IF;
END
$rows$
