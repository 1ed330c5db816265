"""The folders of other tools run as they are, and what ran is what the history says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import lfmigrate
from tests.conftest import Cli
from tests.unit.formats.folders import CASES, A, B, Case

Write = Callable[[Mapping[str, str | bytes]], Path]

# Files are read and texts compared on this side of the connection.
pytestmark = pytest.mark.any_version


def write(folder: Write, case: Case) -> Path:
    """Write a folder and return its path."""
    files = {f"{case.path}/{file}".lstrip("/"): text for file, text in case.files.items()}
    return folder(files) / case.path


@pytest.mark.parametrize("name", CASES)
def test_a_folder_runs_as_it_is(database: str, folder: Write, name: str) -> None:
    """Applied, verified, replayed from what was recorded, and then there is nothing to do."""
    case = CASES[name]
    path = write(folder, case)
    read = lfmigrate.read_folder(path, format=name, variables=case.variables)
    with lfmigrate.connect(database) as conn:
        first = lfmigrate.up(conn, read)
        verified = lfmigrate.verify(conn, read, replay_files=True)
        second = lfmigrate.up(conn, read)
        status = lfmigrate.status(conn, read)

    assert [m.version for m in first.migrations] == [m.version for m in read.migrations]
    assert {m.status for m in first.migrations} == {"applied"}
    assert {"a", "b"} <= {v.relation.name for v in first.relations}
    assert {v.status for v in verified.relations} == {"ok"}
    assert {m.status for m in second.migrations} == {"already_applied"}
    assert [m.label for m in status.migrations] == case.labels
    assert {m.status for m in status.migrations} == {"applied"}


@pytest.mark.parametrize(
    ("files", "versions"),
    [
        (
            {
                "V1__a.sql": A,
                "U1__a.sql": "DROP TABLE a;",
                "V1.9__b.sql": B,
                "U1.9__b.sql": "DROP TABLE b;",
                "V1.10__c.sql": "ALTER TABLE b ADD note text;",
                "U1.10__c.sql": "ALTER TABLE b DROP note;",
            },
            ["1", "1.9", "1.10"],
        ),
        (
            {
                "2_a.sql": f"-- +migrate Up\n{A}-- +migrate Down\nDROP TABLE a;",
                "2_b.sql": f"-- +migrate Up\n{B}-- +migrate Down\nDROP TABLE b;",
                "10.sql": "-- +migrate Up\nALTER TABLE b ADD note text;\n"
                "-- +migrate Down\nALTER TABLE b DROP note;",
            },
            ["2_a.sql", "2_b.sql", "10.sql"],
        ),
    ],
    ids=["flyway", "sql-migrate"],
)
def test_versions_roll_back_one_by_one(
    database: str, folder: Write, files: dict[str, str], versions: list[str]
) -> None:
    """The newest by the format's order first, each by its own down text, and no other with it."""
    read = lfmigrate.read_folder(folder(files))
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, read)
        for at in (2, 1):
            report = lfmigrate.rollback(conn, read, backup_dir=None)
            left = lfmigrate.status(conn, read).migrations

            assert [m.version for m in report.migrations] == [versions[at]]
            assert [m.version for m in left if m.status == "applied"] == versions[:at]
        lfmigrate.up(conn, read)
        lfmigrate.rollback(conn, read, to=versions[0], backup_dir=None)

        assert {v.relation.name for v in lfmigrate.verify(conn, read).relations} == {"a"}


def test_the_report_names_the_format(database: str, folder: Write, cli: Cli) -> None:
    """For people in the first line, for programs as a key."""
    case = CASES["goose"]
    path = write(folder, case)
    options = ["--database-url", database, "--sql-dir", str(path), "--define", "PARENT=a"]

    shown = cli("up", *options)
    document = cli("status", *options, "--json")

    assert shown.returncode == 0, shown.stderr
    assert f", goose files in {path} " in " ".join(shown.stdout.split())
    assert '"format": "goose"' in document.stdout
