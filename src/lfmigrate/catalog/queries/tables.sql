-- What does saving and restoring the rows of these tables require?
--
-- $1  jsonb array of {"schema", "name"}; anything that is not a table is left out.
--
-- Partitions are left out if their parent is asked for, because its rows are theirs. `enabled` is the letter
-- in pg_trigger. `references` is the id of the referenced table. Waits for no lock on any of them.
-- One row: a jsonb array, by name, of
--   {id, schema, name, partitioned, columns: [{name, type, generated}],
--    sequences: [{column, schema, name}], foreign_keys: [{name, references, deferrable, deferred}],
--    triggers: [{name, enabled}]}
WITH asked AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind
    FROM jsonb_to_recordset($1::jsonb) AS t (schema text, name text)
    JOIN pg_namespace AS n ON n.nspname = t.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
    WHERE c.relkind IN ('r', 'p')
)
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', 'pg_class:' || t.oid, 'schema', t.nspname, 'name', t.relname, 'partitioned', t.relkind = 'p',
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '') ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'sequences', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('column', a.attname, 'schema', n.nspname, 'name', s.relname) ORDER BY a.attnum, s.relname), '[]')
        FROM pg_depend AS d
        JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        JOIN pg_namespace AS n ON n.oid = s.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype IN ('a', 'i')),
    'foreign_keys', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'references', 'pg_class:' || k.confrelid, 'deferrable', k.condeferrable, 'deferred', k.condeferred) ORDER BY k.conname), '[]')
        FROM pg_constraint AS k
        WHERE k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0),
    'triggers', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', g.tgname, 'enabled', g.tgenabled) ORDER BY g.tgname), '[]')
        FROM pg_trigger AS g
        WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')))
    ORDER BY t.nspname COLLATE "C", t.relname COLLATE "C"), '[]')
FROM asked AS t
WHERE NOT EXISTS (SELECT FROM pg_partition_ancestors(t.oid) AS p JOIN asked AS parent ON parent.oid = p.relid AND parent.oid <> t.oid)
