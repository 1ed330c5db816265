"""Version and name identify a migration: what commands do with a folder that is another one."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.commands.up_report import UpReport
from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound, Refused
from lfmigrate.source.folder import read_folder
from tests.conftest import Cli
from tests.helpers.commands import migrations, up
from tests.helpers.databases import history, value

# Versions and names are compared on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

APPLIED = {
    "1_a.up.sql": "CREATE TABLE a (id int);",
    "1_a.down.sql": "DROP TABLE a;",
    "2_x.up.sql": "CREATE TABLE x (id int);",
    "2_x.down.sql": "DROP TABLE x;",
    "3_z.up.sql": "CREATE TABLE z (id int);",
    "3_z.down.sql": "DROP TABLE z;",
}
OTHER = {
    **{name: text for name, text in APPLIED.items() if not name.startswith("2")},
    "002_y.up.sql": "CREATE TABLE y (id int);",
    "002_y.down.sql": "DROP TABLE IF EXISTS a;",
    "seed/a.csv": "id\n1\n",
    "seed/load.sql": "CREATE TEMPORARY TABLE seed_a (id int) ON COMMIT DROP;\n"
    "INSERT INTO a SELECT id FROM seed_a;",
    "seed/checks/one.sql": "-- one\nSELECT id FROM a;",
}


def rollback(url: str, path: Path, **options: Any) -> RollbackReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(path), backup_dir=None, **options)


@pytest.mark.parametrize(
    "words",
    [
        ("up",),
        ("up", "--strict"),
        ("up", "--dry-run"),
        ("up", "--to", "1"),
        ("rollback", "--yes", "--to", "1"),
        ("rollback", "--yes", "--to", "0"),
        ("rollback", "--dry-run", "--to", "1"),
        ("seed",),
        ("seed", "--check"),
        ("seed", "--replace", "--yes"),
        ("accept", "2", "--yes"),
    ],
    ids=" ".join,
)
def test_another_migration_with_the_version_of_an_applied_one_is_refused(
    database: str, folder: Write, cli: Cli, dump: Dump, words: tuple[str, ...]
) -> None:
    """Both are named with where they come from, and nothing is changed."""
    up(database, folder(APPLIED))
    before = dump(database, rows=True)
    path = folder(OTHER)

    done = cli(*words, "--database-url", database, "--sql-dir", path)

    assert done.returncode == 5
    assert done.stderr.startswith(
        "error: version 002 is used by two different migrations: the history has 2_x, and the"
        " folder has 002_y\n  2_x (2_x.up.sql) was applied "
    )
    assert " by postgres\n" in done.stderr
    assert f"  002_y is {path / '002_y.up.sql'}\n  Nothing was changed.\n" in done.stderr
    assert dump(database, rows=True) == before


def test_the_applied_one_of_two_keeps_its_number(database: str, folder: Write) -> None:
    """The hint says which one may get another number, and so it does if the wrong one has."""
    up(database, folder({"1_x.up.sql": "CREATE TABLE x (id int);"}))
    files = {"1_y.up.sql": "CREATE TABLE y (id int);"}
    both = folder({**files, "1_x.up.sql": "CREATE TABLE x (id int);"})
    renumbered = folder({**files, "2_x.up.sql": "CREATE TABLE x (id int);"})

    with pytest.raises(lfmigrate.SqlFileError, match="version 1 is used more than once") as twice:
        lfmigrate.read_folder(both)
    with pytest.raises(Refused, match="the history has 1_x, and the folder has 1_y") as wrong:
        up(database, renumbered)
    right = up(database, folder({"1_x.up.sql": "CREATE TABLE x (id int);", "2_y.up.sql": "SELECT"}))

    assert "Keep the one that was applied" in str(twice.value.hint)
    assert "the applied one keeps its own" in str(wrong.value.hint)
    assert "2_x.up.sql has the text of 1_x: it was applied, so rename it back" in wrong.value.detail
    assert [m.status for m in right.migrations if m.version == "2"] == ["applied"]


def test_what_has_begun_is_no_other_migration_either(database: str, folder: Write) -> None:
    """A file that has run halfway must not be continued with the statements of another."""
    head = "-- lfmigrate: no-transaction\n"
    begun = folder({"1_x.up.sql": f"{head}CREATE TABLE x (id int);\nSELECT 1 / 0;"})
    with pytest.raises(lfmigrate.StatementFailed):
        up(database, begun)

    with pytest.raises(Refused, match="the history has 1_x, and the folder has 1_y") as caught:
        up(database, folder({"1_y.up.sql": f"{head}SELECT 1;\nCREATE TABLE y (id int);"}))

    assert any(line.startswith("1_x (1_x.up.sql) was begun ") for line in caught.value.detail)
    assert value(database, "SELECT to_regclass('y') IS NULL")


def test_several_of_them_are_refused_together(database: str, folder: Write) -> None:
    """A folder of another application has more than one."""
    up(database, folder(APPLIED))
    other = folder({f"{n}_other.up.sql": f"SELECT {n};" for n in range(1, 4)})

    with pytest.raises(Refused, match="3 versions are each used by two") as caught:
        up(database, other)

    assert len(caught.value.detail) == 6


def test_a_rollback_past_them_needs_neither(database: str, folder: Write) -> None:
    """What is rolled back is the same in both; the recorded script of 2_x is that of 2_x."""
    up(database, folder(APPLIED))
    path = folder(OTHER)

    newest = rollback(database, path)
    recorded = rollback(database, path, recorded=True)

    assert [m.version for m in newest.migrations] == ["3"]
    assert [(m.version, m.name) for m in recorded.migrations] == [("2", "x")]
    assert value(database, "SELECT to_regclass('x') IS NULL AND to_regclass('a') IS NOT NULL")


def test_the_down_file_of_the_other_migration_is_never_offered(
    database: str, folder: Write
) -> None:
    """2_x was applied without one, and that of 002_y is not its own."""
    up(database, folder({"2_x.up.sql": "CREATE TABLE x (id int);"}))

    with pytest.raises(Refused) as caught:
        rollback(database, folder(OTHER), recorded=True)

    assert caught.value.message == "migration 2_x cannot be rolled back: it has no down file"


def test_a_backup_needs_no_folder_at_all(
    database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """It saves the tables of the history, in whatever folder one is."""
    up(database, folder(APPLIED))

    done = cli(
        *("backup", "--out", tmp_path / "out", "--database-url", database),
        *("--sql-dir", folder(OTHER)),
    )

    assert done.returncode == 0
    assert len(list((tmp_path / "out").glob("*.csv"))) == 3


@pytest.mark.parametrize("name", ["2_renamed", "002_x"])
def test_the_same_text_under_another_name_is_noted(database: str, folder: Write, name: str) -> None:
    """It is a renamed file: nothing runs, nothing is refused, and rollback finds its down file."""
    up(database, folder(APPLIED))
    path = folder({n.replace("2_x", name): text for n, text in APPLIED.items()})

    report = up(database, path, strict=True)

    assert set(migrations(report).values()) == {"already_applied"}
    assert report.notes == (f"2_x was renamed to {name} after it was applied",)
    assert [m.version for m in rollback(database, path, to="1").migrations] == ["3", "2"]


@pytest.mark.parametrize(
    "renamed", ["003_one.up.sql", "20240501120000_other.up.sql"], ids=["number", "name"]
)
def test_a_file_that_was_renumbered_does_not_run_again(
    database: str, folder: Write, renamed: str
) -> None:
    """Its text is known; a copy next to the original is another migration."""
    text = "CREATE TABLE IF NOT EXISTS a (n int); INSERT INTO a VALUES (1)"
    up(database, folder({"001_one.up.sql": text}))

    with pytest.raises(Refused, match=f"{renamed} is applied already, as version 001"):
        up(database, folder({renamed: text}))

    up(database, folder({"001_one.up.sql": text, renamed: text}))
    assert value(database, "SELECT count(*) FROM a") == 2


def test_a_file_that_is_read_in_another_format_does_not_run_again(
    database: str, folder: Write
) -> None:
    """sql-migrate's version is the whole file name, and the text a section of the file."""
    files = {"001_a.sql": "-- +migrate Up\nCREATE TABLE IF NOT EXISTS a (n int);\n"}
    path = folder(files)
    up(database, read_folder(path, format="lfmigrate"))
    down = {"001_a.sql": f"{files['001_a.sql']}-- +migrate Down\nDROP TABLE a;\n"}

    with pytest.raises(Refused, match=r"001_a\.sql is applied already, as version 001"):
        up(database, read_folder(folder(down)))


def test_a_name_in_another_normal_form_is_the_same(database: str, folder: Write) -> None:
    """Some file systems decompose what was written composed; the file may be edited, too."""
    composed = unicodedata.normalize("NFC", "1_caf\u00e9.up.sql")
    up(database, folder({composed: "CREATE TABLE a (id int);"}))
    path = folder({unicodedata.normalize("NFD", composed): "CREATE TABLE a (id int); SELECT 1;"})

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.status(conn, lfmigrate.read_folder(path))

    assert [m.status for m in report.migrations] == ["edited"]
    assert len(report.notes) == 1


# --------------------------------------------------------------------------------------------------
# up --strict
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"4_more.up.sql": "CREATE TABLE more (id int);"}])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"2_x.up.sql": "CREATE TABLE x (id bigint);"},
            ("1 migration was edited after it was applied", "edited: 2_x"),
        ),
        ({"2_x.up.sql": None}, ("1 applied file is not in the folder", "missing: 2_x")),
        ({"views/v.sql": None}, ("1 applied file is not in the folder", "missing: views/v.sql")),
    ],
)
def test_a_strict_up_runs_nothing_if_an_applied_file_was_edited_or_is_missing(
    database: str,
    folder: Write,
    change: Mapping[str, str | None],
    problem: tuple[str, str],
    more: Mapping[str, str],
) -> None:
    """Pending files are no difference: to run them is what it is for."""
    view = {"views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;"}
    files = {n: text for n, text in APPLIED.items() if n.endswith(".up.sql")} | view
    up(database, folder(files))
    before = history(database)
    path = folder({n: t for n, t in {**files, **change, **more}.items() if t is not None})

    with pytest.raises(DifferenceFound) as caught:
        up(database, path, strict=True)

    assert (caught.value.message, *caught.value.detail) == problem
    assert caught.value.outcome == NOTHING_CHANGED
    report = caught.value.report
    assert isinstance(report, UpReport)
    assert {v.status for v in report.relations} == {"unchanged"}
    assert history(database) == before
    assert value(database, "SELECT to_regclass('more') IS NULL")
    assert "already_applied" in migrations(up(database, path)).values()
