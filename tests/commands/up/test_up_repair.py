"""Relations that were dropped by hand: what `up` re-creates, and what it refuses to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import (
    NOTHING_CHANGED,
    DatabaseError,
    DifferenceFound,
    UsageError,
)
from tests.conftest import Cli
from tests.helpers.commands import SHIPPED, migrations, statuses, up, verify
from tests.helpers.databases import execute, history

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]


def test_a_table_that_was_dropped_by_hand_is_recreated(applied: str) -> None:
    """The next up runs the migration once more and says so."""
    execute(applied, "DROP TABLE program_resources")

    report = up(applied, SHIPPED)

    assert migrations(report) == {"002": "repaired"}
    made = {name for name, status in statuses(report).items() if status != "unchanged"}
    assert made == {"table program_resources"}
    assert statuses(report)["table program_resources"] == "created"
    assert verify(applied, SHIPPED).ok
    assert migrations(up(applied, SHIPPED)) == {"002": "already_applied"}


def test_a_view_that_was_dropped_by_hand_is_recreated(applied: str) -> None:
    """Only its own file runs."""
    execute(applied, "DROP VIEW v_current_cost_categories")

    report = up(applied, SHIPPED)

    assert statuses(report)["view v_current_cost_categories"] == "created"
    assert migrations(report) == {"002": "already_applied"}
    assert verify(applied, SHIPPED).ok


def test_a_table_dropped_with_the_views_on_it_comes_back_with_them(applied: str) -> None:
    """DROP ... CASCADE by hand is undone in one run."""
    execute(applied, "DROP TABLE recommendation_cost_categories CASCADE")

    report = up(applied, SHIPPED)

    assert statuses(report)["table recommendation_cost_categories"] == "created"
    assert statuses(report)["view v_recommendations_with_categories"] == "created"
    assert verify(applied, SHIPPED).ok


def test_what_may_not_run_twice_is_not_run_again(
    database: str, folder: Write, cli: Cli, dump: Dump
) -> None:
    """Exit code 3; the relation, the file and the statement are named, and nothing is changed."""
    path = folder({"1_a.up.sql": "CREATE TABLE a (id int);", "2_b.up.sql": "CREATE TABLE b ();"})
    up(database, path)
    execute(database, "DROP TABLE a")
    before = dump(database), history(database)

    done = cli("up", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 3
    assert "table public.a" in done.stderr
    assert "1_a.up.sql:1 (CREATE TABLE a) is not safe to run again" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert (dump(database), history(database)) == before


def test_an_edited_file_does_not_repair(database: str, folder: Write) -> None:
    """What would come back is not what was lost."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}))
    execute(database, "DROP TABLE a")

    with pytest.raises(DifferenceFound, match="missing") as caught:
        up(database, folder({"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id bigint);"}))

    assert "edited after it was applied" in caught.value.facts[0]


def test_what_would_come_back_different_is_refused(
    database: str, folder: Write, dump: Dump
) -> None:
    """A repair that makes something else is rolled back."""
    execute(database, "CREATE TABLE model (id int)")
    path = folder({"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (LIKE model);"})
    up(database, path)
    execute(database, "DROP TABLE a; ALTER TABLE model ADD COLUMN more text")
    before = dump(database), history(database)

    with pytest.raises(DifferenceFound, match="cannot be re-created") as caught:
        up(database, path)

    assert caught.value.facts == (
        "public.a: column more is not as it was",
        "Nothing was changed.",
    )
    assert (dump(database), history(database)) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CREATE TABLE IF NOT EXISTS b (id int);", "DROP TABLE b;"),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        ),
        ("CREATE TABLE IF NOT EXISTS b (id int);", "ALTER TABLE b RENAME TO c;"),
    ],
    ids=["dropped since", "replaced since", "renamed since"],
)
def test_a_repair_that_would_undo_a_later_migration_is_refused(
    database: str, folder: Write, dump: Dump, old: str, new: str
) -> None:
    """An old file knows nothing of what came after it."""
    path = folder(
        {"1_a.up.sql": f"CREATE TABLE IF NOT EXISTS a (id int); {old}", "2_b.up.sql": new}
    )
    up(database, path)
    execute(database, "DROP TABLE a")
    before = dump(database), history(database)

    with pytest.raises(DifferenceFound, match="without changing more than that"):
        up(database, path)

    assert (dump(database), history(database)) == before


def test_a_table_that_was_dropped_between_its_makers_is_repaired_by_the_last(
    database: str, folder: Write
) -> None:
    """What made it before the drop has no say in it."""
    files = {"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}
    up(database, folder(files))
    files["2_b.up.sql"] = "DROP TABLE a;"
    up(database, folder(files))
    files["3_c.up.sql"] = "CREATE TABLE IF NOT EXISTS a (id int, more text);"
    path = folder(files)
    up(database, path)
    execute(database, "DROP TABLE a")

    report = up(database, path)

    assert migrations(report)["3"] == "repaired"
    assert verify(database, path).ok


def test_a_missing_view_whose_file_is_gone_cannot_be_recreated(
    database: str, folder: Write
) -> None:
    """It is named, and nothing pretends to be in order."""
    files = {
        "1_a.up.sql": "CREATE TABLE a (id int);",
        "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;",
    }
    up(database, folder(files))
    del files["views/v.sql"]
    path = folder(files)
    notes = up(database, path).notes
    execute(database, "DROP VIEW v")

    with pytest.raises(DifferenceFound, match="missing") as caught:
        up(database, path)

    assert caught.value.facts[0] == "view public.v: views/v.sql is gone"
    assert notes == ("views/v.sql was run, but is not in the folder",)


def test_strict_refuses_what_was_skipped_and_could_not_be_compared(
    database: str, folder: Write, dump: Dump
) -> None:
    """A second file's IF NOT EXISTS hides what it would have made."""
    files = {"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": "CREATE TABLE IF NOT EXISTS a (id int, b int);"})
    before = dump(database), history(database)

    with pytest.raises(DifferenceFound, match="not everything that was skipped could be compared"):
        up(database, path, strict=True)

    assert (dump(database), history(database)) == before
    assert "2_b.up.sql:1" in " ".join(up(database, path).notes)


def test_a_file_that_empties_the_history_is_rolled_back(
    database: str, folder: Write, dump: Dump
) -> None:
    """The history is no business of a migration."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int);",
            "2_b.up.sql": "TRUNCATE lfmigrate.lfmigrate_history;",
        }
    )
    before = dump(database)

    with pytest.raises(DatabaseError, match="lfmigrate's own history") as caught:
        up(database, path)

    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before


# Versions are compared on this side of the connection.
@pytest.mark.any_version
def test_a_version_of_thousands_of_digits_is_just_unknown(database: str, folder: Write) -> None:
    """It is compared as text."""
    path = folder({"1_a.up.sql": "SELECT 1;"})

    with pytest.raises(UsageError, match="there is no migration"):
        up(database, path, to="9" * 5000)


def test_a_table_of_two_migrations_is_repaired_by_both(database: str, folder: Write) -> None:
    """The second migration's column comes back, too."""
    files = {"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": "ALTER TABLE a ADD COLUMN IF NOT EXISTS b text;"})
    up(database, path)
    execute(database, "DROP TABLE a")

    report = up(database, path)

    assert migrations(report) == {"1": "repaired", "2": "repaired"}
    assert verify(database, path).ok


def test_a_table_of_two_migrations_of_one_run_is_repaired_by_both(
    database: str, folder: Write
) -> None:
    """It makes no difference that both were applied by the same up."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);",
            "2_b.up.sql": "ALTER TABLE a ADD COLUMN IF NOT EXISTS b text;",
            "3_c.up.sql": "CREATE INDEX IF NOT EXISTS a_b_idx ON a (b);",
        }
    )
    up(database, path)
    execute(database, "DROP TABLE a")

    report = up(database, path)

    assert migrations(report) == {"1": "repaired", "2": "repaired", "3": "repaired"}
    assert verify(database, path).ok


@pytest.mark.parametrize("per_migration", [False, True])
def test_a_migration_may_drop_what_was_dropped_by_hand(
    database: str, folder: Write, *, per_migration: bool
) -> None:
    """A hot fix by hand, and then the migration for it, whose files come out empty."""
    files = {"1_a.up.sql": "CREATE TABLE a (id int); CREATE VIEW v AS SELECT id FROM a;"}
    up(database, folder(files))
    execute(database, "DROP TABLE a CASCADE")
    path = folder(
        {
            **files,
            "2_b.up.sql": "DROP VIEW IF EXISTS v;",
            "3_c.up.sql": "DROP TABLE IF EXISTS a;",
        }
    )

    planned = up(database, path, dry_run=True)
    report = up(database, path, per_migration=per_migration)

    assert migrations(planned) == {"1": "already_applied", "2": "planned", "3": "planned"}
    assert migrations(report) == {"1": "already_applied", "2": "applied", "3": "applied"}
    assert verify(database, path).ok
    assert not verify(database, path).relations


def test_what_pending_migrations_leave_missing_is_refused(database: str, folder: Write) -> None:
    """None of them has dropped it, so nothing is committed."""
    files = {"1_a.up.sql": "CREATE TABLE a (id int);"}
    up(database, folder(files))
    execute(database, "DROP TABLE a")
    path = folder({**files, "2_b.up.sql": "CREATE TABLE b ();", "3_c.up.sql": "SELECT 1;"})

    with pytest.raises(DifferenceFound, match="an object of an applied migration") as refused:
        up(database, path)

    assert refused.value.outcome == NOTHING_CHANGED
    assert refused.value.detail == (
        "table public.a: 1_a.up.sql:1 (CREATE TABLE a) is not safe to run again",
    )
    assert [row["file"] for row in history(database)] == ["1_a.up.sql"]


@pytest.mark.parametrize("other", [None, "CREATE TABLE other ();"])
def test_what_another_branch_has_created_is_missed(
    database: str, folder: Write, other: str | None
) -> None:
    """The text that ran counts, whether its file is edited here or not in the folder at all."""
    a = {"1_a.up.sql": "CREATE TABLE a (id int);"}
    b = {"2_b.up.sql": "CREATE TABLE b (id int);"}
    up(database, folder({**a, **b}))
    execute(database, "DROP TABLE b")
    here = {} if other is None else {"2_b.up.sql": other}
    path = folder({**a, **here, "3_c.up.sql": "CREATE TABLE c (id int);"})

    with pytest.raises(DifferenceFound, match="an object of an applied migration is missing"):
        up(database, path)

    assert not verify(database, folder({**a, **b})).ok


def test_drift_of_what_another_branch_has_created_stays(database: str, folder: Write) -> None:
    """A replay without that file would know nothing of it."""
    a = {"1_a.up.sql": "CREATE TABLE a (id int);"}
    b = {"2_b.up.sql": "CREATE TABLE b (id int); CREATE TABLE b2 (id int);"}
    up(database, folder({**a, **b}))
    execute(database, "ALTER TABLE b ADD COLUMN by_hand int")
    path = folder({**a, "3_c.up.sql": "CREATE TABLE c (id int);"})

    assert statuses(up(database, path))["table b"] == "drifted"

    assert not verify(database, folder({**a, **b}), allow_pending=True).ok
