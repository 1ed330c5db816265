"""What a rollback does not undo, in the runs that are rolled back on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound, StatementFailed
from tests.helpers.commands import migrations, rollback, statuses, up
from tests.helpers.databases import execute, fetch

Write = Callable[[Mapping[str, str | bytes]], Path]

# The lock of the setval is held to the end of the transaction, too.
CAUGHT = "DO $$ BEGIN PERFORM setval('s', 1); RAISE 'x'; EXCEPTION WHEN OTHERS THEN END $$"

SEQUENCES = {
    "1_a.up.sql": "CREATE SEQUENCE s; CREATE SEQUENCE down INCREMENT -1;"
    " CREATE TABLE t (id serial);",
    "1_a.down.sql": "SELECT setval('s', 3); DROP TABLE t; DROP SEQUENCE s, down;",
}


@pytest.mark.parametrize(
    ("sequence", "statement", "after"),
    [
        ("s", "SELECT setval('s', 7)", (100, True)),
        ("s", "SELECT setval('s', 100, false)", (100, True)),
        ("s", CAUGHT, (100, True)),
        ("s", "ALTER SEQUENCE s RESTART; SELECT nextval('s')", (100, True)),
        ("s", "SELECT nextval('s')", (101, True)),
        ("s", "SELECT setval('s', 400)", (400, True)),
        ("down", "SELECT setval('down', -7)", (-100, True)),
        ("down", "SELECT nextval('down')", (-101, True)),
        ("t_id_seq", "INSERT INTO t DEFAULT VALUES", (101, True)),
        ("t_id_seq", "TRUNCATE t RESTART IDENTITY", (100, True)),
    ],
)  # fmt: skip
def test_a_dry_run_gives_no_value_of_a_sequence_out_again(
    database: str, folder: Write, sequence: str, statement: str, after: tuple[int, bool]
) -> None:
    """A rollback undoes no setval; one that went on leaves a gap, as after any rollback."""
    up(database, folder(SEQUENCES))
    execute(
        database,
        "SELECT setval('s', 100), setval('down', -100), setval('t_id_seq', 100)",
    )
    path = folder({**SEQUENCES, "2_b.up.sql": f"{statement};", "3_c.up.sql": "SELECT 1;"})

    report = up(database, path, dry_run=True)

    assert fetch(database, f"SELECT last_value, is_called FROM {sequence}") == [after]
    moved = [note for note in report.notes if f"public.{sequence}" in note]
    assert len(moved) == (
        "setval" in statement or statement == "SELECT nextval('s')" or abs(after[0]) == 101
    )


def test_a_run_locks_only_the_sequences_that_it_moves(database: str, folder: Write) -> None:
    """The server's lock table has room for some thousands, of all sessions together."""
    execute(database, *(f"CREATE SEQUENCE s{number}" for number in range(40)))
    counted = (
        "CREATE TABLE locked AS SELECT c.relname FROM pg_locks AS l JOIN pg_class AS c"
        " ON c.oid = l.relation WHERE l.pid = pg_backend_pid() AND c.relkind = 'S'"
        " AND c.relname LIKE 's%'"
    )
    path = folder({"1_a.up.sql": f"SELECT setval('s1', 7); {counted}"})

    up(database, path)

    assert fetch(database, "SELECT relname FROM locked") == ["s1"]


def test_the_preview_of_a_rollback_sets_no_sequence_back(database: str, folder: Write) -> None:
    """Nor does a strict dry run that finds a difference."""
    path = folder(SEQUENCES)
    up(database, path)
    execute(database, "SELECT setval('s', 100)")

    report = rollback(database, path, dry_run=True)

    assert fetch(database, "SELECT last_value FROM s") == [100]
    assert "sequence public.s was set back from 101 to 4" in report.notes[-1]

    execute(database, "ALTER TABLE t ADD COLUMN hand int")
    later = folder({**SEQUENCES, "2_b.up.sql": "SELECT setval('s', 5); COMMENT ON TABLE t IS 'x';"})
    with pytest.raises(DifferenceFound) as refused:
        up(database, later, dry_run=True, strict=True)
    assert refused.value.outcome == NOTHING_CHANGED
    assert fetch(database, "SELECT last_value FROM s") == [100]


def test_a_dry_run_executes_nothing_that_reaches_outside_the_database(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """It would be felt, whatever is rolled back; the report names the statement."""
    target = tmp_path / "out"
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a ();",
            "2_b.up.sql": f"COPY (SELECT 1) TO '{target}';",
            "3_c.up.sql": "CREATE TABLE c ();",
        }
    )

    report = up(database, path, dry_run=True)

    assert migrations(report) == {"1": "planned", "2": "planned", "3": "planned"}
    assert statuses(report) == {"table a": "created"}
    assert "2_b.up.sql:1: COPY reaches a file or a program of the server" in report.notes[-1]
    assert not target.exists()


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("fails", ["SELECT 1/0", "SELECT setval('s', 5), 1/0", "DEFERRED"])
def test_a_run_that_fails_sets_no_sequence_back(
    database: str, folder: Write, fails: str, *, dry_run: bool
) -> None:
    """The files of a dump set it, and a later statement fails, or what is deferred to the end."""
    up(database, folder(SEQUENCES))
    execute(database, "SELECT setval('s', 100)")
    deferred = "CREATE TABLE u (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
    failing = f"{deferred} INSERT INTO u VALUES (1), (1)" if fails == "DEFERRED" else fails
    path = folder({**SEQUENCES, "2_b.up.sql": f"SELECT setval('s', 7); {failing};"})

    with pytest.raises(StatementFailed) as failed:
        up(database, path, dry_run=dry_run)

    assert failed.value.outcome == NOTHING_CHANGED
    assert "sequence public.s was set back from 101 to" in failed.value.detail[-1]

    assert fetch(database, "SELECT last_value FROM s") == [100]


def test_a_run_that_is_committed_keeps_what_it_has_set(database: str, folder: Write) -> None:
    """Only what is rolled back is undone."""
    up(database, folder(SEQUENCES))
    execute(database, "SELECT setval('s', 100)")

    report = up(database, folder({**SEQUENCES, "2_b.up.sql": "SELECT setval('s', 7);"}))

    assert fetch(database, "SELECT last_value FROM s") == [7]
    assert report.notes == ()
