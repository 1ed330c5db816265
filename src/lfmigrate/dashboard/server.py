"""Runs the application for `lfmigrate serve`, until a signal stops it."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Callable

import uvicorn

from lfmigrate.dashboard.app import create_app
from lfmigrate.dashboard.reads import Database
from lfmigrate.errors import DifferenceFound, UsageError
from lfmigrate.settings import Serving

_STOP_S = 5
_BACKLOG = 128


def serve(
    url: str, serving: Serving, *, host: str, port: int, on_start: Callable[[str], None]
) -> None:
    """Serve the dashboard; returns when a signal has stopped it, as an exception.

    Args:
        url: The database, as libpq takes it.
        serving: What it may do, and for whom.
        host: The name or address to listen on.
        port: The port to listen on; 0 for a free one.
        on_start: Called with the address of the first page when it can be opened.

    Raises:
        UsageError: Others could reach it, and there is no token; or the port is in use.
        DifferenceFound: A table or a view of migration 002 is missing.
    """
    if not host:
        raise UsageError("--host is empty")
    if not is_local(host) and serving.token is None:
        raise UsageError(
            f"others could reach {host}, and there is no token",
            hint="Name a file with one: --token-file, or set LFMIGRATE_SERVE_TOKEN.",
        )
    app = create_app(url, serving)
    _check_schema(url, serving)
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    with listener:
        name = f"[{host}]" if ":" in host else host
        on_start(f"http://{name}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])


def is_local(host: str) -> bool:
    """Return whether only this machine can reach a name or an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_schema(url: str, serving: Serving) -> None:
    database = Database(url, serving)
    try:
        missing = database.missing()
    finally:
        database.close()
    if missing:
        raise DifferenceFound(
            f"{missing[0]} is missing"
            if len(missing) == 1
            else f"{len(missing)} tables and views are missing",
            detail=missing,
            hint="Run: lfmigrate up",
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol, asyncio does not recognize TCP, and answers wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # there, it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            hint="Correct --host."
            if isinstance(error, socket.gaierror)
            else "Choose another port: --port 0 takes a free one.",
        ) from None
    return listener
