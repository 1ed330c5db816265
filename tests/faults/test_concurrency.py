"""Several runs at once: one does the work, the others wait, and none blocks another."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.up_report import UpReport
from lfmigrate.engine import session, waiting
from lfmigrate.engine.state import DatabaseState, read_state
from lfmigrate.errors import NOTHING_CHANGED, Refused
from lfmigrate.history.ledger import LOCK_KEY
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder, read_folder, shipped_folder
from tests.helpers.databases import files_in_history, has_history
from tests.helpers.faults import PATIENCE_S, role_with_login, wait_until
from tests.helpers.processes import Started
from tests.helpers.threads import Threads

Write = Callable[..., Path]
Dump = Callable[..., str]


def up_at_once(
    urls: list[str], files: Folder, *, per_migration: bool = False
) -> list[UpReport | BaseException]:
    """Run up in as many threads, which start together, and return what became of each."""
    start = threading.Barrier(len(urls), timeout=PATIENCE_S)

    def run(conn: Connection) -> UpReport | BaseException:
        start.wait()
        try:
            return lfmigrate.up(conn, files, per_migration=per_migration)
        except BaseException as error:  # noqa: BLE001 (the test compares them)
            return error

    with ExitStack() as stack:
        # Here: the others would wait for a thread that could not connect.
        conns = [stack.enter_context(closing(lfmigrate.connect(url))) for url in urls]
        return list(stack.enter_context(Threads(len(urls))).map(run, conns))


def statuses(outcomes: list[UpReport | BaseException]) -> Counter[str]:
    """Count the outcomes: the status of the first migration, or the failure."""
    return Counter(
        outcome.migrations[0].status if isinstance(outcome, UpReport) else repr(outcome)
        for outcome in outcomes
    )


def shipped_names() -> list[str]:
    """Return the files of the shipped folder in the order in which they run."""
    shipped = read_folder(shipped_folder())
    return [m.up.name for m in shipped.migrations] + [
        view.file.name for view in shipped.repeatables
    ]


@contextmanager
def lock_held(url: str, application: str = "another-deploy") -> Iterator[psycopg.Connection]:
    """Hold lfmigrate's lock in an open transaction that does nothing else."""
    with psycopg.connect(url, application_name=application) as holder:
        # In plain text: a portal of the extended protocol would keep its snapshot, and hold up
        # a session that builds an index concurrently.
        holder.execute(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
        yield holder


# The server sees sessions, and those of threads are tested on every version.
@pytest.mark.any_version
@pytest.mark.process
@pytest.mark.parametrize("count", [2, 20])
def test_of_many_processes_at_once_exactly_one_applies(
    count: int, database: str, applied: str, dump: Dump
) -> None:
    """All exit 0: one has done it, and the others find nothing to do."""
    processes = [Started(["up", "--json", "--database-url", database]) for _ in range(count)]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0] * count, outputs
    found = Counter(json.loads(out)["migrations"][0]["status"] for out, _ in outputs)
    assert found == {"applied": 1, "already_applied": count - 1}
    assert files_in_history(database) == shipped_names()
    assert dump(database) == dump(applied)


def test_of_many_threads_at_once_exactly_one_applies(database: str) -> None:
    """20 that are truly there at the same moment: one applies, and each sees the same schema."""
    files = read_folder(shipped_folder())
    outcomes = up_at_once([database] * 20, files)

    assert statuses(outcomes) == {"applied": 1, "already_applied": 19}
    assert files_in_history(database) == shipped_names()
    seen = {
        frozenset(v.relation.key for v in outcome.relations)
        for outcome in outcomes
        if isinstance(outcome, UpReport)
    }
    assert len(seen) == 1


@pytest.mark.parametrize("count", [2, 8])
def test_with_per_migration_each_file_is_still_applied_once(
    count: int, database: str, folder: Write
) -> None:
    """Runs may take turns between files; each file is recorded once, and in order."""
    names = [f"{n:03}_t{n}.up.sql" for n in range(1, 13)]
    files = read_folder(
        folder({name: f"CREATE TABLE t{n} (n int)" for n, name in enumerate(names)})
    )
    outcomes = up_at_once([database] * count, files, per_migration=True)

    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert files_in_history(database) == names
    applied = Counter(
        m.version
        for outcome in outcomes
        if isinstance(outcome, UpReport)
        for m in outcome.migrations
        if m.status == "applied"
    )
    assert applied == {name[:3]: 1 for name in names}


# The server sees sessions, and those of threads are tested on every version.
@pytest.mark.any_version
@pytest.mark.process
def test_two_processes_with_per_migration_both_succeed(database: str, folder: Write) -> None:
    """As above, by the command line."""
    names = [f"{n:03}_t{n}.up.sql" for n in range(1, 7)]
    files = folder(
        {name: f"CREATE TABLE t{n} (n int); SELECT pg_sleep(0.02)" for n, name in enumerate(names)}
    )
    where: list[str | Path] = ["--sql-dir", files, "--database-url", database]
    processes = [Started(["up", "--per-migration", *where]) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert files_in_history(database) == names


def test_two_folders_at_once_are_both_applied(database: str, folder: Write) -> None:
    """Different work of two runs in two schemas is done one after the other."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA one; CREATE SCHEMA two")
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int); SELECT pg_sleep(0.1)"}))
    start = threading.Barrier(2, timeout=PATIENCE_S)

    def run(schema: str, conn: Connection) -> str:
        start.wait()
        report = lfmigrate.up(conn, files, scope=lfmigrate.Scope(schema=schema))
        return report.migrations[0].status

    with (
        closing(lfmigrate.connect(database)) as one,
        closing(lfmigrate.connect(database)) as two,
        Threads(2) as pool,
    ):
        found = list(pool.map(run, ["one", "two"], [one, two]))

    assert found == ["applied", "applied"]
    assert files_in_history(database) == ["001_a.up.sql", "001_a.up.sql"]


def test_a_held_lock_is_waited_for_and_then_named(
    database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the wait: refused, exit code 5, who holds it; the waiting was reported once."""
    monkeypatch.setattr(waiting, "LOCK_WAIT_S", 0.6)
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    reported: list[str] = []
    with lock_held(database) as holder, closing(lfmigrate.connect(database)) as conn:
        who = f"process {holder.info.backend_pid}, role {holder.info.user}, application"
        with pytest.raises(Refused) as caught:
            lfmigrate.up(conn, files, on_wait=reported.append)
    error = caught.value

    assert error.exit_code == 5
    assert error.message == "another run of lfmigrate holds the lock"
    assert error.facts[0].startswith(f'{who} "another-deploy", transaction open since ')
    assert error.outcome == NOTHING_CHANGED
    assert error.hint is not None
    assert len(reported) == 1
    assert who in reported[0]
    assert not has_history(database)


def test_a_holder_of_another_role_is_named_as_far_as_it_may_be_seen(
    server_url: str, database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server hides the times of other roles' sessions; nothing dangles in the message."""
    monkeypatch.setattr(waiting, "LOCK_WAIT_S", 0.0)
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    suffix = uuid4().hex[:8]
    with (
        role_with_login(server_url, database, f"lf_holder_{suffix}") as holders,
        role_with_login(server_url, database, f"lf_waiter_{suffix}") as waiters,
        lock_held(holders) as holder,
        closing(lfmigrate.connect(waiters)) as conn,
    ):
        pid = holder.info.backend_pid
        with pytest.raises(Refused) as caught:
            lfmigrate.up(conn, files)

    assert caught.value.facts[0] == (
        f'process {pid}, role lf_holder_{suffix}, application "another-deploy"'
    )


def test_a_run_goes_on_when_the_lock_comes_free(database: str, folder: Write) -> None:
    """Waiting is no failure."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with lock_held(database) as holder, closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.up(conn, files, on_wait=lambda _: holder.rollback())

    assert [m.status for m in report.migrations] == ["applied"]


# The server sees sessions, and those of threads are tested on every version.
@pytest.mark.any_version
@pytest.mark.process
def test_a_waiting_process_says_so_once_on_standard_error(database: str, folder: Write) -> None:
    """One line, however often the lock is tried; the report follows on standard output."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int)"})
    with (
        lock_held(database) as holder,
        Started(["up", "--sql-dir", files, "--database-url", database]) as process,
    ):
        assert process.stderr is not None
        first = process.stderr.readline()
        # A second line after several more attempts would be one too many.
        with psycopg.connect(database, autocommit=True) as observer:
            attempts = set()

            def has_tried() -> bool:
                attempts.add(
                    observer.execute(
                        "SELECT max(xact_start) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND application_name = 'lfmigrate'"
                    ).fetchone()
                )
                return len(attempts - {(None,)}) > 3

            wait_until(has_tried, "it has tried several times")
        holder.rollback()
        _, rest = process.communicate(timeout=60)

    assert first.startswith("waiting for another lfmigrate run: process ")
    assert rest == ""
    assert process.returncode == 0
    assert files_in_history(database) == ["001_a.up.sql"]


def test_the_lock_is_of_one_database_only(
    create_database: Callable[..., str], folder: Write
) -> None:
    """A run in another database of the same server does not matter."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    reported: list[str] = []
    with (
        lock_held(create_database()),
        closing(lfmigrate.connect(create_database())) as conn,
    ):
        lfmigrate.up(conn, files, on_wait=reported.append)

    assert reported == []


def test_with_nothing_to_do_no_lock_is_needed(database: str, folder: Write) -> None:
    """Looking does not wait for a run that is under way; neither do verify and status."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    reported: list[str] = []
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.up(conn, files)
        with lock_held(database):
            report = lfmigrate.up(conn, files, on_wait=reported.append)
            verified = lfmigrate.verify(conn, files)
            lfmigrate.status(conn, files)

    assert [m.status for m in report.migrations] == ["already_applied"]
    assert verified.ok
    assert reported == []


def test_a_waiter_does_not_deadlock_with_an_index_made_concurrently(
    database: str, folder: Write
) -> None:
    """The lock's holder builds an index on a second connection, which waits for all snapshots."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE TABLE big AS SELECT generate_series(1, 1000) AS n")
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with lock_held(database) as holder, Threads(1) as pool:
        waits = threading.Event()

        def wait_and_run() -> UpReport:
            with closing(lfmigrate.connect(database)) as conn:
                return lfmigrate.up(conn, files, on_wait=lambda _: waits.set())

        running = pool.submit(wait_and_run)
        assert waits.wait(20)
        with psycopg.connect(database, autocommit=True) as builder:
            builder.execute("SET statement_timeout = '20s'")
            for n in range(5):
                builder.execute(f"CREATE INDEX CONCURRENTLY big_{n}_idx ON big (n)")
            valid = builder.execute(
                "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid"
            ).fetchone()
        holder.rollback()
        report = running.result()

    assert valid == (5,)
    assert [m.status for m in report.migrations] == ["applied"]


def test_a_waiter_holds_no_transaction_while_it_waits(database: str, folder: Write) -> None:
    """Between two attempts its session is idle, so that vacuum and others are not held up."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with lock_held(database) as holder, Threads(1) as pool:

        def wait_and_run() -> UpReport:
            url = make_conninfo(database, application_name="the-waiter")
            with closing(lfmigrate.connect(url)) as conn:
                return lfmigrate.up(conn, files, on_wait=lambda _: waits.set())

        waits = threading.Event()
        running = pool.submit(wait_and_run)
        assert waits.wait(20)
        with psycopg.connect(database, autocommit=True) as observer:

            def is_idle() -> bool:
                row = observer.execute(
                    "SELECT state FROM pg_stat_activity WHERE application_name = 'the-waiter'"
                    " AND datname = current_database()"
                ).fetchone()
                return row == ("idle",)

            wait_until(is_idle, "the waiter is idle")
        holder.rollback()
        report = running.result()

    assert [m.status for m in report.migrations] == ["applied"]


def test_a_plan_that_is_outdated_is_made_from_the_new_state(
    database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run commits between our look and our lock: what it did is not done again."""
    files = read_folder(
        folder({"001_a.up.sql": "CREATE TABLE a (n int)", "002_b.up.sql": "CREATE TABLE b (n int)"})
    )
    looks: list[DatabaseState] = []

    def look_and_be_overtaken(conn: Connection, scope: Scope, **options: Any) -> DatabaseState:
        found = read_state(conn, scope, **options)
        looks.append(found)
        if len(looks) == 1:
            with closing(lfmigrate.connect(database)) as other:
                lfmigrate.up(other, files, to="001")
        return found

    monkeypatch.setattr(session, "read_state", look_and_be_overtaken)
    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.up(conn, files)

    assert len(looks) == 3  # ours, the other's, and ours again
    assert [m.status for m in report.migrations] == ["already_applied", "applied"]
    assert files_in_history(database) == ["001_a.up.sql", "002_b.up.sql"]
