"""A small file of a seed has the values that COPY would read, or is copied."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lfmigrate
from lfmigrate import catalog
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, fetch
from lfmigrate.rows import filling, staging
from lfmigrate.rows.staging import Staged
from lfmigrate.source import csvfile
from tests.helpers.commands import up
from tests.helpers.databases import execute, value

# What may mean something in CSV, in an array, in a row, or in SQL.
PIECES = [
    *('"', '""', ",", "\n", "\r\n", "\r", "\\", "\\.", "\\N", "NULL", "{", "}", "(", ")", "'"),
    *(
        "$1",
        " ",
        "\t",
        "\x01",
        "a",
        "é",
        "\U0001f600",
        "",
        '"a,b"',
        '"a\nb"',
        '"c""d"',
        '"\\"',
        '""',
    ),
]

# Types with lengths, scales, texts of their own, and rules about NULL.
TYPED = """
    CREATE TEMP TABLE seed_typed (
        id int GENERATED ALWAYS AS IDENTITY, fixed char(4), short varchar(3), scaled numeric(6, 2),
        bits bit varying(3), raw bytea, document json, binary_document jsonb, numbers int[],
        texts text[], composite pair, limited small, span interval day to second(1),
        at timestamptz(0), word text DEFAULT 'w'
    )"""
ROWS = (
    "id,short,fixed,scaled,bits,raw,document,binary_document,numbers,texts,composite,limited,span,"
    "at\n"
    '7,abc  ,ab,1.005,101,\\x0aff,"{""a"":  1, ""a"": 2}","{""a"":  1}","{1,NULL}",'
    '"{""a,b"",NULL,""""}","(1,""x, y"")",99,1 day 00:00:01.26,2026-01-31 12:00:00.6+02\n'
    "3,,,,,,,,,,,,,\n"
    '5,"","",-999.994,"","",null,"""text""",{},"{""\\\\""}","(,)", 7 ,1,2026-01-01\n'
)


@pytest.fixture
def conn(database: str) -> Iterator[Connection]:
    """Return a connection with an open transaction."""
    execute(
        database,
        "CREATE TYPE pair AS (x int, y text)",
        "CREATE DOMAIN small AS int CHECK (VALUE < 100)",
    )
    with lfmigrate.connect(database) as opened:
        opened.execute("BEGIN")
        yield opened


def staged_in(conn: Connection, table: str, path: Path) -> Callable[[], Staged]:
    """Create a staging table; return what matches a file with it, as it is then."""
    conn.execute(table.encode())
    conn.execute(f"SAVEPOINT {staging.SAVEPOINT}".encode())
    tables = fetch(conn, catalog.staging(staging.PREFIX))
    return lambda: staging.pair([path], tables)[0]


def rows_of(conn: Connection, staged: Staged) -> list[Any]:
    """Return the rows of a staging table as texts, in their order, and undo them."""
    names = staging.qualified(staged)
    rows = conn.execute(f"SELECT s::text FROM {names} AS s ORDER BY ctid".encode()).fetchall()
    conn.execute(f"ROLLBACK TO SAVEPOINT {staging.SAVEPOINT}".encode())
    return rows


def inserted(conn: Connection, staged: Staged) -> list[Any] | None:
    """Return the rows of a file that is a parameter; None if it is copied instead."""
    if csvfile.plain_rows(staged.file) is None:
        return None
    flight = Flight(conn)
    filled = filling.fill(conn, flight, [staged], None)
    flight.go()
    rows = rows_of(conn, staged)
    assert filled.rows == [len(rows)]
    return rows


def copied(conn: Connection, staged: Staged) -> list[Any]:
    """Return the rows that COPY reads."""
    staging.copy(conn, [staged], None)
    return rows_of(conn, staged)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_type_has_the_values_that_copy_reads(
    conn: Connection, tmp_path: Path, end: str
) -> None:
    """Lengths, scales, NULL and defaults, in the order of the file."""
    path = tmp_path / "typed.csv"
    path.write_text(ROWS, encoding="utf-8", newline=end)
    staged = staged_in(conn, TYPED, path)()

    rows = inserted(conn, staged)

    assert rows == copied(conn, staged)
    assert len(rows) == 3


@pytest.mark.parametrize("columns", ["a", "a,b"])
def test_every_text_has_the_values_that_copy_reads(
    conn: Connection, tmp_path: Path, columns: str
) -> None:
    """Quotes, commas and line breaks anywhere; what is not plain is left to COPY."""
    path = tmp_path / "plain.csv"
    match = staged_in(conn, "CREATE TEMP TABLE seed_plain (b text, a text)", path)
    draw = random.Random(columns)  # noqa: S311 (nothing secret; the same texts each time)
    compared = 0
    for _ in range(2000):
        end = draw.choice(["\n", "\r\n"])
        text = "".join(draw.choices([*PIECES, *[",", end] * 8], k=draw.randrange(12)))
        path.write_bytes(f"{columns}{end}{text}".encode())
        staged = match()
        rows = inserted(conn, staged)
        if rows is not None:
            compared += 1
            assert rows == copied(conn, staged), repr(text)

    assert compared > 100


def test_what_a_row_type_does_not_fit_is_copied(database: str, folder: Callable[..., Path]) -> None:
    """A generated column has a place in a row, and none in a file."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, twice int)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (twice int GENERATED ALWAYS AS (n * 2)"
            " STORED, n int) ON COMMIT DROP; INSERT INTO a SELECT n, twice FROM seed_a",
            "seed/a.csv": "n\n1\n2\n",
        }
    )
    up(database, path)

    with lfmigrate.connect(database) as conn:
        report = lfmigrate.seed(conn, lfmigrate.read_folder(path))

    assert [(table.name, table.inserted) for table in report.tables] == [("a", 2)]
    assert value(database, "SELECT sum(twice) FROM a") == 6
