"""What connecting costs: flights before the first query, by how a server lets its clients in."""

from __future__ import annotations

from collections.abc import Container
from contextlib import ExitStack

from psycopg.conninfo import make_conninfo

import lfmigrate
from bench.measure import ROUND_TRIP_MS, Settings, say
from bench.proxy import Proxy
from bench.result import NotMeasured, Table
from bench.tls import PASSWORD_ROLE, TRUSTED_ROLE, TlsServer, pooler, pooler_version, tls_server

VERSIONS = (17, 18)
ROLES = {TRUSTED_ROLE, PASSWORD_ROLE}

# Which role connects, and what its URL says.
WAYS = {
    "no TLS, trust": (TRUSTED_ROLE, {"sslmode": "disable"}),
    "no TLS, SCRAM": (PASSWORD_ROLE, {"sslmode": "disable"}),
    "TLS, trust": (TRUSTED_ROLE, {"sslmode": "require"}),
    "TLS, SCRAM": (PASSWORD_ROLE, {"sslmode": "require"}),
    "sslnegotiation=direct, trust": (
        TRUSTED_ROLE,
        {"sslmode": "require", "sslnegotiation": "direct"},
    ),
    "sslnegotiation=direct, SCRAM": (
        PASSWORD_ROLE,
        {"sslmode": "require", "sslnegotiation": "direct"},
    ),
}

NOTES = (
    "A real link adds one round trip for the TCP connection.",
    "With TLS, PostgreSQL 17 takes one more: OpenSSL does not offer its `ssl_ecdh_curve` first.",
)


def run(settings: Settings) -> list[Table]:
    """Count and return the table."""
    counted: dict[str, list[str]] = {}
    notes = list(NOTES)
    with ExitStack() as stack:
        for version in VERSIONS:
            say(f"connecting: PostgreSQL {version}")
            server = stack.enter_context(tls_server(version))
            counted[f"PostgreSQL {version}"] = _count(server, settings.runs, ROLES)
        try:
            say("connecting: PgBouncer")
            entrance = stack.enter_context(pooler(server))
            title = f"PgBouncer {pooler_version()}"
            # It asks every client for a password.
            counted[title] = _count(entrance, settings.runs, {PASSWORD_ROLE})
        except NotMeasured as error:
            notes.append(f"Not behind PgBouncer: {error}")
    rows = [(way, *found) for way, *found in zip(WAYS, *counted.values(), strict=True)]
    return [Table("Flights before the first query", ("", *counted), rows, notes)]


def _count(server: TlsServer, runs: int, roles: Container[str]) -> list[str]:
    """Return the flights of each way to connect, as text; nothing for those of other roles."""
    found = []
    for role, options in WAYS.values():
        tries = range(runs if role in roles else 0)
        flights = {_flights(server, role, options) for _ in tries}
        found.append(", ".join(sorted(flights)))
    return found


def _flights(server: TlsServer, role: str, options: dict[str, str]) -> str:
    with Proxy(("127.0.0.1", server.port), delay_ms=ROUND_TRIP_MS / 2) as proxy:
        url = make_conninfo(server.url(role), port=proxy.port, **options)
        try:
            lfmigrate.connect(url).close()
        except lfmigrate.ConnectionFailed:
            return "refused"
        return str(proxy.flights)
