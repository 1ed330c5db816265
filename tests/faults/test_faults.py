"""Whatever fails, and whenever: the database is as before or as after, and the message says which.

Everything here fails for real: statements, processes, connections, servers' sessions.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

import psycopg
import pytest

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.engine import lost_commit
from lfmigrate.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    UNKNOWN,
    ConnectionFailed,
    Interrupted,
    LfmigrateError,
    StatementFailed,
)
from lfmigrate.rows.archive import read
from lfmigrate.source.folder import Folder, read_folder, shipped_folder
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.scanner import Statement
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, files_in_history, has_history
from tests.helpers.faults import (
    HAS_COMMITTED,
    SAYS_COMMIT,
    Cutter,
    Gates,
    wait_for_session,
    wait_until,
    wait_until_left,
)
from tests.helpers.processes import Started
from tests.helpers.threads import Threads

Write = Callable[..., Path]
Dump = Callable[..., str]


# Runs are cut at random moments; the same ones each time.
SEED = 20240229

# What the commit of a slow folder waits for, so that a commit can be met in the middle.
SLOW_COMMIT = """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep({seconds});
    {then}
    RETURN NULL;
END $$;
CREATE TRIGGER linger AFTER UPDATE ON lfmigrate.lfmigrate_history
    FOR EACH STATEMENT EXECUTE FUNCTION linger();
"""


# The entries get their effects right before the commit; COMMIT itself has been sent by then.
IN_COMMIT_FLIGHT = "UPDATE%lfmigrate_history%"


def slow_commit(seconds: float, then: str = "") -> str:
    """Return a migration whose COMMIT takes a while, and perhaps fails then."""
    return SLOW_COMMIT.format(seconds=seconds, then=then)


def failure_of(url: str, files: Folder) -> LfmigrateError:
    """Connect, run up and return how it failed."""
    with pytest.raises(LfmigrateError) as caught:
        up(url, files)
    return caught.value


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Do something in another thread while the block runs; its failure is the test's."""
    with Threads(1) as pool:
        done = pool.submit(action)
        try:
            yield
        finally:
            done.result()


def wait_for_sleep(url: str, query: str = "%") -> int:
    """Wait until a session of the database sleeps in a query, and return its process id."""
    found: list[int] = []
    with psycopg.connect(url, autocommit=True) as conn:

        def sleeps() -> bool:
            rows = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event = 'PgSleep' AND query LIKE %s",
                [query],
            ).fetchall()
            found.extend(pid for (pid,) in rows)
            return bool(rows)

        wait_until(sleeps, f"a session sleeps in {query}")
    return found[0]


# ------------------------------------------------------------------------------------------------
# One transaction
# ------------------------------------------------------------------------------------------------


def shipped_files() -> list[SqlFile]:
    """Return the files of the shipped folder in the order in which they run."""
    shipped = read_folder(shipped_folder())
    return [m.up for m in shipped.migrations] + [view.file for view in shipped.repeatables]


def shipped_with(file: SqlFile, text: str) -> Folder:
    """Return the shipped folder with another text for one of its files."""
    shipped = read_folder(shipped_folder())
    other = from_text(file.name, text)
    return replace(
        shipped,
        migrations=tuple(
            replace(m, up=other if m.up.name == file.name else m.up) for m in shipped.migrations
        ),
        repeatables=tuple(
            replace(v, file=other if v.file.name == file.name else v.file)
            for v in shipped.repeatables
        ),
    )


def broken_at(file: SqlFile, statement: Statement, failing: str) -> Folder:
    """Return the shipped folder with something that fails in the place of one statement."""
    end = statement.offset + len(statement.text)
    return shipped_with(file, file.text[: statement.offset] + failing + file.text[end:])


# What fails in the place of a statement, its SQLSTATE, and how far behind the beginning the server
# sees the mistake.
FAILING = (("SELECT 1/0", "22012", 0), ("SELECT nope", "42703", len("SELECT ")))


@pytest.mark.sweep
@pytest.mark.parametrize("file", shipped_files(), ids=lambda file: file.name)
def test_a_failure_of_any_statement_leaves_nothing_behind(
    file: SqlFile, database: str, dump: Dump, record_property: Callable[[str, object], None]
) -> None:
    """Each statement of the shipped files in turn fails; the catalogs are as before, each time."""
    before = dump(database)
    problems = []
    with closing(lfmigrate.connect(database)) as conn:
        for statement, (failing, sqlstate, shift) in zip(
            file.statements, cycle(FAILING), strict=False
        ):
            with pytest.raises(StatementFailed) as caught:
                lfmigrate.up(conn, broken_at(file, statement, failing))
            error = caught.value
            place = (error.file, error.line, error.column)
            if (
                place != (file.name, statement.line, statement.column + shift)
                or error.sqlstate != sqlstate
                or error.exit_code != 4
                or error.outcome != NOTHING_CHANGED
                or has_history(database)
                or dump(database) != before
            ):
                problems.append((statement.line, place, error.sqlstate, error.facts))

    record_property("faults", len(file.statements))
    assert problems == []


def test_the_shipped_files_have_as_many_statements_as_were_made_to_fail() -> None:
    """The sweep above is not empty."""
    assert [len(file.statements) > 20 for file in shipped_files()] == [True, True, True]


def test_a_failed_statement_is_reported_by_the_command_line(
    database: str, folder: Write, cli: Cli
) -> None:
    """Exit code 4, file:line:column, SQLSTATE, and that nothing was changed."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int);\n\n  SELECT 1/0;\n"})
    done = cli("up", "--sql-dir", files, "--database-url", database)

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: division by zero",
        "  001_a.up.sql:3:3, SQLSTATE 22012",
        "  3 | SELECT 1/0",
        "  Nothing was changed.",
    ]
    assert not has_history(database)


def test_a_failed_migration_leaves_earlier_ones_as_they_were(
    database: str, folder: Write, dump: Dump
) -> None:
    """Tables, rows and history of what was applied before are untouched by a later failure."""
    first = {"001_a.up.sql": "CREATE TABLE a (n int); INSERT INTO a VALUES (1), (2);"}
    up(database, read_folder(folder(first)))
    before = dump(database, rows=True)
    second = {"002_b.up.sql": "DELETE FROM a; DROP TABLE a; CREATE TABLE b (); SELECT 1/0;"}
    error = failure_of(database, read_folder(folder(first | second)))

    assert error.outcome == NOTHING_CHANGED
    assert dump(database, rows=True) == before
    assert files_in_history(database) == ["001_a.up.sql"]


def test_with_per_migration_a_failure_tells_what_was_committed_before_it(
    database: str, folder: Write
) -> None:
    """Each file commits on its own, so "nothing was changed" would not be true."""
    files = {"001_a.up.sql": "CREATE TABLE a ()", "002_b.up.sql": "CREATE TABLE b (); SELECT 1/0"}
    with closing(lfmigrate.connect(database)) as conn, pytest.raises(StatementFailed) as caught:
        lfmigrate.up(conn, read_folder(folder(files)), per_migration=True)

    assert caught.value.facts[-1] == "Rolled back; committed before it and kept: 001_a."
    assert files_in_history(database) == ["001_a.up.sql"]
    with psycopg.connect(database) as conn:
        found = conn.execute("SELECT to_regclass('a') IS NULL, to_regclass('b') IS NULL").fetchone()
    assert found == (False, True)


@pytest.mark.parametrize(
    ("text", "sqlstate"),
    [
        ("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$; CALL p()", "2D000"),
        ("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN ROLLBACK; END$$; CALL p()", "2D000"),
        ("DO $$BEGIN COMMIT; END$$", "2D000"),
        ("DO $$BEGIN EXECUTE 'COMMIT'; END$$", "0A000"),
        ("DO $$BEGIN EXECUTE 'COM' || 'MIT AND CHAIN'; END$$", "0A000"),
        ("DO $$BEGIN EXECUTE 'VACUUM'; END$$", "25001"),
        ("DO $$BEGIN EXECUTE 'CREATE DATABASE nobody_wants_it'; END$$", "25001"),
        ("DO $$BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY a_idx ON a (n)'; END$$", "25001"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", None),
        ("SET TRANSACTION READ ONLY; CREATE TABLE b ()", "25006"),
    ],
)
def test_a_statement_that_would_end_the_transaction_leaves_nothing(
    text: str, sqlstate: str | None, database: str, folder: Write, dump: Dump
) -> None:
    """What the lexer cannot see the server refuses inside our transaction."""
    before = dump(database)
    error = failure_of(
        database, read_folder(folder({"001_a.up.sql": f"CREATE TABLE a (n int);\n{text}"}))
    )

    assert error.exit_code == 4
    assert error.sqlstate == sqlstate
    assert error.outcome == NOTHING_CHANGED
    assert dump(database) == before
    assert not has_history(database)


# No statement is sent, or none that matters.
@pytest.mark.any_version
def test_files_with_transaction_control_are_refused_before_anything_is_asked(
    database: str, folder: Write, cli: Cli
) -> None:
    """The connection alone is made; each file is named with its line, and the exit code is 2."""
    controls = (
        "COMMIT",
        "commit and chain",
        "BEGIN",
        "START TRANSACTION",
        "ROLLBACK",
        "END",
        "SAVEPOINT s",
        "RELEASE s",
        "PREPARE TRANSACTION 'p'",
        "COPY a FROM stdin",
        "COPY (SELECT 1) TO stdout",
        "/* a comment */ COMMIT",
        "\\connect postgres",
    )
    files = {
        f"{n:03}_a.up.sql": f"CREATE TABLE a (n int);\n{text};\n"
        for n, text in enumerate(controls, start=1)
    }
    files["views/v.sql"] = "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;\nCOMMIT;\n"
    # A folder with more than ten problems shows ten.
    for some in (list(files)[:7], list(files)[7:]):
        with Proxy(target_of(database)) as proxy:
            path = folder({name: files[name] for name in some})
            done = cli("up", "--sql-dir", path, env={"DATABASE_URL": through(database, proxy.port)})

            assert done.returncode == 2, done.stderr
            assert [name for name in some if f"{name}:2:" not in done.stderr] == []
            assert NOTHING_CHANGED.text in done.stderr
            assert proxy.flights <= 1


# No statement is sent, or none that matters.
@pytest.mark.any_version
def test_a_folder_without_transaction_control_connects(
    database: str, folder: Write, cli: Cli
) -> None:
    """The counterpart, so that the count above means something."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int)"})
    with Cutter(target_of(database)) as proxy:
        done = cli("up", "--sql-dir", files, env={"DATABASE_URL": through(database, proxy.port)})

        assert done.returncode == 0, done.stderr
        assert proxy.accepted == 1


def test_a_deferred_constraint_that_fails_at_commit_rolls_everything_back(
    database: str, folder: Write, dump: Dump
) -> None:
    """The last possible moment is early enough."""
    before = dump(database)
    text = """
        CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (parent_id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO child VALUES (42);
    """
    error = failure_of(database, read_folder(folder({"001_a.up.sql": text})))

    assert isinstance(error, StatementFailed)
    assert error.sqlstate == "23503"
    assert "violates foreign key constraint" in error.message
    assert error.facts == (
        'Key (parent_id)=(42) is not present in table "parent".',
        NOTHING_CHANGED.text,
    )
    assert dump(database) == before
    assert not has_history(database)


# ------------------------------------------------------------------------------------------------
# Timeouts
# ------------------------------------------------------------------------------------------------


@pytest.fixture
def held_table(database: str) -> Iterator[str]:
    """Return the URL of a database in which another session holds on to the table ``busy``."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE TABLE busy (n int)")
    with psycopg.connect(database, application_name="report") as holder:
        holder.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        yield database


LOCKED_OUT = "CREATE TABLE a (n int);\nALTER TABLE busy ADD m int;"


def locked_out(url: str, files: Path) -> StatementFailed:
    """Run into the lock of another session and return the failure."""
    scope = lfmigrate.Scope(lock_timeout_ms=1000)
    with closing(lfmigrate.connect(url)) as conn, pytest.raises(StatementFailed) as caught:
        lfmigrate.up(conn, read_folder(files), scope=scope)
    return caught.value


def test_a_lock_that_does_not_come_free_ends_the_run(held_table: str, folder: Write) -> None:
    """The queue behind a long transaction is left in time, and nothing was changed."""
    error = locked_out(held_table, folder({"001_a.up.sql": LOCKED_OUT}))

    assert error.sqlstate == "55P03"
    assert (error.file, error.line, error.column) == ("001_a.up.sql", 2, 1)
    assert error.outcome == NOTHING_CHANGED
    assert not has_history(held_table)


def test_a_lock_timeout_says_who_holds_the_lock(held_table: str, folder: Write) -> None:
    """The person on call needs the session to talk to, and the option that allows more time."""
    error = locked_out(held_table, folder({"001_a.up.sql": LOCKED_OUT}))

    assert any('application "report"' in line for line in error.facts)
    assert error.hint is not None
    assert "--lock-timeout" in error.hint


def test_a_statement_that_takes_too_long_ends_the_run(database: str, folder: Write) -> None:
    """The limit is the statement's, and nothing was changed."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int);\nSELECT pg_sleep(600);"})
    scope = lfmigrate.Scope(statement_timeout_ms=1000)
    with closing(lfmigrate.connect(database)) as conn, pytest.raises(StatementFailed) as caught:
        lfmigrate.up(conn, read_folder(files), scope=scope)
    error = caught.value

    assert error.sqlstate == "57014"
    assert (error.file, error.line, error.column) == ("001_a.up.sql", 2, 1)
    assert error.outcome == NOTHING_CHANGED
    assert not has_history(database)


# ------------------------------------------------------------------------------------------------
# Lost connections
# ------------------------------------------------------------------------------------------------


def assert_all(url: str, files: Folder) -> None:
    """Hold a database against a complete run."""
    assert files_in_history(url) == [m.up.name for m in files.migrations]
    with closing(lfmigrate.connect(url)) as conn:
        assert lfmigrate.verify(conn, files).ok


def test_a_connection_lost_before_the_commit_arrives_leaves_nothing(
    database: str, folder: Write, dump: Dump
) -> None:
    """The server never hears of the commit, and rolls back."""
    before = dump(database)
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with Cutter(target_of(database), SAYS_COMMIT, way="up") as proxy:
        error = failure_of(through(database, proxy.port), files)

        assert proxy.cuts == 1
    assert isinstance(error, ConnectionFailed)
    assert error.exit_code == 4
    assert "lost" in error.message
    assert error.outcome == NOTHING_CHANGED
    assert dump(database) == before
    assert not has_history(database)


LOST_AT_COMMIT = "the connection was lost at COMMIT; the history shows that it was committed"


def test_a_lost_acknowledgement_of_a_commit_is_a_success_with_a_note(
    database: str, folder: Write
) -> None:
    """The server has committed, and the client does not hear of it: it asks again."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        report = up(through(database, proxy.port), files)

        assert proxy.cuts == 1
    assert report.notes == (LOST_AT_COMMIT,)
    assert [m.status for m in report.migrations] == ["applied"]
    assert [(v.relation.name, v.status) for v in report.relations] == [("a", "created")]
    assert_all(database, files)


def test_a_command_continues_after_a_lost_acknowledgement(database: str, folder: Write) -> None:
    """The files that follow run on another connection, each once."""
    files = read_folder(
        folder({f"00{n}_a.up.sql": f"CREATE TABLE a{n} (n int)" for n in range(1, 4)})
    )
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        report = up(through(database, proxy.port), files, per_migration=True)

        # The question about the commit, and the rest of the command.
        assert (proxy.cuts, proxy.accepted) == (3, 3)
    assert report.notes == (LOST_AT_COMMIT,)
    assert [m.status for m in report.migrations] == ["applied"] * 3
    assert_all(database, files)
    wait_until_left(database)


@pytest.mark.parametrize(
    ("command", "source"),
    [
        (("rollback", "--yes"), "history"),
        (("seed",), "server"),
        (("restore", "saved"), "server"),
    ],
    ids=["rollback", "seed", "restore"],
)
def test_a_lost_acknowledgement_of_any_command_is_a_success_with_a_note(
    command: tuple[str, ...], source: str, database: str, folder: Write, cli: Cli
) -> None:
    """Whether it is recorded in the history or not; what only reads is rolled back."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int)",
            "001_a.down.sql": "DROP TABLE a",
            "seed/load.sql": "CREATE TEMPORARY TABLE seed_a (n int);\nINSERT INTO a TABLE seed_a;",
            "seed/a.csv": "n\n1\n",
        }
    )
    up(database, read_folder(path))
    saved = path.parent / "saved"
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.backup(conn, read_folder(path), out=saved)
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        done = cli(
            *(str(saved) if word == "saved" else word for word in command),
            *("--sql-dir", path, "--database-url", through(database, proxy.port)),
        )

    assert done.returncode == 0, done.stderr
    assert (
        f"the connection was lost at COMMIT; the {source} shows that it was committed"
        in done.stderr
    )
    assert "retrying" not in done.stderr


OUTSIDE = "-- lfmigrate: no-transaction\n"


def test_a_no_transaction_file_continues_after_a_lost_acknowledgement(
    database: str, folder: Write
) -> None:
    """The new session takes the lock before it goes on, and no statement runs twice."""
    text = OUTSIDE + "INSERT INTO a VALUES (1);\nVACUUM a;\nINSERT INTO a VALUES (2);"
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)", "002_b.up.sql": text}))
    up(database, replace(files, migrations=files.migrations[:1]))
    with Cutter(target_of(database), HAS_COMMITTED, way="down", skips=1) as proxy:
        report = up(through(database, proxy.port), files)
    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT array_agg(n ORDER BY n) FROM a").fetchone()

    assert report.notes == (LOST_AT_COMMIT,)
    assert [m.status for m in report.migrations] == ["already_applied", "applied"]
    assert rows == ([1, 2],)


@pytest.mark.parametrize("lost", [1, 3])
def test_the_session_that_replaces_a_lost_one_holds_the_lock(
    lost: int, database: str, folder: Write
) -> None:
    """Whichever commit was lost; and a file with a transaction that follows finds a connection."""
    execute(
        database,
        "CREATE TABLE a (held bigint)",
        "CREATE PROCEDURE look() LANGUAGE sql AS $$INSERT INTO a SELECT count(*) FROM pg_locks"
        " WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND granted$$",
    )
    row = "INSERT INTO a VALUES (1);"
    text = f"{OUTSIDE}{row}\nCALL look();\nCALL look();\n{row}"
    files = read_folder(folder({"1_b.up.sql": text, "2_c.up.sql": "CREATE TABLE c (n int)"}))
    with Cutter(target_of(database), HAS_COMMITTED, way="down", skips=lost) as proxy:
        report = up(through(database, proxy.port), files)

    assert report.notes == (LOST_AT_COMMIT,)
    assert [m.status for m in report.migrations] == ["applied", "applied"]
    assert fetch(database, "SELECT held FROM a") == [1, 1, 1, 1]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_commit_that_is_still_under_way_is_waited_for(
    database: str, folder: Write, isolation: str
) -> None:
    """The connection is gone while the server is busy committing; then it succeeds."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(
            f"ALTER DATABASE {conn.info.dbname} SET default_transaction_isolation = '{isolation}'"
        )
    files = read_folder(folder({"001_a.up.sql": slow_commit(0.5)}))
    with Cutter(target_of(database), SAYS_COMMIT, way="up", passes=True, hold_server=True) as proxy:
        report = up(through(database, proxy.port), files)

        assert proxy.cuts == 1
    assert report.notes == (LOST_AT_COMMIT,)
    assert_all(database, files)


def test_a_commit_that_fails_after_the_connection_was_lost_is_reported_as_failed(
    database: str, folder: Write, dump: Dump
) -> None:
    """The connection is gone while the server is busy committing; then it rolls back."""
    before = dump(database)
    files = read_folder(folder({"001_a.up.sql": slow_commit(0.5, "RAISE 'no';")}))
    with Cutter(target_of(database), SAYS_COMMIT, way="up", passes=True, hold_server=True) as proxy:
        error = failure_of(through(database, proxy.port), files)

        assert proxy.cuts == 1
    assert isinstance(error, ConnectionFailed)
    assert error.outcome == NOTHING_CHANGED
    assert dump(database) == before


def test_it_is_not_guessed_whether_a_lost_commit_happened(
    database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server cannot be asked, the message says so and promises nothing."""
    monkeypatch.setattr(lost_commit, "RECONNECT_S", 0.5)
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with Cutter(target_of(database), HAS_COMMITTED, way="down", then_refuse=True) as proxy:
        error = failure_of(through(database, proxy.port), files)

    assert isinstance(error, ConnectionFailed)
    assert error.outcome == UNKNOWN
    assert error.outcome != NOTHING_CHANGED
    assert error.hint is not None
    assert "lfmigrate status" in error.hint
    assert_all(database, files)


def test_an_interrupt_while_asking_about_a_lost_commit_promises_nothing(
    database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment is chosen by the code: the signal arrives when it connects again to ask."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        monkeypatch.setattr(lost_commit, "connect", interrupted)
        error = failure_of(through(database, proxy.port), files)

    assert error.outcome == UNKNOWN
    assert_all(database, files)


def test_a_connection_lost_among_the_statements_leaves_nothing(
    database: str, folder: Write, dump: Dump
) -> None:
    """The cut comes while the server runs the file; it notices, and rolls back."""
    before = dump(database)
    text = "CREATE TABLE a (n int); DO $$BEGIN RAISE NOTICE 'halfway'; END$$; CREATE TABLE b ()"
    files = read_folder(folder({"001_a.up.sql": text}))
    with Cutter(target_of(database), b"Mhalfway\0", way="down") as proxy:
        error = failure_of(through(database, proxy.port), files)

        assert proxy.cuts == 1
    assert isinstance(error, ConnectionFailed)
    assert error.outcome == NOTHING_CHANGED
    wait_until_left(database)
    assert dump(database) == before


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_at_any_byte_leaves_all_or_nothing(
    way: Literal["up", "down"], database: str, folder: Write
) -> None:
    """20 cuts each way, spread over the whole conversation: what is said is what is there."""
    files = read_folder(
        folder(
            {
                "001_a.up.sql": "CREATE TABLE a (n int); INSERT INTO a VALUES (1);",
                "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT n FROM a;",
            }
        )
    )
    ran = ["001_a.up.sql", "views/v.sql"]
    reset = "DROP VIEW v; DROP TABLE a; DROP SCHEMA lfmigrate CASCADE"
    whole = conversation_bytes(database, files, way)
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(reset)
        rng = random.Random(SEED)  # noqa: S311 (nothing secret)
        # The last bytes are where the commit is; those are tried one by one.
        places = sorted(rng.sample(range(whole - 30), 14)) + list(range(whole - 30, whole, 5))
        said: list[str] = []
        for place in places:
            with Cutter(target_of(database), way=way, at_byte=place) as proxy:
                try:
                    report = up(through(database, proxy.port), files)
                except ConnectionFailed as error:
                    said.append(error.facts[-1])
                else:
                    # Without the note, the rest of the conversation was a farewell.
                    said.append(*report.notes or ("",))
            wait_until_left_but(conn)
            found = files_in_history(database)
            there = conn.execute("SELECT to_regclass('v') IS NOT NULL").fetchone()

            assert found in ([], ran), place
            assert there == (found == ran,), place
            assert (said[-1] in {LOST_AT_COMMIT, ""}) == (found == ran), (place, said[-1])
            if found:
                conn.execute(reset)

    assert NOTHING_CHANGED.text in said
    assert LOST_AT_COMMIT in said or way == "up"


def conversation_bytes(url: str, files: Folder, way: Literal["up", "down"]) -> int:
    """Return how many bytes go each way in a whole run, which then is done."""
    from bench.proxy import Proxy  # noqa: PLC0415 (beside the one use)

    with Proxy(target_of(url)) as proxy:
        up(through(url, proxy.port), files)
        return proxy.bytes_up if way == "up" else proxy.bytes_down


def wait_until_left_but(conn: psycopg.Connection) -> None:
    """Wait until a connection is the last one of its database."""
    wait_until(
        lambda: (
            conn.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            is None
        ),
        "the last session left",
    )


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("CREATE TABLE a (n int); SELECT pg_sleep(600)", "SELECT pg_sleep%"),
        (slow_commit(600), IN_COMMIT_FLIGHT),
    ],
    ids=["in a statement", "in the commit"],
)
def test_a_session_that_is_terminated_leaves_nothing(
    text: str, query: str, database: str, folder: Write, dump: Dump
) -> None:
    """An administrator ends our session on the server: lost, and nothing was changed."""
    before = dump(database)

    def terminate() -> None:
        pid = wait_for_sleep(database, query)
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [pid])

    with meanwhile(terminate):
        error = failure_of(database, read_folder(folder({"001_a.up.sql": text})))

    assert isinstance(error, ConnectionFailed)
    assert error.exit_code == 4
    assert "lost" in error.message
    assert error.outcome == NOTHING_CHANGED
    assert dump(database) == before
    assert not has_history(database)


def test_a_session_that_was_terminated_before_the_run_is_reported_as_lost(
    database: str, folder: Write
) -> None:
    """A pool's stale connection gives our error, too."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with closing(lfmigrate.connect(database)) as conn:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
            wait_until_left_but(other)
        with pytest.raises(ConnectionFailed, match="lost") as caught:
            lfmigrate.up(conn, files)

    assert caught.value.outcome == NOTHING_CHANGED


# ------------------------------------------------------------------------------------------------
# Signals
# ------------------------------------------------------------------------------------------------


def test_an_interrupt_during_the_commit_is_reported_with_its_outcome(
    database: str, folder: Write, dump: Dump
) -> None:
    """A commit that can still be cancelled is cancelled."""
    before = dump(database)

    def interrupt() -> None:
        wait_for_sleep(database, IN_COMMIT_FLIGHT)
        os.kill(os.getpid(), signal.SIGINT)

    with meanwhile(interrupt):
        error = failure_of(database, read_folder(folder({"001_a.up.sql": slow_commit(600)})))

    assert isinstance(error, Interrupted)
    assert error.outcome == NOTHING_CHANGED
    assert dump(database) == before


def test_an_interrupt_is_heard_although_it_does_not_wake_the_wait(
    database: str, folder: Write, dump: Dump
) -> None:
    """The kernel may give a signal to another thread, or just before the wait begins."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("CREATE SEQUENCE behind")
    before = dump(database, rows=True)
    # A sequence is not rolled back: it shows whether the statement behind the pause has run.
    files = read_folder(folder({"001_a.up.sql": "SELECT pg_sleep(20); SELECT nextval('behind')"}))

    def interrupt() -> None:
        wait_for_sleep(database)
        # Blocked in the main thread, the signal comes to this one.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        os.kill(os.getpid(), signal.SIGINT)

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with meanwhile(interrupt):
            error = failure_of(database, files)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    assert isinstance(error, Interrupted)
    assert error.outcome == NOTHING_CHANGED
    assert dump(database, rows=True) == before


def test_an_interrupt_after_the_commit_is_reported_as_a_commit(
    database: str, folder: Write
) -> None:
    """The server has committed, its answer is under way, and then comes Ctrl-C."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with Cutter(
        target_of(database), HAS_COMMITTED, way="down", hold_client=True, hold_server=True
    ) as proxy:

        def interrupt() -> None:
            wait_until(lambda: proxy.cuts == 1, "the commit has happened")
            os.kill(os.getpid(), signal.SIGINT)

        with meanwhile(interrupt):
            error = failure_of(through(database, proxy.port), files)

    assert isinstance(error, Interrupted)
    assert error.outcome == COMMITTED
    assert_all(database, files)


# What the server does about it is swept over, on the oldest version and on the newest.
@pytest.mark.any_version
@pytest.mark.process
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_the_command_with_the_shells_exit_code(
    name: str, code: int, database: str, folder: Write
) -> None:
    """128 + the signal, and one clear message: interrupted, nothing was changed."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int); SELECT pg_sleep(600)"})
    process = start_up(database, files)
    wait_for_sleep(database)
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert out == ""
    assert err.splitlines() == ["error: interrupted", "  Nothing was changed."]
    wait_until_left(database)
    assert not has_history(database)


@pytest.mark.any_version  # the client's waiting is tested
@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_backup_whose_network_has_gone_silent(
    name: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """New connections are made, and so the cancel request succeeds; the old one hears no more."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (t text)"})
    up(database, files)
    # More than the network holds, so that what is lost is in the middle.
    execute(
        database,
        "INSERT INTO a SELECT repeat('x', 10000) FROM generate_series(1, 2000)",
        "INSERT INTO a VALUES ('stalls here')",
        "INSERT INTO a SELECT repeat('x', 10000) FROM generate_series(1, 2000)",
    )
    held = {"way": "down", "hold_client": True, "hold_server": True}
    with Cutter(target_of(database), b"stalls here", **held) as proxy:  # type: ignore[arg-type]  # mypy does not look into a mapping
        url = through(database, proxy.port)
        command = ["backup", "--sql-dir", str(files), "--database-url", url]
        process = subprocess.Popen(
            [sys.executable, "-m", "lfmigrate", *command, "--out", str(tmp_path / "kept")],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: proxy.cuts == 1, "the network fell silent")
        process.send_signal(signal.Signals[name])
        _, err = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.Signals[name]
    assert "error: interrupted" in err
    assert not list(tmp_path.glob("*kept*"))


def up_command(url: str, files: Path) -> list[str]:
    """Return the arguments of an ``up``."""
    return ["up", "--sql-dir", str(files), "--database-url", url]


def start_up(url: str, files: Path) -> subprocess.Popen[str]:
    """Start ``lfmigrate up`` as a person does."""
    return subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", *up_command(url, files)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# Two migrations and a view, with a gate after each statement, and one within the commit.
STATEMENTS = 8
IN_COMMIT = STATEMENTS
PAUSED = {
    "001_first.up.sql": "".join(
        f"CREATE TABLE a{n} (n int PRIMARY KEY); {Gates.statement(n)}\n" for n in range(4)
    ),
    "002_second.up.sql": "".join(
        f"INSERT INTO a{n} VALUES ({n}); {Gates.statement(n + 4)}\n" for n in range(4)
    )
    + f"""
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {Gates.sql(IN_COMMIT)} RETURN NULL; END $$;
CREATE TRIGGER linger AFTER UPDATE ON lfmigrate.lfmigrate_history
    FOR EACH STATEMENT EXECUTE FUNCTION linger();
""",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT n FROM a0;",
}
PAUSED_FILES = list(PAUSED)
PAUSED_RESET = """
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public;
    DROP SCHEMA IF EXISTS lfmigrate CASCADE;
"""
LANES = 3


@pytest.mark.sweep
@pytest.mark.process
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_signal_at_any_moment_leaves_all_or_nothing(
    name: str, create_database: Callable[..., str], folder: Write, dump: Dump
) -> None:
    """24 moments of a run: the catalogs and rows are those before or those after."""
    files = folder(PAUSED)
    number = signal.Signals[name]
    urls = [create_database() for _ in range(LANES)]
    for url in urls:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(PAUSED_RESET)
    before = dump(urls[0], rows=True)
    up(urls[0], read_folder(files))
    after = dump(urls[0], rows=True)
    with psycopg.connect(urls[0], autocommit=True) as conn:
        conn.execute(PAUSED_RESET)
    assert before != after
    rng = random.Random(SEED + number)  # noqa: S311 (nothing secret)
    # At each gate, where the outcome is certain; once its session is there; when all has been
    # committed; and wherever some milliseconds lead, from its start (negative) or its session on.
    moments: list[Moment] = [*range(STATEMENTS), IN_COMMIT, "session", "committed"]
    moments += [-rng.uniform(0.05, 0.3) for _ in range(3)]
    moments += [rng.uniform(0.0, 0.2) for _ in range(10)]

    def lane(url: str, its_moments: Sequence[Moment]) -> dict[Moment, str]:
        trial = Trial(url, files, number, before, after, dump)
        return {moment: trial.outcome_at(moment) for moment in its_moments}

    with Threads(LANES) as pool:
        lanes = [pool.submit(lane, url, moments[i::LANES]) for i, url in enumerate(urls)]
        outcomes = {moment: outcome for each in lanes for moment, outcome in each.result().items()}

    assert len(outcomes) == len(moments)
    assert outcomes["committed"].startswith("all")
    if name == "SIGKILL":
        assert {outcomes[n] for n in range(STATEMENTS)} == {"nothing"}, outcomes
        # The server goes on with a commit whose client is gone.
        assert outcomes[IN_COMMIT] == "all", outcomes
    else:
        assert {outcomes[n] for n in [*range(STATEMENTS), IN_COMMIT]} == {"nothing, and said so"}


# The number of a gate, ``session``, ``committed``, or some seconds.
Moment = int | float | str


@dataclass(frozen=True)
class Trial:
    """One database in which runs are signalled, again and again."""

    url: str
    files: Path
    number: signal.Signals
    before: str
    after: str
    dump: Dump

    def outcome_at(self, moment: Moment) -> str:
        """Start a run, signal it, check what it leaves, finish it, and clear up.

        Returns:
            Whether ``all`` or ``nothing`` of the run was there, and whether it said so.
        """
        has_session = not isinstance(moment, float) or moment >= 0
        with ExitStack() as stack:
            stands = None
            if isinstance(moment, int):
                stands = stack.enter_context(Gates(self.url).closed(moment))
            # Only what comes before the session's time needs the start of Python as well.
            process = (
                Started(up_command(self.url, self.files))
                if has_session
                else start_up(self.url, self.files)
            )
            if stands is not None:
                stands()
            elif moment == "committed":
                wait_until(lambda: has_history(self.url), "the run has committed")
            elif has_session:
                wait_for_session(self.url, process)
            if isinstance(moment, float):
                time.sleep(abs(moment))
            process.send_signal(self.number)
            out, err = process.communicate(timeout=120)
        wait_until_left(self.url)
        found = self.dump(self.url, rows=True)
        code = process.returncode
        reported = f"at {moment}, exit code {code}: {err}"
        assert found in {self.before, self.after}, reported
        is_done = found == self.after
        assert files_in_history(self.url) == (PAUSED_FILES if is_done else []), reported
        assert has_history(self.url) == is_done, reported
        assert (NOTHING_CHANGED.text if is_done else COMMITTED.text) not in err, reported
        if code == 0 or out:
            # Too late for the run; the signal may still have met Python on its way out.
            assert is_done, reported
        elif has_session and self.number != signal.SIGKILL:
            assert code == 128 + self.number, reported
            assert err.startswith("error: interrupted"), reported
        else:
            # Before it can listen to signals, Python's or the system's answer is just as good.
            assert code != 0, reported
        said = COMMITTED.text in err or NOTHING_CHANGED.text in err
        up(self.url, read_folder(self.files))
        assert self.dump(self.url, rows=True) == self.after, reported
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(PAUSED_RESET)
        return f"{'all' if is_done else 'nothing'}{', and said so' if said else ''}"


@pytest.mark.process
def test_the_server_rolls_back_what_a_killed_run_left_running(
    database: str, folder: Write, dump: Dump
) -> None:
    """After SIGKILL the next run waits for the server to notice, and then succeeds."""
    files = folder({"001_a.up.sql": f"CREATE TABLE a (n int); {Gates.statement(1)}"})
    waited: list[str] = []
    with ExitStack() as stack:
        stands = stack.enter_context(Gates(database).closed(1))

        def on_wait(line: str) -> None:
            waited.append(line)
            stack.close()  # the gate opens, and the server finds that the client is gone

        process = Started(up_command(database, files))
        stands()
        process.kill()
        process.communicate(timeout=60)
        with closing(lfmigrate.connect(database)) as conn:
            report = lfmigrate.up(conn, read_folder(files), on_wait=on_wait)

    assert [m.status for m in report.migrations] == ["applied"]
    assert len(waited) == 1
    assert files_in_history(database) == ["001_a.up.sql"]
    assert "CREATE TABLE public.a" in dump(database)


def test_a_lost_connection_is_tried_once_more_if_nothing_was_done(
    database: str, folder: Write, cli: Cli
) -> None:
    """In the middle of the run: the next connection does all of it, and says so."""
    path = folder(
        {"001_a.up.sql": "CREATE TABLE a (n int);\nDO $$BEGIN RAISE NOTICE 'halfway'; END$$;"}
    )
    with Cutter(target_of(database), b"Mhalfway\0", way="down") as proxy:
        done = cli("up", "--sql-dir", path, "--database-url", through(database, proxy.port))

    assert done.returncode == 0
    assert "lost; nothing was changed; retrying once" in done.stderr
    assert "001_a applied" in done.stdout
    assert proxy.accepted == 2
    assert files_in_history(database) == ["001_a.up.sql"]


def test_a_commit_whose_answer_was_lost_is_not_done_again(
    database: str, folder: Write, cli: Cli
) -> None:
    """It was committed, so that it is a success: the usual table, and a note."""
    path = folder({"001_a.up.sql": "CREATE TABLE a (n int)"})
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        url = through(database, proxy.port)
        done = cli("up", "--sql-dir", path, "--database-url", url)
    with Cutter(target_of(database), HAS_COMMITTED, way="down") as proxy:
        (path / "002_b.up.sql").write_text("CREATE TABLE b (n int)")
        url = through(database, proxy.port)
        document = json.loads(cli("up", "--json", "--sql-dir", path, "--database-url", url).stdout)

    assert done.returncode == 0, done.stderr
    assert LOST_AT_COMMIT in done.stderr
    assert "001_a applied" in done.stdout
    assert "retrying once" not in done.stderr
    assert document["ok"] is True
    assert document["notes"] == [LOST_AT_COMMIT]
    assert [m["status"] for m in document["migrations"]] == ["already_applied", "applied"]


def test_a_connection_that_is_lost_twice_is_given_up(
    database: str, folder: Write, cli: Cli
) -> None:
    """Once more, and no more: exit code 4, nothing changed."""
    path = folder(
        {"001_a.up.sql": "CREATE TABLE a (n int);\nSELECT pg_terminate_backend(pg_backend_pid());"}
    )

    done = cli("up", "--sql-dir", path, "--database-url", database)

    assert done.returncode == 4
    assert done.stderr.count("retrying once") == 1
    assert NOTHING_CHANGED.text in done.stderr
    assert not has_history(database)


def test_trying_once_more_leaves_one_backup(
    database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """What was saved before the connection was lost is removed before the command is repeated."""
    path = folder({"001_a.up.sql": "CREATE TABLE a (n int)", "001_a.down.sql": "DROP TABLE a"})
    up(database, path)
    execute(database, "INSERT INTO a VALUES (1)")
    parent = tmp_path / "saved"
    with Cutter(target_of(database), b"RELEASE SAVEPOINT lfmigrate_save") as proxy:
        url = through(database, proxy.port)
        done = cli(
            "rollback", "--yes", "--sql-dir", path, "--database-url", url, "--backup-dir", parent
        )

    assert done.returncode == 0, done.stderr
    assert "retrying once" in done.stderr
    assert [str(one) for one in parent.iterdir()] == [done.stdout.split()[-1]]


def test_a_backup_whose_transaction_could_not_be_ended_is_named(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """It is complete, and a caller that repeats the command knows which one to remove."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    up(database, files.path)
    execute(database, "INSERT INTO a SELECT generate_series(1, 512 - 1)")
    with psycopg.connect(database, autocommit=True) as other:

        def end_session(_: object) -> None:
            # Other tests have sessions on the same server.
            sessions = (
                "FROM pg_stat_activity WHERE application_name = 'lfmigrate'"
                " AND datname = current_database()"
            )
            idle = f"SELECT {sessions} AND state = 'idle in transaction'"
            wait_until(lambda: bool(other.execute(idle).rowcount), "all rows are on their way")
            other.execute(f"SELECT pg_terminate_backend(pid, 60000) {sessions}")

        with (
            closing(lfmigrate.connect(database)) as conn,
            pytest.raises(ConnectionFailed) as caught,
        ):
            lfmigrate.backup(conn, files, out=tmp_path / "out", watch=end_session)

    assert caught.value.outcome == NOTHING_CHANGED
    assert caught.value.backup == tmp_path / "out"
    assert f"The backup in {tmp_path / 'out'} is complete." in caught.value.facts
    assert len(read(tmp_path / "out").tables) == 1
