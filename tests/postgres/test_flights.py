"""A command costs a handful of round trips, however many statements it sends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.postgres.connection import Connection
from lfmigrate.source.folder import read_folder, shipped_folder

# What a version lacks could cost a flight.
pytestmark = [pytest.mark.per_version, pytest.mark.usefixtures("undisturbed")]

Write = Callable[..., Path]

# Longer than a burst takes to send, so that each flight is counted as one, on a busy machine too.
# No test measures against it.
DELAY_MS = 40


@pytest.fixture(autouse=True)
def _trusting(server_url: str) -> None:
    """Skip where the server asks for passwords, whose handshake takes flights of its own."""
    with psycopg.connect(server_url) as conn:
        if conn.info.password:
            pytest.skip("the counts are of trust authentication")


def flights_of(url: str, action: Callable[[Connection], object]) -> int:
    """Connect through a proxy, do something, close, and return the number of flights in all."""
    with Proxy(target_of(url), DELAY_MS) as proxy:
        with closing(lfmigrate.connect(through(url, proxy.port))) as conn:
            action(conn)
        return proxy.flights


def test_the_first_up_of_the_shipped_folder_takes_four_flights(database: str) -> None:
    """Connect, look, run all of it, commit."""
    files = read_folder(shipped_folder())

    assert flights_of(database, lambda conn: lfmigrate.up(conn, files)) <= 4


def test_up_with_nothing_to_do_takes_three_flights(applied: str) -> None:
    """Connect, look at the history, look at the relations."""
    files = read_folder(shipped_folder())

    assert flights_of(applied, lambda conn: lfmigrate.up(conn, files)) <= 3


def test_verify_takes_three_flights(applied: str) -> None:
    """As up with nothing to do: the history says what to expect."""
    files = read_folder(shipped_folder())

    assert flights_of(applied, lambda conn: lfmigrate.verify(conn, files)) <= 3


def test_status_takes_three_flights(applied: str) -> None:
    """It need not look at the relations."""
    files = read_folder(shipped_folder())

    assert flights_of(applied, lambda conn: lfmigrate.status(conn, files)) <= 3


def test_a_dry_run_takes_no_more_flights_than_a_run(database: str) -> None:
    """A rollback in place of the commit."""
    files = read_folder(shipped_folder())

    assert flights_of(database, lambda conn: lfmigrate.up(conn, files, dry_run=True)) <= 4


def test_progress_takes_no_flights_of_its_own(database: str) -> None:
    """Each statement is reported as it comes, without waiting for it."""
    files = read_folder(shipped_folder())
    seen: list[object] = []

    assert flights_of(database, lambda conn: lfmigrate.up(conn, files, progress=seen.append)) <= 4
    assert len(seen) > 50


@pytest.mark.parametrize("count", [1, 100])
def test_the_number_of_migrations_does_not_matter(count: int, database: str, folder: Write) -> None:
    """One or a hundred: the same number of flights."""
    files = read_folder(
        folder({f"{n:03}_t{n}.up.sql": f"CREATE TABLE t{n} (n int)" for n in range(1, count + 1)})
    )

    assert flights_of(database, lambda conn: lfmigrate.up(conn, files)) <= 4


def test_adopting_what_is_there_takes_the_flights_of_a_shadow_database(applied: str) -> None:
    """All is skipped and compared with a replay: create, connect, look, run, end, and drop."""
    files = read_folder(shipped_folder())
    with psycopg.connect(applied, autocommit=True) as conn:
        conn.execute("DROP SCHEMA lfmigrate CASCADE")

    assert flights_of(applied, lambda conn: lfmigrate.up(conn, files)) <= 17


def test_guarding_tables_without_rows_takes_no_flights(database: str, folder: Write) -> None:
    """They are counted in the flight of the statements that drop or rewrite them."""
    parts = "CREATE TABLE p (n int, m int) PARTITION BY LIST (n)"
    parts += "; CREATE TABLE p1 PARTITION OF p DEFAULT"
    base = {"1_a.up.sql": f"CREATE TABLE a (n int, m int); CREATE TABLE b (n int); {parts}"}
    harmless = {**base, "2_b.up.sql": "CREATE TABLE c (n int)"}
    drops = "DROP TABLE b; TRUNCATE a; ALTER TABLE a DROP m; ALTER TABLE a ALTER n TYPE bigint"
    drops += "; ALTER TABLE p DROP m"
    taken = []
    for files in (base, harmless, {**harmless, "3_c.up.sql": drops}):
        chosen = read_folder(folder(files))
        taken.append(flights_of(database, partial(lfmigrate.up, folder=chosen)))
    assert taken[1] == taken[2]


def test_rolling_back_one_table_takes_twelve_flights(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Connect, state, scripts, trial, names, count, three for the backup, the run, the commit."""
    table = "CREATE TABLE a (n int GENERATED ALWAYS AS IDENTITY, b int); INSERT INTO a (b) SELECT 1"
    files = read_folder(folder({"1_a.up.sql": table, "1_a.down.sql": "DROP TABLE a"}))
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.up(conn, files)

    def undo(conn: Connection) -> None:
        report = lfmigrate.rollback(conn, files, backup_dir=tmp_path)
        assert report.backup is not None

    assert flights_of(database, undo) <= 12


def test_tables_cost_a_backup_no_flights_and_a_restore_one_each_that_has_rows(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """All tables are copied to files in one flight; COPY FROM waits to be asked for its rows."""
    taken = []
    for number, last in enumerate((1, 4), 1):
        names = [f"t{number}_{n}" for n in range(1, last + 1)]
        rows = "".join(f"CREATE TABLE {t} (n serial); INSERT INTO {t} VALUES (1);" for t in names)
        empty = "".join(f"CREATE TABLE {t}_empty (n serial);" for t in names)
        files = read_folder(folder({f"{number}_t.up.sql": rows + empty}))
        with closing(lfmigrate.connect(database)) as conn:
            lfmigrate.up(conn, files)
        out = tmp_path / f"out{number}"
        backup = flights_of(database, partial(lfmigrate.backup, folder=files, out=out))
        with psycopg.connect(database, autocommit=True) as conn:
            for table in {"t1_1", *names}:
                conn.execute(f"TRUNCATE {table}".encode())
        restore = flights_of(database, partial(lfmigrate.restore, folder=files, path=out))
        taken.append((backup, restore))

    (backup, restore), (backup_of_more, restore_of_more) = taken
    assert backup_of_more == backup <= 9
    # Five tables have rows now, four more than before.
    assert restore_of_more == restore + 4


def test_seeding_the_shipped_files_takes_five_flights(applied: str) -> None:
    """Connect, state, staging tables, rows and merge, commit; a file takes none of its own."""
    files = read_folder(shipped_folder())

    assert flights_of(applied, lambda conn: lfmigrate.seed(conn, files)) <= 5


@pytest.mark.parametrize(("command", "most"), [("up", 4), ("verify", 3), ("status", 3)])
def test_the_command_line_takes_no_more(
    command: str,
    most: int,
    database: str,
    applied: str,
    cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """What a person calls costs what the functions cost."""
    url = database if command == "up" else applied
    with Proxy(target_of(url), DELAY_MS) as proxy:
        done = cli(command, "--database-url", through(url, proxy.port))

        assert done.returncode == 0, done.stderr
        assert proxy.flights <= most


def test_a_statement_on_its_own_is_a_flight(database: str) -> None:
    """The counterpart, so that the counts above mean something."""

    def two_statements(conn: Connection) -> None:
        conn.execute("SELECT 1")
        conn.execute("SELECT 2")

    assert flights_of(database, two_statements) == 3
