-- What does Flyway's table have to be? $1: the rows to add in order, a jsonb array. CREATE is left out if it exists.
--
-- Its times have no time zone; they are those of the session's.
CREATE TABLE flyway_schema_history (
    installed_rank integer NOT NULL,
    version varchar(50),
    description varchar(200) NOT NULL,
    type varchar(20) NOT NULL,
    script varchar(1000) NOT NULL,
    checksum integer,
    installed_by varchar(100) NOT NULL,
    installed_on timestamp NOT NULL DEFAULT now(),
    execution_time integer NOT NULL,
    success boolean NOT NULL,
    CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank)
);

CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);

INSERT INTO flyway_schema_history (
    installed_rank, version, description, type, script, checksum, installed_by, installed_on, execution_time, success
)
SELECT
    coalesce((SELECT max(h.installed_rank) FROM flyway_schema_history AS h), 0) + r.place,
    r.version, r.description, r.type, r.script, r.checksum, r.installed_by, r.installed_on, r.execution_time, r.success
FROM ROWS FROM (
    jsonb_to_recordset($1::jsonb) AS (
        version text, description text, type text, script text, checksum integer, installed_by text,
        installed_on timestamptz, execution_time integer, success boolean
    )
) WITH ORDINALITY AS r (
    version, description, type, script, checksum, installed_by, installed_on, execution_time, success, place
)
ORDER BY r.place;
