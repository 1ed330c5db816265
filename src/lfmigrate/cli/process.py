"""The process: streams, exit codes, bugs."""

from __future__ import annotations

import sys
import traceback
from typing import Any, NoReturn

import typer

from lfmigrate import redaction
from lfmigrate._version import __version__
from lfmigrate.cli import completion
from lfmigrate.cli.app import COMMANDS, app
from lfmigrate.cli.streams import CannotWrite, prepare_streams
from lfmigrate.errors import NOTHING_CHANGED, Interrupted, LfmigrateError, UsageError

# The base class of what Typer raises for a command line that it cannot parse. It has no public
# name: it is click's in older versions and Typer's own in newer ones.
_Unreadable: type[Any] = typer.BadParameter.__mro__[1]


def main() -> NoReturn:
    """Run the command line and exit; a bug is reported without passwords, with exit code 1."""
    prepare_streams()
    try:
        if sys.argv[1:] == ["--version"]:
            # Before every command's options are built, which scripts that only ask this need not
            # wait for. Together with other words it is Typer's, as the help shows.
            typer.echo(f"lfmigrate {__version__}")
            code = 0
        else:
            if completion.is_asked():
                completion.prepare()
            code = app(prog_name="lfmigrate", standalone_mode=False)
    except UsageError as error:
        code = _end(error)
    except _Unreadable as problem:
        code = _end(_usage_error(problem))
    except typer.Abort:
        # Ctrl-C while a command's modules were imported: a command that has begun reports its own.
        interrupted = Interrupted("interrupted", outcome=NOTHING_CHANGED)
        code = interrupted.exit_code
        _end(interrupted)
    except CannotWrite as error:  # help, or the version
        code = _end(UsageError(f"cannot write to standard output: {error.strerror}"))
    except Exception as bug:  # noqa: BLE001 (whatever it is, it may quote a password)
        code = 1
        if not completion.is_asked():
            _report(bug)
    sys.exit(code or 0)


def _report(bug: Exception) -> None:
    """Report a bug, without passwords."""
    from lfmigrate.cli.which import hidden_words  # noqa: PLC0415 (--help needs none)

    sys.stderr.write(redaction.redact(traceback.format_exc(), hidden_words()))
    sys.stderr.write("This is a bug in lfmigrate; please report it with the lines above.\n")
    if "--json" in sys.argv:
        _end(LfmigrateError(f"a bug in lfmigrate: {type(bug).__name__}"))


def _usage_error(problem: Any) -> UsageError:  # noqa: ANN401 (see _Unreadable)
    message = problem.format_message().rstrip(".")
    path = problem.ctx.command_path if problem.ctx is not None else "lfmigrate"
    return UsageError(
        message[:1].lower() + message[1:],
        hint=f'Run "{path} --help" for the commands and options.',
    )


def _end(error: LfmigrateError) -> int:
    """Report an error of a call that no command has begun, and return its exit code."""
    from lfmigrate.cli.call import Call  # noqa: PLC0415 (as above)
    from lfmigrate.settings import Flags  # noqa: PLC0415 (as above)

    Call(_command(), Flags(json="--json" in sys.argv)).fail(error)
    return error.exit_code


def _command() -> str | None:
    """Return the first word that is a command's name, if the command line could not be parsed."""
    return next((word for word in sys.argv[1:] if word in COMMANDS), None)
