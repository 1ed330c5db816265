"""Settings: command-line options over environment over `.env`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lfmigrate.errors import UsageError, combine
from lfmigrate.redaction import has_password

T = TypeVar("T")

# A suspended serverless compute resumes within seconds.
DEFAULT_WAIT_S = 15.0

_MS_PER_UNIT = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}

_ON = frozenset({"1", "true", "yes", "on"})

_OFF = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Flags:
    """The options that every command that talks to a database takes, as they were given."""

    database_url: str | None = None
    embedded: bool | None = None
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
    """

    schema: str | None = None
    statement_timeout_ms: int = 10_000
    read_only: bool = False
    changed_by: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """The result of flags, environment and ``.env``.

    Attributes:
        database_url: Where to connect, in a form that libpq takes; None for the embedded server.
        sql_dir: The folder of SQL files; None for the bundled one.
        scope: The schema and the time limits.
        wait_s: How long to keep trying to connect while the server starts.
        format: Whose folder it is; None to find out.
        variables: The values of placeholders in the SQL files, by name.
    """

    database_url: str | None = field(repr=False)
    sql_dir: Path | None
    scope: Scope
    wait_s: float
    format: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


def load(
    flags: Flags,
    environment: Mapping[str, str],
    dotenv: Mapping[str, str | None],
    *,
    check_url: Callable[[str], str],
) -> Settings:
    """Combine all sources, and report everything that is wrong with them together.

    Args:
        flags: The command line.
        environment: The process's environment.
        dotenv: The variables of a ``.env`` file; empty if there is none.
        check_url: Returns a usable URL in libpq's form, or raises `UsageError`.

    Returns:
        The settings, checked as far as that is possible without a connection.

    Raises:
        UsageError: A value is invalid, or no database is configured. Never quotes a URL.
    """
    problems: list[UsageError] = []

    def read(name: str, parse: Callable[[str], T], flag: str | None, default: T) -> T:
        """Return a setting, or its default after noting what is wrong with it."""
        option = "--" + name.removeprefix("LFMIGRATE_").lower().replace("_", "-")
        if flag == "":
            problems.append(UsageError(f"{option} is empty"))
            return default
        text = flag or environment.get(name) or dotenv.get(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            problems.append(UsageError(f"{option} ({name}): {error}"))
        except UsageError as error:
            problems.append(UsageError(f"{option} ({name}): {error.message}", hint=error.hint))
        return default

    def _url(text: str) -> str:
        """Return a URL in libpq's form; what is wrong with it is reported with its option."""
        return check_url(utf8(text))

    usual = Scope()
    scope = Scope(
        schema=read("LFMIGRATE_SCHEMA", utf8, flags.schema, usual.schema),
        history_schema=read(
            "LFMIGRATE_HISTORY_SCHEMA", utf8, flags.history_schema, usual.history_schema
        ),
        lock_timeout_ms=read(
            "LFMIGRATE_LOCK_TIMEOUT", duration_ms, flags.lock_timeout, usual.lock_timeout_ms
        ),
        statement_timeout_ms=read(
            "LFMIGRATE_STATEMENT_TIMEOUT",
            duration_ms,
            flags.statement_timeout,
            usual.statement_timeout_ms,
        ),
        shadow_url=read("LFMIGRATE_SHADOW_URL", _url, flags.shadow_url, usual.shadow_url),
        shadow_setup=read("LFMIGRATE_SHADOW_SETUP", _path, flags.shadow_setup, usual.shadow_setup),
    )
    wait_s = read("LFMIGRATE_WAIT", _seconds, flags.wait, DEFAULT_WAIT_S)
    folder_format = read("LFMIGRATE_FORMAT", utf8, flags.format, None)
    variables = _checked_variables(flags, problems)
    url: str | None = None
    try:
        url = _choose_database(flags, environment, dotenv)
        url = check_url(utf8(url)) if url else None
    except UsageError as error:
        problems.append(error)
    except ValueError as error:
        problems.append(UsageError(f"the database URL is {error}"))
    if problems:
        raise combine(problems, f"{len(problems)} invalid settings")
    folder = sql_dir(flags, environment, dotenv)
    return Settings(url, folder, scope, wait_s, folder_format, variables)


def _checked_variables(flags: Flags, problems: list[UsageError]) -> dict[str, str]:
    """Return the values of placeholders; what is wrong with them is added to the problems."""
    try:
        return defined(flags)
    except UsageError as error:
        problems.append(error)
    return {}


def defined(flags: Flags) -> dict[str, str]:
    """Return the values of placeholders.

    Raises:
        UsageError: One has no name or no value.
    """
    values = {}
    for given in flags.define or ():
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise UsageError(f'invalid --define "{name}": use NAME=VALUE')
        values[name] = value
    return values


def sql_dir(
    flags: Flags, environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> Path | None:
    """Return the folder of SQL files that is asked for; None for the bundled one.

    Raises:
        UsageError: It is a database URL.
    """
    name = environment.get("LFMIGRATE_SQL_DIR") or dotenv.get("LFMIGRATE_SQL_DIR")
    folder = flags.sql_dir or (Path(name) if name else None)
    if folder is not None and has_password(str(folder)):
        raise UsageError("--sql-dir (LFMIGRATE_SQL_DIR) contains a password")
    return folder


def utf8(text: str) -> str:
    """Return a text unchanged.

    Raises:
        ValueError: It has a byte that is not UTF-8; Python holds it as a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    return text


def duration_ms(text: str) -> int:
    """Read a duration such as ``5s``, ``500ms``, ``2min`` or ``0``, in milliseconds.

    Raises:
        ValueError: It is not a duration; the message says what one looks like.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)", text.strip())
    if text.strip() == "0":
        return 0
    if match is None:
        raise ValueError(f'invalid duration "{text}": use 500ms, 5s, 2min, 1h, or 0 for no limit')
    milliseconds = float(match[1]) * _MS_PER_UNIT[match[2]]
    # PostgreSQL counts its timeouts in a 32-bit number of milliseconds.
    if milliseconds > 2**31 - 1:
        raise ValueError(f'duration "{text}" is too long; the maximum is 596h')
    # Rounded up: a limit that was asked for must not become 0, which is none.
    return max(1, round(milliseconds)) if milliseconds else 0


def _path(text: str) -> Path:
    path = Path(utf8(text))
    if not path.is_file():
        raise ValueError(f'there is no file "{text}"')
    return path


def _choose_database(
    flags: Flags, environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> str | None:
    """Return the URL to use; None for the embedded server."""
    if flags.database_url == "":
        # Most likely "$UNSET" in a script, which must not fall back to another database.
        raise UsageError(
            "--database-url is empty",
            hint="Leave it out to use DATABASE_URL from the environment or a .env.",
        )
    sources: tuple[tuple[str, Any, bool | None], ...] = (
        ("the command line", flags.database_url, flags.embedded),
        ("the environment", environment.get("DATABASE_URL"), _switch(environment)),
        (".env", dotenv.get("DATABASE_URL"), _switch(dotenv)),
    )
    declined = False
    for where, url, embedded in sources:
        wanted = embedded and not declined
        if url and wanted:
            raise UsageError(
                f"{where} sets both a database URL and --embedded"
                if where == "the command line"
                else f"{where} sets both DATABASE_URL and LFMIGRATE_EMBEDDED",
                hint="Remove one of them.",
            )
        if wanted:
            return None
        if url:
            return str(url)
        declined = declined or embedded is False
    raise UsageError(
        "no database URL is configured",
        detail=["looked for --database-url, and for DATABASE_URL in the environment and in a .env"],
        hint="Set one of them, or add --embedded for a private PostgreSQL in this folder.",
    )


def _switch(variables: Mapping[str, str | None]) -> bool | None:
    """Return whether the embedded server is asked for; None if the variable is not set."""
    text = variables.get("LFMIGRATE_EMBEDDED")
    if text is None or text == "":
        return None
    if text.lower() not in _ON | _OFF:
        raise UsageError(f'invalid LFMIGRATE_EMBEDDED "{text}": use 1 or 0')
    return text.lower() in _ON


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    # The comparison is false for "nan", too.
    if not 0 <= seconds < 86_400:  # noqa: PLR2004 (a day is long enough)
        raise ValueError(f'invalid number of seconds "{text}": use a number such as 0, 15 or 90')
    return seconds
