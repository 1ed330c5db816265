"""Asks for the server and settings of a connection, and for the sessions that block one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.postgres.release import Defaults


@dataclass(frozen=True, slots=True)
class Server:
    """The server and database of a connection.

    Attributes:
        version: As a number: 180004 is 18.4.
        database: The database's name.
        role: The current role.
        schema: The schema that unqualified names are created in; None if there is none.
        search_path: The setting of the connection, with the scope's schema first.
        standby: Whether the server is a standby, which is read-only.
        read_only: Whether transactions of this role are read-only by default.
        session_user: The session's user, which the caller may have changed.
        role_setting: ``none``, or the role that the caller has set.
        jit: ``on`` or ``off``.
        xmin: The oldest transaction that was running.
        session_settings: The settings that the caller has changed, by name.
        session_own: The kinds of what else the caller's session has; see `SessionState`.
    """

    version: int
    database: str
    role: str
    schema: str | None
    search_path: str
    standby: bool
    read_only: bool
    session_user: str = ""
    role_setting: str = "none"
    jit: str = "on"
    xmin: str = "0"
    session_settings: Mapping[str, str] = field(default_factory=dict)
    session_own: frozenset[str] = frozenset()

    def is_as_new(self, user: str) -> bool:
        """Return whether a new session of a user would be the same as the caller's."""
        changed = self.session_settings or self.session_own or self.role_setting != "none"
        return not changed and self.session_user == user

    @property
    def defaults(self) -> Defaults:
        """Return the settings under which files run."""
        return Defaults(
            self.search_path,
            self.session_user,
            self.role_setting,
            self.jit,
            self.session_settings,
            self.session_own,
        )

    @property
    def major(self) -> int:
        """Return the major version, such as 18."""
        return self.version // 10000


def databases(names: Iterable[str]) -> Query[tuple[str, ...]]:
    """Ask which of some databases exist."""
    return Query(
        "SELECT coalesce(jsonb_agg(d.datname ORDER BY d.datname), '[]') FROM pg_database AS d"
        " WHERE d.datname = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))",
        (json.dumps(list(names)),),
        tuple,
    )


def server() -> Query[Server]:
    """Ask for the server, database and schema of a connection."""
    return Query(query_text("server"), (), lambda value: Server(**value))


@dataclass(frozen=True, slots=True)
class SessionState:
    """What a session had before lfmigrate used it.

    Attributes:
        settings: The settings that it has changed, by name.
        own: The kinds of what it has: ``cursors`` WITH HOLD, ``prepared`` statements, ``channels``
            that it listens to, advisory ``locks``, ``temporary`` objects.
    """

    settings: Mapping[str, str]
    own: frozenset[str]


def session_state() -> Query[SessionState]:
    """Ask what a session has of its own; only meaningful before `Flight.arm`."""
    return Query(
        query_text("session_settings"),
        (),
        lambda value: SessionState(value["settings"], frozenset(value["own"])),
    )


def blockers(lock_key: int, process: int) -> Query[list[str]]:
    """Ask, in a second session, for the sessions that block one.

    Args:
        lock_key: The key of an advisory lock that the blocked session holds.
        process: The process id of the blocked session, as the client knows it.

    Returns:
        A line per blocking session: process, role, application, start of transaction, and query.
    """
    return Query(query_text("blockers"), (str(lock_key), str(process)), list)
