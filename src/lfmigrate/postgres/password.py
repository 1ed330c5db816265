"""Runs the command that prints a password, such as a token that is valid for minutes."""

from __future__ import annotations

import os
import shlex
import subprocess

from psycopg import conninfo

from lfmigrate import redaction
from lfmigrate.errors import ConnectionFailed, UsageError

# Tools of cloud providers take seconds; one that asks for something would wait forever.
_TIMEOUT_S = 60

# The newest lines are those that say why it failed.
_MOST_LINES = 10

# Passwords that a command has printed, with the command: a connection that is made after another
# one, with its address, gets a password of its own.
_printed: dict[str, str] = {}


def with_password(address: str, command: str | None, limit_s: float | None = None) -> str:
    """Return an address with a password that was printed just now, if a command prints it.

    Args:
        address: A URL or keyword string. If it has a password that an earlier call has put there,
            the same command is run again; another password stays.
        command: What prints the password; None if the address has it, or none is needed.
        limit_s: For how many seconds it may run; None for the usual limit, which also holds.

    Raises:
        UsageError: The command cannot be started.
        ConnectionFailed: It failed, or did not print a password.
    """
    known = str(conninfo.conninfo_to_dict(address).get("password") or "")
    command = _printed.get(known) if known else command
    if command is None:
        return address
    try:
        password = printed_password(command, limit_s)
    except UsageError as error:
        if not known:
            raise
        # It could be started before, in this process.
        raise ConnectionFailed(error.message, hint=error.hint) from None
    _printed[password] = command
    return conninfo.make_conninfo(address, password=password)


def printed_password(command: str, limit_s: float | None = None) -> str:
    """Run a command without a shell, and return the password that it prints; see above.

    Raises:
        UsageError: It cannot be started.
        ConnectionFailed: It failed, or did not print a password.
    """
    timeout_s = _TIMEOUT_S if limit_s is None else min(_TIMEOUT_S, limit_s)
    try:
        # On Windows, programs take their command line apart themselves.
        words = command if os.name == "nt" else shlex.split(command)
        if not words:
            raise UsageError("the password command is empty")
        done = subprocess.run(  # noqa: S603 (it is what the user configured)
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=timeout_s
        )
    except ValueError:
        raise UsageError(
            "the password command cannot be parsed",
            hint="Its quotes have to be closed. It is run without a shell: for pipes and variables,"
            " name a script.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"the password command cannot be started: {error.strerror}",
            hint="Its first word has to be a program on PATH, or the path of one.",
        ) from None
    except subprocess.TimeoutExpired as late:
        raise _failed(f"did not end within {timeout_s:g} s", late.stdout, late.stderr) from None
    if done.returncode != 0:
        raise _failed(f"failed with exit code {done.returncode}", done.stdout, done.stderr)
    try:
        password = done.stdout.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _failed("printed what is not UTF-8 text", done.stdout, done.stderr) from None
    if not password:
        raise _failed("printed nothing", b"", done.stderr)
    if "\n" in password or "\0" in password:
        raise _failed("printed more than one line", done.stdout, done.stderr)
    redaction.remember(password)
    return password


def _failed(what: str, printed: bytes | None, said: bytes | None) -> ConnectionFailed:
    """Return the error of a command, with what it wrote to standard error."""
    # It may be a password nevertheless, and be repeated there.
    for line in (printed or b"").decode(errors="replace").splitlines():
        redaction.remember(line.strip())
    lines = [line.rstrip() for line in (said or b"").decode(errors="replace").splitlines()]
    return ConnectionFailed(
        f"the password command {what}",
        detail=[line for line in lines if line][-_MOST_LINES:],
        hint="Run it by hand: it has to print the password on standard output, and nothing else.",
    )
