"""Real servers for the tests: the embedded PostgreSQL 18, or the one LFMIGRATE_TEST_URL names.

``LFMIGRATE_TEST_URL`` is the URL of a database that a superuser may connect to; every test makes
databases of its own beside it and drops them again.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.cli import process, which
from lfmigrate.engine import outcome
from lfmigrate.engine.blocking import BlockingSessions
from lfmigrate.errors import UsageError
from lfmigrate.postgres.programs import bin_folder
from lfmigrate.pytest_plugin.databases import TestDatabases
from lfmigrate.pytest_plugin.server import private_server

# The fixtures for databases are those of the plugin.
pytest_plugins = ["lfmigrate.pytest_plugin", "pytester"]

Run = Callable[..., subprocess.CompletedProcess[str]]
Cli = Run
Psql = Run
Golden = Callable[[str, str], None]

# How long an example takes depends on what else the machine does.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# What differs from run to run and from server to server, and what stands for it in golden texts.
_NOISE = (
    (r"PostgreSQL\s+\d+\.\d+", "PostgreSQL N.N"),
    (r"lf_test_[0-9a-f]{12}", "DATABASE"),
    (r"lf_role_[0-9a-f]{12}", "ROLE"),
    (r"(127\.0\.0\.1:|port=|port )\d+", r"\1PORT"),
    (r" *[\d.]+ ms", " N ms"),
    (r"\d+\.\d\d s", "N.NN s"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-01-02 03:04:05"),
    # The last column of `status`, whose heading moves with it.
    (r"(\d\d:\d\d:\d\d  \S+) +\d+$", r"\1 N"),
    (r"By +ms$", "By ms"),
    # Its length follows the numbers and names above.
    ("─+", "───"),
    # The resolver's words, which follow the network that the tests run in.
    (r"\[Errno -?\d+\] .*", "[Errno N] REASON"),
)


# Fixtures that start a server, and all that start one or connect to one.
_OWN_SERVERS = frozenset({"gated", "guarded", "private_server"})
_SERVERS = _OWN_SERVERS | {"lfmigrate_server_url", "pooler_url"}

# Markers of tests that run on the versions they need; what a browser shows is the same on all.
_CLASSIFIED = frozenset({"per_version", "any_version", "sweep", "pooler", "browser", "tools"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden/*.txt with what is printed now; read the difference before"
        " committing it",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Use two workers for each processor: tests wait for the server more than they compute."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure() -> None:
    """Hear Ctrl-C even if the shell started the tests in the background, where it is ignored.

    The processes that tests start inherit that, and would not end when they are interrupted. Nor
    do they inherit a width, which a worker of xdist has as soon as it has loaded readline.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Classify each test by what it touches; CONTRIBUTING.md explains the markers.

    A test with a server runs on the oldest and the newest version unless it says that it needs
    all of them, or that one is enough. Where a module says so, a test of it may say otherwise.
    """
    for item in items:
        has_server = _SERVERS.intersection(getattr(item, "fixturenames", ()))
        marks = {mark.name for mark in item.iter_markers()}
        if has_server and not marks & _CLASSIFIED:
            # A server of the test's own is the embedded one, whatever the others run on.
            item.add_marker("any_version" if has_server <= _OWN_SERVERS else "two_versions")
        if not has_server and "process" not in marks:
            item.add_marker("unit")


# What tests count, with what is said of it and the variable that asks for a least number.
_COUNTS = {
    "faults": ("{} faults were made, and left nothing half done", "LFMIGRATE_LEAST_FAULTS"),
    "folders": (
        "{} folders were drawn, and expected alike in every way",
        "LFMIGRATE_LEAST_FOLDERS",
    ),
    "schemas": (
        "{} schemas were drawn, rolled back and restored with all rows",
        "LFMIGRATE_LEAST_SCHEMAS",
    ),
}


def _counted(config: pytest.Config, name: str) -> int:
    """Return what the tests that passed have counted under a name."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    passed = reporter.stats.get("passed", []) if reporter is not None else []
    return sum(count for r in passed for counted, count in r.user_properties if counted == name)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many faults were swept, and how many folders and schemas were drawn."""
    for name, (words, _) in _COUNTS.items():
        if count := _counted(config, name):
            terminalreporter.write_line(words.format(count))
    passed = terminalreporter.stats.get("passed", [])
    if tools := sorted({text for r in passed for key, text in r.user_properties if key == "tool"}):
        terminalreporter.write_line(f"tested with the tools themselves: {', '.join(tools)}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if fewer were counted than were asked for: nothing swept is nothing proved."""
    if hasattr(session.config, "workerinput"):
        return  # workers know only of their own tests
    for name, (_, variable) in _COUNTS.items():
        wanted = int(os.environ.get(variable, "0"))
        if _counted(session.config, name) < wanted:
            sys.stderr.write(f"error: fewer than {wanted} {name} were counted\n")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def expect_golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that holds a text against a file: ``expect_golden("up_drifted", text)``."""

    def hold(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / f"{name}.txt"
        for noise, word in _NOISE:
            text = re.sub(noise, word, text, flags=re.MULTILINE)
        # Where the first line is broken follows the names and numbers in it.
        head, blank, rest = text.partition("\n\n")
        if blank and ": database " in " ".join(head.split()):
            text = " ".join(head.split()) + blank + rest
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return hold


def _no_server(why: str) -> NoReturn:
    """Skip at a desk, fail in CI: there, a test that did not run would pass unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def pooler_url() -> str:
    """Return the URL of a transaction pooler in front of the server; for tests marked pooler."""
    if url := os.environ.get("LFMIGRATE_TEST_POOLER_URL"):
        return url
    why = "no pooler to test on: LFMIGRATE_TEST_POOLER_URL is not set"
    # Set by the steps of CI that provide one; nothing else in CI has to.
    if os.environ.get("LFMIGRATE_TEST_EXPECTS_POOLER"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def lfmigrate_server_url(pytestconfig: pytest.Config) -> str:
    """Return the plugin's server, or skip where there is none."""
    if url := os.environ.get("LFMIGRATE_TEST_URL"):
        return url
    try:
        return private_server(pytestconfig.rootpath)
    except UsageError as error:
        _no_server(f"no PostgreSQL to test on: {error}")


@pytest.fixture(scope="session")
def server_url(lfmigrate_server_url: str) -> str:
    """Return the URL of a superuser's connection to the server that the tests run on."""
    return lfmigrate_server_url


@pytest.fixture(scope="session")
def lfmigrate_folder() -> lfmigrate.Folder:
    """Return the shipped migration, of which `applied` is a copy."""
    return lfmigrate.read_folder(lfmigrate.shipped_folder())


@pytest.fixture(scope="session")
def server_version(server_url: str) -> int:
    """Return the server's major version, such as 18."""
    with psycopg.connect(server_url) as conn:
        return conn.info.server_version // 10000


@pytest.fixture
def create_database(
    server_url: str, _lfmigrate_databases: TestDatabases
) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database and returns its URL; the test's end drops it."""
    names: list[str] = []

    def create(template: str | None = None) -> str:
        names.append(_lfmigrate_databases.create(template))
        return make_conninfo(server_url, dbname=names[-1])

    yield create
    _lfmigrate_databases.drop(*names)


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no command ask on a second connection what other sessions do at the same time.

    Those are which ones block a slow statement, and whose a new role is, which another test may
    have created. Each question is two flights, which a busy machine would add to a count.
    """
    monkeypatch.setattr(BlockingSessions, "ask", lambda _: None)
    monkeypatch.setattr(outcome, "_with_roles", lambda _, made, *__: made.effects)


@pytest.fixture
def database(create_database: Callable[..., str]) -> str:
    """Return the URL of an empty database of this test's own."""
    return create_database()


@pytest.fixture
def applied(create_database: Callable[..., str], lfmigrate_template: str) -> str:
    """Return the URL of a database of this test's own with the shipped migration applied."""
    return create_database(lfmigrate_template)


@pytest.fixture(scope="session")
def seeded_template(_lfmigrate_databases: TestDatabases, lfmigrate_folder: lfmigrate.Folder) -> str:
    """Return the name of a database with the shipped migration and its seed, to be cloned."""

    def migrate(conn: psycopg.Connection) -> None:
        lfmigrate.up(conn, lfmigrate_folder)
        lfmigrate.seed(conn, lfmigrate_folder)

    return _lfmigrate_databases.template("seeded", migrate)


@pytest.fixture
def seeded(create_database: Callable[..., str], seeded_template: str) -> str:
    """Return the URL of a database of this test's own with the shipped seed in it."""
    return create_database(seeded_template)


@pytest.fixture
def role(server_url: str) -> Iterator[str]:
    """Return the name of a role that may log in and nothing else; ask for it before a database."""
    name = sql.Identifier(f"lf_role_{uuid4().hex[:12]}")
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    yield name.as_string().strip('"')
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Return a function that writes a folder of SQL files and returns its path."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / f"sql-{uuid4().hex[:6]}"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of a command: nothing in it would change the outcome but ``added``."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LFMIGRATE_", "PG", "GITHUB_"))
        and name not in {"DATABASE_URL", "COLUMNS"}
    }
    return {**inherited, **(added or {})}


def _run_process(
    arguments: list[str], environment: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lfmigrate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def _run_here(
    arguments: list[str], environment: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command line in the test's own process, and put everything back that it may change.

    Interpreting Python's start and imports once instead of for each call saves 0.4 s each.
    """
    # Signal handlers belong to the main thread, the environment and the folder to the process.
    assert threading.current_thread() is threading.main_thread(), "mark this test `process`"
    # Python and libc read these as they start.
    read_at_start = ("PYTHON", "LC_", "LANG", "TZ")
    assert all(
        environment.get(name) == os.environ.get(name)
        for name in {*environment, *os.environ}
        if name.startswith(read_at_start)
    ), "mark this test `process`"
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    saved = dict(os.environ), Path.cwd(), sys.argv, sys.excepthook
    streams = sys.stdin, sys.stdout, sys.stderr
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    which.forget()  # a process reads the file once
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 (a device, not a path)
        try:
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(cwd)
            sys.argv = ["lfmigrate", *arguments]
            sys.stdin, sys.stdout, sys.stderr = nothing, out, err
            with pytest.raises(SystemExit) as end:
                process.main()
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams
            environ, folder, sys.argv, sys.excepthook = saved
            os.environ.clear()
            os.environ.update(environ)
            os.chdir(folder)
            which.forget()
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    said = (stream.buffer.getvalue().decode() for stream in (out, err))
    code = end.value.code
    return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 0, *said)


@pytest.fixture
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """Return a function that runs lfmigrate as a person would, in an empty folder.

    Nothing of the environment that would change the outcome is handed on; ``env`` adds to it.
    The command runs in the test's own process, unless the test is marked ``process``.
    """
    home = tmp_path / "cwd"
    home.mkdir()
    start = _run_process if request.node.get_closest_marker("process") else _run_here

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return start([*map(str, arguments)], _environment(env), cwd or home)

    yield run
    # As root, the data of a private server is not below a folder that only root can enter.
    if (pgdata := home / ".lfmigrate" / "pgdata").is_symlink():
        shutil.rmtree(pgdata.resolve())


@pytest.fixture
def without_private_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lfmigrate find no private PostgreSQL, as without the extra `embedded`."""
    monkeypatch.setattr("lfmigrate.engine.shadow.major_version", lambda: None)


@pytest.fixture
def psql() -> Run:
    """Return a function that runs psql as a person would: ``psql(url, "-f", "a.sql")``."""

    def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _client("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", url, *arguments)

    return run


@pytest.fixture
def dump() -> Callable[..., str]:
    """Return a function that describes a whole database with pg_dump, lfmigrate's history apart.

    ``dump(url)`` is the schema, ``dump(url, rows=True)`` the rows as well: an oracle that shares
    no code with lfmigrate.
    """

    def run(url: str, *, rows: bool = False) -> str:
        options = [] if rows else ["--schema-only"]
        done = _client("pg_dump", "--exclude-schema=lfmigrate", *options, "-d", url)
        assert done.returncode == 0, done.stderr
        # A key that pg_dump draws each time.
        noise = ("\\restrict", "\\unrestrict")
        return "\n".join(x for x in done.stdout.splitlines() if not x.startswith(noise))

    return run


def _client(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL 18's own clients, which speak to all servers that are tested."""
    return subprocess.run(
        [str(bin_folder() / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
