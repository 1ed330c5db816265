"""Options of `up`, and differences between the folder and the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lfmigrate
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    Interrupted,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from tests.conftest import Cli
from tests.helpers.commands import SHIPPED, migrations, statuses, up, verify
from tests.helpers.databases import execute, fetch, has_history, history

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

# What to run follows from the folder and from rows of the history, on this side of the connection.
of_the_plan = pytest.mark.any_version


def recorded(url: str) -> dict[str, set[str]]:
    """Return the names of the relations that each file's last event is said to have made."""
    return {
        row["file"]: {relation["name"] for relation in row["expected"]["relations"]}
        for row in history(url)
    }


THREE = {
    "001_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);",
    "002_b.up.sql": "CREATE TABLE b (a_id int REFERENCES a);",
    "003_c.up.sql": "CREATE TABLE c (id int);",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM c;",
}


@of_the_plan
def test_to_runs_no_further(database: str, folder: Write) -> None:
    """Later migrations stay pending, and so do the views; the next up runs them."""
    path = folder(THREE)

    first = up(database, path, to="2")
    second = up(database, path)

    assert statuses(first) == {"table a": "created", "table b": "created"}
    assert migrations(first) == {"001": "applied", "002": "applied"}
    assert statuses(second)["view v"] == "created"
    assert migrations(second)["003"] == "applied"


@of_the_plan
def test_to_the_newest_runs_the_views(database: str, folder: Write) -> None:
    """Nothing stays pending, so a view has all that it needs."""
    report = up(database, folder(THREE), to="003")

    assert statuses(report)["view v"] == "created"


@of_the_plan
def test_an_unknown_version_is_refused(database: str, folder: Write, cli: Cli) -> None:
    """Exit code 2, with the versions that there are."""
    path = folder(THREE)

    done = cli("up", "--to", "7", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 2
    assert 'there is no migration "7"' in done.stderr
    assert "001, 002, 003" in done.stderr
    assert not has_history(database)


@of_the_plan
@pytest.mark.parametrize("to", ["", "x", "-1", "1.5", "²", "2 "])
def test_a_version_that_is_no_number_is_refused(database: str, folder: Write, to: str) -> None:
    """It is reported as an unknown version, not as a traceback."""
    with pytest.raises(UsageError, match="there is no migration"):
        up(database, folder(THREE), to=to)

    assert not has_history(database)


def test_a_dry_run_reports_the_same_and_keeps_nothing(
    database: str, folder: Write, dump: Dump
) -> None:
    """Only the word for the migrations differs: planned."""
    path = folder(THREE)
    before = dump(database)

    planned = up(database, path, dry_run=True)

    assert dump(database) == before
    assert not has_history(database)
    assert planned.dry_run
    assert migrations(planned) == {"001": "planned", "002": "planned", "003": "planned"}
    assert planned.relations == up(database, path).relations


def test_a_dry_run_meets_what_the_run_would_meet(database: str, folder: Write) -> None:
    """The statements really run, so a failing one is found."""
    path = folder({**THREE, "004_d.up.sql": "CREATE TABLE d (id nonsense);"})

    with pytest.raises(StatementFailed, match="nonsense"):
        up(database, path, dry_run=True)

    assert not has_history(database)


def test_a_dry_run_of_a_repair_keeps_nothing(applied: str, dump: Dump) -> None:
    """A missing table stays missing, and the history as it is."""
    execute(applied, "DROP TABLE program_resources")
    before = dump(applied), history(applied)

    report = up(applied, SHIPPED, dry_run=True)

    assert statuses(report)["table program_resources"] == "created"
    assert migrations(report) == {"002": "planned"}
    assert (dump(applied), history(applied)) == before


def test_a_failure_leaves_nothing(database: str, folder: Write, dump: Dump) -> None:
    """One transaction for all: the third file's mistake undoes the first two."""
    before = dump(database)

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({**THREE, "003_c.up.sql": "CREATE TABLE c (id int);\nSELECT 1/0;"}))

    assert (caught.value.file, caught.value.line) == ("003_c.up.sql", 2)
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before
    assert not has_history(database)


def test_per_migration_keeps_what_was_committed_before_a_failure(
    database: str, folder: Write
) -> None:
    """The first two stay, the message names them, and the corrected rest runs afterwards."""
    with pytest.raises(StatementFailed) as caught:
        up(
            database,
            folder({**THREE, "003_c.up.sql": "CREATE TABLE c (id int); SELECT 1/0;"}),
            per_migration=True,
        )
    tables = fetch(database, "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")

    assert caught.value.facts[-1] == "Rolled back; committed before it and kept: 001_a, 002_b."
    assert set(tables) == {"a", "b"}
    assert migrations(up(database, folder(THREE))) == {
        "001": "already_applied",
        "002": "already_applied",
        "003": "applied",
    }


def test_per_migration_reports_what_one_transaction_would(
    database: str, folder: Write, create_database: Callable[[], str]
) -> None:
    """With nothing failing, only the number of transactions differs."""
    path = folder(
        {
            **THREE,
            "004_d.up.sql": "ALTER TABLE a ADD COLUMN more text; DROP TABLE b;"
            "CREATE INDEX c_id_idx ON c (id);",
        }
    )

    apart = up(database, path, per_migration=True)
    together = create_database()
    up(together, path)

    runs = "SELECT count(DISTINCT run_id) FROM lfmigrate.lfmigrate_history"
    assert fetch(database, runs) == [5]
    assert fetch(together, runs) == [1]
    assert [m.status for m in apart.migrations] == ["applied"] * 4
    assert verify(database, path).ok
    assert verify(together, path).ok
    assert statuses(verify(database, path)) == statuses(verify(together, path))


def test_a_relation_of_an_earlier_commit_that_is_dropped_later_is_not_reported(
    database: str, folder: Write
) -> None:
    """A per-migration run reports what is there when it ends."""
    path = folder({"1_a.up.sql": "CREATE TABLE a (id int);", "2_b.up.sql": "DROP TABLE a;"})

    report = up(database, path, per_migration=True)

    assert statuses(report) == {}


@of_the_plan
def test_a_version_below_an_applied_one_is_refused(database: str, folder: Write, cli: Cli) -> None:
    """Both are named, with the way out; exit code 5 and nothing is changed."""
    up(database, folder({"001_a.up.sql": "SELECT 1;", "003_c.up.sql": "SELECT 1;"}))
    path = folder(THREE)
    before = history(database)

    done = cli("up", "--database-url", database, "--sql-dir", folder(THREE))

    assert done.returncode == 5
    assert "002_b is pending, but the newer 003_c is already applied" in done.stderr
    assert "--allow-out-of-order" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert history(database) == before
    with pytest.raises(Refused):
        up(database, path)


@of_the_plan
def test_a_version_below_an_applied_one_runs_when_asked_for(database: str, folder: Write) -> None:
    """With --allow-out-of-order it is applied like any other."""
    up(database, folder({"001_a.up.sql": THREE["001_a.up.sql"], "003_c.up.sql": "SELECT 1;"}))

    path = folder(
        {
            "001_a.up.sql": THREE["001_a.up.sql"],
            "002_b.up.sql": THREE["002_b.up.sql"],
            "003_c.up.sql": "SELECT 1;",
        }
    )
    report = up(database, path, allow_out_of_order=True)

    assert migrations(report)["002"] == "applied"
    assert statuses(report)["table b"] == "created"


@of_the_plan
def test_an_edited_file_is_reported_and_not_run(database: str, folder: Write) -> None:
    """A warning says so; the database stays as it is."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))

    report = up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int, more text);"}))

    assert report.notes == ("1_a was edited after it was applied; the change has not been run",)
    assert statuses(report) == {"table a": "unchanged"}
    assert migrations(report) == {"1": "already_applied"}


@of_the_plan
def test_a_line_end_is_no_edit(database: str, folder: Write) -> None:
    """A checkout with CRLF and a byte order mark is the same file."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (\n  id int\n);\n"}))

    report = up(database, folder({"1_a.up.sql": "\ufeffCREATE TABLE a (\r\n  id int\r\n);\r\n"}))

    assert report.notes == ()


@of_the_plan
def test_a_missing_file_is_reported(database: str, folder: Write) -> None:
    """What it made is still expected, and shown."""
    up(database, folder(THREE))

    report = up(database, folder({k: v for k, v in THREE.items() if not k.startswith("002")}))

    assert "002_b is applied, but its file is not in the folder" in report.notes
    assert statuses(report)["table b"] == "unchanged"


@of_the_plan
def test_a_renamed_version_is_the_same_migration(database: str, folder: Write) -> None:
    """001 and 1 are one number, so widening the numbers later runs nothing twice."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))

    report = up(database, folder({"001_a.up.sql": "CREATE TABLE a (id int);"}))

    assert [m.status for m in report.migrations] == ["already_applied"]


def test_two_files_of_one_version_are_refused(folder: Write) -> None:
    """It cannot be known which one is meant."""
    path = folder({"1_a.up.sql": "SELECT 1;", "001_b.up.sql": "SELECT 1;"})

    with pytest.raises(SqlFileError, match=r"version 1 is used more than once: 001_b.*1_a"):
        lfmigrate.read_folder(path)


@of_the_plan
def test_a_gap_in_the_numbers_is_reported_and_run(database: str, folder: Write) -> None:
    """A file that was left out of a commit is worth a warning and no refusal."""
    report = up(database, folder({"1_a.up.sql": "SELECT 1;", "3_c.up.sql": "SELECT 1;"}))

    assert report.notes == ("no migration 2 between 1 and 3",)
    assert migrations(report) == {"1": "applied", "3": "applied"}


@of_the_plan
@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "-- nothing yet\n/* nor /* here */ */\n", ";", ";;\n;"],
    ids=["empty", "blank", "comments", "semicolon", "semicolons"],
)
def test_a_file_without_statements_is_applied(database: str, folder: Write, text: str) -> None:
    """It is recorded like any other, and a second up has nothing to do."""
    path = folder({"1_nothing.up.sql": text, "2_b.up.sql": "CREATE TABLE b (id int);"})

    first, second = up(database, path), up(database, path)

    assert migrations(first) == {"1": "applied", "2": "applied"}
    assert statuses(first) == {"table b": "created"}
    assert migrations(second) == {"1": "already_applied", "2": "already_applied"}


def test_an_open_transaction_is_refused(database: str, folder: Write) -> None:
    """A caller's own transaction must not be committed behind its back."""
    path = folder(THREE)
    with lfmigrate.connect(database) as conn:
        conn.execute("BEGIN")

        with pytest.raises(UsageError, match="open transaction"):
            lfmigrate.up(conn, lfmigrate.read_folder(path))

    assert not has_history(database)


RAISING = {
    "1_a.up.sql": "CREATE TABLE a (n int); {};",
    "2_alone.up.sql": "-- lfmigrate: no-transaction\n{};",
    "views/v.sql": "{}; CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
}


@pytest.mark.parametrize("code", ["LF001", "LF002", "LF003", "55P03", "42P16", "2BP01"])
@pytest.mark.parametrize("name", RAISING)
def test_a_file_cannot_raise_an_error_of_lfmigrates_own(
    database: str, folder: Write, code: str, name: str
) -> None:
    """It would be repeated for ever, or reported as another run's."""
    text = RAISING[name].format(f"DO $$ BEGIN RAISE 'mine' USING ERRCODE = '{code}'; END $$")
    said: list[str] = []

    with pytest.raises(StatementFailed) as caught:
        up(database, folder({name: text}), on_wait=said.append)

    assert (caught.value.message, caught.value.sqlstate) == ("mine", code)
    assert caught.value.file == name
    assert "another" not in " ".join([str(caught.value), *said])
    assert fetch(database, "SELECT relname FROM pg_class WHERE relname IN ('a', 'v')") == []


def test_a_connection_can_be_used_again(database: str, folder: Write) -> None:
    """After a success, a failure and a dry run, it is idle and as it was."""
    with lfmigrate.connect(database) as conn:
        bad = lfmigrate.read_folder(folder({"1_a.up.sql": "SELECT 1/0;"}))
        with pytest.raises(StatementFailed):
            lfmigrate.up(conn, bad)
        good = lfmigrate.read_folder(folder(THREE))
        lfmigrate.up(conn, good, dry_run=True)
        lfmigrate.up(conn, good)
        lfmigrate.up(conn, good)

        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert conn.execute("SELECT count(*) FROM a").fetchone() == (0,)


def test_rows_are_kept_by_a_run_that_skips(applied: str) -> None:
    """A repair empties nothing."""
    execute(
        applied,
        "INSERT INTO performance_periods (period_key, period_label, start_date, end_date)"
        " VALUES ('q1', 'Q1', '2024-01-01', '2024-03-31'); DROP TABLE program_resources",
    )

    up(applied, SHIPPED)

    assert fetch(applied, "SELECT period_key FROM performance_periods") == ["q1"]


@of_the_plan
def test_the_json_document_has_the_contracts_words(database: str, cli: Cli, folder: Write) -> None:
    """Scripts rely on these keys."""
    done = cli("up", "--json", "--database-url", database, "--sql-dir", folder(THREE))

    document = json.loads(done.stdout)
    assert {"command", "ok", "exit_code", "database", "schema", "elapsed_ms"} <= document.keys()
    assert (document["command"], document["ok"], document["schema"]) == ("up", True, "public")
    assert [m["status"] for m in document["migrations"]] == ["applied"] * 3
    assert set(document["migrations"][0]) == {"version", "name", "status", "elapsed_ms"}
    first = document["relations"][0]
    assert (first["kind"], first["name"], first["status"]) == ("table", "a", "created")
    assert first["differences"] == []
    assert done.stderr == ""


def test_a_refusal_names_what_an_earlier_transaction_of_the_command_committed(
    database: str, folder: Write
) -> None:
    """While 002 waits for a lock, another run applies 003: 002 is refused, and 001 stays."""
    execute(database, "CREATE TABLE taken (id int)")
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (id int);",
            "002_b.up.sql": "ALTER TABLE taken ADD COLUMN n int;",
        }
    )
    later = folder({**THREE, "003_c.up.sql": "CREATE TABLE c (id int);"})
    (later / "002_b.up.sql").unlink()
    done: list[str] = []

    def overtake(line: str) -> None:
        if "could not acquire a lock" in line and not done:
            done.append(line)
            up(database, later)

    scope = lfmigrate.Scope(lock_timeout_ms=200)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE taken")
        with pytest.raises(Refused) as refused:
            up(database, path, per_migration=True, scope=scope, on_wait=overtake)

    assert refused.value.outcome is not None
    assert refused.value.outcome.status == "kept"
    assert "001_a" in refused.value.outcome.text


def test_an_interrupt_right_after_the_commit_is_reported_as_committed(
    database: str, folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment is chosen by the code: COMMIT was answered, and the signal arrives then."""
    commit = Transaction.commit

    def commit_and_be_interrupted(tx: Transaction, outcome: Any = None) -> Any:
        commit(tx, outcome)
        raise KeyboardInterrupt

    monkeypatch.setattr(Transaction, "commit", commit_and_be_interrupted)

    with pytest.raises(Interrupted) as interrupted:
        up(database, folder({"001_a.up.sql": "CREATE TABLE a (id int);"}))

    assert interrupted.value.outcome == COMMITTED
    assert fetch(database, "SELECT to_regclass('a')::text") == ["a"]
