-- Is there anything in this database that neither the server, nor an extension, nor lfmigrate has created?
--
-- What belongs to another object, such as an array type to its element's, counts with that: before PostgreSQL 17, the array type of
-- an extension's type is not itself a member.
--
-- $1: the schema of the history
SELECT to_jsonb(EXISTS (
    SELECT
    FROM (
        SELECT 'pg_class'::regclass, c.oid, c.relnamespace FROM pg_class AS c
        UNION ALL
        SELECT 'pg_proc'::regclass, p.oid, p.pronamespace FROM pg_proc AS p
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, t.typnamespace FROM pg_type AS t
        UNION ALL
        SELECT 'pg_namespace'::regclass, n.oid, n.oid FROM pg_namespace AS n WHERE n.nspname <> 'public'
    ) AS o (classid, objid, namespace)
    JOIN pg_namespace AS n ON n.oid = o.namespace
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', $1)
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('e', 'i')
    )
))
