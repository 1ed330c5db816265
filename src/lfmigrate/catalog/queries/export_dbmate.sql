-- What does dbmate's table have to be? $1: the rows to add, a jsonb array. CREATE is left out if it exists.
CREATE TABLE schema_migrations (
    version varchar PRIMARY KEY
);

INSERT INTO schema_migrations (version)
SELECT r.version
FROM jsonb_to_recordset($1::jsonb) AS r (version varchar);
