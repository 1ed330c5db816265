"""The settings as values: as they were given, and what they result in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A suspended serverless compute resumes within seconds.
DEFAULT_WAIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Flags:
    """The options that every command that talks to a database takes, as they were given."""

    database_url: str | None = None
    password_command: str | None = None
    embedded: bool | None = None
    env: str | None = None
    env_file: Path | None = None
    sql_dir: Path | None = None
    format: str | None = None
    define: tuple[str, ...] = ()
    schema: str | None = None
    history_schema: str | None = None
    lock_timeout: str | None = None
    statement_timeout: str | None = None
    wait: str | None = None
    shadow_url: str | None = None
    shadow_setup: str | None = None
    summary: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The schema that a command works in, its time limits, and where it may replay files.

    Attributes:
        schema: The schema for unqualified names; None for the connection's search_path.
        history_schema: The schema of lfmigrate's own table.
        lock_timeout_ms: How long a statement may wait for a lock; 0 waits forever.
        statement_timeout_ms: How long a statement may run; 0 for no limit.
        shadow_url: A database that may be emptied, to replay files in; None for one that is
            created for that.
        shadow_setup: A file of SQL to run first in a shadow database.
    """

    schema: str | None = None
    history_schema: str = "lfmigrate"
    # Long enough for a transaction ahead of us, short enough for the readers queued behind us.
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 0
    shadow_url: str | None = field(default=None, repr=False)
    shadow_setup: Path | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """What the dashboard's server may do, and for whom.

    Attributes:
        schema: The schema of the tables; None for the connection's search_path.
        statement_timeout_ms: How long a query may run.
        read_only: Whether statuses cannot be changed.
        changed_by: Who decides, unless the request says so; None for the system's user.
        hosts: Names in the Host header to which it answers, in addition to this machine's.
        origins: Other sites whose pages may use it, such as ``https://example.com``.
        token: What a caller has to send; None if everyone who reaches it may call.
        quiet: Whether there is no line for each request.
        password: Returns the password for one more connection; None if the URL has it, or none
            is needed.
    """

    schema: str | None = None
    statement_timeout_ms: int = 10_000
    read_only: bool = False
    changed_by: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    quiet: bool = False
    password: Callable[[], str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database URL, as it was understood.

    Attributes:
        url: In a form that libpq takes.
        schema: The schema that it names, as Prisma's URLs do.
        ignored: The parameters in it that are meant for others, such as a framework's pool.
        has_password: Whether there is a password in it.
    """

    url: str = field(repr=False)
    schema: str | None = None
    ignored: tuple[str, ...] = ()
    has_password: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """The result of all sources together.

    Attributes:
        database_url: Where to connect, in a form that libpq takes, empty if libpq's own variables
            say so; None for the embedded server.
        sql_dir: The folder of SQL files that is asked for; None if none is.
        scope: The schema and the time limits.
        wait_s: How long to keep trying to connect while the server starts.
        format: Whose folder it is; None to find out.
        variables: The values of placeholders in the SQL files, by name.
        password_command: The command that prints the password; None if none is to be run.
        libpq: Variables of libpq's that the environment lacks and a ``.env`` has.
        origins: Where ``folder``, ``format`` and ``database`` were configured; without those that
            were not.
        notes: What is worth a line with ``-v``.
    """

    database_url: str | None = field(repr=False)
    sql_dir: Path | None
    scope: Scope
    wait_s: float
    format: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    password_command: str | None = field(default=None, repr=False)
    libpq: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
