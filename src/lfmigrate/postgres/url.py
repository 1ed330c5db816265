"""Checks a connection URL, with libpq's own parser."""

from __future__ import annotations

import re
from urllib.parse import quote

from psycopg import ProgrammingError, conninfo, pq

from lfmigrate.errors import UsageError

_URL = re.compile(r"\A\s*postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_KEYWORDS = re.compile(r"\s*\w+\s*=")
_EXAMPLE = "It looks like postgresql://user:password@host:5432/name?sslmode=require."


def check(url: str) -> str:
    """Return a URL in libpq's form, without ever quoting it in an error.

    Args:
        url: A PostgreSQL URL, SQLAlchemy's spelling included, or a keyword string.

    Raises:
        UsageError: libpq cannot read it, or would take a part of the password for something else.
    """
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
    try:
        parsed = conninfo.conninfo_to_dict(url)
    except (ProgrammingError, UnicodeError):
        parsed = None
    if parsed is None or (is_url and _is_misread(url, str(parsed.get("port", "")))):
        raise UsageError(
            "the database URL cannot be parsed",
            hint="Percent-encode characters such as @ : / # ? % in a user name or a password: % is"
            " %25, @ is %40. Unknown parameters after the ? are rejected, too.",
        )
    _check_environment()
    return url


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


def _is_misread(url: str, port: str) -> bool:
    """Return whether libpq takes a part of the password for a host, a port or a database.

    libpq would quote that part in its error message.
    """
    rest = url.partition("://")[2]
    user = re.match("[^@/]*@", rest)
    place = rest[user.end() if user else 0 :].partition("?")[0]
    return "@" in place or re.fullmatch(r"[\d,]*", port) is None


def _check_environment() -> None:
    """Refuse variables such as PGUSER that are not UTF-8, which psycopg could not decode."""
    for option in pq.Conninfo.get_defaults():
        try:
            (option.val or b"").decode()
        except UnicodeDecodeError:
            name = (option.envvar or option.keyword).decode()
            raise UsageError(f"{name} is not valid UTF-8") from None
