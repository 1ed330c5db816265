-- What does sqlx's table have to be? $1: the rows to add, a jsonb array. CREATE is left out if it exists.
CREATE TABLE _sqlx_migrations (
    version bigint PRIMARY KEY,
    description text NOT NULL,
    installed_on timestamptz NOT NULL DEFAULT now(),
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);

INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
SELECT r.version, r.description, r.installed_on, r.success, decode(r.checksum, 'hex'), r.execution_time
FROM jsonb_to_recordset($1::jsonb) AS r (
    version bigint, description text, installed_on timestamptz, success boolean, checksum text, execution_time bigint
);
