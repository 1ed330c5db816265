-- Which relations and routines have one of these names, in any schema?
--
-- $1  jsonb array of names, as the server stores them.
-- $2  jsonb array of those whose child tables are asked for as well.
--
-- An index stands for its table. Where an event trigger may fire, which may change anything, all that users have.
-- One row per oid, of pg_class or pg_proc.
WITH RECURSIVE named AS (
    SELECT coalesce(i.indrelid, c.oid) AS oid
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE c.relname = ANY (ARRAY(SELECT n.name::name FROM jsonb_array_elements_text($1::jsonb) AS n (name)))
),
child AS (
    SELECT c.oid
    FROM pg_class AS c
    WHERE c.relname = ANY (ARRAY(SELECT n.name::name FROM jsonb_array_elements_text($2::jsonb) AS n (name)))
    UNION
    SELECT h.inhrelid FROM child JOIN pg_inherits AS h ON h.inhparent = child.oid
)
SELECT named.oid FROM named
UNION ALL
SELECT child.oid FROM child
UNION ALL
SELECT p.oid FROM pg_proc AS p
WHERE p.proname = ANY (ARRAY(SELECT n.name::name FROM jsonb_array_elements_text($1::jsonb) AS n (name)))
UNION ALL
SELECT c.oid FROM pg_class AS c
WHERE c.oid >= 16384 AND EXISTS (SELECT FROM pg_event_trigger AS e WHERE e.evtenabled <> 'D')
UNION ALL
SELECT p.oid FROM pg_proc AS p
WHERE p.oid >= 16384 AND EXISTS (SELECT FROM pg_event_trigger AS e WHERE e.evtenabled <> 'D')
