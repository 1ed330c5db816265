"""Faults, swept over whole runs of the shipped migration: before or after, and never between.

The moments are drawn from a seed, so a failure can be had again. The number of faults is printed
at the end of a run of the tests; `conftest.py` counts them.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.errors import NOTHING_CHANGED, ConnectionFailed, ConnectionLost
from tests.helpers.commands import up
from tests.helpers.databases import files_in_history, new_database, value
from tests.helpers.faults import Cutter, wait_until_left
from tests.helpers.processes import Started

# Dozens of faults in each test.
pytestmark = pytest.mark.sweep

# Another number sweeps other moments.
SEED = 20261124

SHARDS = 5
CUTS = 22
HELD = 4
TERMINATED = 8
SIGNALLED = 4

FOLDER = lfmigrate.read_folder(lfmigrate.shipped_folder())

# What a database is, in a few bytes: everything in it but rows, as the server itself describes it.
STATE = """
    SELECT md5(string_agg(line, E'\\n' ORDER BY line COLLATE "C")) FROM (
        SELECT format('%s %s %s', c.relkind, c.oid::regclass, obj_description(c.oid, 'pg_class'))
        FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('%s.%s %s %s %s %s', a.attrelid::regclass, a.attname,
                      format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum))
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0
        UNION ALL
        SELECT pg_get_indexdef(i.indexrelid) || i.indisvalid FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT k.conname || pg_get_constraintdef(k.oid) || k.convalidated FROM pg_constraint AS k
        WHERE k.connamespace = 'public'::regnamespace
        UNION ALL
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t WHERE NOT t.tgisinternal
        UNION ALL
        SELECT pg_get_viewdef(c.oid) FROM pg_class AS c
        WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p
        WHERE p.pronamespace = 'public'::regnamespace
    ) AS x (line)"""


@dataclass(frozen=True)
class Faultless:
    """A run without a fault.

    Attributes:
        before: What the database is before it, which is empty.
        after: What it is afterwards.
        bytes_up: How much the client sends.
        bytes_down: How much the server answers.
    """

    before: None
    after: str
    bytes_up: int
    bytes_down: int


@pytest.fixture(scope="module")
def faultless(server_url: str) -> Iterator[Faultless]:
    """Return what a run is without a fault."""
    with new_database(server_url) as name:
        url = make_conninfo(server_url, dbname=name)
        before = value(url, STATE)
        with Proxy(target_of(url)) as counter:
            up(through(url, counter.port))
        after = value(url, STATE)
        assert before is None
        assert after is not None
        yield Faultless(before, after, counter.bytes_up, counter.bytes_down)


def outcome(url: str, faultless: Faultless) -> str:
    """Say what a fault has left, repairing nothing but by another run.

    Returns:
        ``before`` or ``after``, or else what is wrong.
    """
    wait_until_left(url)
    # A new session has to read the catalogs from the beginning, so each side has one for all.
    with psycopg.connect(url, autocommit=True) as observer:
        found = state(observer)
        if found not in {faultless.before, faultless.after}:
            return "something between"
        if bool(files_in_history(url)) != (found == faultless.after):
            return "the history says otherwise than the catalogs"
        with closing(lfmigrate.connect(url)) as conn:
            lfmigrate.up(conn, FOLDER)
            if state(observer) != faultless.after or not lfmigrate.verify(conn, FOLDER).ok:
                return "the next run did not make it whole"
    return "before" if found == faultless.before else "after"


def state(conn: psycopg.Connection) -> str | None:
    """Return what a database is; None for an empty one."""
    row = conn.execute(STATE).fetchone()
    assert row is not None
    return row[0] and str(row[0])


# What a fault may leave.
SOUND = {"before", "after"}


def draw(shard: int, what: str) -> random.Random:
    """Return the moments of a shard."""
    return random.Random(f"{SEED} {shard} {what}")  # noqa: S311 (nothing secret is drawn)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_that_is_cut(
    shard: int,
    way: Literal["up", "down"],
    faultless: Faultless,
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """Around every kilobyte of the conversation, in both directions; and close to the commit."""
    size = faultless.bytes_up if way == "up" else faultless.bytes_down
    rng = draw(shard, way)
    # A fifth of them in the last bytes, where the commit is.
    near, far = CUTS // 5, CUTS - CUTS // 5
    step = size / (far * SHARDS)
    places = [int(step * (n * SHARDS + shard + rng.random())) for n in range(far)]
    places += [size - 1 - rng.randrange(160) for _ in range(near)]
    left = []
    for at_byte in places:
        url = create_database()
        said: str | None = "committed"
        with Cutter(target_of(url), way=way, at_byte=at_byte) as proxy:
            try:
                up(through(url, proxy.port))
            except ConnectionLost as error:
                said = error.facts[-1]
            except ConnectionFailed:
                said = None  # there was no run that could have said anything
        left.append(outcome(url, faultless))
        assert left[-1] in SOUND, (SEED, way, at_byte)
        if said is not None:
            assert (said == NOTHING_CHANGED.text) == (left[-1] == "before"), (
                SEED,
                way,
                at_byte,
                said,
            )
    record_property("faults", len(places))
    assert left.count("before") > len(places) // 2


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_connection_that_falls_silent(
    shard: int,
    faultless: Faultless,
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """The client is gone and the server does not know: it waits, with whatever it holds."""
    rng = draw(shard, "held")
    for number in range(HELD):
        url = create_database()
        # Before the commit: at the commit, the client would wait half a minute to know the truth.
        at_byte = int(faultless.bytes_up / 2 * rng.random())
        with (
            Cutter(target_of(url), at_byte=at_byte, hold_server=True) as proxy,
            suppress(ConnectionFailed),
        ):
            up(through(url, proxy.port))
        assert outcome(url, faultless) in SOUND, (SEED, "held", shard, number)
    record_property("faults", HELD)


OUTSIDE = {
    "001_a.up.sql": "CREATE TABLE a (x integer, y text);",
    "002_b.up.sql": "-- lfmigrate: no-transaction\n"
    "CREATE INDEX CONCURRENTLY a_x ON a (x);\nINSERT INTO a VALUES (1, 'one');\nVACUUM a;\n"
    "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y);\nDROP INDEX CONCURRENTLY a_x;",
    "003_c.up.sql": "CREATE INDEX a_xy ON a (x, y);",
}
# The row once, the last two indexes valid, and a record of each statement that had an effect.
WHOLE_OUTSIDE = """
    SELECT (SELECT count(*) = 1 FROM a)
       AND (SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index
            WHERE indexrelid IN (to_regclass('a_xy'), to_regclass('a_y')))
       AND to_regclass('a_x') IS NULL
       AND (SELECT count(*) = 4 FROM lfmigrate.lfmigrate_history WHERE action = 'statement')
       AND (SELECT count(*) = 3 FROM lfmigrate.lfmigrate_history WHERE action = 'up')"""


def assert_goes_on(url: str, folder: lfmigrate.Folder, *where: object) -> None:
    """The next run finishes what was begun, each statement with an effect once."""
    wait_until_left(url)
    with closing(lfmigrate.connect(url)) as conn:
        lfmigrate.up(conn, folder)
        assert lfmigrate.verify(conn, folder).ok, where
    assert value(url, WHOLE_OUTSIDE) is True, where


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_direct_connection_that_is_cut(
    way: Literal["up", "down"],
    create_database: Callable[..., str],
    folder: Callable[[Mapping[str, str | bytes]], Path],
    record_property: Callable[[str, object], None],
) -> None:
    """Outside of a transaction, a cut leaves what had run; nothing has to be repaired by hand."""
    files = lfmigrate.read_folder(folder(OUTSIDE))

    def run(url: str) -> None:
        with closing(lfmigrate.connect(url)) as conn:
            lfmigrate.up(conn, files)

    whole = create_database()
    with Proxy(target_of(whole)) as counter:
        run(through(whole, counter.port))
    assert_goes_on(whole, files)
    size = counter.bytes_up if way == "up" else counter.bytes_down
    rng = draw(0, f"outside {way}")
    faults = 2 * CUTS
    cut = 0
    for number in range(faults):
        url = create_database()
        at_byte = int(size * (number + rng.random()) / faults)
        with Cutter(target_of(url), way=way, at_byte=at_byte) as proxy:
            try:
                run(through(url, proxy.port))
            except ConnectionFailed:
                cut += 1
        assert_goes_on(url, files, SEED, way, at_byte)
    record_property("faults", faults)
    assert cut > faults // 2


def duration_s(command: list[str]) -> float:
    """Run a command to its end and return how long it took, once its modules were loaded."""
    Started(["--version"], piped=False).wait()  # the first one starts the process that loads them
    started = time.monotonic()
    assert Started(command, piped=False).wait(120) == 0
    return time.monotonic() - started


@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_process_that_is_ended_outside_a_transaction(
    name: str,
    create_database: Callable[..., str],
    folder: Callable[[Mapping[str, str | bytes]], Path],
    record_property: Callable[[str, object], None],
) -> None:
    """At moments spread over its life; the next run goes on."""
    path = folder(OUTSIDE)
    files = lfmigrate.read_folder(path)
    rng = draw(0, f"outside {name}")
    command = ["up", "-q", "--sql-dir", str(path), "--database-url"]
    took_s = duration_s([*command, create_database()])
    for number in range(TERMINATED):
        url = create_database()
        process = Started([*command, url], piped=False)
        time.sleep(took_s * rng.random())
        process.send_signal(getattr(signal, name))
        process.wait(30)
        assert_goes_on(url, files, SEED, name, number)
    record_property("faults", TERMINATED)


def terminate(url: str, conn: psycopg.Connection[Any], pause_s: float) -> None:
    """End a session from another one."""
    with psycopg.connect(url, autocommit=True) as admin:
        time.sleep(pause_s)
        admin.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_session_that_is_terminated(
    shard: int,
    faultless: Faultless,
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """By an administrator, at moments spread over the run."""
    rng = draw(shard, "terminate")
    started = time.monotonic()
    up(create_database())
    took_s = time.monotonic() - started
    for number in range(TERMINATED):
        url = create_database()
        pause_s = took_s * rng.random()
        with closing(lfmigrate.connect(url)) as conn:
            killer = threading.Thread(target=terminate, args=(url, conn, pause_s))
            killer.start()
            with suppress(ConnectionFailed):
                lfmigrate.up(conn, FOLDER)
            killer.join()
        left = outcome(url, faultless)
        assert left in SOUND, (SEED, "terminated", shard, number)
    record_property("faults", TERMINATED)


@pytest.mark.process
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_process_that_is_ended(
    shard: int,
    name: str,
    faultless: Faultless,
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """By a signal, at moments spread over its life."""
    rng = draw(shard, name)
    command = ["up", "-q", "--database-url"]
    took_s = duration_s([*command, create_database()])
    for number in range(SIGNALLED):
        url = create_database()
        process = Started([*command, url], piped=False)
        time.sleep(took_s * rng.random())
        process.send_signal(getattr(signal, name))
        process.wait(30)
        left = outcome(url, faultless)
        assert left in SOUND, (SEED, name, shard, number)
    record_property("faults", SIGNALLED)
