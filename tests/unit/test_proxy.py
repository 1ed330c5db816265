"""The proxy that benchmarks and network tests look through counts and passes on correctly."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench.proxy import Proxy, target_of, through
from bench.tls import write_certificate

# The proxy passes on bytes.
pytestmark = pytest.mark.any_version

# Long enough for a client to send what it has before the first answer reaches it, on a busy
# machine too; no test measures against it.
DELAY_MS = 50

# Far more than anything here takes; only a defect waits that long.
PATIENCE_S = 20


@contextmanager
def connected(url: str, delay_ms: float = 0) -> Iterator[tuple[Proxy, psycopg.Connection]]:
    """Open a connection through a proxy of its own."""
    with (
        Proxy(target_of(url), delay_ms) as proxy,
        psycopg.connect(through(url, proxy.port), autocommit=True, prepare_threshold=None) as conn,
    ):
        yield proxy, conn


@contextmanager
def plain_server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """Run a server that is no PostgreSQL: it serves one client and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.settimeout(PATIENCE_S)
                answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join(PATIENCE_S)


def read_all(sock: socket.socket) -> bytes:
    """Read until the other side has closed."""
    chunks = bytearray()
    while chunk := sock.recv(65_536):
        chunks += chunk
    return bytes(chunks)


def test_connecting_is_one_flight(database: str) -> None:
    """With trust authentication and no TLS the server answers the startup message at once."""
    with connected(database) as (proxy, _):
        assert proxy.flights == 1


def test_each_statement_is_one_more_flight(database: str) -> None:
    """Three statements in autocommit mode wait three times."""
    with connected(database) as (proxy, conn):
        for number in range(3):
            conn.execute("SELECT %s::int", [number])

        assert proxy.flights == 4


def test_a_transaction_block_costs_a_flight_for_begin_and_for_commit(database: str) -> None:
    """BEGIN and COMMIT are sent on their own by psycopg."""
    with connected(database) as (proxy, conn):
        with conn.transaction():
            conn.execute("SELECT 1")

        assert proxy.flights == 4


def test_a_pipeline_of_twenty_statements_is_one_flight(database: str) -> None:
    """What is sent without waiting costs one round trip."""
    with connected(database, DELAY_MS) as (proxy, conn):
        proxy.reset()
        with conn.pipeline():
            for number in range(20):
                conn.execute("SELECT %s::int", [number])

        assert proxy.flights == 1


def test_notices_in_the_middle_of_a_pipeline_are_no_flights(database: str) -> None:
    """The server flushes each notice at once; with a delay that does not split the burst."""
    with connected(database, DELAY_MS) as (proxy, conn):
        conn.execute("CREATE TABLE there (id int)")
        proxy.reset()
        with conn.pipeline():
            for _ in range(20):
                conn.execute("CREATE TABLE IF NOT EXISTS there (id int)")

        assert proxy.flights == 1


def test_saying_goodbye_is_no_flight(database: str) -> None:
    """The Terminate message is seen, but not answered."""
    with Proxy(target_of(database)) as proxy:
        conn = psycopg.connect(through(database, proxy.port), autocommit=True)
        conn.execute("SELECT 1")
        before = proxy.bytes_up
        conn.close()
        _wait_until(lambda: proxy.bytes_up > before)

        assert proxy.bytes_up == before + len(b"X\0\0\0\4")
        assert proxy.flights == 2


def test_flights_of_several_connections_add_up(database: str) -> None:
    """Two clients through one proxy are counted together, each in its own order."""
    with (
        connected(database) as (proxy, one),
        psycopg.connect(through(database, proxy.port), autocommit=True) as two,
    ):
        one.execute("SELECT 1")
        two.execute("SELECT 1")

        assert proxy.flights == 4


def test_reset_starts_counting_from_zero_on_an_open_connection(database: str) -> None:
    """After a reset only what follows counts."""
    with connected(database) as (proxy, conn):
        proxy.reset()

        assert (proxy.flights, proxy.bytes_up, proxy.bytes_down) == (0, 0, 0)
        conn.execute("SELECT 1")
        assert proxy.flights == 1
        assert proxy.bytes_up > 0
        assert proxy.bytes_down > 0


@pytest.mark.parametrize("delay_ms", [0, DELAY_MS])
def test_a_large_result_and_a_large_parameter_arrive_whole(database: str, delay_ms: float) -> None:
    """Several megabytes each way are passed on byte for byte, and counted."""
    sent = "".join(f"{number:07}" for number in range(500_000))
    with connected(database, delay_ms) as (proxy, conn):
        row = conn.execute("SELECT %s || %s", [sent, "!"]).fetchone()

        assert row == (sent + "!",)
        assert proxy.bytes_up > len(sent)
        assert proxy.bytes_down > len(sent)


def test_copy_passes_in_both_directions(database: str) -> None:
    """A COPY streams without answers in between; what goes in comes out."""
    rows = [(number, f"row {number}") for number in range(20_000)]
    with connected(database, 1) as (_, conn):
        conn.execute("CREATE TABLE copied (id int, note text)")
        with conn.cursor().copy("COPY copied FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        with conn.cursor().copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int4", "text"])
            found = list(copy.rows())

    assert found == rows


def test_a_delay_keeps_bursts_in_order_and_whole() -> None:
    """Many small bursts are under way at the same time and arrive in the order they were sent."""
    sent = [f"{number};".encode() for number in range(2_000)]
    received = bytearray()

    def answer(client: socket.socket) -> None:
        received.extend(read_all(client))

    with plain_server(answer) as target, Proxy(target, DELAY_MS) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            for burst in sent:
                client.sendall(burst)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""

        assert bytes(received) == b"".join(sent)
        assert proxy.bytes_up == len(received)
        assert proxy.flights == 0


def test_a_delayed_answer_leaves_only_after_the_whole_question_has_arrived() -> None:
    """What the server sees, and when it answers, is unchanged by the delay."""

    def answer(client: socket.socket) -> None:
        question = client.makefile("rb").readline()
        client.sendall(question.upper())

    with plain_server(answer) as target, Proxy(target, DELAY_MS) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"half a question ")
            client.sendall(b"and the rest\n")

            assert read_all(client) == b"HALF A QUESTION AND THE REST\n"
        assert proxy.flights == 1


def test_a_tls_handshake_is_one_flight(tmp_path: Path) -> None:
    """With TLS 1.3, the client sends its question together with the end of the handshake."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    write_certificate(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as server:
            server.sendall(server.recv(100).upper())

    trusting = ssl.create_default_context(cafile=certificate)
    with plain_server(answer) as target, Proxy(target, DELAY_MS) as proxy:
        plain = socket.create_connection(("127.0.0.1", proxy.port))
        with trusting.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"question")

            assert client.recv(100) == b"QUESTION"
            assert proxy.flights == 2


@pytest.mark.parametrize("delay_ms", [0, DELAY_MS])
def test_a_client_that_has_stopped_sending_still_gets_its_answer(delay_ms: float) -> None:
    """A half-closed connection stays open in the other direction, and counts as no flight."""
    body = b"x" * 3_000_000

    def answer(client: socket.socket) -> None:
        client.sendall(b"%d:" % len(read_all(client)))
        client.sendall(body)

    with plain_server(answer) as target, Proxy(target, delay_ms) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)

            assert read_all(client) == b"5:" + body
        assert (proxy.bytes_up, proxy.bytes_down) == (5, len(body) + 2)
        # As the end of a TLS session, which the server answers.
        assert proxy.flights == 0


def test_a_server_that_hangs_up_ends_the_client(database: str, server_url: str) -> None:
    """When the server ends a session, the client hears why and then that it is over."""
    with connected(database, 1) as (_, conn):
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])

        with pytest.raises(psycopg.errors.AdminShutdown):
            conn.execute("SELECT 1")
        assert conn.closed


def test_a_client_that_vanishes_ends_the_session(database: str, server_url: str) -> None:
    """The server hears of a client that closed its socket without saying goodbye."""
    with Proxy(target_of(database)) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port))
        parts = conninfo_to_dict(database)
        options = f"user\0{parts['user']}\0database\0{parts['dbname']}\0\0".encode()
        startup = b"\0\3\0\0" + options
        client.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
        assert client.recv(1) == b"R"  # authentication
        client.close()

        with psycopg.connect(server_url, autocommit=True) as admin:
            _wait_until(lambda: _sessions(admin, str(parts["dbname"])) == 0)


def test_the_proxy_serves_on_after_a_connection_has_broken(database: str) -> None:
    """One client's reset does not matter to others."""
    with connected(database) as (proxy, conn):
        rude = socket.create_connection(("127.0.0.1", proxy.port))
        # Closing with this option sends a reset, not an end.
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        rude.sendall(b"\0\0")
        rude.close()

        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_down_closes_the_connection() -> None:
    """Where nothing listens behind the proxy, a client is turned away and not left waiting."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        target = gone.getsockname()
    with Proxy(target) as proxy:
        with pytest.raises(psycopg.OperationalError, match="closed"):
            psycopg.connect(f"host=127.0.0.1 port={proxy.port} sslmode=disable user=a dbname=b")

        assert proxy.flights == 0


def test_leaving_the_block_closes_what_is_open(database: str) -> None:
    """After the block the port is closed and open connections are gone."""
    with Proxy(target_of(database)) as proxy:
        conn = psycopg.connect(through(database, proxy.port), autocommit=True)

    with pytest.raises(psycopg.OperationalError):
        conn.execute("SELECT 1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a@db.example.com/x", ("db.example.com", 5432)),
        ("postgresql://a@db.example.com:6432/x", ("db.example.com", 6432)),
        ("postgresql://a@[::1]:6432/x", ("::1", 6432)),
        ("host=db.example.com hostaddr=127.0.0.2 port=7", ("127.0.0.2", 7)),
        ("postgresql://a@/x?host=/run/pg", "/run/pg/.s.PGSQL.5432"),
        ("postgresql://a@%2Frun%2Fpg:6432/x", "/run/pg/.s.PGSQL.6432"),
        ("host=/run/pg port=5433 dbname=x", "/run/pg/.s.PGSQL.5433"),
    ],
)
def test_the_target_is_where_libpq_would_connect(url: str, expected: tuple[str, int] | str) -> None:
    """Hosts, addresses and socket folders are understood in URLs and connection strings."""
    assert target_of(url) == expected


@pytest.mark.parametrize("url", ["postgresql:///x", "postgresql://a,b/x", "dbname=x"])
def test_a_target_that_is_not_one_host_is_refused(url: str) -> None:
    """A proxy has one server behind it."""
    with pytest.raises(ValueError, match="exactly one host"):
        target_of(url)


def test_the_url_through_a_proxy_changes_the_place_and_nothing_else() -> None:
    """User, password, database and options survive, however odd; TLS does not."""
    url = (
        "postgresql://us%40er:p%2Fss%3Aw%20rd@db.example.com:6432/d%20b%3F"
        "?sslmode=require&channel_binding=require&application_name=a%26b"
    )

    result = through(url, 4711)

    assert re.match(r"postgresql://[^/]+@127\.0\.0\.1:4711/", result)
    assert conninfo_to_dict(result) == {
        "user": "us@er",
        "password": "p/ss:w rd",
        "host": "127.0.0.1",
        "port": "4711",
        "dbname": "d b?",
        "application_name": "a&b",
        "sslmode": "disable",
    }


def _sessions(admin: psycopg.Connection, database: str) -> int:
    row = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database]
    ).fetchone()
    assert row is not None
    return int(row[0])


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread or the server does."""
    deadline = monotonic() + PATIENCE_S
    while not is_so() and monotonic() < deadline:
        sleep(0.005)
    assert is_so()
