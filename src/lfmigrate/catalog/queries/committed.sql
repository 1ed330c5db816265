-- Which transactions have changed an object and were committed by another session?
--
-- $1  text: the id of the first transaction to ask about.
--
-- One row: a jsonb array of ids, with their epoch.
WITH
    -- include recent_rows.sql
SELECT coalesce(jsonb_agg(c.id), '[]') FROM committed AS c
