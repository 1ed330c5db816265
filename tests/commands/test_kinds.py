"""What `verify` compares: every property of a relation, and every kind of object.

Each case is a statement in a migration, a change by hand, and what is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from lfmigrate.commands.verify import VerifyReport
from tests.helpers.commands import up, verify
from tests.helpers.databases import execute

Write = Callable[[Mapping[str, str | bytes]], Path]


def rows(report: VerifyReport) -> set[tuple[str, str, str, frozenset[str]]]:
    """Return what differs: status, kind, name and the parts."""
    return {
        (v.status, v.relation.kind, v.relation.name, frozenset(d.part for d in v.differences))
        for v in report.relations
        if v.status != "ok"
    }


# --------------------------------------------------------------------------------------------------
# Properties of relations
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Property:
    """A property: what a migration creates, a change of it by hand, and what is reported."""

    create: str
    change: str
    kind: str
    name: str
    part: str
    since: int = 14


TABLE = "CREATE TABLE t (id int CONSTRAINT k UNIQUE, n text);"
BASE_TYPE = """
    CREATE TYPE b;
    CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
    CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
    CREATE FUNCTION b_send(b) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
    CREATE TYPE b (INPUT = b_in, OUTPUT = b_out, LIKE = int4);
"""

PROPERTIES = {
    "storage": Property(
        TABLE, "ALTER TABLE t ALTER n SET STORAGE EXTERNAL", "table", "t", "column n"
    ),
    "compression": Property(
        TABLE, "ALTER TABLE t ALTER n SET COMPRESSION pglz", "table", "t", "column n"
    ),
    "a column's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION \"C\" (locale = 'POSIX');"
        ' CREATE COLLATION s."C" (locale = \'POSIX\'); CREATE TABLE t (n text COLLATE s."C")',
        'ALTER TABLE t ALTER n TYPE text COLLATE public."C"',
        "table",
        "t",
        "column n",
    ),
    "a domain's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION c (locale = 'POSIX');"
        " CREATE COLLATION s.c (locale = 'POSIX'); CREATE DOMAIN d AS text COLLATE s.c",
        "DROP DOMAIN d; CREATE DOMAIN d AS text COLLATE c",
        "type",
        "d",
        "definition",
    ),
    "a range's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION c (locale = 'POSIX');"
        " CREATE COLLATION s.c (locale = 'POSIX');"
        " CREATE TYPE r AS RANGE (SUBTYPE = text, COLLATION = s.c)",
        "DROP TYPE r; CREATE TYPE r AS RANGE (SUBTYPE = text, COLLATION = c)",
        "type",
        "r",
        "definition",
    ),
    "options of a unique constraint": Property(
        TABLE, "ALTER INDEX k SET (fillfactor = 50)", "table", "t", "constraint k"
    ),
    "options of a primary key": Property(
        "CREATE TABLE t (id int CONSTRAINT k PRIMARY KEY WITH (fillfactor = 60))",
        "ALTER INDEX k RESET (fillfactor)",
        "table",
        "t",
        "constraint k",
    ),
    "clustered": Property(TABLE, "ALTER TABLE t CLUSTER ON k", "table", "t", "cluster"),
    "no longer clustered": Property(
        TABLE + "ALTER TABLE t CLUSTER ON k",
        "ALTER TABLE t SET WITHOUT CLUSTER",
        "table",
        "t",
        "cluster",
    ),
    "typed table": Property(
        "CREATE TYPE p AS (id int); CREATE TABLE t OF p",
        "ALTER TABLE t NOT OF",
        "table",
        "t",
        "type",
    ),
    "toast options": Property(
        TABLE,
        "ALTER TABLE t SET (toast.autovacuum_enabled = off)",
        "table",
        "t",
        "toast options",
    ),
    "schema of an extension": Property(
        "CREATE SCHEMA s; CREATE EXTENSION citext",
        "ALTER EXTENSION citext SET SCHEMA s",
        "extension",
        "citext",
        "schema",
    ),
    "version of an extension": Property(
        "CREATE EXTENSION hstore VERSION '1.4'",
        "ALTER EXTENSION hstore UPDATE TO '1.6'",
        "extension",
        "hstore",
        "version",
    ),
    "base type": Property(
        BASE_TYPE,
        "ALTER TYPE b SET (SEND = b_send)",
        "type",
        "b",
        "definition",
    ),
    "no longer populated": Property(
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n",
        "REFRESH MATERIALIZED VIEW m WITH NO DATA",
        "materialized view",
        "m",
        "rows",
    ),
    "not null, no inherit": Property(
        "CREATE TABLE t (n int CONSTRAINT k NOT NULL NO INHERIT)",
        "ALTER TABLE t ALTER CONSTRAINT k INHERIT",
        "table",
        "t",
        "column n",
        since=18,
    ),
}


@pytest.mark.parametrize("case", PROPERTIES)
def test_a_property_is_compared(
    case: str, server_version: int, create_database: Callable[..., str], folder: Write
) -> None:
    """The history and a replay agree about it, and a change by hand is found by both."""
    given = PROPERTIES[case]
    if server_version < given.since:
        pytest.skip(f"PostgreSQL {given.since} introduced it")
    database = create_database()
    files = folder({"1_a.sql": given.create})
    up(database, files)
    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok

    execute(database, given.change)

    changed = {("drifted", given.kind, given.name, frozenset({given.part}))}
    assert rows(verify(database, files)) == changed
    assert rows(verify(database, files, replay_files=True)) == changed


def test_a_materialized_view_may_be_filled_at_any_time(database: str, folder: Write) -> None:
    """Its rows are no part of the schema; that a migration left it without any is no promise."""
    files = folder({"1_a.sql": "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n WITH NO DATA"})
    up(database, files)
    assert verify(database, files).ok

    execute(database, "REFRESH MATERIALIZED VIEW m")

    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok
    (files / "2_b.sql").write_text("CREATE TABLE t (n int)")
    report = up(database, files)
    assert report.notes == ()
    execute(database, "REFRESH MATERIALIZED VIEW m WITH NO DATA")
    assert verify(database, files).ok

    (files / "3_c.sql").write_text("REFRESH MATERIALIZED VIEW m")
    up(database, files)
    execute(database, "REFRESH MATERIALIZED VIEW m WITH NO DATA")
    assert rows(verify(database, files)) == {
        ("drifted", "materialized view", "m", frozenset({"rows"}))
    }
