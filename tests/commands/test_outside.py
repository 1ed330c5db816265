"""Files marked no-transaction: one statement at a time, each recorded."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.errors import SqlFileError, StatementFailed
from lfmigrate.postgres.neon import direct_host
from lfmigrate.source.folder import read_folder
from lfmigrate.syntax.scanner import split
from lfmigrate.syntax.transaction_block import inside_form, placement
from tests.conftest import Cli
from tests.helpers.databases import execute, value
from tests.helpers.faults import wait_until
from tests.helpers.processes import Started
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]

TABLE = "CREATE TABLE IF NOT EXISTS a (x integer, y text);"
ALONE = "-- lfmigrate: no-transaction\n"
INDEX = ALONE + "CREATE INDEX CONCURRENTLY a_x ON a (x);"
UNIQUE = (
    ALONE + "INSERT INTO a VALUES (3, 'three');\nCREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y);"
)

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{}')"
ACTIONS = (
    "SELECT array_agg(action ORDER BY id) FROM lfmigrate.lfmigrate_history WHERE version = '002'"
)


@pytest.mark.parametrize(
    ("text", "expected", "form"),
    [
        ("create index concurrently i on t (a)", "outside",
         "create index              i on t (a)"),
        ("DROP INDEX/**/CONCURRENTLY i", "outside", "DROP INDEX/**/             i"),
        ('ALTER TABLE "concurrently" DETACH PARTITION p CONCURRENTLY', "outside",
         'ALTER TABLE "concurrently" DETACH PARTITION p             '),
        ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", "outside", None),
        ("REINDEX TABLE t", "either", "REINDEX TABLE t"),
        ("VACUUM (ANALYZE) t", "outside", None),
        ("ANALYZE t", "inside", "ANALYZE t"),
        ("CLUSTER", "outside", None),
        ("ALTER DATABASE d SET TABLESPACE s", "outside", None),
        ("ALTER DATABASE d RENAME TO e", "inside", "ALTER DATABASE d RENAME TO e"),
        ("CALL tidy()", "either", "CALL tidy()"),
        ("SET work_mem = '1MB'", "session", "SET work_mem = '1MB'"),
        ("ALTER TYPE mood ADD VALUE 'fine'", "inside", "ALTER TYPE mood ADD VALUE 'fine'"),
        ("CREATE INDEX i ON t (a) WHERE b = 'concurrently'", "inside",
         "CREATE INDEX i ON t (a) WHERE b = 'concurrently'"),
    ],
)  # fmt: skip
def test_where_a_statement_can_run(text: str, expected: str, form: str | None) -> None:
    """And what stands for it in a transaction has the same length, so that places stay true."""
    (statement,) = split(text)

    assert placement(statement) == expected
    assert inside_form(statement) == form


@pytest.mark.parametrize(
    "text", ["CREATE INDEX CONCURRENTLY a_x ON a (x);", "SELECT 1;\n  VACUUM a;"]
)
@pytest.mark.parametrize("name", ["001_a.up.sql", "views/v.sql"])
def test_a_file_that_needs_it_says_so(text: str, name: str, folder: Write) -> None:
    """It is refused with the place before anything runs."""
    files = {"001_a.up.sql": TABLE, name: text}

    with pytest.raises(SqlFileError) as caught:
        read_folder(folder(files))

    assert "cannot run in a transaction" in caught.value.message
    assert "-- lfmigrate: no-transaction" in (caught.value.hint or "")
    assert (caught.value.file, caught.value.line) == (name, text.count("\n") + 1)


def test_an_index_without_a_name_is_refused(folder: Write) -> None:
    """It would not be known afterwards whose an index is that an interrupted run has left."""
    with pytest.raises(SqlFileError, match="needs a name"):
        read_folder(folder({"001_a.up.sql": ALONE + "CREATE INDEX CONCURRENTLY ON a (x);"}))


@pytest.mark.parametrize("text", ["CREATE INDEX CONCURRENTLY i", "CREATE INDEX CONCURRENTLY i ON"])
def test_an_incomplete_index_is_refused_by_the_server(
    database: str, folder: Write, cli: Cli, text: str
) -> None:
    """What is not SQL is a failed statement with its place."""
    done = cli(
        "up", "--sql-dir", folder({"001_a.up.sql": ALONE + text}), "--database-url", database
    )

    assert done.returncode == 4
    assert "SQLSTATE 42601" in done.stderr


def test_it_runs_is_recorded_and_verified(database: str, folder: Write, cli: Cli) -> None:
    """A SET holds for the statements behind it; the next file and a view follow."""
    path = folder(
        {
            "001_a.up.sql": TABLE,
            "001_a.down.sql": "DROP TABLE IF EXISTS a;",
            "002_b.up.sql": ALONE
            + "SET lfmigrate.seen = 'yes';\n"
            + "INSERT INTO a VALUES (1, current_setting('lfmigrate.seen'));\n"
            + "CREATE INDEX CONCURRENTLY a_x ON a (x);\nVACUUM a;\n"
            + "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_y ON a (y);",
            "002_b.down.sql": ALONE
            + "DROP INDEX CONCURRENTLY IF EXISTS a_y;\nDROP INDEX CONCURRENTLY IF EXISTS a_x;",
            "003_c.up.sql": "CREATE TABLE c (n integer);",
            "003_c.down.sql": "DROP TABLE IF EXISTS c;",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT x FROM a;",
        }
    )
    options = ("--sql-dir", path, "--database-url", database)

    codes = [cli(command, *options).returncode for command in ("up", "verify", "up")]
    replayed = cli("verify", "--replay", *options)
    shown = value(database, "SELECT y FROM a")
    actions = value(database, ACTIONS)
    execute(database, "DROP INDEX a_x")
    drifted = cli("verify", *options)
    undone = [cli("rollback", "--to", "001", "--yes", *options)]
    left = value(database, "SELECT count(*) FROM pg_index WHERE indrelid = 'a'::regclass")
    again = cli("up", *options)

    assert codes == [0, 0, 0]
    assert replayed.returncode == 0, replayed.stderr
    assert shown == "yes"
    assert actions == ["statement", "begun", "statement", "statement", "begun", "up"]
    assert drifted.returncode == 3
    assert "a_x" in drifted.stdout
    assert [done.returncode for done in undone] == [0]
    assert "without CONCURRENTLY" in undone[0].stderr
    assert left == 0
    assert again.returncode == 4  # the row is there already: the file's own business
    assert "a_y" in again.stderr


def test_the_report_tells_what_is_there_in_the_end(database: str, folder: Write) -> None:
    """One row for a table that this command made, whatever its later transactions did to it."""
    text = ALONE + "CREATE INDEX CONCURRENTLY a_x ON a (x);\nDROP INDEX CONCURRENTLY a_x;"
    execute(database, "CREATE TABLE theirs (x integer)")
    more = ALONE + (
        "CREATE INDEX CONCURRENTLY theirs_1 ON theirs (x);\n"
        "CREATE INDEX CONCURRENTLY theirs_2 ON theirs (x);\nDROP INDEX CONCURRENTLY theirs_1;"
    )
    files = read_folder(folder({"1_a.sql": TABLE, "2_b.sql": text, "3_c.sql": more}))

    with lfmigrate.connect(database) as conn:
        report = lfmigrate.up(conn, files)

    rows = [(v.relation.kind, v.relation.name, v.status) for v in report.relations]
    assert rows == [
        ("table", "a", "created"),
        ("table", "theirs", "altered"),
        ("index", "theirs.theirs_2", "created"),
    ]


def test_a_failure_leaves_what_it_says_and_the_next_run_goes_on(
    database: str, folder: Write, cli: Cli
) -> None:
    """An invalid index is a failure with the statement that removes it; rows are added once."""
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": UNIQUE})
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")

    failed = cli("up", *options)
    left = value(database, VALID.format("a_y"))
    status = cli("status", *options)
    execute(database, "UPDATE a SET y = 'other' WHERE x = 2")
    again = cli("up", *options)

    assert failed.returncode == 4
    assert "002_b.up.sql:3:1, SQLSTATE 23505" in failed.stderr
    assert 'to remove it: DROP INDEX CONCURRENTLY "public"."a_y";' in failed.stderr
    assert "Kept as well: 001_a, 002_b (statement 1 of 2)." in failed.stderr
    assert left is False
    assert "002_b has not finished: 1 of its statements has run" in status.stderr
    assert again.returncode == 0, again.stderr
    assert "was left invalid by an interrupted run; rebuilding it" in again.stderr
    assert value(database, VALID.format("a_y")) is True
    assert value(database, "SELECT count(*) FROM a") == 3


def test_a_setting_that_fails_keeps_its_statement_from_running(
    database: str, folder: Write, cli: Cli
) -> None:
    """It would run with other settings than the file says."""
    text = ALONE + "SET ROLE nobody_of_that_name;\nCREATE INDEX CONCURRENTLY a_x ON a (x);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})

    done = cli("up", "--sql-dir", path, "--database-url", database)

    assert done.returncode == 4
    assert "002_b.up.sql:2:1" in done.stderr
    assert value(database, "SELECT to_regclass('a_x') IS NULL") is True


def test_a_role_that_a_file_takes_is_given_back(database: str, folder: Write, cli: Cli) -> None:
    """What comes after it, the record first, is written by the role that connected."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {role}")
    text = ALONE + f"SET ROLE {role};\nDO $$BEGIN PERFORM 1; END$$;\n"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text, "003_c.up.sql": TABLE})

    done = cli("up", "--sql-dir", path, "--database-url", database)
    execute(database, f"DROP ROLE {role}")

    assert done.returncode == 0, done.stderr


def test_another_owners_invalid_index_is_no_success(database: str, folder: Write, cli: Cli) -> None:
    """IF NOT EXISTS would skip it; it is not ours to remove, either."""
    text = ALONE + "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_y ON a (y);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database, "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y)")
    execute(database, "UPDATE a SET y = x::text")

    codes = [cli("up", *options) for _ in range(2)]
    execute(database, "DROP INDEX CONCURRENTLY a_y")
    after = cli("up", *options)

    assert [done.returncode for done in codes] == [4, 4]
    assert all("index public.a_y is not valid" in done.stderr for done in codes)
    assert all('DROP INDEX CONCURRENTLY "public"."a_y";' in done.stderr for done in codes)
    assert after.returncode == 0, after.stderr


@contextmanager
def old_transaction(url: str) -> Iterator[psycopg.Connection]:
    """Hold a snapshot that an index build waits for, in its last phase, with the index made."""
    with psycopg.connect(url) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        conn.execute("SELECT count(*) FROM a")
        yield conn
        conn.rollback()


def _up(path: Path, url: str, *options: str) -> Started:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LFMIGRATE_", "PG"))}
    return Started(["up", "--sql-dir", path, "--database-url", url, *options], env=environment)


def _is_building(url: str) -> bool:
    return value(url, "SELECT to_regclass('a_x') IS NOT NULL") is True


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_build_is_resumed(database: str, folder: Write, number: int) -> None:
    """Killed, the server goes on and keeps the lock; asked to stop, it leaves an invalid index."""
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": INDEX})
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'one')")
    with old_transaction(database), _up(path, database) as first:
        wait_until(lambda: _is_building(database), "the index is being built")
        first.send_signal(number)
        _, said = first.communicate(timeout=60)
        if number == signal.SIGKILL:
            second = _up(path, database)
            try:
                # It waits for the session that was left behind.
                assert second.stderr is not None
                waiting = iter(second.stderr.readline, "")
                line = next(line for line in waiting if "waiting for" in line)
            except BaseException:
                second.kill()
                raise
    if number == signal.SIGKILL:
        with second:
            second.communicate(timeout=60)
        code = second.returncode
        assert "waiting for another lfmigrate run: process" in line
    else:
        assert "is not finished; the next up resumes there" in said
        assert value(database, VALID.format("a_x")) is False
        with _up(path, database) as third:
            third.communicate(timeout=60)
        code = third.returncode

    assert first.returncode in {-9, 143, 130}
    assert code == 0
    assert value(database, VALID.format("a_x")) is True
    assert value(database, ACTIONS) == ["begun", "up"]


@pytest.mark.process
def test_a_build_waits_longer_than_the_lock_timeout_and_says_for_whom(
    database: str, folder: Write
) -> None:
    """Nothing queues behind it, and giving up would leave half an index."""
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": INDEX})
    execute(database, TABLE)
    # The server's own clock: for how long the build has been waiting.
    waits = """SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'
        AND state = 'active' AND wait_event_type = 'Lock' AND datname = current_database()
        AND clock_timestamp() - query_start > interval '1 s'"""
    with old_transaction(make_conninfo(database, application_name="report")):
        process = _up(path, database, "--lock-timeout", "500ms")
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        said = next(line for line in lines if "waiting for a lock" in line)
        wait_until(lambda: value(database, waits) is True, "it waits longer than that")
    _, rest = process.communicate(timeout=60)

    assert process.returncode == 0, rest
    assert said.startswith("waiting for a lock: process")
    assert 'application "report"' in said
    assert "could not acquire a lock" not in rest


def test_four_at_once_do_not_deadlock(database: str, folder: Write) -> None:
    """A waiting run holds no snapshot, for which a build would wait in turn."""
    text = ALONE + "".join(f"CREATE INDEX CONCURRENTLY a_{n} ON a (x);\n" for n in range(4))
    files = read_folder(folder({"001_a.up.sql": TABLE, "002_b.up.sql": text}))

    def run(_: int) -> str:
        with lfmigrate.connect(database) as conn:
            return lfmigrate.up(conn, files).migrations[-1].status

    with Threads(4) as pool:
        done = sorted(pool.map(run, range(4)))

    assert done == ["already_applied"] * 3 + ["applied"]
    assert value(database, "SELECT bool_and(indisvalid) AND count(*) = 4 FROM pg_index"
                 " WHERE indrelid = 'a'::regclass") is True  # fmt: skip
    assert value(database, ACTIONS).count("begun") == 4


def test_an_edit_in_the_middle_is_refused_and_a_rollback_leads_out(
    database: str, folder: Write, cli: Cli
) -> None:
    """What has run cannot be matched with another text; what has run can be undone."""
    files = {
        "001_a.up.sql": TABLE,
        "002_b.up.sql": ALONE
        + "CREATE TABLE b (n integer);\nCREATE INDEX CONCURRENTLY i ON nowhere (x);",
        "002_b.down.sql": "DROP TABLE IF EXISTS b;",
    }
    path = folder(files)
    options = ("--sql-dir", path, "--database-url", database)

    failed = cli("up", *options)
    (path / "002_b.up.sql").write_text(ALONE + "CREATE TABLE b (n integer);")
    edited = cli("up", *options)
    undone = cli("rollback", "--yes", *options)
    again = cli("up", *options)

    assert failed.returncode == 4
    assert edited.returncode == 5
    assert "002_b.up.sql was edited after 1 of its statements has run" in edited.stderr
    assert undone.returncode == 0, undone.stderr
    assert again.returncode == 0, again.stderr
    assert value(database, "SELECT to_regclass('b') IS NOT NULL") is True


@pytest.mark.parametrize(
    "wrong",
    [
        "CREATE INDEX CONCURRENTLY a_x ON a (nothing);",
        "DROP INDEX CONCURRENTLY nothing;",
        "REINDEX INDEX CONCURRENTLY nothing;",
    ],
)
@pytest.mark.parametrize("first", ["", "INSERT INTO a VALUES (1);\n"], ids=["alone", "second"])
def test_a_statement_that_the_server_has_rejected_may_be_edited(
    first: str, wrong: str, database: str, folder: Write, cli: Cli
) -> None:
    """It has had no effect; what has run before it does not run again."""
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": ALONE + first + wrong})
    options = ("--sql-dir", path, "--database-url", database)

    failed = cli("up", *options)
    (path / "002_b.up.sql").write_text(ALONE + first + "CREATE INDEX CONCURRENTLY a_x ON a (x);")
    done = cli("up", *options)
    verified = cli("verify", *options)

    assert failed.returncode == 4
    assert "It ran outside a transaction" not in failed.stderr
    assert done.returncode == 0, done.stderr
    assert verified.returncode == 0, verified.stderr
    assert value(database, VALID.format("a_x")) is True
    assert value(database, "SELECT count(*) FROM a") == (1 if first else 0)


@pytest.mark.parametrize(
    "edit",
    [
        "INSERT INTO a VALUES (2);\nVACUUM a;",
        "VACUUM a;",
        "SET x.y = 1;\n{first}VACUUM a;",
        "{first}",
    ],
)
def test_what_has_run_may_not_be_edited(edit: str, database: str, folder: Write, cli: Cli) -> None:
    """Nor may all be removed that is left to run: its end could not be recorded."""
    first = "INSERT INTO a VALUES (1);\n"
    text = ALONE + first + "CREATE INDEX CONCURRENTLY a_x ON a (nothing);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})
    options = ("--sql-dir", path, "--database-url", database)

    cli("up", *options)
    (path / "002_b.up.sql").write_text(ALONE + edit.format(first=first))
    refused = cli("up", *options)

    assert refused.returncode == 5
    assert "was edited after 1 of its statements has run" in refused.stderr


def test_what_was_interrupted_may_not_be_edited(database: str, folder: Write, cli: Cli) -> None:
    """The index that it has left belongs to the statement as it was."""
    text = ALONE + "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")

    failed = cli("up", *options)
    (path / "002_b.up.sql").write_text(INDEX)
    refused = cli("up", *options)

    assert (failed.returncode, refused.returncode) == (4, 5)
    assert "To edit the statement, remove what is left first" in failed.stderr
    assert "was edited after its first statement was started" in refused.stderr
    assert "drop the index that this statement has left" in refused.stderr


@pytest.mark.parametrize("first", ["", "INSERT INTO a VALUES (3, 'other');\n"])
@pytest.mark.parametrize(
    "now",
    [
        # The same name, and one that is there: it is not what an interrupted run has built.
        "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y, x);",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_other ON a (y);",
    ],
)
def test_a_failed_build_may_be_edited_once_its_index_is_dropped(
    first: str, now: str, database: str, folder: Write, cli: Cli
) -> None:
    """Nothing of it is left, as after a statement that the server has rejected."""
    index = "a_other" if "a_other" in now else "a_y"
    text = ALONE + first + "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")
    if index == "a_other":
        execute(database, "CREATE INDEX a_other ON a (y)")
    failed = cli("up", *options)
    removal = next(
        line.partition("to remove it: ")[2].rstrip("; ")
        for line in failed.stderr.splitlines()
        if "to remove it" in line
    )
    execute(database, removal)

    (path / "002_b.up.sql").write_text(ALONE + first + now)
    done = cli("up", *options)

    assert failed.returncode == 4
    assert done.returncode == 0, done.stderr
    assert value(database, VALID.format(index)) is True
    assert value(database, "SELECT count(*) FROM a") == (3 if first else 2)
    assert "left" not in done.stderr
    (path / "002_b.up.sql").write_text(ALONE + first + "VACUUM a;")
    assert cli("verify", *options).returncode == 3


def test_another_owners_invalid_index_is_not_removed_for_an_edited_statement(
    database: str, folder: Write, cli: Cli
) -> None:
    """It was not left by the statement that was interrupted, which had another name."""
    text = ALONE + "CREATE UNIQUE INDEX CONCURRENTLY a_y ON a (y);"
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": text})
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")
    cli("up", *options)
    execute(database, "DROP INDEX a_y")
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(database, "CREATE UNIQUE INDEX CONCURRENTLY theirs ON a (y)")
    (path / "002_b.up.sql").write_text(ALONE + "CREATE INDEX CONCURRENTLY theirs ON a (y);")

    failed = cli("up", *options)

    assert failed.returncode == 4
    assert value(database, VALID.format("theirs")) is False


MADE = """
    CREATE TABLE made (n int); COMMIT;
    ALTER TABLE a ADD COLUMN z int; DROP TABLE gone; CREATE SCHEMA other;
    CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';"""


@pytest.mark.parametrize("way", ["DO", "CALL"])
def test_what_a_block_does_is_found_and_owned(
    way: str, database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """Its text does not say it; the whole schema is compared."""
    block = {
        "DO": f"DO $$BEGIN {MADE} END$$;",
        "CALL": f"CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN {MADE} END$$;\nCALL p();",
    }
    path = folder(
        {
            "001_a.up.sql": TABLE
            + "CREATE TABLE gone (n int);"
            + "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "002_b.up.sql": ALONE + block[way],
            "002_b.down.sql": """DROP TABLE made; ALTER TABLE a DROP COLUMN z; DROP SCHEMA other;
                CREATE TABLE gone (n int); DROP PROCEDURE IF EXISTS p;""",
        }
    )
    options = ("--sql-dir", path, "--database-url", database)
    execute(database, "CREATE TABLE theirs (n int)")

    done = cli("up", *options)
    verified = [cli("verify", *options)]
    execute(database, "ALTER TABLE made ADD COLUMN more int")
    verified.append(cli("verify", *options))
    execute(database, "ALTER TABLE made DROP COLUMN more")
    undone = cli("rollback", "--yes", "--backup-dir", tmp_path, *options)

    assert done.returncode == 0, done.stderr
    assert re.search(r"table +made +created", done.stdout)
    assert "theirs" not in done.stdout
    assert "table public.gone was dropped outside a transaction" in done.stdout + done.stderr
    assert "emptied or rewritten" not in done.stdout + done.stderr
    assert [each.returncode for each in verified] == [0, 3], verified[0].stdout
    assert undone.returncode == 0, undone.stderr


@pytest.mark.process
def test_the_copy_of_an_interrupted_reindex_is_removed(database: str, folder: Write) -> None:
    """It would be written with every row for ever, and nothing would read it."""
    table = TABLE + "CREATE INDEX IF NOT EXISTS a_x ON a (x);"
    path = folder({"001_a.up.sql": table, "002_b.up.sql": ALONE + "REINDEX TABLE CONCURRENTLY a;"})
    execute(database, table, "INSERT INTO a VALUES (1, 'one')")
    copies = "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_ccnew%' AND relkind = 'i'"
    index = "a_x_ccnew"
    with old_transaction(database), _up(path, database) as first:
        wait_until(
            lambda: value(database, f"SELECT to_regclass('{index}') IS NOT NULL") is True,
            "the copy is being built",
        )
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    left = value(database, copies)

    with _up(path, database) as second:
        _, said = second.communicate(timeout=60)

    assert left >= 1
    assert second.returncode == 0, said
    assert f"index public.{index} was left behind by an interrupted run; removing it" in said
    assert value(database, copies) == 0
    with lfmigrate.connect(database) as conn:
        assert lfmigrate.verify(conn, read_folder(path)).problems == ()


UMLAUT = "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}"
LONG = "n" * 62 + "\N{LATIN SMALL LETTER E WITH ACUTE}x"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (LONG, "n" * 62),
        (f'"{LONG}"', "n" * 62),
        ("A_" + UMLAUT, "a_" + UMLAUT),
        (r'U&"d\0061t\+000061"', "data"),
        ("u&\"d!0061t!!\" UESCAPE '!'", "dat!"),
        (r'U&"a""\\b"', 'a"\\b'),
    ],
)  # fmt: skip
def test_an_index_is_known_by_its_stored_name(
    written: str, stored: str, database: str, folder: Write
) -> None:
    """What the server makes of the name is what is looked for: after a failure and a success."""
    text = ALONE + f"CREATE UNIQUE INDEX CONCURRENTLY {written} ON a (y);"
    files = read_folder(folder({"001_a.up.sql": TABLE, "002_b.up.sql": text}))
    execute(database, TABLE, "INSERT INTO a VALUES (1, 'same'), (2, 'same')")

    with lfmigrate.connect(database) as conn:
        with pytest.raises(StatementFailed) as failed:
            lfmigrate.up(conn, files)
        conn.execute("UPDATE a SET y = 'other' WHERE x = 2")
        report = lfmigrate.up(conn, files)

    assert any(stored.replace('"', '""') in line for line in failed.value.detail)
    assert [m.status for m in report.migrations] == ["already_applied", "applied"]
    assert value(database, "SELECT relname::text FROM pg_class WHERE relkind = 'i'"
                 " AND relnamespace = current_schema()::regnamespace") == stored  # fmt: skip


def test_a_dry_run_says_what_it_cannot_try(
    database: str, folder: Write, cli: Cli, dump: Callable[..., str]
) -> None:
    """What comes before is tried; what comes after may need it."""
    path = folder(
        {"001_a.up.sql": TABLE, "002_b.up.sql": INDEX, "003_c.up.sql": "CREATE TABLE c (n int);"}
    )
    before = dump(database)

    done = cli("up", "--dry-run", "--sql-dir", path, "--database-url", database)

    assert done.returncode == 0
    assert "can execute neither it nor what comes after it" in done.stderr
    assert "002_b would apply (not tried)" in done.stdout
    assert "003_c would apply (not tried)" in done.stdout
    assert dump(database) == before


def test_a_statement_that_could_not_be_recorded_does_not_run_twice(
    database: str, folder: Write
) -> None:
    """It has committed; its record waits for a lock in vain. It is reported, and not repeated."""
    statement = """DO $$BEGIN
        INSERT INTO a VALUES (1); COMMIT; SET lock_timeout = 0;
        PERFORM pg_advisory_lock(7), pg_advisory_unlock(7);
    END$$"""
    files = read_folder(folder({"001_a.up.sql": TABLE, "002_b.up.sql": f"{ALONE}{statement};"}))
    with (
        psycopg.connect(database, autocommit=True) as gate,
        psycopg.connect(database) as holder,
        lfmigrate.connect(database) as conn,
        Threads(1) as pool,
    ):
        gate.execute("SELECT pg_advisory_lock(7)")
        lines: list[str] = []

        def let_go(line: str) -> None:
            lines.append(line)
            if "could not acquire a lock" in line:
                holder.rollback()

        scope = lfmigrate.Scope(lock_timeout_ms=300)
        running = pool.submit(lfmigrate.up, conn, files, scope=scope, on_wait=let_go)
        wait_until(lambda: value(database, "SELECT to_regclass('a') IS NOT NULL"), "a table")
        wait_until(lambda: value(database, "SELECT count(*) FROM a") == 1, "its row")
        holder.execute("LOCK TABLE lfmigrate.lfmigrate_history")
        gate.execute("SELECT pg_advisory_unlock(7)")
        with pytest.raises(StatementFailed) as failed:
            running.result()
        holder.rollback()

    assert failed.value.outcome is not None
    assert failed.value.outcome.status == "kept"
    assert value(database, "SELECT count(*) FROM a") == 1


def test_a_schema_and_its_history_are_those_of_the_options(
    database: str, folder: Write, cli: Cli
) -> None:
    """The settings of a transaction hold here, too."""
    execute(database, "CREATE SCHEMA app")
    path = folder({"001_a.up.sql": ALONE + TABLE + "CREATE INDEX CONCURRENTLY a_x ON a (x);"})
    options = ("--sql-dir", path, "--schema", "app", "--history-schema", "app")

    codes = [cli(c, *options, "--database-url", database).returncode for c in ("up", "verify")]

    assert codes == [0, 0]
    assert value(database, VALID.format("app.a_x")) is True


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("ep-cool-1-pooler.eu-central-1.aws.neon.tech", "ep-cool-1.eu-central-1.aws.neon.tech"),
        ("ep-cool-1.eu-central-1.aws.neon.tech", "ep-cool-1.eu-central-1.aws.neon.tech"),
        ("my-pooler.example.com", "my-pooler.example.com"),
        ("", ""),
    ],
)
def test_neons_direct_name_is_known(host: str, direct: str) -> None:
    """The same name without -pooler in its first label."""
    assert direct_host(host) == direct


@pytest.mark.pooler
def test_behind_a_pooler_nothing_runs(
    pooler_url: str, database: str, folder: Write, cli: Cli, dump: Callable[..., str]
) -> None:
    """Not even what comes before: the message names the pooler, and the way out works."""
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": INDEX})
    pooled = make_conninfo(pooler_url, dbname=str(conninfo_to_dict(database)["dbname"]))
    before = dump(database)

    refused = cli("up", "--sql-dir", path, "--database-url", pooled)
    after = dump(database)
    done = cli("up", "--sql-dir", path, "--database-url", database)

    assert refused.returncode == 2
    assert "is a pooler, and what runs outside a transaction requires a direct" in refused.stderr
    assert "Nothing was changed." in refused.stderr
    assert after == before
    assert done.returncode == 0, done.stderr


# It needs a server on TCP, which the step with the pooler has.
@pytest.mark.pooler
@pytest.mark.usefixtures("pooler_url")
def test_a_neon_host_is_left_for_its_direct_name(
    server_url: str, database: str, folder: Write, cli: Cli
) -> None:
    """The name is Neon's, the address the test server's, to which libpq connects."""
    facts = conninfo_to_dict(server_url)
    path = folder({"001_a.up.sql": TABLE, "002_b.up.sql": INDEX})
    name = "ep-cool-1-pooler.eu-central-1.aws.neon.tech"
    url = make_conninfo(database, host=name, hostaddr=str(facts["host"]), sslmode="disable")

    done = cli("up", "--sql-dir", path, "--database-url", url)

    assert done.returncode == 0, done.stderr
    assert "connecting directly to ep-cool-1.eu-central-1.aws.neon.tech" in done.stderr
    assert value(database, VALID.format("a_x")) is True


def test_names_that_need_quotes(database: str, folder: Write, cli: Cli) -> None:
    """A failed build of an index with such a name is reported and resumed like any other."""
    index, table = 'In"dex', "Ta ble"
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE TABLE {} (x int)").format(sql.Identifier(table)))
        conn.execute(sql.SQL("INSERT INTO {} VALUES (1), (1)").format(sql.Identifier(table)))
    text = ALONE + 'CREATE UNIQUE INDEX CONCURRENTLY "In""dex" ON public."Ta ble" (x);'
    options = ("--sql-dir", folder({"001_a.up.sql": text}), "--database-url", database)

    failed = cli("up", *options)
    execute(database, 'TRUNCATE "Ta ble"')
    again = cli("up", *options)

    assert (
        f'DROP INDEX CONCURRENTLY "public"."{index.replace(chr(34), chr(34) * 2)}";'
        in failed.stderr
    )
    assert again.returncode == 0, again.stderr
    assert value(database, VALID.format('"In""dex"')) is True
