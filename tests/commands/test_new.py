"""What `new` makes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lfmigrate
from lfmigrate.errors import NOTHING_CHANGED, SqlFileError, UsageError
from tests.conftest import Cli

Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.mark.parametrize(
    ("there", "version"),
    [
        ([], "001"),
        (["001_a.up.sql"], "002"),
        (["001_a.up.sql", "002_b.up.sql"], "003"),
        (["1_a.up.sql"], "2"),
        (["9_a.up.sql"], "10"),
        (["099_a.up.sql"], "100"),
        (["999_a.up.sql"], "1000"),
        (["00041_a.sql"], "00042"),
        (["001_a.up.sql", "010_b.up.sql"], "011"),
        (["9_a.up.sql", "10_b.up.sql"], "11"),
        (["README.sql"], "001"),
    ],
    ids=", ".join,
)
def test_the_next_number_has_the_width_of_the_newest(
    folder: Write, there: list[str], version: str
) -> None:
    """What sorts in a listing goes on sorting."""
    path = folder(dict.fromkeys(there, "SELECT 1;"))

    report = lfmigrate.new(path, "add scores")

    assert report.up == path / f"{version}_add_scores.up.sql"
    assert report.down == path / f"{version}_add_scores.down.sql"
    assert report.up.exists()
    assert report.down.exists()


def test_a_folder_of_timestamps_gets_the_present_time(folder: Write) -> None:
    """In UTC, so that people in two time zones do not overtake each other."""
    path = folder({"20240101120000_a.up.sql": "SELECT 1;"})
    before = datetime.now(UTC).strftime("%Y%m%d%H%M%S")

    report = lfmigrate.new(path, "b")

    version = report.up.name.split("_")[0]
    assert before <= version <= datetime.now(UTC).strftime("%Y%m%d%H%M%S")


def test_a_timestamp_is_never_below_the_newest(folder: Write) -> None:
    """A clock that is behind must not make a migration that is refused as out of order."""
    path = folder({"29990101120000_a.up.sql": "SELECT 1;"})

    report = lfmigrate.new(path, "b")

    assert report.up.name == "29990101120001_b.up.sql"


def test_two_calls_make_two_versions(folder: Write) -> None:
    """Within the same second, too."""
    path = folder({"20240101120000_a.up.sql": "SELECT 1;"})

    first, second = lfmigrate.new(path, "b"), lfmigrate.new(path, "b")

    assert int(first.up.name.split("_")[0]) < int(second.up.name.split("_")[0])


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("add_risk_scores", "add_risk_scores"),
        ("Add Risk Scores", "add_risk_scores"),
        ("  add -- risk/scores!  ", "add_risk_scores"),
        ("../../etc/passwd", "etc_passwd"),
        ("a.up.sql", "a_up_sql"),
        ("Übersicht für Ärzte", "übersicht_für_ärzte"),
        ("42", "42"),
        ("{version}", "version"),
    ],
)
def test_a_name_becomes_snake_case(folder: Write, name: str, slug: str) -> None:
    """Whatever was typed, it is one file in the folder."""
    path = folder({})

    report = lfmigrate.new(path, name)

    assert report.up == path / f"001_{slug}.up.sql"


@pytest.mark.parametrize("name", ["", " ", "--", "/", "...", "___", "!?"])
def test_a_name_without_a_letter_is_refused(folder: Write, name: str) -> None:
    """Nothing is made."""
    path = folder({})

    with pytest.raises(UsageError, match="invalid migration name") as caught:
        lfmigrate.new(path, name)

    assert caught.value.outcome == NOTHING_CHANGED
    assert list(path.iterdir()) == []


def test_nothing_is_overwritten(folder: Write) -> None:
    """Not even a down file whose up file is not there, which is a mistake."""
    path = folder({"001_a.down.sql": "DROP TABLE a;"})

    with pytest.raises(SqlFileError, match=r"has no matching 001_a\.up\.sql"):
        lfmigrate.new(path, "a")

    assert [p.name for p in path.iterdir()] == ["001_a.down.sql"]
    assert (path / "001_a.down.sql").read_text() == "DROP TABLE a;"


def test_what_is_in_the_way_stays_and_no_half_is_left(folder: Write) -> None:
    """A folder by the down file's name: neither file is made."""
    path = folder({})
    (path / "001_a.down.sql").mkdir()

    with pytest.raises(UsageError):
        lfmigrate.new(path, "a")

    assert [p.name for p in path.iterdir()] == ["001_a.down.sql"]


def test_a_folder_with_a_mistake_is_reported(folder: Write) -> None:
    """The next number cannot be known where two files have the same one."""
    path = folder({"1_a.up.sql": "SELECT 1;", "1_b.up.sql": "SELECT 1;"})

    with pytest.raises(SqlFileError, match="more than once"):
        lfmigrate.new(path, "c")


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    """The first migration of a project needs no mkdir."""
    report = lfmigrate.new(tmp_path / "migrations", "first")

    assert report.up.read_text(encoding="utf-8").startswith("-- 001: first")


def test_a_missing_parent_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is reported rather than created."""
    with pytest.raises(UsageError, match="cannot write"):
        lfmigrate.new(tmp_path / "no" / "where", "first")

    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    """It is no folder, and it stays as it is."""
    (tmp_path / "sql").write_text("mine")

    with pytest.raises(UsageError):
        lfmigrate.new(tmp_path / "sql", "first")

    assert (tmp_path / "sql").read_text() == "mine"


# It is about the files.
@pytest.mark.any_version
def test_what_is_made_can_be_run_as_it_is(folder: Write, database: str) -> None:
    """The pair is read, applied and verified; a header alone does nothing."""
    path = folder({})
    lfmigrate.new(path, "first")
    read = lfmigrate.read_folder(path)

    with lfmigrate.connect(database) as conn:
        report = lfmigrate.up(conn, read)

    assert [(m.version, m.status) for m in report.migrations] == [("001", "applied")]
    assert read.migrations[0].down is not None
    assert report.notes == ("001_first.up.sql has no statements",)


def test_the_command_prints_the_two_paths(tmp_path: Path, cli: Cli) -> None:
    """One a line, for an editor to open."""
    path = tmp_path / "sql"

    done = cli("new", "Add scores", "--sql-dir", path)

    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        str(path / "001_add_scores.up.sql"),
        str(path / "001_add_scores.down.sql"),
    ]


def test_the_commands_json_names_the_files(tmp_path: Path, cli: Cli) -> None:
    """One document, and nothing else."""
    done = cli("new", "a", "--json", "--sql-dir", tmp_path)

    document = json.loads(done.stdout)
    assert (document["command"], document["ok"]) == ("new", True)
    assert document["files"] == [
        str(tmp_path / "001_a.up.sql"),
        str(tmp_path / "001_a.down.sql"),
    ]


def test_junk_is_refused_with_exit_code_two(tmp_path: Path, cli: Cli) -> None:
    """The message shows a name that would do."""
    done = cli("new", "!!", "--sql-dir", tmp_path)

    assert done.returncode == 2
    assert "invalid migration name" in done.stderr
    assert "Nothing was changed." in done.stderr


@pytest.mark.parametrize("variables", [{}, {"LFMIGRATE_SQL_DIR": ""}])
def test_the_folder_has_no_default(cli: Cli, variables: dict[str, str]) -> None:
    """The bundled files belong to the installed package."""
    before = sorted(lfmigrate.shipped_folder().rglob("*"))

    done = cli("new", "add scores", env=variables)

    assert done.returncode == 2
    assert "no directory is configured" in done.stderr
    assert "--sql-dir" in done.stderr
    assert sorted(lfmigrate.shipped_folder().rglob("*")) == before


def test_the_folder_may_be_configured(cli: Cli, tmp_path: Path) -> None:
    """In the environment or in a .env."""
    done = cli("new", "add scores", env={"LFMIGRATE_SQL_DIR": str(tmp_path / "mine")})

    assert done.returncode == 0
    assert (tmp_path / "mine" / "001_add_scores.up.sql").exists()


URLS = (
    "postgresql://me:sw0rdf1sh@127.0.0.1:1/nowhere",
    "postgresql://me@127.0.0.1:1/nowhere?password=sw0rdf1sh",
    "host=127.0.0.1 port=1 user=me password=sw0rdf1sh",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "{}", "--sql-dir", "sql"),
        ("new", "a", "--sql-dir", "{}"),
        ("backup", "--out", "{}"),
        ("rollback", "--yes", "--backup-dir", "{}"),
        ("seed", "--from", "{}"),
        ("restore", "{}"),
        ("up", "--sql-dir", "{}"),
    ],
    ids=" ".join,
)
def test_a_password_becomes_no_file_name(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], url: str
) -> None:
    """A URL in the wrong place is refused before anything is sent or written."""
    options = ("--wait", "0", "--database-url", URLS[0]) if arguments[0] != "new" else ()

    done = cli(*(word.format(url) for word in arguments), *options)

    assert done.returncode == 2
    assert "password" in done.stderr or "URL" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert "sw0rdf1sh" not in done.stdout + done.stderr
    assert list((tmp_path / "cwd").rglob("*")) == []


@pytest.mark.parametrize("name", [*URLS, "postgres://host/name"])
def test_the_function_refuses_a_url_as_well(tmp_path: Path, name: str) -> None:
    """Without quoting it."""
    with pytest.raises(UsageError, match="a database URL is no migration name"):
        lfmigrate.new(tmp_path, name)

    assert list(tmp_path.iterdir()) == []
