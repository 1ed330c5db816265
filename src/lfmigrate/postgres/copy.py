"""COPY in both directions, in the open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import pq

from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import await_socket, connection_lost, failure

# What libpq hands out: bytes or a view of them.
Buffer = bytes | memoryview


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


def copy_out(conn: Connection, sql: str, *, batch_rows: int) -> Iterator[Sequence[Buffer]]:
    """Run a COPY TO STDOUT in the open transaction.

    Through libpq itself, because psycopg's own reading takes twice the time for each row.

    Args:
        conn: The connection.
        sql: The statement.
        batch_rows: How many rows to return at once.

    Returns:
        The rows as the server sends them, in batches. Who stops early cancels the statement.

    Raises:
        StatementFailed: The server refused it, or failed on the way.
        ConnectionFailed: The connection was lost.
    """
    pgconn = conn.pgconn
    under_way = False
    with _lost_if_broken(conn):
        try:
            pgconn.send_query(sql.encode())
            pgconn.flush()
            result = _await_result(pgconn)
            under_way = result is not None and result.status == pq.ExecStatus.COPY_OUT
            batch: list[Buffer] = []
            while under_way:
                count, row = pgconn.get_copy_data(1)
                if count > 0:
                    batch.append(row)
                    if len(batch) == batch_rows:
                        yield batch
                        batch = []
                elif count == 0:
                    await_socket(pgconn)
                else:
                    under_way = False
                    result = _await_result(pgconn)
            _finish(pgconn, result)
            yield batch
        finally:
            if under_way and pgconn.status == pq.ConnStatus.OK:
                conn.cancel_safe(timeout=2.0)
                while pgconn.get_copy_data(0)[0] > 0:
                    pass
                _await_result(pgconn)


def _finish(pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None) -> None:
    """Take what follows a statement's result, and raise if that is an error."""
    while _await_result(pgconn) is not None:
        pass
    if result is None or pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError("" if result is None else result.get_error_message())
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise failure(result)


def _await_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    while pgconn.is_busy():
        await_socket(pgconn)
    return pgconn.get_result()


@contextmanager
def _lost_if_broken(conn: Connection) -> Iterator[None]:
    """Turn psycopg's errors into ours, and close the connection."""
    try:
        yield
    except psycopg.OperationalError as error:
        conn.close()
        raise connection_lost(str(error).splitlines()) from None
