"""Threads that run next to a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class Threads(ThreadPoolExecutor):
    """Threads that a test waits for, unless it has failed.

    A block around this one may hold what a thread is waiting for, and let it go in the end: waiting
    for the thread first would then never end, and the test would hang instead of failing.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown(wait=error is None, cancel_futures=error is not None)
