"""View files: when they run, in which order, and what replaces what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.helpers.commands import migrations, parts, statuses, up, verdict, verify
from tests.helpers.databases import execute, fetch, history

Write = Callable[[Mapping[str, str | bytes]], Path]


TABLE = {"1_t.up.sql": "CREATE TABLE t (id int, name text);"}


def view(name: str, query: str) -> dict[str, str]:
    return {f"views/{name}.sql": f"CREATE OR REPLACE VIEW {name} AS {query};"}


def test_a_changed_view_file_replaces_the_view(database: str, folder: Write) -> None:
    """The new definition is there afterwards, and verify expects it."""
    up(database, folder({**TABLE, **view("v", "SELECT id FROM t")}))
    path = folder({**TABLE, **view("v", "SELECT id, name FROM t")})

    report = up(database, path)

    assert statuses(report)["view v"] == "replaced"
    assert fetch(
        database, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'v'"
    ) == [2]
    assert verify(database, path).ok


def test_an_unchanged_view_file_does_not_run_again(database: str, folder: Write) -> None:
    """Another view's change does not touch it."""
    up(database, folder({**TABLE, **view("v", "SELECT 1 AS n"), **view("w", "SELECT 1 AS n")}))
    path = folder({**TABLE, **view("v", "SELECT 2 AS n"), **view("w", "SELECT 1 AS n")})
    count = len(history(database))

    report = up(database, path)

    assert statuses(report) == {"table t": "unchanged", "view v": "replaced", "view w": "unchanged"}
    assert [row["file"] for row in history(database)[count:]] == ["views/v.sql"]


def test_a_reformatted_view_file_is_recorded_and_called_unchanged(
    database: str, folder: Write
) -> None:
    """The definition is the same, so nothing was replaced; and it does not run for ever."""
    up(database, folder({**TABLE, **view("v", "SELECT id FROM t")}))
    path = folder({**TABLE, **view("v", "\n  SELECT id -- the key\n  FROM t\n")})
    count = len(history(database))

    report = up(database, path)
    up(database, path)

    assert statuses(report)["view v"] == "unchanged"
    assert len(history(database)) == count + 1
    assert verify(database, path).ok


def test_a_view_that_a_migration_drops_comes_back_in_the_same_run(
    database: str, folder: Write
) -> None:
    """A type can be changed under a view without an edit of the view's file."""
    files = {**TABLE, **view("v", "SELECT id FROM t")}
    up(database, folder(files))
    path = folder(
        {**files, "2_b.up.sql": "DROP VIEW v; ALTER TABLE t ALTER COLUMN id TYPE bigint;"}
    )

    report = up(database, path)

    assert fetch(
        database,
        "SELECT pg_typeof(id)::text FROM v UNION ALL"
        " SELECT format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = 'v'::regclass AND attname = 'id'",
    ) == ["bigint"]
    assert statuses(report)["table t"] == "altered"
    assert statuses(report)["view v"] in {"created", "replaced"}
    assert verify(database, path).ok
    assert migrations(up(database, path)) == {"1": "already_applied", "2": "already_applied"}


def test_a_view_that_a_migration_drops_by_cascade_comes_back_in_the_same_run(
    database: str, folder: Write
) -> None:
    """The migration need not name it."""
    files = {**TABLE, **view("v", "SELECT id, name FROM t"), **view("w", "SELECT id FROM v")}
    up(database, folder(files))
    path = folder(
        {**files, "2_b.up.sql": "DROP TABLE t CASCADE; CREATE TABLE t (id int, name text);"}
    )

    up(database, path)

    assert fetch(database, "SELECT count(*) FROM w") == [0]
    assert verify(database, path).ok


def test_a_view_runs_after_the_view_that_it_reads(database: str, folder: Write) -> None:
    """The names' order does not matter, the reading does."""
    path = folder({**TABLE, **view("a", "SELECT id FROM z"), **view("z", "SELECT id FROM t")})

    report = up(database, path)

    assert statuses(report) == {"table t": "created", "view z": "created", "view a": "created"}
    assert verify(database, path).ok
    assert verify(database, path, replay_files=True).ok


def test_a_view_on_a_view_that_changes_is_kept(database: str, folder: Write) -> None:
    """Adding a column to the lower one does not disturb the upper one."""
    up(
        database,
        folder({**TABLE, **view("a", "SELECT id FROM z"), **view("z", "SELECT id FROM t")}),
    )
    path = folder({**TABLE, **view("a", "SELECT id FROM z"), **view("z", "SELECT id, name FROM t")})

    report = up(database, path)

    assert statuses(report)["view z"] == "replaced"
    assert statuses(report)["view a"] == "unchanged"
    assert verify(database, path).ok


def test_a_view_that_was_changed_by_hand_has_drifted_and_is_not_overwritten(
    database: str, folder: Write
) -> None:
    """Its file did not change, so there is nothing to do; verify and up say so."""
    path = folder({**TABLE, **view("v", "SELECT id FROM t")})
    up(database, path)
    execute(database, "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM t")

    report = up(database, path)

    assert statuses(report)["view v"] == "drifted"
    assert parts(verdict(verify(database, path), "v")) == {"definition"}


def test_a_view_that_was_changed_by_hand_is_set_right_when_its_file_runs(
    database: str, folder: Write
) -> None:
    """The file's text is what counts then."""
    up(database, folder({**TABLE, **view("v", "SELECT id FROM t")}))
    execute(database, "CREATE OR REPLACE VIEW v AS SELECT id + 1 AS id FROM t")
    path = folder({**TABLE, **view("v", "SELECT id FROM t /* as it was */")})

    report = up(database, path)

    assert statuses(report)["view v"] == "replaced"
    assert verify(database, path).ok


CHANGES = [
    "ALTER TABLE t ADD COLUMN n int",
    "ALTER TABLE t ADD CHECK (id > 0)",
    "ALTER TABLE t ALTER name SET DEFAULT 'x'",
    "ALTER TABLE t RENAME COLUMN name TO title",
    "CREATE TABLE u (); DROP TABLE u",
]


@pytest.mark.parametrize("migration", CHANGES)
def test_a_view_that_comes_out_the_same_is_unchanged(
    database: str, folder: Write, migration: str
) -> None:
    """View files run again after a migration that may drop one; that alone replaces nothing."""
    files = {**TABLE, **view("v", "SELECT id FROM t"), **view("w", "SELECT v.id FROM v")}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": f"{migration};"})

    planned = up(database, path, dry_run=True)
    report = up(database, path)

    assert statuses(planned) == statuses(report)
    assert (statuses(report)["view v"], statuses(report)["view w"]) == ("unchanged", "unchanged")
    assert [row["file"] for row in history(database)][-3:] == [
        "2_b.up.sql",
        "views/v.sql",
        "views/w.sql",
    ]
    assert verify(database, path).ok


@pytest.mark.parametrize("migration", CHANGES)
@pytest.mark.parametrize("dropped", ["DROP VIEW w", "DROP VIEW v CASCADE"])
def test_a_view_dropped_by_hand_comes_back_whatever_ran_last(
    database: str, folder: Write, migration: str, dropped: str
) -> None:
    """Its file has run again after a migration, and changed nothing then."""
    files = {**TABLE, **view("v", "SELECT id FROM t"), **view("w", "SELECT v.id FROM v")}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": f"{migration};"})
    up(database, path)
    execute(database, dropped)
    assert not verify(database, path).ok

    report = up(database, path)

    assert statuses(report)["view w"] == "created"
    assert verify(database, path).ok
    assert {v.status for v in up(database, path).relations} == {"unchanged"}
