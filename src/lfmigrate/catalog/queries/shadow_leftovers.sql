-- Which shadow databases did runs leave behind that were killed?
--
-- $1  the beginning of the comment that lfmigrate gives them.
--
-- Ours by name and owner, not in use, and made more than ten minutes ago: the catalogs have no time of creation,
-- so it is in the name. A run that was killed while the server made its database left one without a comment.
-- One row: a jsonb object of `now`, the time for the name of a new one, and `names`, an array of
-- [name, whether its comment, or that it is half dropped already, is proof enough].
SELECT jsonb_build_object(
    'now', to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD"t"HH24MISS"z"'),
    'names', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(d.datname, c.comment IS NOT NULL OR d.datconnlimit = -2) ORDER BY d.datname), '[]')
        FROM pg_database AS d
        CROSS JOIN LATERAL shobj_description(d.oid, 'pg_database') AS c (comment)
        WHERE d.datname ~ '^lfmigrate_shadow_[0-9]{8}t[0-9]{6}z_[0-9a-f]{12}$'
          AND d.datdba = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
          AND (c.comment IS NULL OR starts_with(c.comment, $1))
          AND substr(d.datname, 18, 16) COLLATE "C" < to_char(now() AT TIME ZONE 'UTC' - interval '10 minutes', 'YYYYMMDD"t"HH24MISS"z"')
          AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)))
