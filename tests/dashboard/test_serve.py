"""The command: what it prints, how it stops, and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from urllib.error import HTTPError

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.proxy import target_of, through
from lfmigrate.dashboard.server import _listen
from tests.conftest import Cli
from tests.dashboard.conftest import Serve
from tests.helpers.databases import execute
from tests.helpers.faults import Cutter, wait_until

pytestmark = pytest.mark.any_version


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(serve: Serve, seeded_to_read: str, number: int) -> None:
    """It prints its address, a line for each request, and ends as `embedded` does."""
    server = serve(seeded_to_read)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.address)
    with urllib.request.urlopen(server.address + "api/recommendations/3") as answer:  # noqa: S310 (its own address)
        assert json.load(answer)["id"] == 3
    code, said = server.stop(number)
    lines = said.splitlines()
    assert code == 0
    assert lines[0] == "Ctrl-C stops it"
    assert lines[1].startswith("GET /api/recommendations/3 200 ")
    assert lines[2:] == ["stopping"]


@pytest.mark.process
def test_a_request_is_answered_before_it_stops(serve: Serve, seeded: str) -> None:
    """SIGTERM while a query waits: the answer still comes."""
    server = serve(seeded, "-q")
    host, port = re.findall(r"//(.*):(\d+)/", server.address)[0]
    with (
        psycopg.connect(seeded) as conn,
        psycopg.connect(seeded, autocommit=True) as observer,
        socket.create_connection((host, int(port))) as client,
    ):
        conn.execute("LOCK TABLE recommendations")
        client.sendall(
            b"GET /api/recommendations/3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        wait_until(
            lambda: bool(
                observer.execute(
                    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                ).fetchall()
            ),
            "the request waits",
        )
        server.process.send_signal(signal.SIGTERM)
        conn.rollback()
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(60) == 0


@pytest.mark.process
def test_a_database_that_has_moved(serve: Serve, seeded_to_read: str) -> None:
    """The first of two servers ends: the name is looked up again, and the second one is used."""
    target = target_of(seeded_to_read)
    with Cutter(target, at_byte=-1, meanwhile=lambda: None) as second:
        with Cutter(target, at_byte=-1, meanwhile=lambda: None) as first:
            known = conninfo_to_dict(seeded_to_read)
            url = make_conninfo(
                "",
                host="127.0.0.1,127.0.0.1",
                port=f"{first.port},{second.port}",
                dbname=str(known["dbname"]),
                user=str(known["user"]),
            )
            server = serve(url, "-q")
        path = server.address + "api/recommendations/3"

        def answers() -> bool:
            with suppress(HTTPError), urllib.request.urlopen(path) as answer:  # noqa: S310 (its own address)
                return bool(answer.status == 200)
            return False

        wait_until(answers, "the second server is used")
        assert second.accepted > 0


@pytest.mark.process
def test_it_stops_although_the_database_says_nothing(serve: Serve, seeded: str) -> None:
    """A connection that hangs does not hold the process."""
    with Cutter(
        target_of(seeded), b"recommendation_list", hold_server=True, hold_client=True
    ) as proxy:
        server = serve(through(seeded, proxy.port), "-q", "--statement-timeout", "10min")
        host, port = re.findall(r"//(.*):(\d+)/", server.address)[0]
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /api/recommendations HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: proxy.cuts > 0, "the request hangs")
            code, _ = server.stop(signal.SIGTERM)
    assert code == 0


def test_without_the_tables(cli: Cli, database: str) -> None:
    """Exit 3, and the command that creates them."""
    done = cli("serve", "--port", "0", env={"DATABASE_URL": database})
    assert done.returncode == 3
    assert "13 tables and views are missing" in done.stderr
    assert "Run: lfmigrate up" in done.stderr


def test_without_one_of_the_tables(cli: Cli, applied: str) -> None:
    """It is named."""
    execute(applied, "DROP VIEW v_current_cost_categories")
    done = cli("serve", "--port", "0", env={"DATABASE_URL": applied})
    assert done.returncode == 3
    assert "v_current_cost_categories is missing" in done.stderr


def test_without_a_database(cli: Cli) -> None:
    """Exit 4, as every command."""
    done = cli("serve", "--wait", "0", "--database-url", "postgresql://me@127.0.0.1:1/nowhere")
    assert done.returncode == 4
    assert "127.0.0.1" in done.stderr


def test_without_the_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2, and the command that installs it."""
    monkeypatch.delitem(sys.modules, "lfmigrate.dashboard.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = cli("serve", "--embedded")
    assert done.returncode == 2
    assert "pip install 'lfmigrate[dashboard]'" in done.stderr


def test_others_need_a_token(cli: Cli, seeded_to_read: str, tmp_path: Path) -> None:
    """An address that others reach is refused without one, and a token that others can read."""
    url = {"DATABASE_URL": seeded_to_read}
    token_file = tmp_path / "token"
    token_file.write_text("a-token-of-thirty-characters-x\n")
    token_file.chmod(0o644)
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):  # noqa: S104 (it is refused)
        done = cli("serve", "--port", "0", "--host", host, env=url)
        assert done.returncode == 2
        assert "--token-file" in done.stderr
    done = cli("serve", "--token-file", token_file, env=url)
    assert done.returncode == 2
    assert f"chmod 600 {token_file}" in done.stderr
    token_file.chmod(0o600)
    token_file.write_text("too-short")
    done = cli("serve", "--token-file", token_file, env=url)
    assert (done.returncode, "shorter than 16" in done.stderr) == (2, True)
    done = cli("serve", env=url | {"LFMIGRATE_SERVE_TOKEN": "too-short"})
    assert (done.returncode, "too-short" in done.stderr) == (2, False)
    # As DATABASE_URL, it may be in a .env.
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".env").write_text("LFMIGRATE_SERVE_TOKEN=too-short\n")
    done = cli("serve", env=url, cwd=tmp_path / "project")
    assert (done.returncode, "shorter than 16" in done.stderr) == (2, True)
    done = cli("serve", "--token-file", tmp_path / "none", env=url)
    assert done.returncode == 2


@pytest.mark.process
def test_with_a_token(serve: Serve, seeded_to_read: str) -> None:
    """It may listen for others."""
    token = "a-token-of-thirty-characters-x"  # noqa: S105 (made up)
    server = serve(seeded_to_read, "--host", "0.0.0.0", LFMIGRATE_SERVE_TOKEN=token)  # noqa: S104 (with a token)
    address = server.address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 (as above)
    request = urllib.request.Request(  # noqa: S310 (its own address)
        address + "api/recommendations", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 (its own address)
        assert answer.status == 200
    _, said = server.stop()
    assert token not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "70000"], "70000"),
        (["--allow-origin", "https://a.example/x"], "is not an origin"),
        (["--allow-origin", "*"], "is not an origin"),
        (["--allow-origin", "https://["], "is not an origin"),
        (["--allow-origin", "https://"], "is not an origin"),
        (["--allow-origin", "https://EXAMPLE.com"], "is not an origin"),
        (["--allow-origin", "https://example.com:443"], "is not an origin"),
        (["--allow-origin", "https://u@example.com"], "is not an origin"),
        (["--as", "a\nb"], "--as"),
        (["--as", "x" * 256], "--as"),
        (["--allow-host", "postgresql://u:secret@h/d"], "contains a password"),
        (["--allow-host", "https://a.example"], "is not a name"),
        (["--allow-host", "a.example:8443"], "is not a name"),
    ],
)
def test_wrong_options(cli: Cli, seeded_to_read: str, arguments: list[str], says: str) -> None:
    """Exit 2, and what is wrong."""
    done = cli("serve", *arguments, env={"DATABASE_URL": seeded_to_read})
    assert done.returncode == 2
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_a_port_that_is_in_use(cli: Cli, seeded_to_read: str) -> None:
    """Exit 2, and the way to another one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = cli("serve", "--port", str(port), env={"DATABASE_URL": seeded_to_read})
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert "--port 0" in done.stderr


def test_answers_do_not_wait_for_an_acknowledgement() -> None:
    """Asyncio sends at once on a socket that it recognizes as TCP."""
    with closing(_listen("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
