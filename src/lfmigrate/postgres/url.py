"""Reads a connection URL: libpq's own, or as frameworks write it. Checked with libpq's parser."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import NamedTuple, NoReturn
from urllib.parse import quote, unquote

from psycopg import ProgrammingError, conninfo, pq

from lfmigrate.errors import UsageError
from lfmigrate.settings.values import DatabaseUrl

_URL = re.compile(r"\A\s*postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_KEYWORDS = re.compile(r"\s*\w+\s*=")
_EXAMPLE = "It looks like postgresql://user:password@host:5432/name?sslmode=require."
_ENCODE = (
    "Percent-encode characters such as @ : / # ? % in a user name or a password: % is %25, @ is"
    " %40."
)

# Parameters of drivers, frameworks and their pools: none changes what is done in the database.
_OF_OTHERS = re.compile(
    # Prisma, and the URLs that hosts offer for it
    r"pgbouncer|connection_limit|pool_timeout|socket_timeout|statement_cache_size"
    r"|single_use_connections|max_(?:idle_)?connection_lifetime|supa"
    # SQLAlchemy and its drivers
    r"|async_fallback|prepared_statement_cache_size|prepared_statement_name_func|command_timeout"
    # Rails, Django
    r"|pool|timeout|checkout_timeout|reaping_frequency|idle_timeout|prepared_statements|encoding"
    r"|adapter|conn_max_age|conn_health_checks|disable_server_side_cursors"
    # Go: pgx and its pool, lib/pq, golang-migrate
    r"|pool_(?:max|min)_(?:idle_)?conns|pool_max_conn_(?:idle_time|lifetime|lifetime_jitter)"
    r"|pool_health_check_period|default_query_exec_mode|statement_cache_capacity"
    r"|description_cache_capacity|statement_cache_mode|binary_parameters|x-[\w-]+"
    # and, in Rust, sqlx
    r"|statement-cache-capacity"
)

# What other programs call the schema for unqualified names.
_SCHEMA = frozenset({"schema", "search_path", "currentSchema"})

# What others call TLS without a look at the certificate, with one, and none.
_ANY, _VERIFIED, _PLAIN = "require", "verify-full", "disable"
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS = {
    "sslmode": {"no-verify": _ANY, **{mode: mode for mode in _MODES}},
    "ssl": {
        **dict.fromkeys(("true", "1", "yes", "on", "no-verify"), _ANY),
        **dict.fromkeys(("false", "0", "no", "off"), _PLAIN),
        **{mode: mode for mode in _MODES},
    },
    "sslaccept": {"strict": _VERIFIED, "accept_invalid_certs": _ANY},
}

# Parameters of libpq's that may have an @. In another one, it is the end of a password that was not
# encoded, and libpq would quote what is before it.
_TEXTS = frozenset(
    {"application_name", "fallback_application_name", "dbname", "host", "options", "passfile"}
    | {"password", "service", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslpassword"}
    | {"sslrootcert", "user"}
)

# A name that can be quoted in a message.
_NAME = re.compile(r"[A-Za-z][\w.-]{0,60}")


def check(url: str) -> str:
    """Return a URL in libpq's form, without ever quoting it in an error.

    Args:
        url: As `read` takes it.

    Raises:
        UsageError: As `read` raises it.
    """
    return read(url).url


def read(url: str) -> DatabaseUrl:
    """Return what a URL says, without ever quoting it in an error.

    White space and quotes around it are left out, the driver that SQLAlchemy names, and parameters
    that are meant for a framework. Prisma's and others' names for TLS become libpq's.

    Args:
        url: A PostgreSQL URL or a keyword string.

    Raises:
        UsageError: libpq cannot read it, or would take a part of the password for something else;
            or it has a parameter that neither libpq nor a known framework has.
    """
    url = _unquoted(url)
    if not _URL.match(url) and ("://" in url.partition("=")[0] or not _KEYWORDS.match(url)):
        scheme = url.split("://", 1)[0] if "://" in url else ""
        raise UsageError(
            f'the database URL begins with "{scheme}://", which is not PostgreSQL'
            if re.fullmatch(r"[\w+.-]+", scheme)
            else "the database URL is not a PostgreSQL URL",
            hint=_EXAMPLE,
        )
    # "postgresql+psycopg://" is how SQLAlchemy names the driver; the rest is the same.
    url, is_url = _URL.subn("postgresql://", url, count=1)
    schema: str | None = None
    ignored: tuple[str, ...] = ()
    if is_url:
        if _is_misread(url):
            raise UsageError("the database URL cannot be parsed", hint=_ENCODE)
        url, schema, ignored = _in_libpq_s_words(url)
    try:
        parsed = conninfo.conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):
        raise UsageError(
            "the database URL cannot be parsed",
            hint=_ENCODE
            if is_url
            else "It is keyword=value pairs; a value with spaces is written"
            " in single quotes, and ' and \\ in it with a \\ before them.",
        ) from None
    _check_environment()
    return DatabaseUrl(url, schema, ignored, bool(parsed.get("password")))


def address(url: str) -> dict[str, str | int | None]:
    """Return where a URL leads: ``host``, ``port`` and ``name``, with libpq's own defaults.

    Args:
        url: As `check` returns it.
    """
    known = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val is not None
    }
    known |= {name: str(value) for name, value in conninfo.conninfo_to_dict(url).items()}
    port = known.get("port")
    return {
        "host": known.get("host") or known.get("hostaddr"),
        # Several hosts may have several ports, as text.
        "port": int(port) if port is not None and port.isdecimal() else port,
        "name": known.get("dbname") or known.get("user"),
    }


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server, as other programs take it, too.

    Args:
        url: As `check` returns it.
        name: The name of the database.
    """
    parts = {n: str(value) for n, value in conninfo.conninfo_to_dict(url).items()}
    parts.pop("dbname", None)
    hosts, ports = parts.pop("host", ""), parts.pop("port", "")
    place = ""
    if "/" in hosts or "@" in hosts:
        # The folder of a socket cannot come first in a URL.
        parts |= {"host": hosts} | ({"port": ports} if ports else {})
    elif hosts or ports:
        each = hosts.split(",")
        numbers = ports.split(",") if "," in ports else [ports] * len(each)
        place = ",".join(
            (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
            for host, port in zip(each, numbers, strict=True)
        )
    user = quote(parts.pop("user", ""), safe="")
    password = quote(parts.pop("password", ""), safe="")
    login = user + (f":{password}" if password else "")
    query = "&".join(f"{n}={quote(value, safe='/')}" for n, value in parts.items())
    return (
        f"postgresql://{login}{'@' if login else ''}{place}/{quote(name, safe='')}"
        f"{'?' if query else ''}{query}"
    )


def _unquoted(url: str) -> str:
    """Return a URL without what a shell, a file or `docker --env-file` has left around it."""
    bare = url.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'`":
        return bare[1:-1].strip()
    # libpq skips white space by itself, and knows whether the last blank belongs to a value.
    return bare if _URL.match(bare) else url


class _Parts(NamedTuple):
    """A URL, taken apart where libpq takes it apart.

    Attributes:
        head: All before the place.
        place: Host, port and database.
        query: What follows the question mark; None without one.
    """

    head: str
    place: str
    query: str | None


def _split(url: str) -> _Parts:
    scheme, separator, rest = url.partition("://")
    user = re.match("[^@/]*@", rest)
    at = user.end() if user else 0
    place, mark, query = rest[at:].partition("?")
    return _Parts(f"{scheme}{separator}{rest[:at]}", place, query if mark else None)


def _is_misread(url: str) -> bool:
    """Return whether libpq takes a part of the password for a host, a port or a database.

    libpq would quote that part in its error message.
    """
    head, place, query = _split(url)
    hosts = re.sub(r"\[[^\]]*\]", "", place.partition("/")[0])
    has_port = ":" in hosts and not head.endswith("@")
    return (
        "@" in place
        or (has_port and "@" in (query or ""))
        or any(re.fullmatch(r"[^:]*(?::\d*)?", each) is None for each in hosts.split(","))
    )


def _in_libpq_s_words(url: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Return a URL with libpq's parameters only, the schema that it names, and what is ignored.

    Raises:
        UsageError: A parameter is unknown, or has an unknown value.
    """
    head, place, query = _split(url)
    if query is None:
        return url, None, ()
    kept: list[str] = []
    tls: dict[str, str] = {}
    schema: str | None = None
    ignored: list[str] = []
    for pair in query.split("&"):
        written, equals, value = pair.partition("=")
        name = unquote(written)
        if name in _TLS:
            if value:
                tls[name] = _TLS[name].get(unquote(value).lower()) or _refuse_value(query, name)
        elif name in _SCHEMA:
            schema = _one_schema(query, name, unquote(value)) or schema
        elif name in _keywords():
            if "@" in value and name not in _TEXTS:
                _refuse_value(query, name)
            kept.append(pair)
        elif _OF_OTHERS.fullmatch(name):
            ignored.append(name)
        elif pair:
            _refuse_name(query, name if equals else "")
    kept += _tls(tls, kept)
    words = "&".join(kept)
    return f"{head}{place}{'?' if words else ''}{words}", schema, tuple(dict.fromkeys(ignored))


def _tls(given: dict[str, str], kept: list[str]) -> list[str]:
    """Return libpq's parameters for what was said about TLS, in whatever words."""
    mode = given.get("sslmode") or given.get("sslaccept") or given.get("ssl")
    # Prisma's sslmode does not say whether certificates are verified.
    is_strict = given.get("sslaccept") == _VERIFIED and mode != _PLAIN
    if mode is None:
        return []
    if not is_strict:
        return [f"sslmode={mode}"]
    has_root = any(each.startswith("sslrootcert=") for each in kept)
    has_root = has_root or bool(os.environ.get("PGSSLROOTCERT"))
    return [f"sslmode={_VERIFIED}", *([] if has_root else ["sslrootcert=system"])]


def _one_schema(query: str, name: str, value: str) -> str:
    if "," in value or '"' in value:
        _refuse_value(query, name, hint="Name one schema; or set the search_path of the role.")
    return value


def _refuse_name(query: str, name: str) -> NoReturn:
    # Behind an @ is the host, so what is before it is a password that was not encoded.
    if "@" in query or not _NAME.fullmatch(name):
        raise UsageError("the database URL cannot be parsed", hint=_ENCODE)
    raise UsageError(
        f'the database URL has an unknown parameter "{name}"',
        hint="Correct or remove it, after the ? of the URL. libpq's parameters are accepted, and"
        " those of common frameworks.",
    )


def _refuse_value(query: str, name: str, hint: str | None = None) -> NoReturn:
    if "@" in query:
        raise UsageError("the database URL cannot be parsed", hint=_ENCODE)
    values = ", ".join(_TLS[name]) if name in _TLS else ""
    raise UsageError(
        f'the database URL has an unknown value of the parameter "{name}"',
        hint=hint or f"Use one of: {values}.",
    )


@cache
def _keywords() -> frozenset[str]:
    """Return the parameters that libpq knows."""
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _check_environment() -> None:
    """Refuse variables such as PGUSER that are not UTF-8, which psycopg could not decode."""
    for option in pq.Conninfo.get_defaults():
        try:
            (option.val or b"").decode()
        except UnicodeDecodeError:
            name = (option.envvar or option.keyword).decode()
            raise UsageError(f"{name} is not valid UTF-8") from None
