-- What does saving and restoring the rows of these tables require?
--
-- $1  jsonb array of {"schema", "name"}; anything that is not a table is left out.
--
-- Partitions are left out if their parent is asked for, because its rows are theirs; `members` are the table and its
-- partitions, the table first. `definition` describes the types of users that a column's type uses. `triggers` are the
-- enabled ones that users defined; `enabled` is the letter in pg_trigger or, for rules, in pg_rewrite.
-- `foreign_keys` are those that are validated; `references` is the id of the referenced table or, for a partition of a
-- table that is asked for, of that table. `forced` says whether policies apply to the role although it owns the table.
-- Waits for no lock on any of them.
-- One row: a jsonb array, by name, of
--   {id, schema, name, partitioned, forced, columns: [{name, number, type, generated, always, default, definition}], primary_key: [name],
--    sequences: [{column, schema, name}], members: [{schema, name, triggers: [{name, enabled}],
--    rules: [{name, enabled}], foreign_keys: [{name, references, deferrable}]}]}
WITH RECURSIVE asked AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relforcerowsecurity
    FROM jsonb_to_recordset($1::jsonb) AS t (schema text, name text)
    JOIN pg_namespace AS n ON n.nspname = t.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
    WHERE c.relkind IN ('r', 'p')
),
chosen AS MATERIALIZED (
    SELECT a.*
    FROM asked AS a
    WHERE NOT EXISTS (SELECT FROM pg_partition_ancestors(a.oid) AS p JOIN asked AS parent ON parent.oid = p.relid AND parent.oid <> a.oid)
),
members (root, oid, depth) AS (
    SELECT t.oid, t.oid, 0 FROM chosen AS t
    UNION ALL
    SELECT m.root, i.inhrelid, m.depth + 1
    FROM members AS m
    JOIN pg_inherits AS i ON i.inhparent = m.oid
    JOIN pg_class AS c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', 'pg_class:' || t.oid, 'schema', t.nspname, 'name', t.relname, 'partitioned', t.relkind = 'p',
    'forced', t.relforcerowsecurity AND row_security_active(t.oid),
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'number', a.attnum, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '', 'always', a.attidentity = 'a',
            'default', (SELECT pg_get_expr(e.adbin, e.adrelid) FROM pg_attrdef AS e WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum),
            'definition', (
                WITH RECURSIVE types (oid) AS (
                    SELECT a.atttypid
                    UNION
                    SELECT n.oid
                    FROM types AS u
                    JOIN pg_type AS y ON y.oid = u.oid
                    LEFT JOIN pg_range AS r ON y.typtype IN ('r', 'm') AND (r.rngtypid = y.oid OR to_jsonb(r) ->> 'rngmultitypid' = y.oid::text)
                    CROSS JOIN LATERAL (
                        SELECT y.typbasetype UNION SELECT y.typelem UNION SELECT r.rngsubtype
                        UNION SELECT b.atttypid FROM pg_attribute AS b WHERE b.attrelid = y.typrelid AND b.attnum > 0 AND NOT b.attisdropped
                    ) AS n (oid)
                    WHERE n.oid <> 0 AND (y.typnamespace <> 'pg_catalog'::regnamespace OR y.typcategory = 'A')
                )
                SELECT coalesce(string_agg(d.name || ' ' || d.definition, '; ' ORDER BY d.name COLLATE "C"), '')
                FROM (
                    SELECT format_type(y.oid, NULL) AS name, CASE y.typtype
                        WHEN 'd' THEN 'domain over ' || format_type(y.typbasetype, y.typtypmod)
                        WHEN 'e' THEN 'enum ' || (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = y.oid)::text
                        WHEN 'r' THEN 'range of ' || (SELECT format_type(r.rngsubtype, NULL) FROM pg_range AS r WHERE r.rngtypid = y.oid)
                        WHEN 'c' THEN 'row (' || coalesce((
                            SELECT string_agg(quote_ident(b.attname) || ' ' || format_type(b.atttypid, b.atttypmod), ', ' ORDER BY b.attnum)
                            FROM pg_attribute AS b WHERE b.attrelid = y.typrelid AND b.attnum > 0 AND NOT b.attisdropped), '') || ')'
                        END AS definition
                    FROM types AS u
                    JOIN pg_type AS y ON y.oid = u.oid
                    WHERE y.typnamespace <> 'pg_catalog'::regnamespace
                ) AS d)) ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'sequences', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('column', a.attname, 'schema', n.nspname, 'name', s.relname) ORDER BY a.attnum, s.relname), '[]')
        FROM pg_depend AS d
        JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        JOIN pg_namespace AS n ON n.oid = s.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype IN ('a', 'i')),
    'primary_key', (
        SELECT coalesce(jsonb_agg(a.attname ORDER BY k.number), '[]')
        FROM pg_index AS x
        CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k (attnum, number)
        JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
        WHERE x.indrelid = t.oid AND x.indisprimary AND k.number <= x.indnkeyatts),
    'members', (
        SELECT jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname,
            'rules', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('name', w.rulename, 'enabled', w.ev_enabled) ORDER BY w.rulename), '[]')
                FROM pg_rewrite AS w
                WHERE w.ev_class = c.oid AND w.ev_enabled <> 'D'),
            'triggers', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('name', g.tgname, 'enabled', g.tgenabled) ORDER BY g.tgname), '[]')
                FROM pg_trigger AS g
                LEFT JOIN pg_constraint AS k ON k.oid = g.tgconstraint
                -- On 14, a partition's copy of its table's trigger is internal.
                WHERE g.tgrelid = c.oid AND (NOT g.tgisinternal OR g.tgparentid <> 0) AND coalesce(k.contype, 't') = 't' AND g.tgenabled <> 'D'),
            'foreign_keys', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'references', 'pg_class:' || coalesce((SELECT r.root FROM members AS r WHERE r.oid = k.confrelid), k.confrelid), 'deferrable', k.condeferrable) ORDER BY k.conname), '[]')
                FROM pg_constraint AS k
                WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0 AND k.convalidated))
            ORDER BY m.depth, n.nspname COLLATE "C", c.relname COLLATE "C")
        FROM members AS m
        JOIN pg_class AS c ON c.oid = m.oid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE m.root = t.oid))
    ORDER BY t.nspname COLLATE "C", t.relname COLLATE "C"), '[]')
FROM chosen AS t
