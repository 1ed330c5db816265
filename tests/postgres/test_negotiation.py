"""TLS without asking for it first, where the server is known to take that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from bench.proxy import Proxy
from bench.tls import PASSWORD_ROLE, TlsServer, tls_server
from lfmigrate.errors import ConnectionFailed
from lfmigrate.postgres.connection import address_of
from lfmigrate.postgres.negotiation import takes_direct_tls

NEON = "ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech"


@pytest.fixture(scope="module")
def tls(server_version: int, pooler_url: str) -> Iterator[TlsServer]:  # noqa: ARG001 (see below)
    """Return a server with TLS, of the version that is tested.

    Like a pooler, it has to be installed first; so the tests are skipped where there is none.
    """
    with tls_server(server_version) as server:
        yield server


def through(server: TlsServer, proxy: Proxy, **more: Any) -> str:
    """Return the URL by which a server is reached, through a proxy, under another name."""
    url = server.url(PASSWORD_ROLE)
    return make_conninfo(url, hostaddr="127.0.0.1", port=proxy.port, sslmode="require", **more)


@pytest.mark.any_version  # nothing here depends on the server
@pytest.mark.parametrize(
    ("url", "takes"),
    [
        (f"postgresql://me@{NEON}/app?sslmode=require", True),
        (f"postgresql://me@{NEON}/app?sslmode=verify-full&channel_binding=require", True),
        (f"postgresql://me@{NEON}/app", False),
        (f"postgresql://me@{NEON}/app?sslmode=prefer", False),
        (f"postgresql://me@{NEON}/app?sslmode=require&sslnegotiation=postgres", False),
        (f"postgresql://me@{NEON},db.example.com/app?sslmode=require", False),
        ("postgresql://me@db.example.com/app?sslmode=require", False),
        ("postgresql://me@db.neon.tech.example.com/app?sslmode=require", False),
        (f"service=app host={NEON} sslmode=require", False),
        ("dbname=app", False),
    ],
)
def test_which_servers_are_known_to_take_it(
    url: str, *, takes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is documented, unless the URL has chosen."""
    for name in ("PGSSLMODE", "PGSSLNEGOTIATION", "PGSERVICE", "PGHOST"):
        monkeypatch.delenv(name, raising=False)

    assert takes_direct_tls(conninfo_to_dict(url)) == takes


@pytest.mark.pooler  # see the fixture
@pytest.mark.per_version
def test_it_saves_a_flight_or_is_tried_once(tls: TlsServer, server_version: int) -> None:
    """Where the server does not take it, the connection is made as usual."""
    counted = {}
    for host in ("localhost", NEON):
        with Proxy(("127.0.0.1", tls.port), delay_ms=10) as proxy:
            with closing(lfmigrate.connect(through(tls, proxy, host=host))) as conn:
                assert conn.pgconn.ssl_in_use
                address = conninfo_to_dict(address_of(conn))
            counted[host] = proxy.flights
        is_direct = host == NEON and server_version >= 17
        assert address.get("sslnegotiation", "postgres") == ("direct" if is_direct else "postgres")

    # An attempt at which the server hangs up is not answered, and so no flight.
    saved = counted["localhost"] - counted[NEON]
    assert saved == (1 if server_version >= 17 else 0)


@pytest.mark.any_version  # nothing here depends on the server
def test_a_url_that_does_not_require_tls_is_explained() -> None:
    """In libpq's words, it is a weak sslmode."""
    with pytest.raises(ConnectionFailed, match="for connections that require TLS") as failed:
        lfmigrate.connect("postgresql://me@127.0.0.1:1/app?sslnegotiation=direct")

    assert failed.value.hint is not None
    assert "sslmode=require" in failed.value.hint


@pytest.mark.pooler  # as above
@pytest.mark.per_version
def test_a_server_that_has_to_be_asked_is_explained(tls: TlsServer, server_version: int) -> None:
    """What the URL says is done, and nothing else tried."""
    url = make_conninfo(tls.url(PASSWORD_ROLE), sslmode="require", sslnegotiation="direct")
    if server_version >= 17:
        lfmigrate.connect(url).close()
        return

    with pytest.raises(ConnectionFailed, match="without being asked") as failed:
        lfmigrate.connect(url)

    assert failed.value.hint is not None
    assert 'Remove "sslnegotiation=direct"' in failed.value.hint


@pytest.mark.pooler  # as above
@pytest.mark.per_version
def test_a_wrong_password_is_tried_once(tls: TlsServer) -> None:
    """Whichever way it was sent: services ban clients that repeat it."""
    log = tls.data.parent / "server.log"
    rejected = "password authentication failed"
    before = log.read_text(encoding="utf-8").count(rejected)

    with (
        Proxy(("127.0.0.1", tls.port)) as proxy,
        pytest.raises(ConnectionFailed, match="rejected the password"),
    ):
        lfmigrate.connect(through(tls, proxy, host=NEON, password="wrong"))  # noqa: S106 (as it says)

    assert log.read_text(encoding="utf-8").count(rejected) == before + 1
