-- Which of these parts of relations exist, under this name or another?
--
-- Asked through a second connection, which sees the database as it was before an open run. Only names and numbers
-- are read: describing a definition would wait for the run's locks.
--
-- $1  jsonb array of {"id", "part", "kind", "name", "number"}: the relation's id, the part, its kind and name, and its oid.
--
-- One row: a jsonb object of id -> [part, ...].
SELECT coalesce(jsonb_object_agg(found.id, found.parts), '{}')
FROM (
    SELECT w.id, jsonb_agg(w.part) AS parts
    FROM jsonb_to_recordset($1::jsonb) AS w (id text, part text, kind text, name text, number oid)
    CROSS JOIN LATERAL (SELECT split_part(w.id, ':', 2)::oid) AS r (oid)
    WHERE CASE w.kind
        WHEN 'constraint' THEN EXISTS (SELECT FROM pg_constraint AS k WHERE k.oid = w.number OR r.oid IN (k.conrelid, k.contypid) AND k.conname = w.name)
        WHEN 'index' THEN EXISTS (SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE c.oid = w.number OR i.indrelid = r.oid AND c.relname = w.name)
        WHEN 'policy' THEN EXISTS (SELECT FROM pg_policy AS p WHERE p.oid = w.number OR p.polrelid = r.oid AND p.polname = w.name)
        WHEN 'rule' THEN EXISTS (SELECT FROM pg_rewrite AS u WHERE u.oid = w.number OR u.ev_class = r.oid AND u.rulename = w.name)
        WHEN 'sequence' THEN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = w.number)
        WHEN 'statistics' THEN EXISTS (SELECT FROM pg_statistic_ext AS s WHERE s.oid = w.number OR s.stxrelid = r.oid AND s.stxname = w.name)
        WHEN 'trigger' THEN EXISTS (SELECT FROM pg_trigger AS g WHERE g.oid = w.number OR g.tgrelid = r.oid AND g.tgname = w.name)
    END
    GROUP BY w.id
) AS found
