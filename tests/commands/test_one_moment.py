"""What `verify` reports existed at one moment, whatever other sessions commit while it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import psycopg
import pytest

from bench.proxy import Proxy, target_of, through
from lfmigrate import catalog
from lfmigrate.commands.verify import VerifyReport
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute
from tests.helpers.faults import Cutter

Write = Callable[[Mapping[str, str]], Path]

# The beginning of the query that describes relations, which the second flight of a reading has.
RELATIONS = catalog.query_text("relations").partition("\n")[0].encode()

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE TABLE a (id integer PRIMARY KEY, n integer DEFAULT one(), m mood DEFAULT 'sad');
CREATE INDEX a_n ON a (n) WHERE n > 0;
CREATE VIEW v AS SELECT id, n FROM a;
CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a);
CREATE INDEX b_a ON b (a);
"""


def verify_while(
    url: str, files: Path, action: Callable[[], object], *, skips: int = 0, replay: bool = False
) -> tuple[VerifyReport, int]:
    """Verify, and do something whenever relations are about to be read, after the history.

    Returns:
        The report, and how often relations were read.
    """
    with Cutter(target_of(url), RELATIONS, skips=skips, meanwhile=action) as proxy:
        report = verify(through(url, proxy.port), files, replay_files=replay)
        return report, proxy.cuts


def once(action: Callable[[], object]) -> Callable[[], None]:
    """Return what does something at its first call only."""
    left = [action]

    def act() -> None:
        while left:
            left.pop()()

    return act


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE a RENAME COLUMN n TO n2",
        "ALTER TABLE a RENAME TO a2",
        "ALTER FUNCTION one() RENAME TO uno",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
        "ALTER TYPE mood RENAME TO feeling",
        "ALTER INDEX a_n RENAME TO a_n2",
        "DROP INDEX b_a",
        "DROP TABLE b",
        "ALTER TABLE a ADD COLUMN extra text",
        "CREATE TABLE c (id integer)",
        # Changes no catalog.
        "INSERT INTO a VALUES (1)",
    ],
)
def test_a_migration_that_another_run_applies_meanwhile(
    migration: str, database: str, folder: Write
) -> None:
    """Both the history and the schema are read as that run has left them."""
    files = {"1_a.up.sql": TABLES}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": migration})

    report, readings = verify_while(database, path, once(lambda: up(database, path)))

    assert report.ok, report.problems
    assert set(statuses(report).values()) == {"ok"}
    assert not report.notes
    assert readings == 2


@pytest.mark.parametrize(
    ("statement", "differ", "options"),
    [
        ("ALTER TABLE a RENAME COLUMN n TO n2", {"a", "v"}, {}),
        ("DROP TABLE b", {"b"}, {}),
        ("DROP VIEW v", {"v"}, {}),
        ("DROP INDEX b_a", {"b"}, {}),
        ("ALTER TABLE a RENAME COLUMN n TO n2", {"a", "v"}, {"replay": True}),
    ],
)
def test_a_change_by_hand_meanwhile(
    statement: str, differ: set[str], options: Mapping[str, bool], database: str, folder: Write
) -> None:
    """It is reported as a whole, with all that it changes."""
    path = folder({"1_a.up.sql": TABLES})
    up(database, path)

    # With a replay, they are read in the shadow database, and here once more after it.
    report, readings = verify_while(
        database,
        path,
        once(lambda: execute(database, statement)),
        skips=2 * len(options),
        **options,
    )

    assert {v.relation.name for v in report.relations if v.status != "ok"} == differ
    assert not report.notes
    assert readings == (6 if options else 2)


def test_changes_that_come_every_time_end_in_a_note(database: str, folder: Write) -> None:
    """The number of restarts is limited."""
    path = folder({"1_a.up.sql": "CREATE TABLE a ()"})
    up(database, path)
    numbers = count()

    report, readings = verify_while(
        database, path, lambda: execute(database, f"CREATE TABLE busy_{next(numbers)} ()")
    )

    assert len(report.notes) == 1
    assert "other sessions changed the schema each time" in report.notes[0]
    assert readings == 6


@pytest.mark.any_version  # as the test before
def test_changes_that_come_with_every_replay_end_in_a_note(database: str, folder: Write) -> None:
    """A replay is not repeated for ever."""
    path = folder({"1_a.up.sql": "CREATE TABLE a ()"})
    up(database, path)
    numbers = count(1)

    def act() -> None:
        # The first is of the state, the second in the shadow database.
        if (number := next(numbers)) % 3 == 0:
            execute(database, f"CREATE TABLE busy_{number} ()")

    report, readings = verify_while(database, path, act, replay=True)

    assert len(report.notes) == 1
    assert "other sessions changed the schema each time" in report.notes[0]
    assert readings == 9


def test_temporary_tables_of_other_sessions_are_no_change(database: str, folder: Write) -> None:
    """They come and go all the time."""
    path = folder({"1_a.up.sql": TABLES})
    up(database, path)
    with psycopg.connect(database, autocommit=True) as other:

        def act() -> None:
            other.execute("CREATE TEMP TABLE t (id serial PRIMARY KEY, x text DEFAULT 'a')")
            other.execute("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql RETURN 1")
            other.execute("CREATE VIEW pg_temp.v AS SELECT x FROM t")

        report, readings = verify_while(database, path, act)

    assert report.ok
    assert readings == 1


@pytest.mark.usefixtures("undisturbed")
def test_a_restart_costs_the_flights_of_one_reading(database: str, folder: Write) -> None:
    """Two more, and none if nothing has happened."""
    path = folder({"1_a.up.sql": TABLES})
    up(database, path)

    def flights(action: Callable[[], object]) -> int:
        with (
            Cutter(target_of(database), RELATIONS, meanwhile=action) as cutter,
            Proxy(("127.0.0.1", cutter.port), 40) as proxy,
        ):
            verify(through(database, proxy.port), path)
            return proxy.flights

    assert flights(once(lambda: execute(database, "CREATE TABLE c ()"))) == 2 + flights(once(list))
