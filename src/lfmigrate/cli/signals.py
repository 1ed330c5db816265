"""SIGTERM and SIGHUP end a command as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does: it is cancelled and rolled back."""


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for SIGTERM and SIGHUP, too."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def exit_code_of(signal_came: KeyboardInterrupt) -> int:
    """Return what a shell reports for a process that a signal ended: 128 + its number."""
    number = signal_came.args[0] if isinstance(signal_came, _Stopped) else signal.SIGINT
    return 128 + int(number)
