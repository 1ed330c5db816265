"""A server with TLS and passwords, and a pooler in front of it, as hosted databases have them.

The programs are those of `.ci/servers.py`: the private server is built without TLS. The system has
to have `openssl`, and `pgbouncer` for the pooler.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from bench.measure import OUTPUT_CHARACTERS, ROOT
from bench.result import NotMeasured

SERVERS = ROOT / ".ci" / "servers.py"

# Who needs a password, and who is let in without one; both with TLS or without, as they wish.
PASSWORD_ROLE = "with_password"  # noqa: S105 (a role)
TRUSTED_ROLE = "trusted"
PASSWORD = "a password of a test"  # noqa: S105

CERTIFICATE = "server.crt"
KEY = "server.key"

ACCESS = f"""\
host all {PASSWORD_ROLE} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""

POOLER_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
auth_type = scram-sha-256
auth_file = {folder}/users.txt
client_tls_sslmode = allow
client_tls_cert_file = {folder}/{certificate}
client_tls_key_file = {folder}/{key}
logfile = {folder}/pgbouncer.log
"""

# A local PgBouncer listens within milliseconds.
START_S = 10


@dataclass(frozen=True)
class TlsServer:
    """A server that runs, or a pooler.

    Attributes:
        port: Where it listens on 127.0.0.1.
        data: The server's data directory; its owner is the user who runs it.
        certificate: Of the server and the pooler, for `localhost` and 127.0.0.1.
    """

    port: int
    data: Path
    certificate: Path

    def url(self, role: str) -> str:
        """Return the URL for a role, which says nothing about TLS."""
        return make_conninfo(
            host="127.0.0.1", port=self.port, dbname="postgres", user=role, password=PASSWORD
        )


@contextmanager
def tls_server(version: int) -> Iterator[TlsServer]:
    """Run a server with TLS; it is stopped and removed afterwards.

    Args:
        version: PostgreSQL's major version.

    Raises:
        NotMeasured: There is no `openssl`, or no such server for this kind of machine.
    """
    with tempfile.TemporaryDirectory(prefix=f"lfmigrate-tls-{version}-") as name:
        folder = Path(name, "server")
        # As root, the server runs as another user, who has to pass through.
        folder.parent.chmod(0o755)
        try:
            url = _servers("start", str(version), "--dir", folder)
            yield _set_up(url, folder / "data")
        finally:
            _servers("stop", "--dir", folder)


@contextmanager
def pooler(server: TlsServer) -> Iterator[TlsServer]:
    """Run PgBouncer in front of a server, with TLS and passwords for its clients.

    Raises:
        NotMeasured: There is no `pgbouncer`, or it did not start.
    """
    program = _pgbouncer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    settings = POOLER_SETTINGS.format(
        server_port=server.port, port=port, folder=server.data, certificate=CERTIFICATE, key=KEY
    )
    _write(server.data / "users.txt", f'"{PASSWORD_ROLE}" "{PASSWORD}"\n')
    file = _write(server.data / "pgbouncer.ini", settings)
    owner = server.data.stat().st_uid if os.geteuid() == 0 else None
    process = subprocess.Popen([program, "--quiet", file], user=owner)
    try:
        _wait_for(port, process)
        yield replace(server, port=port)
    finally:
        process.terminate()
        process.wait(START_S)


def write_certificate(key: Path, certificate: Path) -> None:
    """Write a key and a certificate for `localhost` and 127.0.0.1, which is its own authority.

    Raises:
        NotMeasured: There is no `openssl`.
    """
    if shutil.which("openssl") is None:
        raise NotMeasured("it needs openssl: apt-get install openssl")
    # The names have to be there as well: clients do not read the subject any more.
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    openssl = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30")
    written = ("-keyout", key, "-out", certificate)
    _run(*openssl, "-subj", "/CN=localhost", "-addext", names, *written)


def pooler_version() -> str:
    """Return PgBouncer's version.

    Raises:
        NotMeasured: There is no `pgbouncer`.
    """
    return _run(_pgbouncer(), "--version").split()[1]


def _pgbouncer() -> str:
    # Debian keeps it where a plain user's PATH does not lead.
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise NotMeasured("it needs pgbouncer: apt-get install pgbouncer")
    return program


def _set_up(url: str, data: Path) -> TlsServer:
    """Give a server that runs a certificate and roles, and have it read its files again."""
    key, certificate = _write(data / KEY, ""), _write(data / CERTIFICATE, "")
    write_certificate(key, certificate)
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("ssl = on\n")
    _write(data / "pg_hba.conf", ACCESS)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {TRUSTED_ROLE} LOGIN")
        conn.execute(f"CREATE ROLE {PASSWORD_ROLE} LOGIN PASSWORD '{PASSWORD}'")
        conn.execute("SELECT pg_reload_conf()")
        server = TlsServer(conn.info.port, data, certificate)
    _wait_until_loaded(server)
    return server


def _wait_until_loaded(server: TlsServer) -> None:
    """Wait until new sessions find the new settings; the server reads them in its own time."""
    deadline = time.monotonic() + START_S
    url = make_conninfo(server.url(TRUSTED_ROLE), sslmode="require")
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _write(file: Path, text: str) -> Path:
    """Write a file that belongs to the owner of its folder, who alone may read it."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
    return file


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise NotMeasured("PgBouncer did not start")


def _servers(*arguments: str | Path) -> str:
    return _run(sys.executable, SERVERS, *arguments)


def _run(*command: str | Path) -> str:
    """Run a program, and return what it has printed.

    Raises:
        NotMeasured: It failed; the text has the end of what it says.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise NotMeasured(f"{command[0]}: {done.stderr.strip()[-OUTPUT_CHARACTERS:]}")
    return done.stdout.strip()
