"""Faults, swept over whole runs of the shipped migration: before or after, and never between.

The moments are drawn from a seed, so a failure can be had again. How many faults there were is told
at the end of a run of the tests; `conftest.py` counts them.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Literal

import psycopg
import pytest

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.errors import NOTHING_CHANGED, ConnectionFailed, ConnectionLost
from tests.databases import value
from tests.faults import Cutter, files_in_history, wait_until_left

# Another number sweeps other moments.
SEED = 20261124

SHARDS = 5
CUTS = 22
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


def up(url: str) -> None:
    """Apply the shipped folder."""
    with closing(lfmigrate.connect(url)) as conn:
        lfmigrate.up(conn, FOLDER)


@pytest.fixture
def states(create_database: Callable[..., str]) -> tuple[str, str]:
    """Return what a database is before a run and after one."""
    url = create_database()
    before = value(url, STATE)
    up(url)
    after = value(url, STATE)
    assert before != after
    return before, after


def outcome(url: str, states: tuple[str, str]) -> str:
    """Say what a fault has left, repairing nothing but by another run.

    Returns:
        ``before`` or ``after``, or else what is wrong.
    """
    wait_until_left(url)
    before, after = states
    found = value(url, STATE)
    if found not in states:
        return "something between"
    if bool(files_in_history(url)) != (found == after):
        return "the history says otherwise than the catalogs"
    up(url)
    with closing(lfmigrate.connect(url)) as conn:
        if value(url, STATE) != after or not lfmigrate.verify(conn, FOLDER).ok:
            return "the next run did not make it whole"
    return "before" if found == before else "after"


WHOLE = {"before", "after"}


def draw(shard: int, what: str) -> random.Random:
    """Return the moments of a shard."""
    return random.Random(f"{SEED} {shard} {what}")  # noqa: S311 (nothing secret is drawn)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_that_is_cut(
    shard: int,
    way: Literal["up", "down"],
    states: tuple[str, str],
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """Around every kilobyte of the conversation, in both directions; and close to the commit."""
    whole = create_database()
    with Proxy(target_of(whole)) as counter:
        up(through(whole, counter.port))
    size = counter.bytes_up if way == "up" else counter.bytes_down
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
                said = error.detail[-1]
            except ConnectionFailed:
                said = None  # there was no run that could have said anything
        left.append(outcome(url, states))
        assert left[-1] in WHOLE, (SEED, way, at_byte)
        if said is not None:
            assert (said == NOTHING_CHANGED) == (left[-1] == "before"), (SEED, way, at_byte, said)
    record_property("faults", len(places))
    assert left.count("before") > len(places) // 2


def terminate(url: str, conn: psycopg.Connection[Any], pause_s: float) -> None:
    """End a session from another one."""
    with psycopg.connect(url, autocommit=True) as admin:
        time.sleep(pause_s)
        admin.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_session_that_is_terminated(
    shard: int,
    states: tuple[str, str],
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
        left = outcome(url, states)
        assert left in WHOLE, (SEED, "terminated", shard, number)
    record_property("faults", TERMINATED)


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_process_that_is_ended(
    shard: int,
    name: str,
    states: tuple[str, str],
    create_database: Callable[..., str],
    record_property: Callable[[str, object], None],
) -> None:
    """By a signal, at moments spread over its life."""
    rng = draw(shard, name)
    command = [sys.executable, "-m", "lfmigrate.cli", "up", "-q", "--database-url"]
    started = time.monotonic()
    subprocess.run([*command, create_database()], check=True)
    took_s = time.monotonic() - started
    for number in range(SIGNALLED):
        url = create_database()
        process = subprocess.Popen(
            [*command, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # In its first half a process only loads its modules.
        time.sleep(took_s * (0.4 + 0.6 * rng.random()))
        process.send_signal(getattr(signal, name))
        process.wait(30)
        left = outcome(url, states)
        assert left in WHOLE, (SEED, name, shard, number)
    record_property("faults", SIGNALLED)
