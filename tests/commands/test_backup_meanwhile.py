"""A backup while other sessions empty, rewrite, drop or create the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

import lfmigrate
from lfmigrate.rows.archive import read
from lfmigrate.rows.dump import CopyProgress
from lfmigrate.rows.saved import Archive
from tests.helpers.commands import up
from tests.helpers.databases import execute, value
from tests.helpers.faults import wait_until
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]

# Nothing about them has to be computed, so that only LOCK TABLE waits.
TWO = {"001_a.up.sql": "CREATE TABLE a (n int); CREATE TABLE b (n int)"}

EMPTYING = {
    "truncate": "TRUNCATE b",
    "rewrite": "ALTER TABLE b ALTER n TYPE bigint",
    "drop": "DROP TABLE b",
}


def rows(saved: Archive) -> dict[str, int]:
    """Return the number of rows of each table in a backup."""
    return {table.name: table.rows for table in saved.tables}


def save(url: str, files: Path, out: Path) -> Archive:
    """Back up, and read the backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return read(lfmigrate.backup(conn, lfmigrate.read_folder(files), out=out).path)


@pytest.fixture
def two(database: str, folder: Write) -> Path:
    """Return a folder with two tables that were applied, and have rows."""
    files = folder(TWO)
    up(database, files)
    execute(database, "INSERT INTO a SELECT generate_series(1, 2000)", "INSERT INTO b VALUES (1)")
    return files


@pytest.mark.parametrize("statement", EMPTYING.values(), ids=EMPTYING)
def test_no_table_is_emptied_while_it_is_saved(
    statement: str, database: str, two: Path, tmp_path: Path
) -> None:
    """Every table is locked before the first of them is read."""
    refused: list[str] = []

    def empty(_: CopyProgress) -> None:
        with psycopg.connect(database) as other:
            other.execute("SET lock_timeout = '50ms'")
            try:
                other.execute(statement.encode())
            except psycopg.errors.LockNotAvailable as error:
                refused.append(str(error))

    with closing(lfmigrate.connect(database)) as conn:
        files = lfmigrate.read_folder(two)
        saved = lfmigrate.backup(conn, files, out=tmp_path / "out", watch=empty).path

    assert refused
    assert rows(read(saved)) == {"a": 2000, "b": 1}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["TRUNCATE b", "INSERT INTO b SELECT generate_series(1, 7)"], {"a": 2000, "b": 7}),
        (
            ["ALTER TABLE b ALTER n TYPE bigint", "INSERT INTO b VALUES (8)"],
            {"a": 2000, "b": 2},
        ),
        (["DROP TABLE b"], {"a": 2000}),
        (["DROP TABLE b", "CREATE TABLE b (m text)", "INSERT INTO b VALUES (1)"], None),
    ],
    ids=["truncated", "rewritten", "dropped", "re-created"],
)
def test_what_was_committed_during_the_wait_for_the_locks_is_saved(
    statements: list[str], expected: Mapping[str, int] | None, database: str, two: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """The moment whose rows are read comes after the locks."""
    with Threads(1) as pool, psycopg.connect(database) as other:
        for statement in statements:
            other.execute(statement.encode())
        running = pool.submit(save, database, two, tmp_path / "out")
        wait_until(
            lambda: value(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
            "the backup waits for the lock",
        )
        other.commit()
        saved = running.result()

    assert rows(saved) == (expected or {"a": 2000, "b": 1})
    if expected is None:
        assert saved.tables[1].columns == (("m", "text"),)


def test_a_table_that_a_migration_adds_meanwhile_is_saved_too(
    database: str, folder: Write, two: Path, tmp_path: Path
) -> None:
    """The list of tables is that of the moment whose rows are read."""
    more = folder(TWO | {"002_c.up.sql": "CREATE TABLE c (n int); INSERT INTO c VALUES (1)"})
    with Threads(1) as pool, psycopg.connect(database) as other:
        other.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        running = pool.submit(save, database, more, tmp_path / "out")
        wait_until(
            lambda: value(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
            "the backup waits for the lock",
        )
        up(database, more)
        other.rollback()
        saved = running.result()

    assert two.exists()
    assert rows(saved) == {"a": 2000, "b": 1, "c": 1}
    assert saved.about.applied == ("001_a", "002_c")
