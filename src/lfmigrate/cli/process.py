"""The process: streams, exit codes, bugs."""

from __future__ import annotations

import functools
import io
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from lfmigrate import redaction
from lfmigrate._version import __version__
from lfmigrate.cli.app import app
from lfmigrate.cli.call import Call, hidden_words
from lfmigrate.errors import LfmigrateError, UsageError
from lfmigrate.settings import Flags

if TYPE_CHECKING:
    from lfmigrate.output.screen import Screen

# The root of what Typer raises for a command line that it cannot read. It is click's in older
# versions and Typer's own in newer ones, and has a public name in neither.
_Unreadable: type[Any] = typer.BadParameter.__mro__[1]


def main() -> NoReturn:
    """Run the command line, and exit; a bug is told without passwords, with exit code 1."""
    _mend_streams()
    if sys.argv[1:] == ["--version"]:
        # Before every command's options are built, which scripts that only ask this need not wait
        # for; beside other words it is Typer's, as the help shows.
        typer.echo(f"lfmigrate {__version__}")
        sys.exit(0)
    try:
        code = app(prog_name="lfmigrate", standalone_mode=False)
    except _Unreadable as problem:
        code = _misused(problem)
    except Exception as bug:  # noqa: BLE001 (whatever it is, it may quote a password)
        code = 1
        words = redaction.redact(traceback.format_exc(), hidden_words())
        sys.stderr.write(words)
        sys.stderr.write("This is a bug in lfmigrate; please report it with the lines above.\n")
        if "--json" in sys.argv:
            told = LfmigrateError(f"a bug in lfmigrate: {type(bug).__name__}")
            Call(_command(), Flags(json=True), _plain_screen()).end(told)
    sys.exit(code or 0)


def _misused(problem: Any) -> int:  # noqa: ANN401 (see _Unreadable)
    """Tell what is wrong with the command line, as every other error is told."""
    message = problem.format_message().rstrip(".")
    path = problem.ctx.command_path if problem.ctx is not None else "lfmigrate"
    error = UsageError(
        message[:1].lower() + message[1:],
        hint=f'Run "{path} --help" to see what there is.',
    )
    Call(_command(), Flags(json="--json" in sys.argv), _plain_screen()).end(error)
    return error.exit_code


def _command() -> str | None:
    """Return the command that was meant, when the command line could not be read."""
    names = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    return next((word for word in sys.argv[1:] if word in names), None)


def _plain_screen() -> Screen:
    from lfmigrate.output.screen import Screen  # noqa: PLC0415

    return Screen(
        as_json="--json" in sys.argv,
        clean=functools.partial(redaction.redact, hidden=hidden_words()),
    )


def _mend_streams() -> None:
    """Make standard output and error usable, whatever they are."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, as by ">&-"
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (till the end)
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to fail after the work is done.
            stream.reconfigure(errors="backslashreplace")
