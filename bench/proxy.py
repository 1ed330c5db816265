"""A TCP proxy in front of a PostgreSQL server that adds delay, and counts flights and bytes.

A *flight* is one client-to-server burst that waits for an answer: what a slow link makes expensive.
However many messages a client sends before the server's next byte reaches it, they are one flight.
A message that is never answered, such as the final Terminate, is none. Nor is one after which the
client has ended its side, such as TLS's last one: the server answers it, and no one waits for that.

    with Proxy(target_of(url), delay_ms=15) as proxy:
        psycopg.connect(through(url, proxy.port)).close()
        assert proxy.flights == 1

A server may answer the start of a long burst while the client still sends its end: it flushes each
NOTICE at once, for one. Without a delay it is then a matter of luck whether the client has seen
that byte before its next packet, and the count may vary. With a delay longer than the burst takes
to send, the count is the number of times that the client really waited.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

# Where the server listens: a host and port, or the path of a Unix socket.
Target = tuple[str, int] | str

DEFAULT_PORT = 5432

# As large as a loopback packet, so that a usual burst is one read.
READ_BYTES = 65_536

# How much one direction holds back before the proxy stops reading from its source, as a real
# link's buffers would. Far above what any delay used here can have under way.
QUEUE_BYTES = 64 * 1024 * 1024

# A local server accepts at once or never.
CONNECT_TIMEOUT_S = 10.0


class Proxy:
    """A proxy on a free port of 127.0.0.1, open while its ``with`` block runs.

    Delay does not limit throughput: what is sent at t arrives at t + ``delay_ms``, however much
    else is under way. A round trip takes ``delay_ms`` twice. Making the TCP connection itself is
    not delayed.

    Attributes:
        port: Where it listens.
        flights: Bursts that were answered, over all connections. A flight counts just before its
            answer's first byte is passed on, so a client that has read the answer finds it counted.
        bytes_up: Bytes received from clients.
        bytes_down: Bytes received from the server.
    """

    def __init__(self, target: Target, delay_ms: float = 0) -> None:
        self.port = 0
        self.flights = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._target = target
        self._delay_s = delay_ms / 1000
        # Not the platform's best selector: epoll's and poll's timeouts are rounded up to whole
        # milliseconds, which would add up to 2 ms to a round trip.
        self._selector = selectors.SelectSelector()
        self._links: set[_Link] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        # Closing one end wakes the thread up wherever it waits.
        self._stop, self._stopped = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.close()
        self._thread.join()
        for link in self._links:
            link.close()
        self._selector.close()
        self._stopped.close()
        self._listener.close()

    def reset(self) -> None:
        """Set the counters to zero; connections stay as they are."""
        self.flights = self.bytes_up = self.bytes_down = 0

    def _run(self) -> None:
        while True:
            times = [at for link in self._links if (at := link.next_due()) is not None]
            due = min(times, default=None)
            timeout = None if due is None else max(0.0, due - monotonic())
            for key, events in self._selector.select(timeout):
                if key.fileobj is self._stopped:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif events & selectors.EVENT_READ:
                    link: _Link = key.data
                    link.read(key.fileobj)
            now = monotonic()
            for link in list(self._links):
                link.deliver(now)
                if link.is_over():
                    link.close()
                    self._links.discard(link)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # it has gone away again
            return
        try:
            server = _connect(self._target)
        except OSError:
            # What a client sees of a server that is down behind a pooler or a load balancer.
            client.close()
            return
        self._links.add(_Link(self, client, server, self._selector, self._delay_s))


def target_of(url: str) -> Target:
    """Return where the server of a libpq URL or connection string listens.

    Args:
        url: A URL or connection string with one host, which may be the folder of a Unix socket.

    Returns:
        A host and port, or the path of the Unix socket.

    Raises:
        ValueError: It names no host, or more than one.
    """
    parts = conninfo_to_dict(url)
    host = str(parts.get("hostaddr") or parts.get("host") or "")
    if not host or "," in host:
        raise ValueError("a proxy needs a URL with exactly one host")
    port = int(parts.get("port") or DEFAULT_PORT)
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(url: str, port: int) -> str:
    """Return the URL by which the same database is reached through a proxy.

    Args:
        url: A libpq URL or connection string.
        port: The port that the proxy listens on.

    Returns:
        A ``postgresql://`` URL, which libpq's clients and the others understand, without TLS: the
        proxy would count its handshake, and cannot be who the certificate names.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    for name in ("host", "hostaddr", "port", "sslmode", "channel_binding"):
        parts.pop(name, None)
    user = quote(parts.pop("user", ""), safe="")
    password = quote(parts.pop("password", ""), safe="")
    database = quote(parts.pop("dbname", ""), safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    options = urlencode({**parts, "sslmode": "disable"}, quote_via=quote)
    return f"postgresql://{login}127.0.0.1:{port}/{database}?{options}"


class _Link:
    """One client's connection and the server's that belongs to it."""

    def __init__(
        self,
        proxy: Proxy,
        client: socket.socket,
        server: socket.socket,
        selector: selectors.BaseSelector,
        delay_s: float,
    ) -> None:
        for sock in (client, server):
            sock.settimeout(0)
            if sock.family != socket.AF_UNIX:
                # A burst leaves at once, or the kernel would add delays of its own.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._proxy = proxy
        self._client = client
        self._server = server
        self._selector = selector
        self._up = _Way(client, server, delay_s)
        self._down = _Way(server, client, delay_s)
        self._is_waiting = False
        self._follow()

    def read(self, sock: object) -> None:
        """Take what a socket has; it comes due after the delay."""
        if sock is self._client:
            if size := self._up.read():
                self._proxy.bytes_up += size
                self._is_waiting = True
        else:
            self._proxy.bytes_down += self._down.read()
        self._follow()

    def deliver(self, now: float) -> None:
        """Pass on what is due."""
        self._up.deliver(now)
        if self._is_waiting and not self._up.is_ended and self._down.has_bytes_due(now):
            self._is_waiting = False
            self._proxy.flights += 1
        self._down.deliver(now)
        self._follow()

    def next_due(self) -> float | None:
        """Return when there is next something to pass on, or None."""
        times = [at for way in (self._up, self._down) if (at := way.next_due()) is not None]
        return min(times, default=None)

    def is_over(self) -> bool:
        """Return whether both sides have finished sending, and everything was passed on."""
        return self._up.is_over and self._down.is_over

    def close(self) -> None:
        """Close both connections."""
        for sock in (self._client, self._server):
            self._watch(sock, 0)
            sock.close()

    def _follow(self) -> None:
        self._watch(self._client, self._up.wants_read() | self._down.wants_write())
        self._watch(self._server, self._down.wants_read() | self._up.wants_write())

    def _watch(self, sock: socket.socket, events: int) -> None:
        known = self._selector.get_map().get(sock)
        if known is None:
            if events:
                self._selector.register(sock, events, self)
        elif not events:
            self._selector.unregister(sock)
        elif known.events != events:
            self._selector.modify(sock, events, self)


class _Way:
    """One direction of a connection: what was read from ``source`` and is not yet at ``sink``."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay_s: float) -> None:
        self._source = source
        self._sink = sink
        self._delay_s = delay_s
        self._queue: deque[tuple[float, bytes]] = deque()  # when it is due; b"" is the end
        self._queued_bytes = 0
        self._outgoing = bytearray()  # due, but the sink has not taken it yet
        self._is_ending = False  # the end is due, once `_outgoing` is gone
        self.is_ended = False  # nothing more will be read
        self.is_over = False  # and everything was passed on

    def read(self) -> int:
        """Read once and return the number of bytes; 0 at the end."""
        try:
            chunk = self._source.recv(READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:  # a reset ends the stream, too
            chunk = b""
        self.is_ended = not chunk
        if not self.is_over:
            self._queue.append((monotonic() + self._delay_s, chunk))
            self._queued_bytes += len(chunk)
        return len(chunk)

    def has_bytes_due(self, now: float) -> bool:
        return bool(self._queue) and self._queue[0][0] <= now and self._queue[0][1] != b""

    def deliver(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            _, chunk = self._queue.popleft()
            self._outgoing += chunk
            self._is_ending = not chunk
        try:
            if self._outgoing:
                sent = self._sink.send(self._outgoing)
                self._queued_bytes -= sent
                del self._outgoing[:sent]
            if self._is_ending and not self._outgoing and not self.is_over:
                self.is_over = True
                # The other direction may still have something to send.
                self._sink.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:  # the sink is gone: its data is discarded
            self._queue.clear()
            self._outgoing.clear()
            self._queued_bytes = 0
            self.is_over = True

    def next_due(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def wants_read(self) -> int:
        wants = not self.is_ended and self._queued_bytes < QUEUE_BYTES
        return selectors.EVENT_READ if wants else 0

    def wants_write(self) -> int:
        return selectors.EVENT_WRITE if self._outgoing else 0


def _connect(target: Target) -> socket.socket:
    if not isinstance(target, str):
        return socket.create_connection(target, timeout=CONNECT_TIMEOUT_S)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.settimeout(CONNECT_TIMEOUT_S)
        server.connect(target)
    except OSError:
        server.close()
        raise
    return server
