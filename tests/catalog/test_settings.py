"""The same catalogs read the same, whatever is set for the role, the database or the session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

import lfmigrate
from lfmigrate import catalog
from lfmigrate.engine.state import read_state
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.schema.relation import Snapshot
from lfmigrate.settings import Scope
from tests.helpers.commands import up, verify
from tests.helpers.databases import execute

# One constant of each type whose text a setting changes, in each place that may have one.
CONSTANTS = """
CREATE FUNCTION at() RETURNS timestamptz LANGUAGE sql IMMUTABLE
    AS $$ SELECT timestamptz '2021-02-03 04:05:06+00' $$;
CREATE FUNCTION since(a timestamptz DEFAULT '2021-02-03 04:05:06+00') RETURNS boolean
    LANGUAGE sql STABLE RETURN a > timestamptz '2021-02-03 04:05:06+00';
CREATE DOMAIN soon AS timestamptz DEFAULT '2021-02-03 04:05:06+00'
    CHECK (VALUE > '2021-02-03 04:05:06+00');
CREATE TABLE constants (
    id bigint PRIMARY KEY,
    a timestamptz DEFAULT '2021-02-03 04:05:06+00',
    b date DEFAULT '2021-02-03',
    c interval DEFAULT '1 day 02:03:04',
    d bytea DEFAULT '\\xff00',
    e double precision DEFAULT 0.1::float8 + 0.2::float8,
    f money DEFAULT 1234.5,
    g text DEFAULT E'a\\\\b''c',
    h double precision DEFAULT '0.30000000000000004',
    j text[] DEFAULT '{NULL,a}',
    k soon,
    CHECK (a <> '2021-02-03 04:05:06+00' AND c <> '1 day 02:03:04')
);
CREATE TABLE "select" (id bigint REFERENCES constants (id), "from" text);
CREATE INDEX constants_a ON constants (id) WHERE a > '2021-02-03 04:05:06+00';
CREATE STATISTICS constants_s ON b, c FROM constants;
CREATE TABLE parts (a timestamptz NOT NULL) PARTITION BY RANGE (a);
CREATE TABLE part_1 PARTITION OF parts
    FOR VALUES FROM ('2021-02-03 04:05:06+00') TO ('2022-02-03 04:05:06+00');
ALTER TABLE constants ENABLE ROW LEVEL SECURITY;
CREATE POLICY late ON constants USING (a > '2021-02-03 04:05:06+00');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON constants FOR EACH ROW
    WHEN (NEW.a > '2021-02-03 04:05:06+00') EXECUTE FUNCTION touch();
CREATE VIEW shown AS SELECT id, a AT TIME ZONE 'UTC' AS a, interval '1 day 02:03:04' AS c,
    bytea '\\xff' AS d, 0.1::float8 AS e, E'\\\\' AS g FROM constants
    WHERE a > '2021-02-03 04:05:06+00' AND b > '2021-02-03';
CREATE RULE no_insert AS ON INSERT TO parts WHERE NEW.a > '2021-02-03 04:05:06+00'
    DO INSTEAD NOTHING;
"""

# They say who runs or what a transaction is, or let no other statement through.
LEFT_OUT = {
    "role": "another role",
    "session_authorization": "another role",
    "transaction_isolation": "of one transaction; BEGIN states it",
    "transaction_read_only": "of one transaction; BEGIN states it",
    "transaction_deferrable": "of one transaction; BEGIN states it",
    "client_encoding": "a connection in another encoding is refused",
    "max_stack_depth": "the server refuses any query",
    "allow_in_place_tablespaces": "concerns no text",
}

SCOPE = Scope(schema="public")

TEXTS = {
    "TimeZone": ["Asia/Tokyo", "America/New_York"],
    "DateStyle": ["German, DMY", "SQL, MDY", "Postgres, DMY"],
    "search_path": ["pg_catalog, public", '""'],
    "lc_monetary": ["C"],
    "lc_numeric": ["C"],
    "lc_time": ["C"],
    "lc_messages": ["C"],
}


def other_values(setting: dict[str, Any]) -> Iterator[str]:
    """Yield values that a setting may have and does not have."""
    name, kind, now = setting["name"], setting["vartype"], setting["setting"]
    if name in TEXTS:
        yield from TEXTS[name]
    elif kind == "bool":
        yield "off" if now == "on" else "on"
    elif kind == "enum":
        yield from (value for value in setting["enumvals"] if value != now)
    elif kind in {"integer", "real"}:
        yield from (v for v in (setting["min_val"], setting["max_val"]) if v != now)


def read(conn: psycopg.Connection[Any]) -> tuple[Snapshot, object]:
    """Return the expected relations as they read, and all fingerprints."""
    state = read_state(conn, SCOPE)
    flight = Flight(conn)
    flight.begin(SCOPE, read_only=True)
    flight.look_at("public")
    asked = flight.ask(catalog.fingerprints())
    flight.do("ROLLBACK")
    flight.go()
    return state.live, asked.value


# Some hundred settings, one by one; one that a version in between had alone is not known.
@pytest.mark.sweep
def test_no_setting_changes_what_is_read(database: str, tmp_path: Path) -> None:
    """A time zone or a date style of the role is no drift; nor is a setting yet to come."""
    (tmp_path / "1_constants.up.sql").write_text(CONSTANTS)
    up(database, tmp_path)
    tried = set()
    changed = []
    with (
        closing(lfmigrate.connect(database)) as conn,
        closing(psycopg.connect(database, autocommit=True)) as admin,
    ):
        live, fingerprints = read(conn)
        names = admin.execute(
            "SELECT to_jsonb(s) FROM pg_settings AS s WHERE context IN ('user', 'superuser')"
        ).fetchall()
        for (setting,) in names:
            if setting["name"] in LEFT_OUT:
                continue
            for value in other_values(setting):
                statement = sql.SQL("SET {} = {}").format(
                    sql.Identifier(setting["name"]), sql.Literal(value)
                )
                try:
                    conn.execute(statement)
                except psycopg.Error:
                    continue  # not a value that this server takes
                tried.add(setting["name"])
                if read(conn) != (live, fingerprints):
                    changed.append(f"{setting['name']} = {value}")
                conn.execute(f"RESET {setting['name']}".encode())
    assert len(live) == 9
    assert not changed
    assert {"TimeZone", "DateStyle", "IntervalStyle", "bytea_output", "jit"} <= tried
    assert len(tried) > 100


@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
        "quote_all_identifiers = on",
        "standard_conforming_strings = off",
    ],
)
def test_a_setting_of_the_role_is_no_drift(database: str, tmp_path: Path, setting: str) -> None:
    """Where a setting comes from makes no difference."""
    (tmp_path / "1_constants.up.sql").write_text(CONSTANTS)
    up(database, tmp_path)
    execute(database, f"ALTER DATABASE {conninfo_to_dict(database)['dbname']} SET {setting}")

    report = verify(database, tmp_path)

    assert report.ok, report.relations
