"""Standard input, output and error, usable whatever they are."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO, Any


class CannotWrite(OSError):  # noqa: N818 (what happened, as in BrokenPipeError)
    """Standard output cannot be written, for another reason than that its reader has ended."""


class _Patient:
    """A text stream that discards what cannot be written any more.

    Typer, rich and the interpreter's last flush would each report that in another way, and some of
    them with an exit code of their own.
    """

    def __init__(self, stream: IO[str], *, required: bool) -> None:
        """Wrap a stream.

        Args:
            stream: What is written to.
            required: Whether what cannot be written is a failure, unless its reader has ended.
        """
        self._stream = stream
        self._required = required
        self._failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the stream has)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if self._failure is not None:
            raise self._failure  # the first time, Typer may have taken no notice
        try:
            return self._stream.write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        with suppress(OSError, ValueError):  # a stream without a file descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        # The reader has seen enough: "lfmigrate status | head" is not a failure.
        if self._required and not isinstance(error, BrokenPipeError):
            self._failure = CannotWrite(error.errno, error.strerror)
            raise self._failure from None


def prepare_streams() -> None:
    """Replace the standard streams by such that lfmigrate and Typer can use."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed, as by ">&-"
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 (used until the process ends)
        if isinstance(stream, io.TextIOWrapper):
            # The work must not fail at its end because the terminal's encoding lacks a letter.
            stream.reconfigure(errors="backslashreplace")
        if mode == "w":
            stream = _Patient(stream, required=name == "stdout")
        setattr(sys, name, stream)
