"""What `status` says of the migrations, and that it only reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.status import StatusReport
from lfmigrate.errors import StatementFailed
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

# What to run follows from the folder and from rows of the history, on this side of the connection.
of_the_plan = pytest.mark.any_version


TWO = {
    "001_a.up.sql": "CREATE TABLE a (id int);",
    "002_b.up.sql": "CREATE TABLE b (id int);",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;",
}

TWO_WITHOUT_B = {name: text for name, text in TWO.items() if name != "002_b.up.sql"}


def status(url: str, path: Path, **options: Any) -> StatusReport:
    with lfmigrate.connect(url) as conn:
        return lfmigrate.status(conn, lfmigrate.read_folder(path), **options)


def words(report: StatusReport) -> dict[str, str]:
    return {m.version: m.status for m in report.migrations}


@of_the_plan
def test_all_is_pending_in_an_empty_database(database: str, folder: Write) -> None:
    """No history is no error: everything is still to be done."""
    report = status(database, folder(TWO))

    assert words(report) == {"001": "pending", "002": "pending"}
    assert [(v.repeatable.name, v.status) for v in report.repeatables] == [("v", "pending")]
    assert report.pending == 3


@of_the_plan
def test_all_is_applied_after_an_up(database: str, folder: Write) -> None:
    """With who, when and how long."""
    path = folder(TWO)
    up(database, path)

    report = status(database, path)

    assert words(report) == {"001": "applied", "002": "applied"}
    assert [v.status for v in report.repeatables] == ["applied"]
    assert report.pending == 0
    event = report.migrations[0].event
    assert event is not None
    assert event.executed_by == "postgres"
    assert datetime.now(UTC) - datetime.fromisoformat(event.executed_at) < timedelta(minutes=5)
    assert event.elapsed_ms >= 0


@of_the_plan
def test_what_was_not_run_is_pending(database: str, folder: Write) -> None:
    """An up with --to leaves the rest, and the views."""
    path = folder(TWO)
    up(database, path, to="1")

    report = status(database, path)

    assert words(report) == {"001": "applied", "002": "pending"}
    assert report.pending == 2


@of_the_plan
def test_an_edited_file_is_reported(database: str, folder: Write) -> None:
    """It counts as applied, so nothing is pending."""
    up(database, folder(TWO))
    path = folder({**TWO, "002_b.up.sql": "CREATE TABLE b (id bigint);"})

    report = status(database, path)

    assert words(report) == {"001": "applied", "002": "edited"}
    assert report.pending == 0
    assert any("002_b was edited" in note for note in report.notes)


@of_the_plan
def test_an_edited_view_is_to_be_run(database: str, folder: Write) -> None:
    """A view file may change; the next up replaces the view."""
    up(database, folder(TWO))
    path = folder({**TWO, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM a;"})

    report = status(database, path)

    assert [v.status for v in report.repeatables] == ["edited"]
    assert report.pending == 1


@of_the_plan
def test_a_missing_file_is_reported(database: str, folder: Write) -> None:
    """What the history knows and the folder does not is listed in its place."""
    up(database, folder({**TWO, "003_c.up.sql": "SELECT 1;"}))
    path = folder({k: v for k, v in TWO.items() if k != "001_a.up.sql"})

    report = status(database, path)

    assert words(report) == {"001": "file_missing", "002": "applied", "003": "file_missing"}
    assert report.pending == 0


@of_the_plan
def test_versions_are_listed_by_number(database: str, folder: Write) -> None:
    """10 comes after 9, however many digits the others have."""
    names = ["9_i", "10_j", "0011_k", "20240101120000_t"]
    path = folder({f"{name}.up.sql": "SELECT 1;" for name in reversed(names)})

    report = status(database, path)

    assert [f"{m.version}_{m.name}" for m in report.migrations] == names


def test_status_changes_nothing(database: str, folder: Write, dump: Dump) -> None:
    """It makes no history either."""
    before = dump(database)

    status(database, folder(TWO))

    assert dump(database) == before
    with psycopg.connect(database) as conn:
        assert conn.execute("SELECT to_regnamespace('lfmigrate')").fetchone() == (None,)


def test_status_needs_no_relation(database: str, folder: Write) -> None:
    """It reports the migrations, not of the tables, which verify does."""
    path = folder(TWO)
    up(database, path)
    execute(database, "DROP TABLE b")

    assert words(status(database, path)) == {"001": "applied", "002": "applied"}


def test_each_schema_has_its_own_status(database: str, folder: Write) -> None:
    """What one tenant has applied is pending for another."""
    execute(database, "CREATE SCHEMA tenant")
    path = folder(TWO)
    up(database, path, scope=lfmigrate.Scope(schema="tenant"))

    assert status(database, path).pending == 3
    assert status(database, path, scope=lfmigrate.Scope(schema="tenant")).pending == 0


def test_a_role_that_may_not_read_the_history_is_reported_the_grants(
    role: str, database: str, folder: Write
) -> None:
    """Both of them; with them it may."""
    path = folder(TWO)
    up(database, path)
    url = make_conninfo(database, user=role)

    with pytest.raises(StatementFailed, match="may not read the history") as caught:
        status(url, path)

    hint = caught.value.hint or ""
    grants = hint.split("run:")[1]
    execute(database, f"GRANT USAGE ON SCHEMA public TO {role}; {grants}")
    assert words(status(url, path)) == {"001": "applied", "002": "applied"}


@of_the_plan
@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--exit-code",), 3)])
def test_pending_migrations_fail_only_when_asked_to(
    database: str, folder: Write, cli: Cli, arguments: tuple[str, ...], code: int
) -> None:
    """--exit-code is for scripts; without it a listing is a listing."""
    done = cli("status", *arguments, "--database-url", database, "--sql-dir", folder(TWO))

    assert done.returncode == code
    assert "001" in done.stdout
    assert "pending" in done.stdout


EVERY_WAY = (
    "1 migration was edited after it was applied; 1 applied file is not in the folder; 1 migration"
    " or repeatable file is pending"
)
VIEW = "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM a;"


@of_the_plan
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"002_b.up.sql": None, "002_c.up.sql": TWO["002_b.up.sql"]}, None),
        ({"003_c.up.sql": "SELECT 1;"}, "1 migration or repeatable file is pending"),
        ({"views/v.sql": VIEW}, "1 migration or repeatable file is pending"),
        ({"002_b.up.sql": "SELECT 1;"}, "1 migration was edited after it was applied"),
        ({"001_a.up.sql": None}, "1 applied file is not in the folder"),
        ({"views/v.sql": None}, "1 applied file is not in the folder"),
        (
            {"002_b.up.sql": None, "002_c.up.sql": "SELECT 1;"},
            "1 version is used by two different migrations",
        ),
        (
            {"001_a.up.sql": None, "002_b.up.sql": "SELECT 1;", "003_c.up.sql": "SELECT 1;"},
            EVERY_WAY,
        ),
    ],
)
def test_status_and_verify_fail_on_every_way_in_which_a_folder_differs(
    database: str, folder: Write, cli: Cli, change: Mapping[str, str | None], problem: str | None
) -> None:
    """The exit code, the JSON and the message agree; a renamed file with the same text is none."""
    up(database, folder(TWO))
    path = folder({n: text for n, text in {**TWO, **change}.items() if text is not None})
    where = ("--json", "--database-url", database, "--sql-dir", str(path))

    listed = cli("status", *where)
    status, verified = (
        cli(*command, *where) for command in (("status", "--exit-code"), ("verify",))
    )

    assert listed.returncode == 0
    for done in (status, verified):
        document = json.loads(done.stdout)
        assert done.returncode == (0 if problem is None else 3)
        assert (document["ok"], document["exit_code"]) == (problem is None, done.returncode)
        assert document.get("error", {}).get("message") == problem
    document = json.loads(verified.stdout)
    assert bool(document["files"]) == (problem is not None)
    assert {r["status"] for r in document["relations"]} == {"ok"}


def test_two_migrations_with_one_version_are_listed_both(database: str, folder: Write) -> None:
    """The one that is applied with its time, the one in the folder as another."""
    up(database, folder(TWO))
    path = folder({**TWO_WITHOUT_B, "2_c.up.sql": "CREATE TABLE c (id int);"})

    report = status(database, path)

    assert [(m.label, m.status, m.event is not None) for m in report.migrations] == [
        ("001_a", "applied", True),
        ("002_b", "conflict", True),
        ("2_c", "conflict", False),
    ]
    (note,) = report.notes
    assert note.endswith("the history has 002_b, and the folder has 2_c")


def test_an_unfinished_migration_without_its_file_is_listed(database: str, folder: Write) -> None:
    """What has run of it is still in the database."""
    path = folder(
        {"001_a.up.sql": "-- lfmigrate: no-transaction\nCREATE TABLE a (id int);\nSELECT 1 / 0;"}
    )
    with pytest.raises(StatementFailed):
        up(database, path)
    other = folder({"002_b.up.sql": "SELECT 1;"})

    report = status(database, other)

    assert words(report) == {"001": "file_missing", "002": "pending"}
    (note,) = report.notes
    assert note.startswith("001_a has not finished: ")
    assert note.endswith(", and its file is not in the folder")


@of_the_plan
def test_the_json_document_has_the_contracts_words(database: str, folder: Write, cli: Cli) -> None:
    """Scripts rely on these keys, and on null for what is not known yet."""
    up(database, folder(TWO), to="1")

    done = cli("status", "--json", "--database-url", database, "--sql-dir", folder(TWO))

    document = json.loads(done.stdout)
    assert (document["command"], document["ok"], document["exit_code"]) == ("status", True, 0)
    first, second = document["migrations"]
    assert first.keys() == {
        "version", "name", "status", "applied_at", "applied_by", "elapsed_ms"
    }  # fmt: skip
    assert (first["version"], first["name"], first["status"]) == ("001", "a", "applied")
    assert second == {
        "version": "002",
        "name": "b",
        "status": "pending",
        "applied_at": None,
        "applied_by": None,
        "elapsed_ms": None,
    }
