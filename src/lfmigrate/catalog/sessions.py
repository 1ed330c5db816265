"""Asks for the server of a connection, and for the sessions that block one."""

from __future__ import annotations

from dataclasses import dataclass

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query


@dataclass(frozen=True, slots=True)
class Server:
    """The server and database of a connection.

    Attributes:
        version: As a number: 180004 is 18.4.
        database: The database's name.
        role: The current role.
        schema: The schema that unqualified names are created in; None if there is none.
        search_path: The setting of the connection.
        standby: Whether the server is a standby, which is read-only.
        read_only: Whether transactions of this role are read-only by default.
    """

    version: int
    database: str
    role: str
    schema: str | None
    search_path: str
    standby: bool
    read_only: bool

    @property
    def major(self) -> int:
        """Return the major version, such as 18."""
        return self.version // 10000


def server() -> Query[Server]:
    """Ask for the server, database and schema of a connection."""
    return Query(query_text("server"), (), lambda value: Server(**value))


def blockers(lock_key: int, process: int) -> Query[list[str]]:
    """Ask, in a second session, for the sessions that block one.

    Args:
        lock_key: The key of an advisory lock that the blocked session holds.
        process: The process id of the blocked session, as the client knows it.

    Returns:
        A line per blocking session: process, role, application, start of transaction, and query.
    """
    return Query(query_text("blockers"), (str(lock_key), str(process)), list)
