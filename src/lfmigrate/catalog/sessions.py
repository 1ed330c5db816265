"""The server that a connection leads to, and the sessions that block one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Defaults, Query


@dataclass(frozen=True, slots=True)
class Server:
    """Where a connection leads.

    Attributes:
        version: As PostgreSQL counts it: 180004 is 18.4.
        database: The database's name.
        role: The current role.
        schema: The schema that unqualified names are created in; None if there is none.
        search_path: As it is set for the connection, with the scope's schema first.
        role_setting: ``none``, or the role that the caller has set.
        jit: ``on`` or ``off``.
        session_settings: Those that the caller has changed, by name.
        standby: Whether the server is a standby, which nobody can write to.
        read_only: Whether transactions of this role are read-only by default.
    """

    version: int
    database: str
    role: str
    schema: str | None
    search_path: str
    role_setting: str
    jit: str
    session_settings: Mapping[str, str]
    standby: bool
    read_only: bool

    @property
    def defaults(self) -> Defaults:
        """Return the settings under which files run."""
        return Defaults(self.search_path, self.role_setting, self.jit, self.session_settings)

    @property
    def major(self) -> int:
        """Return the major version, such as 18."""
        return self.version // 10000


def server() -> Query[Server]:
    """Ask which server, database and schema a connection leads to. Only reads."""
    return Query(query_text("server"), (), lambda value: Server(**value, session_settings={}))


def session_settings() -> Query[Mapping[str, str]]:
    """Ask which settings a session has changed. Only reads; to be asked before `Flight.arm`."""
    return Query(query_text("session_settings"), (), dict)


def blockers(lock_key: int, process: int) -> Query[list[str]]:
    """Ask whom a session waits for. Only reads; to be asked from another one.

    Args:
        lock_key: Of an advisory lock that the session holds.
        process: The session's process, as far as the client knows it.

    Returns:
        A line per session: process, role, application, since when, and what it does.
    """
    return Query(query_text("blockers"), (str(lock_key), str(process)), list)
