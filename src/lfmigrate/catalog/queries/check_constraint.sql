-- What does a check constraint require, and of which columns?
--
-- $1  the table's schema.
-- $2  the table's name.
-- $3  the constraint's name.
--
-- One row: null if there is no such constraint, else a jsonb object of {words, expression, columns}: the
-- comment on it or, without one, the expression as shown to people; the expression with unqualified column
-- names; and those names.
SELECT (
    SELECT jsonb_build_object(
        'words', coalesce(obj_description(k.oid, 'pg_constraint'), pg_get_expr(k.conbin, k.conrelid, true)),
        'expression', pg_get_expr(k.conbin, k.conrelid),
        'columns', (SELECT coalesce(jsonb_agg(a.attname), '[]') FROM pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)))
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text AND c.relname = $2::text AND k.conname = $3::text AND k.contype = 'c')
