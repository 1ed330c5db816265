-- What must be unique by the newest unique index on a table?
--
-- $1  the table's oid.
--
-- One row: null if there is none, else a jsonb object of {keys, predicate, nulls_are_equal}: its columns and expressions
-- as SQL, in order; the expression in its WHERE, or null; and whether two NULLs count as equal.
SELECT (
    SELECT jsonb_build_object(
        'keys', (SELECT jsonb_agg(pg_get_indexdef(i.indexrelid, k.place, true) ORDER BY k.place) FROM generate_series(1, i.indnkeyatts) AS k (place)),
        'predicate', pg_get_expr(i.indpred, i.indrelid),
        -- PostgreSQL 14 has no such column.
        'nulls_are_equal', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false))
    FROM pg_index AS i
    WHERE i.indrelid = $1::oid AND i.indisunique
    ORDER BY i.indexrelid DESC
    LIMIT 1)
