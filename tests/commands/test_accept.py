"""`accept`: an edit is recorded if the live schema is what the edited text creates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import lfmigrate
from lfmigrate.commands.accept import AcceptReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DifferenceFound,
    LfmigrateError,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, fetch, history, value

# What may be accepted follows from the folder and from rows of the history, on this side of the
# connection; what compares texts of the catalogs or runs a file is marked `per_version`.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

A = "CREATE TABLE IF NOT EXISTS a (id int);\nCREATE INDEX IF NOT EXISTS a_id ON a (id);\n"
FILES = {
    "001_a.up.sql": A,
    "001_a.down.sql": "DROP TABLE a;",
    "002_b.up.sql": "CREATE TABLE b (id int); ALTER TABLE a ADD COLUMN b_id int;",
    "002_b.down.sql": "ALTER TABLE a DROP COLUMN b_id; DROP TABLE b;",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a;",
}


def accept(url: str, path: Path, version: str = "1", **options: Any) -> AcceptReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.accept(conn, lfmigrate.read_folder(path), version, **options)


def rollback(url: str, path: Path, **options: Any) -> lfmigrate.RollbackReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(path), backup_dir=None, **options)


def assert_clean(url: str, path: Path) -> None:
    """Check that every command takes the migrations as applied, and the schema as theirs."""
    assert verify(url, path).problems == ()
    assert verify(url, path, replay_files=True).problems == ()
    report = up(url, path, strict=True)
    assert {m.status for m in report.migrations} == {"already_applied"}
    assert {v.status for v in report.relations} <= {"unchanged"}
    assert report.notes == ()
    with closing(lfmigrate.connect(url)) as conn:
        assert lfmigrate.status(conn, lfmigrate.read_folder(path)).problems == ()


def differences(report: AcceptReport) -> set[tuple[str, str, str]]:
    """Return what is wrong, as status, name and part."""
    return {
        (v.status, v.relation.name, d)
        for v in report.relations
        if v.status != "ok"
        for d in [x.part for x in v.differences] or [""]
    }


def compared(report: AcceptReport) -> dict[str, str]:
    return {v.relation.name: v.status for v in report.relations}


def applied_again(url: str, path: Path) -> dict[str, str]:
    return statuses(up(url, path))


# --------------------------------------------------------------------------------------------------
# What is recorded
# --------------------------------------------------------------------------------------------------


def test_an_edit_of_comments_is_recorded_and_not_run(
    database: str, folder: Write, dump: Dump
) -> None:
    """As one more row; when and by whom the migration was applied stays what it was."""
    up(database, folder(FILES))
    rows, schema = history(database), dump(database)
    path = folder({**FILES, "001_a.up.sql": f"-- why\n{A}"})
    with closing(lfmigrate.connect(database)) as conn:
        before = lfmigrate.status(conn, lfmigrate.read_folder(path)).migrations[0].event

        report = lfmigrate.accept(conn, lfmigrate.read_folder(path), "1")
        after = lfmigrate.status(conn, lfmigrate.read_folder(path)).migrations[0].event

    assert (report.status, report.recorded_as, report.label) == ("accepted", "001_a", "001_a")
    assert "+-- why" in report.diff
    assert report.down_diff == ()
    assert history(database)[:-1] == rows
    new = history(database)[-1]
    assert (new["action"], new["version"], new["sql"]) == ("accept", "001", f"-- why\n{A}")
    assert new["down_sql"] == "DROP TABLE a;"
    assert before is not None
    assert after is not None
    assert (after.executed_at, after.executed_by, after.elapsed_ms) == (
        before.executed_at,
        before.executed_by,
        before.elapsed_ms,
    )
    assert_clean(database, path)
    assert dump(database) == schema


@pytest.mark.per_version
def test_an_edit_that_the_live_schema_has_already_is_expected_from_then_on(
    database: str, folder: Write
) -> None:
    """The type was changed by hand, and in the file: it is no drift any more, with a view on it."""
    up(database, folder(FILES))
    execute(
        database,
        "DROP VIEW v",
        "ALTER TABLE a ALTER id TYPE bigint, ADD COLUMN note text",
        "CREATE VIEW v AS SELECT id FROM a",
    )
    path = folder({**FILES, "001_a.up.sql": A.replace("id int", "id bigint, note text")})
    assert {n for n, s in statuses(verify(database, path)).items() if s == "drifted"} == {
        "table a",
        "view v",
    }

    report = accept(database, path)

    assert compared(report) == {"a": "ok", "v": "ok"}
    assert_clean(database, path)
    undone = rollback(database, path, to="0")
    assert {lost.name for lost in undone.lost} == {"a", "b", "v"}
    assert value(database, "SELECT to_regclass('a') IS NULL")


@pytest.mark.per_version
def test_an_edit_that_the_live_schema_does_not_have_is_a_difference(
    database: str, folder: Write, cli: Cli
) -> None:
    """It is shown, the exit code is 3, and nothing is recorded."""
    up(database, folder(FILES))
    before = history(database)
    path = folder({**FILES, "001_a.up.sql": A.replace("id int", "id bigint, note text")})

    with pytest.raises(DifferenceFound, match="2 objects of 001_a differ") as caught:
        accept(database, path)
    done = cli(
        *("accept", "1", "--yes", "--json", "--database-url", database, "--sql-dir", str(path))
    )

    report = caught.value.report
    assert isinstance(report, AcceptReport)
    assert differences(report) == {
        ("drifted", "a", "column id"),
        ("drifted", "a", "column note"),
        ("drifted", "v", "column id"),
    }
    assert report.status == "planned"
    assert caught.value.outcome == NOTHING_CHANGED
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], document["exit_code"]) == (3, False, 3)
    assert {r["name"]: r["status"] for r in document["relations"]} == {
        "a": "drifted",
        "v": "drifted",
    }
    assert history(database) == before


@pytest.mark.per_version
def test_what_the_edited_text_does_not_create_any_more_must_be_gone(
    database: str, folder: Write
) -> None:
    """A table and an index were removed from the file, and then from the database."""
    text = f"{A}CREATE TABLE spare (id int);\n"
    up(database, folder({**FILES, "001_a.up.sql": text}))
    path = folder({**FILES, "001_a.up.sql": A.partition("CREATE INDEX")[0]})

    with pytest.raises(DifferenceFound) as caught:
        accept(database, path)
    assert isinstance(caught.value.report, AcceptReport)
    assert differences(caught.value.report) == {
        ("drifted", "a", "index a_id"),
        ("unexpected", "spare", ""),
    }
    execute(database, "DROP TABLE spare", "DROP INDEX a_id")
    accept(database, path)

    assert_clean(database, path)


@pytest.mark.per_version
def test_what_the_edited_text_creates_as_well_belongs_to_the_migration(
    database: str, folder: Write
) -> None:
    """A table that was created by hand is in the file now, so that a rollback may drop it."""
    up(database, folder({**FILES, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;"}))
    execute(database, "CREATE TABLE extra (id int)")
    path = folder(
        {
            **FILES,
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
            "001_a.up.sql": f"{A}CREATE TABLE IF NOT EXISTS extra (id int);",
            "001_a.down.sql": "DROP TABLE a; DROP TABLE extra;",
        }
    )

    report = accept(database, path)

    assert compared(report) == {"a": "ok", "extra": "ok"}
    assert "+DROP TABLE a; DROP TABLE extra;" in report.down_diff
    assert_clean(database, path)
    execute(database, "DROP TABLE extra")
    assert applied_again(database, path)["table extra"] == "created"
    assert {lost.name for lost in rollback(database, path, to="0").lost} >= {"a", "b", "extra"}


def test_a_later_migration_stays_in_force(database: str, folder: Write) -> None:
    """The edit changes what it states; what 002 added to the table is expected as before."""
    up(database, folder(FILES))
    execute(database, "ALTER TABLE a ALTER id SET DEFAULT 7")
    path = folder({**FILES, "001_a.up.sql": A.replace("id int", "id int DEFAULT 7")})

    accept(database, path)

    assert_clean(database, path)
    execute(database, "ALTER TABLE a DROP COLUMN b_id")
    (drifted,) = [v for v in verify(database, path).relations if v.status != "ok"]
    assert [d.part for d in drifted.differences] == ["column b_id"]


def test_what_an_unfinished_migration_has_done_stays_expected(database: str, folder: Write) -> None:
    """It is in no replay, and the edit does not touch it."""
    text = "-- lfmigrate: no-transaction\nCREATE INDEX a_b_id ON a (b_id);\nSELECT 1 / 0;"
    files = {**FILES, "003_c.up.sql": text}
    with pytest.raises(StatementFailed):
        up(database, folder(files))
    execute(database, "ALTER TABLE a ALTER id SET DEFAULT 7")
    path = folder({**files, "001_a.up.sql": A.replace("id int", "id int DEFAULT 7")})

    accept(database, path)

    assert {v.status for v in verify(database, path).relations} == {"ok"}
    execute(database, "DROP INDEX a_b_id")
    (drifted,) = [v for v in verify(database, path).relations if v.status != "ok"]
    assert [d.part for d in drifted.differences] == ["index a_b_id"]


def test_drift_of_what_the_migration_has_nothing_to_do_with_is_left_to_verify(
    database: str, folder: Write
) -> None:
    """An edit of 001 can be recorded although b has drifted, which stays reported."""
    up(database, folder(FILES))
    execute(database, "ALTER TABLE b ADD COLUMN x int", "ALTER TABLE a ALTER id SET NOT NULL")
    path = folder({**FILES, "001_a.up.sql": A.replace("id int", "id int NOT NULL")})

    accept(database, path)

    assert {n for n, s in statuses(verify(database, path)).items() if s != "ok"} == {"table b"}


@pytest.mark.per_version
def test_drift_of_the_migrations_own_table_is_shown(database: str, folder: Write) -> None:
    """Even if the edit is of a comment: what is recorded as reviewed was compared."""
    up(database, folder(FILES))
    execute(database, "ALTER TABLE a ADD COLUMN x int")
    path = folder({**FILES, "001_a.up.sql": f"-- why\n{A}"})

    with pytest.raises(DifferenceFound) as caught:
        accept(database, path)

    assert isinstance(caught.value.report, AcceptReport)
    assert differences(caught.value.report) == {("drifted", "a", "column x")}


def test_a_renamed_file_gets_its_new_name_recorded(database: str, folder: Write) -> None:
    """Without a replay: the text is the same, and the note about the name ends."""
    up(database, folder(FILES))
    path = folder({name.replace("001_a", "1_first"): text for name, text in FILES.items()})

    report = accept(database, path)

    assert (report.recorded_as, report.label) == ("001_a", "1_first")
    assert (report.diff, report.relations) == ((), ())
    assert_clean(database, path)
    assert [(e["version"], e["name"]) for e in history(database)][-1] == ("1", "first")


def test_a_renamed_file_may_then_be_edited_and_the_other_way_round(
    database: str, folder: Write
) -> None:
    """One after the other; both at once would be another migration."""
    up(database, folder({"1_a.up.sql": "SELECT 1;"}))
    renamed = folder({"1_b.up.sql": "SELECT 1;"})
    both = folder({"1_b.up.sql": "SELECT 2;"})

    with pytest.raises(Refused):
        accept(database, both)
    accept(database, renamed)
    accept(database, both)

    assert_clean(database, both)


def test_a_changed_down_script_is_recorded(database: str, folder: Write) -> None:
    """Rollback runs the file without a warning, and --recorded runs the same."""
    up(database, folder({**FILES, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;"}))
    path = folder(
        {
            **FILES,
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
            "002_b.down.sql": "DROP TABLE b; ALTER TABLE a DROP COLUMN b_id;",
        }
    )

    report = accept(database, path, "2")

    assert (report.status, report.diff) == ("accepted", ())
    assert "+DROP TABLE b; ALTER TABLE a DROP COLUMN b_id;" in report.down_diff
    assert rollback(database, path, dry_run=True).notes == ()
    (path / "002_b.down.sql").unlink()
    assert accept(database, path, "2").status == "unchanged"
    assert [m.version for m in rollback(database, path, recorded=True).migrations] == ["002"]


def test_a_down_script_that_was_recorded_outlives_its_file(database: str, folder: Write) -> None:
    """An edit of the up file is no reason to lose the only way back."""
    up(database, folder(FILES))
    path = folder({**FILES, "002_b.up.sql": f"-- b\n{FILES['002_b.up.sql']}"})
    (path / "002_b.down.sql").unlink()

    accept(database, path, "2")

    assert history(database)[-1]["down_sql"] == FILES["002_b.down.sql"]


@pytest.mark.per_version
def test_a_file_marked_no_transaction_can_be_accepted(database: str, folder: Write) -> None:
    """Its recorded text is that of the whole file."""
    text = "-- lfmigrate: no-transaction\nCREATE INDEX CONCURRENTLY a_x ON a (id);\nSELECT 1;\n"
    up(database, folder({**FILES, "003_x.up.sql": text}))
    path = folder({**FILES, "003_x.up.sql": text.replace("SELECT 1", "SELECT 2")})

    report = accept(database, path, "3")

    assert [line for line in report.diff if line[:2] in {"+S", "-S"}] == [
        "-SELECT 1;",
        "+SELECT 2;",
    ]
    assert_clean(database, path)


def test_a_missing_object_is_created_from_the_accepted_text(database: str, folder: Write) -> None:
    """A repair runs what was accepted, not what was edited since."""
    up(database, folder({"001_a.up.sql": A}))
    path = folder({"001_a.up.sql": f"-- why\n{A}"})
    accept(database, path)
    execute(database, "DROP TABLE a")

    assert applied_again(database, path) == {"table a": "created"}
    assert_clean(database, path)


def test_a_view_on_an_accepted_table_is_created_from_its_file(database: str, folder: Write) -> None:
    """The edit changed what is expected of the view, but its file creates it."""
    files = {**FILES, "001_a.up.sql": A.replace(" IF NOT EXISTS", "")}
    up(database, folder(files))
    execute(
        database,
        "DROP VIEW v",
        "ALTER TABLE a ALTER id TYPE bigint",
        "CREATE VIEW v AS SELECT id FROM a",
    )
    path = folder({**files, "001_a.up.sql": files["001_a.up.sql"].replace("id int", "id bigint")})
    accept(database, path)
    execute(database, "DROP VIEW v")

    assert applied_again(database, path)["view v"] == "created"
    assert_clean(database, path)


def test_a_recorded_text_that_cannot_be_replayed_is_said(database: str, folder: Write) -> None:
    """It needed a table that is gone; the edit is the cure, compared with what was recorded."""
    execute(database, "CREATE TABLE legacy (id int)")
    text = "CREATE TABLE c (id int);\nINSERT INTO c SELECT id FROM legacy;"
    up(database, folder({"001_c.up.sql": text}))
    execute(database, "DROP TABLE legacy")
    path = folder({"001_c.up.sql": "CREATE TABLE c (id int);"})

    report = accept(database, path)

    (note,) = report.notes
    assert note.startswith("the recorded text cannot be replayed (001_c.up.sql:2")
    assert compared(report) == {"c": "ok"}
    assert_clean(database, path)


def test_a_recorded_text_that_cannot_be_replayed_hides_no_difference(
    database: str, folder: Write
) -> None:
    """Then the edited text is compared with what the history expects."""
    execute(database, "CREATE TABLE legacy (id int)")
    text = "CREATE TABLE c (id int);\nCREATE TABLE d (id int);\nSELECT id FROM legacy;"
    up(database, folder({"001_c.up.sql": text}))
    execute(database, "DROP TABLE legacy")
    path = folder({"001_c.up.sql": "CREATE TABLE c (id bigint);"})

    with pytest.raises(DifferenceFound) as caught:
        accept(database, path)

    assert isinstance(caught.value.report, AcceptReport)
    assert differences(caught.value.report) == {
        ("drifted", "c", "column id"),
        ("unexpected", "d", ""),
    }


@pytest.mark.per_version
def test_texts_of_another_major_version_are_not_compared(database: str, folder: Write) -> None:
    """What the edit has to do with is recorded in the words of this one."""
    up(database, folder({"001_a.up.sql": A}))
    execute(
        database,
        "UPDATE lfmigrate.lfmigrate_history SET server_version = 130000,"
        " expected = replace(expected::text, 'integer', 'int of 13')::jsonb",
    )
    path = folder({"001_a.up.sql": f"{A}SELECT 1;"})

    accept(database, path)

    report = verify(database, path)
    assert (report.source, report.problems) == ("history", ())


# --------------------------------------------------------------------------------------------------
# What is not
# --------------------------------------------------------------------------------------------------


def test_nothing_to_accept_records_nothing(database: str, folder: Write, cli: Cli) -> None:
    """Nor does it ask."""
    path = folder(FILES)
    up(database, path)
    before = history(database)

    done = cli("accept", "001", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 0
    assert "nothing to accept: the history has 001_a as it is in the folder\n" in done.stdout
    assert history(database) == before


@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [
        ("9", UsageError, 'there is no migration "9"'),
        ("", UsageError, 'there is no migration ""'),
        ("a", UsageError, 'there is no migration "a"'),
        ("3", Refused, "migration 003_c is not applied here"),
        ("4", SqlFileError, "the file of migration 004_d is not in "),
        ("5", Refused, "version 005 is used by two different migrations"),
    ],
)
def test_what_cannot_be_accepted_says_why(
    database: str, folder: Write, version: str, kind: type[LfmigrateError], message: str
) -> None:
    """A migration that has not run, has no file, or is another one."""
    files = {**FILES, "004_d.up.sql": "SELECT 4;", "005_e.up.sql": "SELECT 5;"}
    up(database, folder(files))
    before = history(database)
    path = folder({**FILES, "003_c.up.sql": "SELECT 3;", "005_f.up.sql": "SELECT 6;"})

    with pytest.raises(kind) as caught:
        accept(database, path, version)

    assert caught.value.message.startswith(message)
    assert history(database) == before


@pytest.mark.per_version
def test_an_edit_that_cannot_run_is_refused_with_its_place(database: str, folder: Write) -> None:
    """It would fail in the next empty database."""
    up(database, folder(FILES))
    before = history(database)
    path = folder({**FILES, "001_a.up.sql": f"{A}SELECT nothing;"})

    with pytest.raises(StatementFailed) as caught:
        accept(database, path)

    assert (caught.value.file, caught.value.line) == ("001_a.up.sql", 3)
    assert caught.value.outcome == NOTHING_CHANGED
    assert history(database) == before


def test_a_dry_run_records_nothing(database: str, folder: Write, cli: Cli) -> None:
    """It shows and compares what would be recorded, in the words of the other dry runs."""
    up(database, folder(FILES))
    before = history(database)
    path = folder({**FILES, "001_a.up.sql": f"-- why\n{A}"})
    where = ("--database-url", database, "--sql-dir", str(path))

    done = cli("accept", "1", "--dry-run", *where)
    document = json.loads(cli("accept", "1", "--dry-run", "--json", *where).stdout)

    assert done.returncode == 0
    assert "lfmigrate accept --dry-run: database " in done.stdout
    assert "+-- why" in done.stdout
    assert "dry run: nothing was recorded\n" in done.stdout
    assert (document["ok"], document["dry_run"], document["status"]) == (True, True, "planned")
    assert (document["version"], document["name"]) == ("001", "a")
    assert document["recorded_as"] == "001_a"
    assert "+-- why" in document["diff"]
    assert history(database) == before


def test_it_is_not_recorded_unasked(database: str, folder: Write, cli: Cli) -> None:
    """Without a terminal the edit is shown, and the exit code is 5; --yes records it."""
    up(database, folder(FILES))
    before = history(database)
    path = folder({**FILES, "001_a.up.sql": f"-- why\n{A}"})
    where = ("--database-url", database, "--sql-dir", str(path))

    asked = cli("accept", "1", *where)
    unchanged = history(database) == before
    done = cli("accept", "1", "--yes", *where)

    assert asked.returncode == 5
    assert "accept preview: database " in asked.stdout
    assert "+-- why" in asked.stdout
    assert "not confirmed" in asked.stderr
    assert unchanged
    assert done.returncode == 0
    assert "001_a accepted\n" in done.stdout
    assert fetch(database, "SELECT action FROM lfmigrate.lfmigrate_history")[-1] == "accept"


def test_a_diff_that_is_to_be_confirmed_is_shown_whole(
    database: str, folder: Write, cli: Cli
) -> None:
    """Other reports cut long diffs."""
    up(database, folder(FILES))
    lines = "".join(f"-- line {n}\n" for n in range(50))
    path = folder({**FILES, "001_a.up.sql": f"{lines}{A}"})

    done = cli("accept", "1", "--yes", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 0
    assert all(f"+-- line {n}\n" in done.stdout for n in range(50))


def test_an_edit_that_is_rolled_back_and_applied_again_is_forgotten(
    database: str, folder: Write
) -> None:
    """What is applied is the last text that ran, or was accepted after it ran."""
    files = {"001_a.up.sql": A, "001_a.down.sql": "DROP TABLE a;"}
    up(database, folder(files))
    edited = folder({**files, "001_a.up.sql": f"-- why\n{A}"})
    accept(database, edited)
    rollback(database, edited)

    up(database, folder(files))

    assert_clean(database, folder(files))
    assert not verify(database, edited).ok
