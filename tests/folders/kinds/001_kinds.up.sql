-- 001: at least one of every kind of object that a schema may hold, for the tests of verify
--
-- What is no part of a schema (a foreign server) is made only where it is not there yet, so that
-- the file can be replayed beside itself.

-- Types

CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');

CREATE DOMAIN share AS numeric(5,2) DEFAULT 0 NOT NULL
    CONSTRAINT share_check CHECK (VALUE >= 0);

CREATE DOMAIN code AS text COLLATE "C";

CREATE TYPE address AS (street text, zip varchar(10));

CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);

-- Routines

CREATE FUNCTION doubled(n integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN n * 2;

CREATE FUNCTION doubled(n text) RETURNS text
    LANGUAGE sql STABLE STRICT
    AS 'SELECT n || n';

CREATE FUNCTION listed(low integer, high integer DEFAULT 10, OUT a integer, OUT b text)
    RETURNS SETOF record
    LANGUAGE plpgsql SET work_mem = '8MB'
    AS $$ BEGIN RETURN QUERY SELECT n, n::text FROM generate_series(low, high) AS n; END $$;

CREATE FUNCTION described(where_to address) RETURNS text
    LANGUAGE sql
    AS 'SELECT where_to.street';

CREATE PROCEDURE tidy(keep integer)
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM keep; END $$;

CREATE FUNCTION added(state integer, item integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS 'SELECT coalesce(state, 0) + coalesce(item, 0)';

CREATE AGGREGATE total(integer) (SFUNC = added, STYPE = integer, INITCOND = '0');

CREATE FUNCTION touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN NEW; END $$;

-- Sequences

CREATE SEQUENCE invoice_number START 1000;

-- Tables

CREATE TABLE "Odd Name" ("some ""column""" integer, "ünï" text);

CREATE TABLE parent (id integer NOT NULL, CONSTRAINT parent_id_check CHECK (id > 0));

CREATE TABLE child (extra text) INHERITS (parent);

CREATE TABLE measurement (
    taken_on date NOT NULL,
    amount numeric,
    CONSTRAINT measurement_pkey PRIMARY KEY (taken_on)
) PARTITION BY RANGE (taken_on);

CREATE TABLE measurement_2024 PARTITION OF measurement
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');

CREATE INDEX measurement_amount_idx ON measurement (amount);

CREATE UNLOGGED TABLE scratchpad (note text);

CREATE TABLE account (
    id serial,
    number bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10),
    name text COLLATE "C" NOT NULL,
    feeling mood DEFAULT 'fine',
    rate share,
    home address,
    during int4range,
    tags text[] DEFAULT '{}',
    CONSTRAINT account_pkey PRIMARY KEY (id),
    CONSTRAINT account_name_key UNIQUE (name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT account_during_excl EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 80);

CREATE INDEX account_lower_idx ON account (lower(name)) INCLUDE (feeling) WHERE rate > 0;

CREATE STATISTICS account_statistics (ndistinct) ON name, feeling FROM account;

CREATE RULE account_keep AS ON DELETE TO account WHERE OLD.id = 1 DO INSTEAD NOTHING;

CREATE TRIGGER account_touch BEFORE UPDATE OF name ON account
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION touch();

CREATE CONSTRAINT TRIGGER account_later AFTER INSERT ON account
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch();

ALTER TABLE account ENABLE ROW LEVEL SECURITY;

CREATE POLICY account_readers ON account FOR SELECT TO pg_read_all_data USING (rate > 0);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE fdwname = 'nowhere') THEN
        CREATE FOREIGN DATA WRAPPER nowhere;
    END IF;
END
$$;

CREATE SERVER IF NOT EXISTS elsewhere FOREIGN DATA WRAPPER nowhere;

CREATE FOREIGN TABLE distant (id integer) SERVER elsewhere OPTIONS (name 'far');

-- Views that are no view files

CREATE MATERIALIZED VIEW account_names AS SELECT id, name FROM account;

CREATE UNIQUE INDEX account_names_id_idx ON account_names (id);

-- A member of an extension is the extension's business.

CREATE FUNCTION adopted() RETURNS integer
    LANGUAGE sql
    AS 'SELECT 1';

ALTER EXTENSION plpgsql ADD FUNCTION adopted();
