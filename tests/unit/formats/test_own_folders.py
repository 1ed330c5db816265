"""What lfmigrate reads by itself is another tool's only if all of it says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import SqlFileError
from lfmigrate.history.events import Event, History
from lfmigrate.history.plan import notes, pending_migrations
from lfmigrate.source.folder import Folder, read_folder
from tests.unit.formats.folders import A, B, read_to_run

Write = Callable[[Mapping[str, str | bytes]], Path]

VIEW = {"views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS a;"}

OWN = [
    {"001_a.sql": f"{A}-- down migration: none, forward only\n{B}"},
    {"001_a.sql": f"{A}-- contact bob@undo.example for questions\n{B}"},
    {"001_a.sql": f"-- Up Migration\n{A}{B}"},
    {"20240501120000_a.sql": f"{A}-- // ask @UNDO\n{B}"},
    {"001_a.up.sql": f"-- Up migration: create a\n{A}{B}", "001_a.down.sql": "-- Down migration\n"},
    {"1714564800000_a.up.sql": f"-- Up Migration\n{A}{B}", "1714564800000_a.down.sql": "SELECT 1;"},
    {"001_a.up.sql": f"-- +goose Up\n{A}{B}", "001_a.down.sql": "-- +goose Down\nDROP TABLE b;"},
    {"001_a.up.sql": f"-- +migrate Up\n{A}{B}", "001_a.down.sql": "-- +migrate Down\n"},
    {"001_a.up.sql": f"-- migrate:up\n{A}{B}", "001_a.down.sql": "-- migrate:down\n"},
    {"20240501120000_a.up.sql": f"{A}{B}", "20240501120000_a.down.sql": "-- //@UNDO\nSELECT 1;"},
    {"001_a.up.sql": f"{A}{B}", "001_a.down.sql": "---- create above / drop below ----\n"},
    {"001_a.sql": f"-- +goose Up\n{A}{B}", **VIEW},
    {"001_a.sql": f"-- migrate:up\n{A}{B}", "002_b.sql": "SELECT 1;"},
    {"1714564800000_a.sql": f"-- Up Migration\n{A}{B}", **VIEW},
    {"001_a.sql": f"--! Previous: -\n{A}{B}"},
    {"001_a.sql": f"{A}{B}", "meta/_journal.json": '{"entries": []}', **VIEW},
    {"001_a.sql": f"{A}{B}", "2023_old/up.sql": A},
    {"001_a.sql": f"{A}{B}", "archive/migration.sql": A},
    {"001_a.sql": f"{A}{B}", "views/migration.sql": "CREATE VIEW migration AS SELECT 1;"},
    {"001_a.sql": f"{A}{B}", "001_generate.py": ""},
    {"001_a.sql": f"{A}{B}", "CHANGELOG.yml": ""},
    {"001_a.sql": f"{A}{B}", "sqitch.plan": ""},
    {"001_a.sql": f"{A}{B}", "env.py": "", "versions/1.py": ""},
]


@pytest.mark.parametrize("files", OWN)
def test_an_own_folder_stays_one(folder: Write, files: dict[str, str]) -> None:
    """Each file is read as it is, and all of it runs."""
    files = {k: v.replace("CREATE VIEW m", "CREATE OR REPLACE VIEW m") for k, v in files.items()}

    found = read_to_run(folder(files))

    assert found.format == "lfmigrate"
    assert found.migrations[0].up.text == files[found.migrations[0].up.name]
    assert len(found.migrations[0].up.statements) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"{A}-- Down Migration\nDROP TABLE a;",
        f"{A}-- //@UNDO\nDROP TABLE a;",
        f"-- +goose Up\n{A}-- +goose Down\nDROP TABLE a;",
        f"{A}---- create above / drop below ----\nDROP TABLE a;",
    ],
)
@pytest.mark.parametrize("more", [VIEW, {"002_b.up.sql": B}])
def test_a_marker_in_an_own_folder_is_refused_with_both_ways_out(
    folder: Write, text: str, more: dict[str, str]
) -> None:
    """Nothing is cut off without a word."""
    with pytest.raises(SqlFileError) as caught:
        read_to_run(folder({"001_a.sql": text, **more}))

    assert caught.value.file == "001_a.sql"
    assert ".down.sql" in (caught.value.hint or "")
    assert "--format" in (caught.value.hint or "")


@pytest.mark.parametrize("mark", ["-- Down Migration", "-- //@UNDO"])
def test_a_number_that_is_no_time_is_none_of_a_tool(folder: Write, mark: str) -> None:
    """The markers of these tools are comments that any file may have."""
    with pytest.raises(SqlFileError, match="looks like"):
        read_to_run(folder({"001_a.sql": f"{A}{mark}\nDROP TABLE a;"}))


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"20240501120000_a.sql": f"-- // a\n{A}-- //@UNDO\nDROP TABLE a;"}, "mybatis"),
        ({"1714564800000_a.sql": f"-- Up Migration\n{A}-- Down Migration\n"}, "node-pg-migrate"),
        ({"1_a.sql": f"-- +goose Up\n{A}-- +goose Down\n", "2_b.sql": B}, "goose"),
        ({"1_a.sql": f"{A}---- create above / drop below ----\n"}, "tern"),
        ({"1_a/migration.sql": A, "migration_lock.toml": "", "2_b.sql": B}, "prisma"),
    ],
)
def test_a_folder_with_all_the_marks_of_a_tool_is_its(
    folder: Write, files: dict[str, str], name: str
) -> None:
    """Also if something in it is wrong, which is then refused."""
    try:
        found = read_folder(folder(files)).format
    except SqlFileError:
        found = name
        with pytest.raises(SqlFileError):
            read_folder(folder(files), format=name)

    assert found == name


def history(found: Folder) -> History:
    """Return the history of a folder of which every migration was applied."""
    return History(
        tuple(
            Event(
                id=id_,
                action="up",
                version=m.version,
                name=m.name,
                file=m.up.name,
                checksum=m.up.checksum,
                expected=(),
                gone=(),
                server_version=180000,
                executed_at="",
                executed_by="",
                elapsed_ms=0,
            )
            for id_, m in enumerate(found.migrations)
        ),
        exists=True,
    )


def pending(found: Folder, past: History, to: str | None = None) -> list[str]:
    """Return the versions that would run."""
    chosen = pending_migrations(found, past, to=to, allow_out_of_order=False)
    return [m.version for m in chosen]


def test_what_is_applied_is_refused_no_more(folder: Write) -> None:
    """A history of it stays readable, and the folder goes on; what is pending is refused."""
    files = {"001_a.sql": f"{A}-- Down\nSELECT 1;", "002_b.sql": "SELECT 2;"}
    found = read_folder(folder(files))
    more = read_folder(folder({**files, "003_c.sql": "SELECT 3;\n-- Down\nSELECT 4;"}))

    with pytest.raises(SqlFileError, match="down section"):
        pending(found, History())
    assert pending(found, history(found)) == []
    assert notes(found, history(found)) == ()
    assert "up refuses 001_a.sql" in "".join(notes(found, History()))
    assert pending(more, history(found), to="002") == []
    late = history(read_folder(folder({"004_d.sql": "SELECT 4;"})))
    with pytest.raises(SqlFileError, match="down section"):
        pending_migrations(more, late, to=None, allow_out_of_order=True)
    with pytest.raises(SqlFileError) as caught:
        pending(more, history(found))
    assert caught.value.file == "003_c.sql"


@pytest.mark.parametrize("name", ["{}-b.sql", "{}_b.go"])
def test_what_would_be_skipped_stops_what_is_newer_only(folder: Write, name: str) -> None:
    """What was left out before stays out; in `up`, and not in commands that run nothing."""
    own = {"001_a.sql": "SELECT 1;", "003_c.sql": "SELECT 3;"}
    past = history(read_folder(folder(own)))
    older = read_folder(folder({**own, name.format("002"): ""}))
    newer = read_folder(folder({**own, name.format("004"): "", "005_d.sql": "SELECT 5;"}))

    assert pending(older, past) == []
    with pytest.raises(SqlFileError):
        pending(older, History())
    with pytest.raises(SqlFileError):
        pending(newer, past)
    assert pending(newer, past, to="003") == []


def test_a_format_that_is_named_is_used(folder: Write) -> None:
    """Whatever else is in the folder."""
    path = folder({"V1__a.sql": A, "CHANGELOG.yml": ""})

    with pytest.raises(SqlFileError, match="liquibase"):
        read_folder(path)
    assert read_folder(path, format="flyway").migrations
