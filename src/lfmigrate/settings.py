"""Settings: command-line options over environment over `.env`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lfmigrate.errors import UsageError
from lfmigrate.redaction import KEYWORDS, URL

T = TypeVar("T")

# A sleeping serverless compute is awake within some seconds.
DEFAULT_WAIT_S = 15.0

# Long enough for the transaction in front, short enough for the readers that queue behind.
DEFAULT_LOCK_TIMEOUT = "5s"

DEFAULT_STATEMENT_TIMEOUT = "0"

DEFAULT_HISTORY_SCHEMA = "lfmigrate"

_MS_PER_UNIT = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}

_ON = frozenset({"1", "true", "yes", "on"})

_OFF = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Flags:
    """The options that every command that talks to a database takes, as they were given."""

    database_url: str | None = None
    embedded: bool | None = None
    sql_dir: Path | None = None
    schema: str | None = None
    history_schema: str | None = None
    lock_timeout: str | None = None
    statement_timeout: str | None = None
    wait: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags, the environment and a ``.env`` amount to.

    Attributes:
        database_url: Where to connect, in a form that libpq takes; None for the embedded server.
        sql_dir: The folder of SQL files; None for the one that ships with the package.
        schema: The schema that unqualified names go to; None for the connection's own.
        history_schema: Where the history lives.
        lock_timeout_ms: How long to queue behind other sessions; 0 for ever.
        statement_timeout_ms: How long a statement may run; 0 for ever.
        wait_s: How long to try to connect while the server wakes up.
    """

    database_url: str | None = field(repr=False)
    sql_dir: Path | None
    schema: str | None
    history_schema: str
    lock_timeout_ms: int
    statement_timeout_ms: int
    wait_s: float


def load(
    flags: Flags, environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> Settings:
    """Settle what applies, and report everything that is wrong with it together.

    Args:
        flags: What the command line says.
        environment: The process's environment.
        dotenv: What a ``.env`` file says; empty if there is none.

    Returns:
        The settings, checked as far as that goes without a connection.

    Raises:
        UsageError: A value is unusable, or no database is named. Never quotes a URL.
    """
    problems: list[str] = []

    def look_up(name: str) -> str | None:
        return environment.get(name) or dotenv.get(name) or None

    def read(name: str, parse: Callable[[str], T], flag: str | None, default: str) -> T:
        text = flag if flag is not None else look_up(name) or default
        try:
            return parse(text)
        except ValueError as error:
            problems.append(f"{_option(name)}: {error}")
            return parse(default)

    lock_timeout_ms = read(
        "LFMIGRATE_LOCK_TIMEOUT", duration_ms, flags.lock_timeout, DEFAULT_LOCK_TIMEOUT
    )
    statement_timeout_ms = read(
        "LFMIGRATE_STATEMENT_TIMEOUT",
        duration_ms,
        flags.statement_timeout,
        DEFAULT_STATEMENT_TIMEOUT,
    )
    wait_s = read("LFMIGRATE_WAIT", _seconds, flags.wait, str(DEFAULT_WAIT_S))
    for flag, value in (("--schema", flags.schema), ("--history-schema", flags.history_schema)):
        if value == "":
            problems.append(f"{flag} is empty")
    url: str | None = None
    hint: str | None = None
    try:
        url = _choose_database(flags, environment, dotenv)
    except UsageError as error:
        if not problems:
            raise
        problems.append(error.message)
        hint = error.hint
    if problems:
        raise UsageError(
            f"{len(problems)} settings cannot be used" if len(problems) > 1 else problems[0],
            detail=problems if len(problems) > 1 else (),
            hint=hint,
        )
    return Settings(
        database_url=url,
        sql_dir=sql_dir(flags, environment, dotenv),
        schema=flags.schema or look_up("LFMIGRATE_SCHEMA"),
        history_schema=flags.history_schema
        or look_up("LFMIGRATE_HISTORY_SCHEMA")
        or DEFAULT_HISTORY_SCHEMA,
        lock_timeout_ms=lock_timeout_ms,
        statement_timeout_ms=statement_timeout_ms,
        wait_s=wait_s,
    )


def sql_dir(
    flags: Flags, environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> Path | None:
    """Return the folder of SQL files that is asked for; None for the one that ships."""
    name = environment.get("LFMIGRATE_SQL_DIR") or dotenv.get("LFMIGRATE_SQL_DIR")
    return flags.sql_dir or (Path(name) if name else None)


def duration_ms(text: str) -> int:
    """Read a duration such as ``5s``, ``500ms``, ``2min`` or ``0``, in milliseconds.

    Raises:
        ValueError: It is none; the message says what one looks like.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)", text.strip())
    if text.strip() == "0":
        return 0
    if match is None:
        raise ValueError(f'"{text}" is no duration; write 500ms, 5s, 2min, 1h, or 0 for no limit')
    milliseconds = float(match[1]) * _MS_PER_UNIT[match[2]]
    # PostgreSQL counts its timeouts in a 32-bit number of milliseconds.
    if milliseconds > 2**31 - 1:
        raise ValueError(f'"{text}" is too long; the longest is 596h')
    # Rounded up: a limit that was asked for must not become 0, which is none.
    return max(1, round(milliseconds)) if milliseconds else 0


def _choose_database(
    flags: Flags, environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> str | None:
    """Return the URL to use; None for the embedded server."""
    if flags.database_url == "":
        # Most likely "$UNSET" in a script; what is meant is then certainly not another database.
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
                f"both a database URL and the embedded server are asked for by {where}",
                hint="Leave one of them out.",
            )
        if wanted:
            return None
        if url:
            return _usable(str(url))
        declined = declined or embedded is False
    raise UsageError(
        "no database is named",
        detail=["looked for --database-url, and for DATABASE_URL in the environment and in a .env"],
        hint="Set one of the three, or add --embedded for a private PostgreSQL in this folder.",
    )


def _switch(variables: Mapping[str, str | None]) -> bool | None:
    """Return whether the embedded server is asked for; None if nothing is said."""
    text = variables.get("LFMIGRATE_EMBEDDED")
    if text is None or text == "":
        return None
    if text.lower() not in _ON | _OFF:
        raise UsageError(f'LFMIGRATE_EMBEDDED is "{text}", which is neither 1 nor 0')
    return text.lower() in _ON


def _usable(url: str) -> str:
    """Check a URL without ever quoting it, and return it in libpq's form."""
    from psycopg import ProgrammingError, conninfo  # noqa: PLC0415 (slow; --version needs none)

    if not re.match(URL, url) and ("://" in url.partition("=")[0] or not re.match(KEYWORDS, url)):
        scheme = url.split("://", 1)[0] if "://" in url else None
        raise UsageError(
            f'the database URL begins with "{scheme}://", which is not PostgreSQL'
            if scheme is not None and re.fullmatch(r"[\w+.-]+", scheme)
            else "the database URL is not a PostgreSQL URL",
            hint="It looks like postgresql://user:password@host:5432/name?sslmode=require.",
        )
    # "postgresql+psycopg://" is how SQLAlchemy names the driver; the rest is the same.
    url, is_url = re.subn(URL, "postgresql://", url)
    try:
        parsed = conninfo.conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):
        parsed = None
    if parsed is None or (is_url and _is_misread(url, str(parsed.get("port", "")))):
        raise UsageError(
            "the database URL cannot be read",
            hint="Characters such as @ : / # ? % in a user or a password have to be"
            " percent-encoded: % is %25, @ is %40. Unknown words behind the ? are refused too.",
        )
    return url


def _is_misread(url: str, port: str) -> bool:
    """Return whether libpq takes a part of the password for a host, a port or a database.

    It would tell that part in its next message.
    """
    rest = url.partition("://")[2]
    user = re.match("[^@/]*@", rest)
    place = rest[user.end() if user else 0 :].partition("?")[0]
    return "@" in place or re.fullmatch(r"[\d,]*", port) is None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    # The comparison is false for "nan", too.
    if not 0 <= seconds < 86_400:  # noqa: PLR2004 (a day: nobody waits longer for a server)
        raise ValueError(f'"{text}" is no number of seconds; write 0, 15 or 90')
    return seconds


def _option(name: str) -> str:
    flag = "--" + name.removeprefix("LFMIGRATE_").lower().replace("_", "-")
    return f"{flag} ({name})"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in a database to work, and how patiently.

    Attributes:
        schema: The schema that unqualified names go to; None for the connection's own.
        history_schema: The schema of lfmigrate's own table.
        lock_timeout_ms: How long a statement may queue behind other sessions; 0 for ever.
        statement_timeout_ms: How long a statement may run; 0 for ever.
    """

    schema: str | None = None
    history_schema: str = "lfmigrate"
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 0
