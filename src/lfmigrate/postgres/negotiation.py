"""Opens a connection over TLS without asking for it first, where the server is known to take that.

That saves a round trip: the client does not send SSLRequest and wait for the answer. libpq does not
fall back by itself, and a server that does not know it costs two further round trips, or does not
answer at all. So it is used for Neon, whose proxy takes it whatever the server's version; a URL may
ask for it anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq

from lfmigrate.postgres.neon import is_neon

# libpq knows it since 17.
_FIRST_LIBPQ = 170_000

# With a weaker one, libpq refuses it.
_STRONG_MODES = frozenset({"require", "verify-ca", "verify-full"})


def open_connection(parameters: Mapping[str, Any]) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode, without prepared statements.

    Args:
        parameters: libpq's keywords.

    Raises:
        psycopg.OperationalError: As libpq describes it.

    Source:
        PostgreSQL, "sslnegotiation"; Neon's proxy takes it since July 2024.
    """
    options = {**parameters, "autocommit": True, "prepare_threshold": None}
    if takes_direct_tls(parameters):
        try:
            return psycopg.Connection.connect(**options, sslnegotiation="direct")
        except psycopg.OperationalError as error:
            # What the server itself says, and a network that is down, would be the same again.
            if "SSL error" not in str(error):
                raise
    return psycopg.Connection.connect(**options)


def takes_direct_tls(parameters: Mapping[str, Any]) -> bool:
    """Return whether a server is known to take TLS without being asked, and nothing forbids it.

    Args:
        parameters: libpq's keywords.
    """
    mode = parameters.get("sslmode") or os.environ.get("PGSSLMODE")
    is_chosen = "sslnegotiation" in parameters or "PGSSLNEGOTIATION" in os.environ
    # A service may say anything.
    has_service = "service" in parameters or "PGSERVICE" in os.environ
    return (
        is_neon(str(parameters.get("host") or os.environ.get("PGHOST") or ""))
        and mode in _STRONG_MODES
        and not is_chosen
        and not has_service
        and pq.version() >= _FIRST_LIBPQ
    )
