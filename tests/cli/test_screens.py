"""What people see: previews and questions, narrow and plain terminals, much to show and nothing."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Cli
from tests.helpers.processes import killed_if_left

pty = pytest.importorskip("pty")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

# What is printed, and how wide, is decided on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

NOTES: dict[str, str | bytes] = {
    "001_notes.up.sql": "CREATE TABLE IF NOT EXISTS note (id integer);"
    "INSERT INTO note SELECT generate_series(1, 338);",
    "001_notes.down.sql": "DROP TABLE note;",
}


def execute(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(text.encode())


def rows(url: str, table: str) -> int:
    with psycopg.connect(url) as conn:
        found = conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(found[0]) if found else 0


def on_a_terminal(
    *arguments: str | Path,
    answer: str | signal.Signals | None = None,
    hasty: str = "",
    columns: int = 80,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run lfmigrate on a terminal, answer its question, and return exit code and output.

    What is ``hasty`` was typed before.
    What is printed before the question arrived is all of it, so there is no need to wait longer.
    """
    ours, theirs = pty.openpty()
    size = b"".join(n.to_bytes(2, sys.byteorder) for n in (50, columns, 0, 0))
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    unwanted = ("LFMIGRATE_", "PG", "DATABASE_URL", "COLUMNS", "NO_COLOR", "LC_", "LANG")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(unwanted)}
    os.write(ours, hasty.encode())
    said = b""
    running = subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})},
        start_new_session=True,
    )
    with killed_if_left(running) as process:
        os.close(theirs)
        while select.select([ours], [], [], 60)[0]:
            try:
                block = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not block:
                break
            said += block
            if answer is not None and said.rstrip().endswith(b"[y/N]:"):
                if isinstance(answer, signal.Signals):
                    process.send_signal(answer)
                else:
                    os.write(ours, answer.encode("latin-1"))
                answer = None
    os.close(ours)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.decode(errors="replace"))
    return process.returncode, text.replace("\r\n", "\n")


# --------------------------------------------------------------------------------------------------
# Previews and questions
# --------------------------------------------------------------------------------------------------


def test_what_was_typed_before_the_question_does_not_answer_it(
    cli: Cli, database: str, folder: Write
) -> None:
    """It was typed before anyone could see what would be lost."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)

    code, said = on_a_terminal("rollback", *where, hasty="y\n", answer="n\n")

    assert code == 5
    assert "error: not confirmed" in said
    assert rows(database, "note") == 338


def test_rollback_previews_and_asks_about_exactly_what_it_would_do(
    cli: Cli, database: str, folder: Write
) -> None:
    """In its own words: no dry run was asked for."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)

    code, said = on_a_terminal("rollback", *where, answer="n\n")

    assert code == 5
    assert "rollback preview: database " in said
    assert "001_notes would be rolled back\n338 rows would be deleted\n" in said
    assert "Roll back 001 and delete 338 rows? [y/N]:" in said
    for word in ("dry", "planned", "everything was rolled back"):
        assert word not in said
    assert rows(database, "note") == 338


def test_rollback_goes_on_after_a_yes(cli: Cli, database: str, folder: Write) -> None:
    """And says what it did, not what it would do."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)

    code, said = on_a_terminal("rollback", "--no-backup", *where, answer="y\n")

    assert code == 0
    assert "Roll back 001 and delete 338 rows, without a backup? [y/N]:" in said
    done = said.partition("[y/N]:")[2]
    assert "001_notes rolled back\n338 rows deleted\n" in done
    assert "would" not in done


@pytest.mark.parametrize(
    ("down", "question"),
    [
        ("DROP TABLE note;", "Roll back 2 migrations and delete 338 rows? [y/N]:"),
        (
            "UPDATE note SET id = 0 WHERE id < 5;",
            "Roll back 2 migrations and change rows of 1 table? [y/N]:",
        ),
        ("SELECT 1;", "Roll back 2 migrations? [y/N]:"),
    ],
)
def test_the_question_of_rollback_names_what_is_at_stake(
    cli: Cli, database: str, folder: Write, down: str, question: str
) -> None:
    """Rows that go, rows that change, or neither."""
    files: dict[str, str | bytes] = {
        "001_notes.up.sql": "SELECT 1;",
        "001_notes.down.sql": "SELECT 1;",
        "002_more.up.sql": NOTES["001_notes.up.sql"],
        "002_more.down.sql": down,
    }
    where = ("--database-url", database, "--sql-dir", folder(files))
    cli("up", *where)

    code, said = on_a_terminal("rollback", "--to", "0", *where, answer="\n")

    assert code == 5
    assert question in said


@pytest.mark.parametrize(("answer", "code"), [("n\n", 5), ("y\n", 0)])
def test_accept_shows_the_edit_before_it_asks(
    cli: Cli, database: str, folder: Write, answer: str, code: int
) -> None:
    """A no records nothing; a yes goes on."""
    where = ("--database-url", database, "--sql-dir")
    cli("up", *where, folder(NOTES))
    path = folder({**NOTES, "001_notes.up.sql": f"-- why\n{NOTES['001_notes.up.sql']!s}"})

    done, said = on_a_terminal("accept", "1", *where, path, answer=answer)

    assert done == code
    preview, _, rest = said.partition("Record this as what was applied as 001_notes? [y/N]:")
    assert "accept preview: database " in preview
    assert "+-- why\n" in preview
    assert "dry" not in preview
    assert ("001_notes accepted\n" in rest) == (code == 0)
    assert cli("status", "--exit-code", *where, path).returncode == (0 if code == 0 else 3)


def test_an_accept_that_finds_a_difference_is_no_dry_run(
    cli: Cli, database: str, folder: Write
) -> None:
    """The preview ends it, with the words of what was asked for."""
    where = ("--database-url", database, "--sql-dir")
    cli("up", *where, folder(NOTES))
    path = folder({**NOTES, "001_notes.up.sql": "CREATE TABLE note (id text);"})

    done = cli("accept", "1", *where, path)
    document = json.loads(cli("accept", "1", "--json", *where, path).stdout)

    assert done.returncode == 3
    assert done.stdout.startswith("lfmigrate accept: database ")
    assert "dry run" not in done.stdout
    assert (document["exit_code"], document["dry_run"]) == (3, False)


def test_restore_shows_tables_and_rows_before_it_asks(
    cli: Cli, database: str, folder: Write, tmp_path: Path
) -> None:
    """As rollback and seed do; a no keeps them."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)
    cli("backup", "--out", tmp_path / "saved", *where)
    execute(database, "DELETE FROM note WHERE id > 12")

    code, said = on_a_terminal("restore", tmp_path / "saved", "--replace", *where, answer="n\n")

    assert code == 5
    assert "restore preview: database " in said
    assert "would be truncated: 1 table, 12 rows\n" in said
    assert re.search(r"^table  note +12$", said, re.MULTILINE)
    assert "Truncate 1 table (12 rows) and restore? [y/N]:" in said
    assert rows(database, "note") == 12

    code, said = on_a_terminal("restore", tmp_path / "saved", "--replace", *where, answer="y\n")

    assert code == 0
    assert "338 rows restored" in said
    assert rows(database, "note") == 338


def test_seed_shows_tables_and_rows_before_it_asks(cli: Cli, applied: str) -> None:
    """And names what happens to them."""
    cli("seed", "--database-url", applied)

    code, said = on_a_terminal("seed", "--replace", "--database-url", applied, answer="n\n")

    assert code == 5
    assert "seed preview: database " in said
    assert "would be truncated: 11 tables, 338 rows\n" in said
    assert "Truncate these tables and load the seed? [y/N]:" in said
    assert "dry" not in said


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_preview_is_shown_without_a_terminal(
    cli: Cli, database: str, folder: Write, quiet: list[str]
) -> None:
    """A job's log shows what --yes would do."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)

    done = cli("rollback", *quiet, *where)

    assert done.returncode == 5
    assert "338 rows would be deleted\n" in done.stdout
    assert "hint: Add --yes to skip the confirmation prompt." in done.stderr


SEED: dict[str, str | bytes] = {
    "seed/load.sql": "CREATE TEMP TABLE seed_note (id integer) ON COMMIT DROP;"
    "INSERT INTO note SELECT id FROM seed_note;",
    "seed/note.csv": "id\n1\n",
}


@pytest.fixture(params=["rollback", "restore", "seed"])
def question(
    request: pytest.FixtureRequest, cli: Cli, database: str, folder: Write, tmp_path: Path
) -> list[str]:
    """Return a command that asks a question before it changes 338 rows: each of them in turn."""
    where = ["--database-url", database, "--sql-dir", str(folder(NOTES | SEED))]
    cli("up", *where)
    cli("backup", "--out", tmp_path / "saved", *where)
    commands = {
        "rollback": ["rollback"],
        "restore": ["restore", str(tmp_path / "saved"), "--replace"],
        "seed": ["seed", "--replace"],
    }
    return [*commands[request.param], *where]


@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-", "</dev/null"])
def test_without_a_terminal_each_question_is_refused(
    database: str, tmp_path: Path, question: list[str], closed: str
) -> None:
    """A stream may even be closed: cron and daemons start programs like that."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lfmigrate {shlex.join(question)} {closed}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 5
    assert ("--yes" in done.stderr) is ("2>&-" not in closed)
    assert rows(database, "note") == 338


@pytest.mark.parametrize(
    ("answer", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), ("\x04", 5), ("maybe\n", 5), ("\xe9\n", 5)],
)
def test_what_is_no_answer_changes_nothing(
    database: str, question: list[str], answer: str | signal.Signals, code: int
) -> None:
    """A signal ends the command as it does anywhere else; all but a yes is a no."""
    status, said = on_a_terminal(*question, answer=answer)

    assert status == code
    assert "Nothing was changed." in said.splitlines()[-1]
    assert "Traceback" not in said
    assert rows(database, "note") == 338


# --------------------------------------------------------------------------------------------------
# Much to show, and nothing
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def many(folder: Write) -> Path:
    """Return a folder that makes 300 tables, a function and a type."""
    tables = "".join(f"CREATE TABLE IF NOT EXISTS t{n} (n int);\n" for n in range(300))
    return folder(
        {
            "001_tables.up.sql": tables,
            "002_others.up.sql": "CREATE TYPE mood AS ENUM ('ok');\n"
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        }
    )


def test_up_with_nothing_to_do_prints_a_line(cli: Cli, database: str, many: Path) -> None:
    """Not one for each of 300 tables; -v has those."""
    where = ("--database-url", database, "--sql-dir", many)
    cli("up", *where)

    again = cli("up", *where)
    verbose = cli("up", "-v", *where)

    headline, blank, line = again.stdout.splitlines()
    assert headline.startswith("lfmigrate up: database ")
    assert blank == ""
    assert re.fullmatch(
        r"up to date: 2 migrations applied, 302 objects unchanged; \d+\.\d\d s", line
    )
    assert (
        len(re.findall(r"^(?:table|function|type) .* unchanged", verbose.stdout, re.MULTILINE))
        == 302
    )


def test_what_changed_comes_last(cli: Cli, database: str, many: Path) -> None:
    """Just above the prompt, after the unchanged relations that -v lists."""
    where = ("--database-url", database, "--sql-dir", many)
    cli("up", *where)
    execute(database, "ALTER TABLE t5 ADD COLUMN note text")
    (many / "003_more.up.sql").write_text("CREATE TABLE a_new_one (n int);", encoding="utf-8")

    done = cli("up", "-v", *where)

    rows = re.findall(r"^table +(\w+) +(\w+)", done.stdout, re.MULTILINE)
    assert [status for _, status in rows] == ["unchanged"] * 299 + ["created", "drifted"]
    assert rows[-2:] == [("a_new_one", "created"), ("t5", "drifted")]
    assert "303 objects: 301 unchanged, 1 created, 1 drifted; " in done.stdout


def test_up_lists_what_changed_alone(cli: Cli, database: str, many: Path) -> None:
    """The rest is counted."""
    where = ("--database-url", database, "--sql-dir", many)
    cli("up", *where)
    (many / "003_more.up.sql").write_text("CREATE TABLE a_new_one (n int);", encoding="utf-8")

    done = cli("up", *where)

    assert re.findall(r"^(?:table|function|type) +(\S+)", done.stdout, re.MULTILINE) == [
        "a_new_one"
    ]
    assert "303 objects: 302 unchanged, 1 created; " in done.stdout


def test_a_dry_run_says_what_it_would_do(cli: Cli, database: str, folder: Write) -> None:
    """In its table, its sentences and its sum; the JSON keeps the usual words."""
    files = {**NOTES, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM note;"}
    path = folder(files)
    where = ("--database-url", database, "--sql-dir", path)
    execute(database, "CREATE TABLE note (id integer)")

    done = cli("up", "--dry-run", *where)
    document = json.loads(cli("up", "--dry-run", "--json", *where).stdout)
    cli("up", *where)
    (path / "views/v.sql").write_text("CREATE OR REPLACE VIEW v AS SELECT id FROM note LIMIT 1;")
    again = cli("up", "--dry-run", *where)

    assert re.search(r"^table  note  would skip ", done.stdout, re.MULTILINE)
    assert re.search(r"^view   v     would create ", done.stdout, re.MULTILINE)
    assert re.search(
        r"^001_notes would apply \(ran in \d+ ms, rolled back\)$", done.stdout, re.MULTILINE
    )
    assert "dry run: rolled back, nothing was changed\n" in done.stdout
    assert "2 objects: 1 would be skipped, 1 would be created; " in done.stdout
    assert document["dry_run"] is True
    assert {r["status"] for r in document["relations"]} == {"skipped", "created"}
    assert re.search(r"^view  v +would replace ", again.stdout, re.MULTILINE)
    assert "up to date" not in again.stdout


def test_an_extra_column_is_drift(cli: Cli, database: str, folder: Write) -> None:
    """With what it is, and that no migration made it; in JSON the part has no expectation."""
    where = ("--database-url", database, "--sql-dir", folder(NOTES))
    cli("up", *where)
    execute(database, "ALTER TABLE note ADD COLUMN note text")

    done = cli("verify", *where)
    document = json.loads(cli("verify", "--json", *where).stdout)
    up = cli("up", *where)

    assert done.returncode == 3
    for stdout in (done.stdout, up.stdout):
        assert re.search(r"^table  note  drifted ", stdout, re.MULTILINE)
        assert "drifted table note\n  + column note: text (not in the migrations)\n" in stdout
        assert "unexpected" not in stdout
    assert document["relations"][0]["status"] == "drifted"
    assert document["relations"][0]["differences"] == [
        {"part": "column note", "expected": None, "live": "text"}
    ]


# --------------------------------------------------------------------------------------------------
# Terminals
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 60])
def test_a_narrow_terminal_gets_whole_words_and_fewer_columns(applied: str, columns: int) -> None:
    """Counts are dropped first, and the kind where that is not enough."""
    code, said = on_a_terminal("verify", "--database-url", applied, columns=columns)

    assert code == 0
    head, _, body = said.partition("───\n")
    table = body.partition("\n\n")[0]
    assert all(len(line) <= columns for line in table.splitlines())
    words = set(re.findall(r"[a-z]+", table))
    names = "cost category discharging hospitals recommendations categories performance metrics"
    assert words >= set(names.split())
    assert "Con" not in head.splitlines()[-1]


def test_a_wide_terminal_gets_every_column(applied: str) -> None:
    """With whole headings."""
    _, said = on_a_terminal("verify", "--database-url", applied, columns=140)

    assert "Columns  Indexes  Constraints\n" in said
    assert re.search(
        r"^table +cost_category_discharging_hospitals +ok +8 +3 +6$", said, re.MULTILINE
    )


@pytest.mark.parametrize(
    "plain",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"TERM": "dumb"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_where_only_ascii_can_be_shown_the_rules_are_ascii(
    applied: str, plain: dict[str, str]
) -> None:
    """On a terminal and in a pipe; the progress line, too."""
    _, said = on_a_terminal("up", "--database-url", applied, "-v", env=plain)
    _, progress = on_a_terminal("seed", "--database-url", applied, env=plain)
    _, usual = on_a_terminal("up", "--database-url", applied, "-v")

    assert said.isascii()
    assert progress.isascii()
    assert re.search(r"^-{40,}$", said, re.MULTILINE)
    assert re.search(r"^─{40,}$", usual, re.MULTILINE)


@pytest.mark.parametrize("command", ["up", "seed"])
def test_colours_in_a_pipe_come_without_progress_frames(
    database: str, applied: str, command: str
) -> None:
    """FORCE_COLOR is for a log that shows colours; it cannot show a line that moves."""
    url = database if command == "up" else applied
    environment = {n: v for n, v in os.environ.items() if n not in {"NO_COLOR", "COLUMNS"}}

    done = subprocess.run(
        [sys.executable, "-m", "lfmigrate", command, "--database-url", url],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "FORCE_COLOR": "1", "TERM": "xterm-256color"},
    )

    assert "\x1b[1m" in done.stdout
    assert done.stderr == ""
