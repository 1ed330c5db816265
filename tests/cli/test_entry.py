"""How lfmigrate is started: as a command, as a module, interrupted, and with odd bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lfmigrate

NOWHERE = "postgresql://me@127.0.0.1:1/nowhere"

# Sends the process the signal of Ctrl-C when a module is about to be imported.
INTERRUPTED = """\
import os, runpy, signal, sys

module = sys.argv.pop()

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
STARTS = {
    "as a module": "runpy.run_module('lfmigrate', run_name='__main__', alter_sys=True)",
    "as a command": "from lfmigrate.__main__ import main; main()",
}


def environment(**more: str) -> dict[str, str]:
    unwanted = ("LFMIGRATE_", "PG", "DATABASE_URL")
    return {n: v for n, v in os.environ.items() if not n.startswith(unwanted)} | more


def run(*arguments: str | bytes, **more: str | bytes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lfmigrate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={os.fsencode(n): os.fsencode(v) for n, v in (environment() | more).items()},
        timeout=60,
    )


def interrupted(start: str, module: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``up``, and press Ctrl-C when it is about to import a module."""
    arguments = ["up", *options, "--database-url", NOWHERE, "--wait", "0", module]
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED + start, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )


def test_it_runs_as_a_module() -> None:
    """``python -m lfmigrate`` is the command."""
    done = run("--version")

    assert (done.returncode, done.stdout) == (0, f"lfmigrate {lfmigrate.__version__}\n")


def test_the_installed_command_runs() -> None:
    """The script that pip installs starts the same function."""
    program = Path(sys.executable).with_name("lfmigrate")

    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, f"lfmigrate {lfmigrate.__version__}\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    "module",
    [
        "lfmigrate.cli.process",
        "typer",
        "lfmigrate.cli.app",
        "rich.console",
        "lfmigrate.commands.up",
        "lfmigrate.engine.replay",
        "psycopg",
        "asyncio.events",
        "lfmigrate.postgres.connection",
    ],
)
def test_ctrl_c_while_modules_are_imported_ends_without_a_traceback(
    start: str, module: str
) -> None:
    """With the exit code that a shell expects of it."""
    done = interrupted(start, module)

    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert done.stdout == ""


def test_ctrl_c_while_a_command_is_imported_is_reported_as_json() -> None:
    """A script that parses the output gets its document."""
    done = interrupted(STARTS["as a command"], "rich.console", "--json")

    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"]) == (130, 130)
    assert document["error"]["code"] == "interrupted"
    assert document["error"]["detail"] == ["Nothing was changed."]


NO_UTF8 = b"caf\xe9"


@pytest.mark.skipif(os.name == "nt", reason="Windows gives programs no bytes")
@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--schema", NO_UTF8),
        ("status", "--history-schema", NO_UTF8),
        ("status", "--lock-timeout", NO_UTF8),
        ("status", "--statement-timeout", NO_UTF8),
        ("status", "--wait", NO_UTF8),
        ("status", "--database-url", b"postgresql://h/" + NO_UTF8),
        ("up", "--to", NO_UTF8),
        ("rollback", "--to", NO_UTF8),
        ("new", NO_UTF8),
        ("new", "--sql-dir", "/nowhere", NO_UTF8),
        (NO_UTF8,),
        ("status", NO_UTF8),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_argument_that_is_not_utf8_is_a_usage_error(
    arguments: tuple[str | bytes, ...], *, as_json: bool
) -> None:
    """PostgreSQL could not be sent such a name."""
    done = run(*arguments, *(["--json"] if as_json else []), DATABASE_URL=NOWHERE)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if as_json:
        assert json.loads(done.stdout)["error"]["code"] == "usage"
    else:
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert "Nothing was changed." in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows gives programs no bytes")
@pytest.mark.parametrize(
    "name",
    [
        "DATABASE_URL",
        "LFMIGRATE_SCHEMA",
        "LFMIGRATE_HISTORY_SCHEMA",
        "LFMIGRATE_LOCK_TIMEOUT",
        "LFMIGRATE_STATEMENT_TIMEOUT",
        "LFMIGRATE_WAIT",
        "LFMIGRATE_EMBEDDED",
        "PGUSER",
        "PGPASSWORD",
        "PGAPPNAME",
    ],
)
def test_a_variable_that_is_not_utf8_is_a_usage_error(name: str) -> None:
    """It is named, so that it can be found."""
    value = b"postgresql://h/" + NO_UTF8 if name == "DATABASE_URL" else NO_UTF8
    variables: dict[str, str | bytes] = {"DATABASE_URL": NOWHERE} | {name: value}

    done = (
        run("status", "--wait", "0", **variables)
        if name != "LFMIGRATE_WAIT"
        else run("status", **variables)
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert name in done.stderr or "the database URL is not valid UTF-8" in done.stderr
    assert "caf" not in done.stderr or name != "PGPASSWORD"


@pytest.mark.skipif(os.name == "nt", reason="Windows gives programs no bytes")
def test_a_folder_whose_name_is_not_utf8_can_be_used(tmp_path: Path) -> None:
    """Paths are bytes to the system, and never leave it."""
    folder = tmp_path / os.fsdecode(NO_UTF8)

    done = run("new", "notes", "--sql-dir", os.fsencode(folder))

    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {"001_notes.down.sql", "001_notes.up.sql"}


# It is about libpq.
@pytest.mark.any_version
@pytest.mark.skipif(os.name == "nt", reason="Windows gives programs no bytes")
def test_a_home_that_is_not_utf8_does_not_matter(tmp_path: Path, database: str) -> None:
    """Only libpq looks for its files there; reading needs none of them."""
    home = os.fsencode(tmp_path) + b"/" + NO_UTF8
    done = subprocess.run(
        [sys.executable, "-m", "lfmigrate", "status", "--database-url", database],
        env={os.fsencode(n): os.fsencode(v) for n, v in environment().items()} | {b"HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
