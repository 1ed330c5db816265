"""Opens a connection while the caller does something else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from lfmigrate.postgres.connection import Connection, connect


class Connecting:
    """A connection that another thread opens; it is closed at the end of the ``with`` block.

    A thread, because libpq's handshakes go on only while it is called, and it is called from C,
    where another thread of Python can import modules meanwhile. It ends with the process.

    Attributes:
        url: Where it leads.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_s: float = 0,
        limit_s: float | None = None,
        password_command: str | None = None,
    ) -> None:
        """Begin to open it; arguments as in `connect`.

        What that raises, `result` raises.
        """
        self.url = url
        self._opening = partial(
            connect, url, wait_s=wait_s, limit_s=limit_s, password_command=password_command
        )
        # The reasons for waiting, and then the connection or the error.
        self._arrived: SimpleQueue[str | Connection | BaseException] = SimpleQueue()
        self._lock = Lock()
        self._conn: Connection | None = None
        self._is_over = False
        Thread(target=self._open, name="connecting", daemon=True).start()

    def result(self, on_wait: Callable[[str], None]) -> Connection:
        """Wait for the connection, and return it. To be called once.

        Args:
            on_wait: Called with the reason if the server cannot be reached yet.
        """
        while True:
            match self._arrived.get():
                case str(reason):
                    on_wait(reason)
                case BaseException() as error:
                    raise error
                case conn:
                    return conn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_over = True
            conn = self._conn
        if conn is not None:
            conn.close()

    def _open(self) -> None:
        try:
            conn = self._opening(on_wait=self._arrived.put)
        except BaseException as error:  # noqa: BLE001 (the caller's thread raises it)
            self._arrived.put(error)
            return
        with self._lock:
            self._conn = conn
            is_over = self._is_over
        if is_over:
            conn.close()
        self._arrived.put(conn)
