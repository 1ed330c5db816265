-- What do the objects of kinds.sql look like that are asked for?
--
-- See kinds_found.sql. The result is left in the setting lfmigrate.kinds, for relations.sql. No columns are returned.
SELECT
FROM set_config('lfmigrate.kinds', (
    -- include kinds_found.sql
)::text, true)
