"""A connection that is opened while the command does something else."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from lfmigrate.errors import ConnectionFailed
from lfmigrate.postgres.connecting import Connecting
from tests.helpers.faults import free_port, wait_until


def test_it_ends_with_its_block(database: str) -> None:
    """Whether anything was done with it or not."""
    with Connecting(database) as connecting:
        conn = connecting.result(pytest.fail)
        assert conn.execute("SELECT 1").fetchone() == (1,)

    assert conn.closed


def test_one_that_was_not_waited_for_is_closed_when_it_has_been_made(database: str) -> None:
    """The files could not be read, and the command has ended meanwhile."""
    named = make_conninfo(database, application_name="not waited for")

    with Connecting(named):
        pass

    wait_until(lambda: not _opening(), "the connection was made")
    with psycopg.connect(database, autocommit=True) as other:
        wait_until(lambda: not _sessions(other), "the server noticed that it was closed")
        assert _sessions(other) == 0


def test_it_raises_what_connecting_raises() -> None:
    """In the thread that waits for it, where errors are reported."""
    nowhere = f"postgresql://me@127.0.0.1:{free_port()}/nowhere"

    with Connecting(nowhere) as connecting, pytest.raises(ConnectionFailed, match="refused"):
        connecting.result(pytest.fail)


def test_the_reason_for_waiting_is_given_by_the_thread_that_waits() -> None:
    """What prints it need not know of other threads."""
    nowhere = f"postgresql://me@127.0.0.1:{free_port()}/nowhere"
    said: list[tuple[str, threading.Thread]] = []

    with Connecting(nowhere, wait_s=0.5) as connecting, pytest.raises(ConnectionFailed):
        connecting.result(lambda reason: said.append((reason, threading.current_thread())))

    assert len(said) == 1
    assert "refused" in said[0][0]
    assert said[0][1] is threading.main_thread()


def _sessions(conn: psycopg.Connection[Any]) -> int:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'not waited for'"
    found: int = conn.execute(asked).fetchall()[0][0]
    return found


def _opening() -> bool:
    return any(thread.name == "connecting" for thread in threading.enumerate())
