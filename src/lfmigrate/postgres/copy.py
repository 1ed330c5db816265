"""COPY in both directions, in the open transaction."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import psycopg
from psycopg import pq

from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import SIGNAL_CHECK_S, await_socket, connection_lost, failure

# How much of a COPY TO is handed over at once. The socket holds what the server sends while a block
# of this size is hashed and written; with larger ones it has to wait.
_BLOCK_BYTES = 1 << 17

# How long to wait for the end of a COPY that was cancelled: after Ctrl-C, a process should end.
_STOP_S = 2.0

# Takes a block of complete rows, and their number.
Take = Callable[[bytearray, int], None]


class CopyOut(NamedTuple):
    """A COPY TO STDOUT.

    Attributes:
        sql: The statement.
        receiver: Entered before its first row, left after its last; what it yields takes the rows
            as the server sends them, in blocks.
    """

    sql: str
    receiver: AbstractContextManager[Take]


def copy_in(conn: Connection, copies: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[int]:
    """Run COPY FROM STDIN statements in the open transaction, one flight each.

    They are one query string: the server asks for the rows of the next one in the same message in
    which it acknowledges the rows of the last. After a failure none of them took effect.

    Args:
        conn: The connection.
        copies: The statements, each with what to send, split anywhere. An exception raised by the
            latter ends the COPY and fails the transaction.

    Returns:
        The number of rows of each, as it is done. Through libpq, because psycopg's COPY takes one
        statement.

    Raises:
        StatementFailed: The server rejected a statement, or a row.
        ConnectionFailed: The connection was lost.
    """
    listed = list(copies)
    pgconn = conn.pgconn
    with _lost_if_broken(conn):
        pgconn.send_query("; ".join(statement for statement, _ in listed).encode())
        _flush(pgconn)
        result = _await_result(pgconn)
        for _, blocks in listed:
            if result is None or result.status != pq.ExecStatus.COPY_IN:
                break
            try:
                for block in blocks:
                    _put(pgconn, block)
            except Exception:
                _end_copy(pgconn, b"the client has ended it")
                while _await_result(pgconn) is not None:
                    pass
                raise
            _end_copy(pgconn, None)
            result = _await_result(pgconn)
            if result is None or result.status != pq.ExecStatus.COMMAND_OK:
                break
            rows = result.command_tuples or 0
            result = _await_result(pgconn)
            yield rows
        if result is not None:
            _finish(pgconn, result)


def _put(pgconn: pq.abc.PGconn, block: bytes) -> None:
    """Send rows, and wait where the server does not keep up."""
    while pgconn.put_copy_data(block) == 0:
        _flush(pgconn)
    _flush(pgconn)


def _end_copy(pgconn: pq.abc.PGconn, error: bytes | None) -> None:
    while pgconn.put_copy_end(error) == 0:
        _flush(pgconn)
    _flush(pgconn)


def _flush(pgconn: pq.abc.PGconn) -> None:
    # It reads, too: a server that cannot write its notices does not read.
    while pgconn.flush():
        await_socket(pgconn)


def copy_out(conn: Connection, copies: Sequence[CopyOut]) -> None:
    """Run COPY TO STDOUT statements in the open transaction, in one flight.

    Through libpq itself, because psycopg's own reading takes three times as long for each row.

    Args:
        conn: The connection. After a failure, what is under way is cancelled, and the transaction
            cannot continue.
        copies: The statements.

    Raises:
        StatementFailed: The server refused a statement, or failed on the way.
        ConnectionFailed: The connection was lost.
    """
    pgconn = conn.pgconn
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)

        def wait() -> None:
            selector.select(SIGNAL_CHECK_S)
            # Also where the socket has nothing: TLS may have read ahead.
            pgconn.consume_input()

        try:
            with _lost_if_broken(conn):
                pgconn.send_query("; ".join(copy.sql for copy in copies).encode())
                _flush(pgconn)
                for copy in copies:
                    _require(pgconn, pq.ExecStatus.COPY_OUT)
                    with copy.receiver as take:
                        _read_rows(pgconn, take, wait)
                        _require(pgconn, pq.ExecStatus.COMMAND_OK)
                _require(pgconn, None)
        finally:
            _stop(conn)


def _read_rows(pgconn: pq.abc.PGconn, take: Take, wait: Callable[[], None]) -> None:
    """Hand over the rows of a COPY.

    Each is appended as soon as it is read: libpq then has the next one in the same memory, which is
    in the processor's cache. To collect the rows and join them takes 1.7 times as long.
    """
    buffer = bytearray()
    rows = 0
    while True:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            buffer += row
            rows += 1
        elif size < 0:
            break
        else:
            # Where it stops for input, which libpq reads a few kilobytes at a time.
            if len(buffer) >= _BLOCK_BYTES:
                take(buffer, rows)
                buffer, rows = bytearray(), 0
            wait()
    take(buffer, rows)


def _stop(conn: Connection) -> None:
    """Cancel what is under way, so that the transaction can be rolled back.

    A connection on which the rest does not arrive in time is closed: the network may have dropped
    it in silence.
    """
    pgconn = conn.pgconn
    if pgconn.transaction_status != pq.TransactionStatus.ACTIVE:
        return
    give_up_at = time.monotonic() + _STOP_S

    def wait() -> None:
        if time.monotonic() > give_up_at:
            raise TimeoutError
        await_socket(pgconn)

    try:
        conn.cancel_safe(timeout=_STOP_S)
        while (result := _next_result(pgconn, wait)) is not None:
            if result.status == pq.ExecStatus.COPY_OUT:
                while (size := pgconn.get_copy_data(1)[0]) >= 0:
                    if size == 0:
                        wait()
    except (psycopg.Error, OSError):
        conn.close()


def _require(pgconn: pq.abc.PGconn, status: pq.ExecStatus | None) -> None:
    """Take the next result, and raise if it is an error; None stands for the end of all of them."""
    result = _await_result(pgconn)
    if status != (None if result is None else result.status):
        _finish(pgconn, result)


def _finish(pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None) -> None:
    """Take what follows a statement's result, and raise if that is an error."""
    while _await_result(pgconn) is not None:
        pass
    if result is None or pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError("" if result is None else result.get_error_message())
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise failure(result)


def _await_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    return _next_result(pgconn, lambda: await_socket(pgconn))


def _next_result(pgconn: pq.abc.PGconn, wait: Callable[[], object]) -> pq.abc.PGresult | None:
    while pgconn.is_busy():
        wait()
    return pgconn.get_result()


@contextmanager
def _lost_if_broken(conn: Connection) -> Iterator[None]:
    """Turn psycopg's errors into ours, and close the connection."""
    try:
        yield
    except psycopg.OperationalError as error:
        conn.close()
        raise connection_lost(str(error).splitlines()) from None
