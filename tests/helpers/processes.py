"""Processes of lfmigrate that start with its modules loaded.

Python's start and the imports take most of a short command's processor time, and a test that ends
dozens of processes at some moment of their work pays for them each time. Here, one process per
worker of the tests loads the modules and then forks: what it forks is a process of its own, with
its own signals, streams, connections and exit code, which begins where a command begins to work.

Tests of what happens before that (encodings, closed streams, an interrupted import) start
``python -m lfmigrate`` instead.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from select import select
from types import TracebackType
from typing import IO, Self, TypeVar

# `bytes`, or `str` if the process's streams are text.
Text = TypeVar("Text", str, bytes)

# Far more than the end of a process takes; only a defect waits that long.
_END_S = 60

# The status of a process arrives in a pipe: four bytes for its id, then four when it has ended.
_NUMBER_BYTES = 4


class Started:
    """A running command, to be used as a `subprocess.Popen` whose streams are text.

    Attributes:
        pid: Its process id.
        stdout: What it prints; None unless it was piped.
        stderr: The same for standard error.
        returncode: The exit code, or the negative number of the signal that ended it; None as long
            as that has not been waited for.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        piped: bool = True,
    ) -> None:
        """Start a command.

        Args:
            arguments: Those of ``lfmigrate``.
            env: Its whole environment; that of the tests by default.
            piped: Whether to keep its output; otherwise it goes to the null device.
        """
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self.returncode: int | None = None
        self._status, status = os.pipe()
        with open(os.devnull, "r+b", buffering=0) as nothing:  # noqa: PTH123 (a device, not a path)
            theirs = [nothing.fileno()] * 3
            if piped:
                (out, theirs[1]), (err, theirs[2]) = os.pipe(), os.pipe()
                self.stdout, self.stderr = (os.fdopen(end, encoding="utf-8") for end in (out, err))
            request = {
                "arguments": [*map(str, arguments)],
                "environment": dict(os.environ if env is None else env),
                "folder": str(Path.cwd()),
            }
            _request(json.dumps(request).encode(), [*theirs, status])
            for end in {status, *theirs} - {nothing.fileno()}:
                os.close(end)
        self.pid = self._number()

    def _number(self) -> int:
        found = b""
        while len(found) < _NUMBER_BYTES:
            read = os.read(self._status, _NUMBER_BYTES - len(found))
            assert read, "the process that starts the others has ended"
            found += read
        return int.from_bytes(found, "little", signed=True)

    def poll(self) -> int | None:
        """Return the exit code if it has ended, or None."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended after so many seconds.
        """
        if self.returncode is None:
            if not select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("lfmigrate", timeout or 0)
            self.returncode = self._number()
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is known to have ended."""
        if self.poll() is None:
            # It may end just now, as any process.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that it prints, wait until it has ended, and return both outputs.

        Raises:
            subprocess.TimeoutExpired: It has not ended after so many seconds.
        """
        said = ["", ""]

        def read(place: int, stream: IO[str]) -> None:
            said[place] = stream.read()

        readers = [
            threading.Thread(target=read, args=(place, stream), daemon=True)
            for place, stream in enumerate((self.stdout, self.stderr))
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            # What it has started may still hold the other end.
            reader.join(_END_S)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("lfmigrate", _END_S)
        self._close()
        return said[0], said[1]

    def _close(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A failing test may hold what it waits for, in a block around this one.
        if kind is not None:
            self.kill()
        self._close()
        self.wait(_END_S)


@contextmanager
def killed_if_left(process: subprocess.Popen[Text]) -> Iterator[subprocess.Popen[Text]]:
    """Wait for a process at the end of a block, and kill it if the block fails or it does not end.

    `subprocess.Popen` itself waits without a limit, for a process that may wait for the test.
    """
    with process:
        try:
            yield process
            process.wait(_END_S)
        except BaseException:
            process.kill()
            raise


_one_at_a_time = threading.Lock()


def _request(request: bytes, descriptors: list[int]) -> None:
    with _one_at_a_time:
        forker = _forker()
        socket.send_fds(forker, [len(request).to_bytes(_NUMBER_BYTES, "little")], descriptors)
        forker.sendall(request)


@cache
def _forker() -> socket.socket:
    """Start the process that forks the others, and return the socket that it listens on."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.forker", str(theirs.fileno())],
            cwd=Path(__file__).parents[2],
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
