"""Explains why a connection failed, and what to do about it."""

from __future__ import annotations

import os
import re
from typing import Any

from lfmigrate.errors import ConnectionFailed, LfmigrateError, UsageError

# libpq reports no SQLSTATE for a failed connection, so its words are used: libpq's and psycopg's
# own, and the server's in its default language.
_TRANSIENT = re.compile(
    "connection refused|connection reset|timeout expired|timed out|starting up|shutting down"
    "|not yet accepting connections|in recovery mode|too many clients|too many connections"
    "|remaining connection slots|temporary failure in name resolution"
    "|server closed the connection unexpectedly|no such file or directory"
    "|network is unreachable|no route to host|endpoint is starting"
)

# What has to be corrected, and is not by waiting. A wrong password belongs to it: services ban
# clients that repeat one.
_FINAL = re.compile(
    "password authentication failed|no password supplied|pg_hba.conf|connection is insecure"
    "|ssl required|does not support ssl|certificate|weak sslmode"
    "|invalid port number|invalid [a-z_]+ value"
)

# Added to what libpq says where TLS fails that the server was not asked for.
_UNASKED = "tls without being asked"

# Libpq's words as a pattern, the message and the hint; the first match counts.
_EXPLANATIONS = (
    (
        "no password supplied",
        "{where} requires a password for {user}, and none is given",
        "Put it into the URL, after the user and a colon, or into PGPASSWORD.",
    ),
    (
        "password authentication failed",
        "{where} rejected the password of {user}",
        (
            "Check the user and the password in the URL; characters such as @ : / # % have to be"
            " percent-encoded in it."
        ),
    ),
    (
        # With the quote, because a role may be called "database_user".
        'database ".*does not exist',
        'database "{database}" does not exist on {where}',
        'Create it ("createdb {database}"), or correct the name at the end of the URL.',
    ),
    (
        'role ".*does not exist',
        "{user} does not exist on {where}",
        "Correct the user in the URL.",
    ),
    (
        "connection is insecure|ssl required|no encryption|ssl off",
        "{where} requires TLS",
        'Add "sslmode=require" to the URL, as in "postgresql://host/name?sslmode=require".',
    ),
    (
        "does not support ssl",
        "server {where} does not support TLS, but the URL requires it",
        'Remove "sslmode=require" from the URL if this is the right server.',
    ),
    (
        "weak sslmode",
        "sslnegotiation=direct is for connections that require TLS, and the URL does not",
        'Add "sslmode=require" to the URL, or remove "sslnegotiation=direct".',
    ),
    (
        _UNASKED,
        "{where} does not take TLS without being asked for it",
        (
            'Remove "sslnegotiation=direct" from the URL; PostgreSQL before 17 and most poolers'
            " are asked first."
        ),
    ),
    (
        "definition of service",
        "{service} is not defined in a service file",
        "Correct PGSERVICE, or the file: ~/.pg_service.conf, or the one that PGSERVICEFILE names.",
    ),
    (
        "pg_hba.conf",
        "no pg_hba.conf entry on {where} allows {user} to connect from this host",
        "Ask the server's administrator for an entry in pg_hba.conf.",
    ),
    (
        "resolve|translate host name|name or service",
        'host "{host}" was not found',
        "Check the spelling of the host in the URL, and the network.",
    ),
    (
        "no such file or directory",
        "no server listens on a socket in {where}",
        'Start the server, correct the host, or try "--embedded" for a private one.',
    ),
    (
        "refused",
        "connection to {where} refused",
        'Start the server, correct host and port, or try "--embedded" for a private one.',
    ),
    (
        "too many clients|too many connections|remaining connection slots",
        "{where} has too many connections",
        "Close some, go through a pooler, or wait longer with --wait.",
    ),
    (
        "timeout|timed out",
        "{where} did not answer in time",
        "Check host, port and firewall; a sleeping server may need a longer --wait.",
    ),
)


def is_transient(words: str) -> bool:
    """Return whether it may help to wait, by libpq's description of a failed connection."""
    said = words.lower()
    # Of several hosts, one may be down and another reject the password.
    return "password authentication failed" not in said and bool(_TRANSIENT.search(said))


def will_not_change(error: LfmigrateError) -> bool:
    """Return whether a failure to connect has to be corrected, however long one waits.

    A database or a role that does not exist may be created meanwhile.
    """
    return isinstance(error, ConnectionFailed) and any(
        _FINAL.search(line.lower()) for line in error.detail
    )


def pooled(where: str) -> UsageError:
    return UsageError(
        f"{where} is a pooler, and what runs outside a transaction requires a direct connection",
        hint="Point --database-url at the server itself for this run.",
    )


def explain(words: str, parameters: dict[str, Any]) -> ConnectionFailed:
    """Turn libpq's description of a failed connection into an error with a way out."""
    said = words.lower()
    if (parameters.get("sslmode") or os.environ.get("PGSSLMODE")) not in {"disable", "allow"}:
        # Every refusal of a plain connection names it; it is the reason where TLS was declined.
        said = said.replace("no encryption", "").replace("ssl off", "")
    if _given(parameters, "sslnegotiation", "PGSSLNEGOTIATION") == "direct" and (
        "ssl error" in said and "certificate" not in said
    ):
        said = f"{said} {_UNASKED}"
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    user = _given(parameters, "user", "PGUSER")
    facts = {
        "where": where_of(parameters),
        "user": f'role "{user}"' if user else "this system user",
        "database": _given(parameters, "dbname", "PGDATABASE") or user,
        "host": _given(parameters, "host", "PGHOST"),
        "service": f'service "{_given(parameters, "service", "PGSERVICE")}"',
    }
    for pattern, message, hint in _EXPLANATIONS:
        if re.search(pattern, said, re.DOTALL):
            return ConnectionFailed(
                message.format(**facts), detail=lines, hint=hint.format(**facts)
            )
    return ConnectionFailed(f"cannot connect to {facts['where']}", detail=lines)


def where_of(parameters: dict[str, Any]) -> str:
    host = _given(parameters, "host", "PGHOST") or _given(parameters, "hostaddr", "PGHOSTADDR")
    port = _given(parameters, "port", "PGPORT")
    if not host and (service := _given(parameters, "service", "PGSERVICE")):
        return f'the server of service "{service}"'
    host = host or "the local socket"
    return f"{host}:{port}" if port else host


def _given(parameters: dict[str, Any], keyword: str, variable: str) -> str:
    """Return a parameter, or libpq's variable for it; empty if neither is set."""
    return str(parameters.get(keyword) or os.environ.get(variable) or "")
