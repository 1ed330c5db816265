-- What does golang-migrate's table have to be? $1: its one row, a jsonb array. CREATE is left out if it exists.
CREATE TABLE schema_migrations (
    version bigint NOT NULL PRIMARY KEY,
    dirty boolean NOT NULL
);

DELETE FROM schema_migrations;

INSERT INTO schema_migrations (version, dirty)
SELECT r.version, r.dirty
FROM jsonb_to_recordset($1::jsonb) AS r (version bigint, dirty boolean);
