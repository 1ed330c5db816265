"""`wait`: what is waited for, what is not, and what the timeout says."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.commands.wait import WaitReport
from lfmigrate.engine.state import newest_event
from lfmigrate.errors import ConnectionFailed, DifferenceFound
from lfmigrate.postgres.connect_errors import explain, will_not_change
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from tests.conftest import Cli
from tests.helpers import databases
from tests.helpers.commands import rollback, up
from tests.helpers.databases import execute
from tests.helpers.processes import Started

# What is missing follows from the folder, the history and libpq's words.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str]], Path]
Open = AbstractContextManager[Connection]

FIRST = {"001_a.up.sql": "CREATE TABLE a (id int);", "001_a.down.sql": "DROP TABLE a;"}
TWO = {**FIRST, "002_b.up.sql": "CREATE TABLE b (id int);", "002_b.down.sql": "DROP TABLE b;"}
ALL = {**TWO, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;"}
NOWHERE = "postgresql://me:s3cret@127.0.0.1:1/nowhere"


def to(url: str) -> Callable[[float | None], Open]:
    return lambda limit_s: closing(lfmigrate.connect(url, limit_s=limit_s))


def wait(url: str, path: Path, **options: Any) -> WaitReport:
    return lfmigrate.wait(to(url), lfmigrate.read_folder(path), **options)


def test_each_obstacle_is_waited_for(
    server_url: str, create_database: Callable[..., str], folder: Write
) -> None:
    """A server that does not listen, a database that does not exist, a half-migrated one."""
    later = create_database()
    name = str(conninfo_to_dict(later)["dbname"])
    execute(server_url, f"DROP DATABASE {name}")
    url = NOWHERE
    said: list[str] = []

    def on_wait(line: str) -> None:
        nonlocal url
        said.append(line)
        match len(said):
            case 1:
                url = later
            case 2:
                databases.create_database(server_url, name)
            case 3:
                up(later, folder(FIRST))
            case _:
                up(later, folder(ALL))

    def connect(limit_s: float | None) -> Open:
        return to(url)(limit_s)

    report = lfmigrate.wait(
        connect,
        lfmigrate.read_folder(folder(ALL)),
        on_wait=on_wait,
        timeout_s=60,
    )

    assert "refused" in said[0]
    assert f'database "{name}" does not exist' in said[1]
    assert said[2:] == [
        "waiting: 3 files are pending; lfmigrate has no history here",
        "waiting: 2 files are pending",
    ]
    assert report.missing == ()
    assert report.waited_ms > 0


def test_a_connection_that_breaks_is_waited_for(database: str, folder: Write) -> None:
    """The next look has a connection of its own."""
    path = folder(TWO)
    up(database, path)
    said: list[str] = []

    @contextmanager
    def connect(limit_s: float | None) -> Iterator[Connection]:
        with to(database)(limit_s) as conn:
            if not said:
                execute(database, f"SELECT pg_terminate_backend({conn.info.backend_pid})")
            yield conn

    lfmigrate.wait(connect, lfmigrate.read_folder(path), on_wait=said.append)

    assert said == ["waiting: the connection to the server was lost"]


def test_the_timeout_says_what_is_missing(database: str, folder: Write) -> None:
    """File by file, with what is wrong with each."""
    up(database, folder(TWO))
    changed = {
        "001_a.up.sql": "CREATE TABLE a (id bigint);",
        "002_other.up.sql": "CREATE TABLE other (id int);",
        "003_c.up.sql": "CREATE TABLE c (id int);",
        "views/v.sql": ALL["views/v.sql"],
    }

    with pytest.raises(DifferenceFound) as raised:
        wait(database, folder(changed), timeout_s=0.1)

    assert raised.value.exit_code == 3
    assert raised.value.message.startswith("the database is not up to date after 0.1 s: ")
    assert raised.value.detail[0] == "edited: 001_a"
    assert {"conflict: 002_other", "pending: 003_c", "pending: v"} <= set(raised.value.detail)
    assert isinstance(raised.value.report, WaitReport)


def test_the_hint_is_about_what_is_waited_for(
    database: str, folder: Write, create_database: Callable[[], str]
) -> None:
    """A database of another tool is adopted; one that does not exist is created."""
    execute(
        database, "CREATE TABLE schema_migrations AS SELECT bigint '1' AS version, false AS dirty"
    )
    hints = []
    for url in (database, create_database(), make_conninfo(database, dbname="nowhere")):
        with pytest.raises(DifferenceFound) as raised:
            wait(url, folder(TWO), timeout_s=0.1)
        hints.append(raised.value.hint or "")

    assert hints[0].startswith("golang-migrate has applied migrations here, by public.schema_mig")
    assert '"lfmigrate adopt" records them. --timeout' in hints[0]
    assert hints[1].startswith('"lfmigrate up" runs what is pending.')
    assert "lfmigrate up" not in hints[2]
    assert all(hint.endswith("--timeout waits longer.") for hint in hints)


def test_many_missing_files_are_counted(database: str, folder: Write) -> None:
    """A log should stay readable."""
    many = {f"{n:03}_t.up.sql": f"CREATE TABLE t{n} (id int);" for n in range(1, 31)}

    with pytest.raises(DifferenceFound) as raised:
        wait(database, folder(many), timeout_s=0.1)

    assert "30 files are pending" in raised.value.message
    assert raised.value.detail[-2:] == ("pending: 020_t", "and 10 more")


def test_a_newer_database_is_up_to_date(database: str, folder: Write) -> None:
    """An older version of an application, started again after a deployment, has to start."""
    up(database, folder(TWO))

    report = wait(database, folder(FIRST), timeout_s=0.1)

    assert [each.status for each in report.files.differing] == ["file_missing"]


def test_the_history_is_read_again_when_it_has_changed(database: str, folder: Write) -> None:
    """A rollback and a run that makes up for it, with no file more than before."""
    path = folder(TWO)
    seen: list[str | None] = []
    with closing(lfmigrate.connect(database)) as conn:
        seen.append(newest_event(conn, Scope()))
        up(database, path)
        seen.append(newest_event(conn, Scope()))
        seen.append(newest_event(conn, Scope()))
        rollback(database, path)
        seen.append(newest_event(conn, Scope()))

    assert seen[0] is None
    assert seen[1] == seen[2]
    assert len(set(seen)) == 3

    def again(_: str) -> None:
        up(database, path)

    report = wait(database, path, on_wait=again, timeout_s=60)

    assert report.missing == ()


def test_a_server_that_does_not_answer_does_not_hold_it_up(database: str, folder: Write) -> None:
    """A lock on the history, without a limit of its own, stands for a network that hangs."""
    path = folder(FIRST)
    up(database, path)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE lfmigrate.lfmigrate_history")
        with pytest.raises(DifferenceFound, match="did not answer in time"):
            wait(database, path, timeout_s=0.3, scope=Scope(lock_timeout_ms=0))


@pytest.mark.parametrize(
    ("words", "final"),
    [
        ('FATAL:  password authentication failed for user "me"', True),
        ("fe_sendauth: no password supplied", True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me", no encryption', True),
        ("server does not support SSL, but SSL was required", True),
        ("SSL error: certificate verify failed", True),
        ('FATAL:  role "me" does not exist', False),
        ('FATAL:  database "d" does not exist', False),
        ("connection to server at 127.0.0.1, port 1 failed: Connection refused", False),
        ("could not translate host name: Temporary failure in name resolution", False),
        ("could not translate host name: Name or service not known", False),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
        ("connection timeout expired", False),
    ],
)
def test_what_time_does_not_change_is_not_waited_for(
    words: str, folder: Write, *, final: bool
) -> None:
    """A service may ban a client that repeats a wrong password."""
    error = explain(words, {"host": "h", "user": "me", "dbname": "d"})
    attempts = 0

    def connect(_: float | None) -> Open:
        nonlocal attempts
        attempts += 1
        raise error

    assert will_not_change(error) is final
    with pytest.raises(ConnectionFailed if final else DifferenceFound) as raised:
        lfmigrate.wait(connect, lfmigrate.read_folder(folder(FIRST)), timeout_s=0.5)
    assert raised.value.exit_code == (4 if final else 3)
    assert (attempts == 1) is final


def test_the_command_ends_with_0_or_3(cli: Cli, database: str, folder: Write) -> None:
    """And its documents have the files."""
    path = folder(TWO)
    words = ("wait", "--sql-dir", path, "--database-url", database, "--timeout", "100ms")

    late, quiet, document = cli(*words), cli(*words, "-q"), cli(*words, "--json")
    up(database, path)
    done = cli(*words)
    silent = cli(*words, "-q")

    assert late.returncode == quiet.returncode == document.returncode == 3
    assert late.stdout == ""
    assert "waiting: 2 files are pending" in late.stderr
    assert "pending: 002_b" in late.stderr
    assert "waiting" not in quiet.stderr
    files = json.loads(document.stdout)["files"]
    assert [(f["version"], f["status"]) for f in files] == [("001", "pending"), ("002", "pending")]
    assert done.returncode == 0
    assert "up to date after" in done.stdout
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


def test_a_server_that_never_comes_is_3_without_the_password(cli: Cli, folder: Write) -> None:
    """The way to it is named."""
    done = cli("wait", "--sql-dir", folder(FIRST), "--database-url", NOWHERE, "--timeout", "100ms")

    assert done.returncode == 3
    assert "not up to date after 0.1 s: connection to 127.0.0.1:1 refused" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_password_command_that_hangs_does_not_hold_it_up(
    cli: Cli, database: str, folder: Write
) -> None:
    """It may run for no longer than is waited; its own limit is a minute."""
    path = folder({"001_a.up.sql": "SELECT 1;"})
    words = ("--password-command", "sleep 50", "--database-url", database, "--sql-dir", path)

    done = cli("wait", "--timeout", "1s", *words)

    assert done.returncode == 3
    assert "the password command did not end within" in done.stderr
    assert "within 60 s" not in done.stderr


@pytest.mark.parametrize("words", ["--timeout soon", "--timeout -1s", "--sql-dir nowhere"])
def test_what_is_wrong_with_the_call_is_said_at_once(cli: Cli, words: str) -> None:
    """Nothing of that changes by waiting."""
    done = cli("wait", "--database-url", NOWHERE, *words.split())

    assert done.returncode == 2


@pytest.mark.process  # a signal is sent to it
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once(number: int, code: int, folder: Write) -> None:
    """Between two looks, too."""
    words = f"wait --sql-dir {folder(FIRST)} --database-url {NOWHERE} --timeout 0".split()
    with Started(words) as running:
        assert running.stderr is not None
        assert "waiting: " in running.stderr.readline()
        running.send_signal(number)

        assert running.wait(20) == code
        assert "interrupted" in running.stderr.read()
