"""Shows what a command would do, and asks whether it should."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from lfmigrate.errors import NOTHING_CHANGED, Interrupted, LfmigrateError, Refused

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from lfmigrate.cli.call import Call
    from lfmigrate.output.working import Working

R = TypeVar("R", bound="DataclassInstance")


def confirmed(
    call: Call,
    working: Working,
    command: Callable[..., R],
    *,
    needless: Callable[[R], bool],
) -> R:
    """Preview a command, ask for confirmation, and run it.

    Args:
        call: The call.
        working: Its progress display.
        command: Takes ``dry_run``, which the reports have as well.
        needless: Whether there is nothing to do, and so nothing to ask.

    Raises:
        Refused: It was not confirmed.
    """
    preview = previewed(command)
    if needless(preview):
        return preview
    ask(call, working, preview)
    return command(dry_run=False)


def previewed(command: Callable[..., R]) -> R:
    """Return what a command would do, or fail as it would: a dry run is not what was asked for.

    Args:
        command: Takes ``dry_run``, which the reports have as well.
    """
    try:
        return replace(command(dry_run=True), dry_run=False)
    except LfmigrateError as error:
        if error.report is not None:
            error.report = replace(cast("R", error.report), dry_run=False)
        raise


def ask(call: Call, working: Working, preview: object) -> None:
    """Show what would be done, and ask for confirmation.

    Raises:
        Refused: It was not confirmed.
    """
    from lfmigrate.output.dispatch import question  # noqa: PLC0415 (as above)

    working.hide()
    call.show(preview, preview=True)
    asked = time.perf_counter()
    confirm(call, question(preview))
    # The time that it took to answer is not the command's.
    call.started += time.perf_counter() - asked


def confirm(call: Call, question: str) -> None:
    """Ask on a terminal; anything but a clear yes is a no.

    Raises:
        Refused: It was not confirmed.
        Interrupted: A signal arrived.
    """
    if call.flags.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("not confirmed", hint="Add --yes to skip the confirmation prompt.")
    try:
        _discard_typed()
        call.screen.prompt(f"{question} [y/N]:")
        answer = sys.stdin.readline()
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("\n")
        raise Interrupted("interrupted", outcome=NOTHING_CHANGED) from interrupt
    if not answer:  # the end of the input
        sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise Refused("not confirmed")


def _discard_typed() -> None:
    """Discard what was typed before the question was asked: it is no answer to it."""
    try:
        import termios  # noqa: PLC0415 (Windows has none)
    except ImportError:
        return
    # Where the terminal cannot do it, the question is still asked.
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
