"""What `up` does to a database, and whether what it says of that is true."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.up import UpReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DatabaseError,
    DifferenceFound,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from lfmigrate.schema.compare import Verdict
from tests.conftest import Cli, Psql

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

SHIPPED = lfmigrate.shipped_folder()
SHIPPED_UP = SHIPPED / "002_leadership_feedback_tables.up.sql"
SHIPPED_DOWN = SHIPPED / "002_leadership_feedback_tables.down.sql"
SHIPPED_VIEWS = sorted((SHIPPED / "views").glob("*.sql"))
TABLES = {
    "cost_categories",
    "cost_category_discharging_hospitals",
    "cost_category_drgs",
    "cost_category_hospitals",
    "cost_opportunities",
    "efficiency_kpis",
    "performance_metrics",
    "performance_periods",
    "program_resources",
    "recommendation_cost_categories",
    "recommendations",
}
VIEWS = {"v_current_cost_categories", "v_recommendations_with_categories"}
FUNCTIONS = {"leadership_feedback_set_updated_at()", "leadership_feedback_stamp_status_change()"}


def up(url: str, path: Path, **options: Any) -> UpReport:
    with lfmigrate.connect(url) as conn:
        return lfmigrate.up(conn, lfmigrate.read_folder(path), **options)


def verify(url: str, path: Path, **options: Any) -> VerifyReport:
    with lfmigrate.connect(url) as conn:
        return lfmigrate.verify(conn, lfmigrate.read_folder(path), **options)


def execute(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(text.encode())


def fetch(url: str, text: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as conn:
        rows = conn.execute(text.encode()).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def statuses(report: UpReport | VerifyReport) -> dict[str, str]:
    return {f"{v.relation.kind} {v.relation.name}": v.status for v in report.relations}


def verdict(report: UpReport | VerifyReport, name: str) -> Verdict:
    return next(v for v in report.relations if v.relation.name == name)


def parts(found: Verdict) -> set[str]:
    return {difference.part for difference in found.differences}


def migrations(report: UpReport) -> dict[str, str]:
    return {m.version: m.status for m in report.migrations}


def history(url: str) -> list[Any]:
    return fetch(url, "SELECT to_jsonb(h) FROM lfmigrate.lfmigrate_history AS h ORDER BY id")


def recorded(url: str) -> dict[str, set[str]]:
    """Return the names of the relations that each file's last event is said to have made."""
    return {
        row["file"]: {relation["name"] for relation in row["expected"]["relations"]}
        for row in history(url)
    }


def has_history(url: str) -> bool:
    return bool(fetch(url, "SELECT to_regnamespace('lfmigrate') IS NOT NULL")[0])


def apply_with_psql(psql: Psql, url: str) -> None:
    done = psql(url, "-q", *(x for path in (SHIPPED_UP, *SHIPPED_VIEWS) for x in ("-f", str(path))))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def role(server_url: str) -> Iterator[str]:
    """Return the name of a role that may do nothing; to be asked for before a database."""
    name = f"lf_role_{uuid4().hex[:12]}"
    execute(server_url, f"CREATE ROLE {name} LOGIN")
    yield name
    execute(server_url, f"DROP ROLE {name}")


# --------------------------------------------------------------------------------------------------
# The shipped migration, on an empty database and beside other people's objects
# --------------------------------------------------------------------------------------------------

# One or more of every kind of object, with rows where it can have any.
FOREIGN = """
CREATE SCHEMA warehouse;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE TYPE point3 AS (x integer, y integer, z integer);
CREATE SEQUENCE ticket START 7;
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.updated_at := 'epoch'; RETURN NEW; END $$;
CREATE TABLE clinic (id serial PRIMARY KEY, name text NOT NULL UNIQUE, m mood, size positive,
    updated_at timestamptz);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON clinic FOR EACH ROW
    EXECUTE FUNCTION set_updated_at();
CREATE TABLE warehouse.visit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    clinic_id integer NOT NULL REFERENCES clinic, at date NOT NULL DEFAULT '2020-02-02');
CREATE INDEX visit_at_idx ON warehouse.visit (at);
CREATE STATISTICS visit_stats ON clinic_id, at FROM warehouse.visit;
CREATE TABLE log (n integer) PARTITION BY RANGE (n);
CREATE TABLE log_low PARTITION OF log FOR VALUES FROM (0) TO (100);
CREATE VIEW clinics AS SELECT * FROM clinic;
CREATE MATERIALIZED VIEW visits_a_day AS SELECT at, count(*) FROM warehouse.visit GROUP BY at;
CREATE RULE no_delete AS ON DELETE TO log DO INSTEAD NOTHING;
ALTER TABLE clinic ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_clinics ON clinic USING (true);
CREATE PROCEDURE tick() LANGUAGE sql AS $$ SELECT nextval('ticket') $$;
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = 0);
COMMENT ON TABLE clinic IS 'Not yours';
GRANT SELECT ON clinic TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA warehouse GRANT SELECT ON TABLES TO PUBLIC;
INSERT INTO clinic (name, m, size) VALUES ('North', 'ok', 3), ('50 % "off"', 'sad', 1);
INSERT INTO warehouse.visit (clinic_id) SELECT 1 + n % 2 FROM generate_series(1, 9) AS n;
INSERT INTO log SELECT n FROM generate_series(1, 5) AS n;
REFRESH MATERIALIZED VIEW visits_a_day;
SELECT nextval('ticket');
"""


def test_a_first_up_creates_fifteen_relations(database: str) -> None:
    """All that the shipped files make is reported as created, and nothing else is."""
    report = up(database, SHIPPED)

    assert statuses(report) == (
        {f"table {name}": "created" for name in TABLES}
        | {f"view {name}": "created" for name in VIEWS}
        | {f"function {name}": "created" for name in FUNCTIONS}
    )
    assert migrations(report) == {"002": "applied"}
    assert report.notes == ()
    assert not any(v.differences for v in report.relations)


def test_the_reported_relations_are_there(database: str) -> None:
    """The catalogs, asked in another way, agree with the report."""
    up(database, SHIPPED)

    assert set(fetch(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")) == (
        TABLES
    )
    assert set(fetch(database, "SELECT viewname FROM pg_views WHERE schemaname = 'public'")) == (
        VIEWS
    )


def test_a_second_up_changes_nothing(applied: str, dump: Dump) -> None:
    """Neither the schema nor the history is touched when there is nothing to do."""
    before = dump(applied, rows=True), history(applied)

    report = up(applied, SHIPPED)

    assert (dump(applied, rows=True), history(applied)) == before
    assert set(statuses(report).values()) == {"unchanged"}
    assert len(report.relations) == 15
    assert migrations(report) == {"002": "already_applied"}


def test_a_second_up_says_that_there_is_nothing_to_do(applied: str, cli: Cli) -> None:
    """In a line, with how much that was."""
    done = cli("up", "--database-url", applied)

    assert done.returncode == 0
    assert "up to date: 1 migration applied, 15 objects unchanged" in done.stdout
    assert done.stderr == ""


def test_the_list_of_tables_shows_the_eleven_beside_what_was_there(
    database: str, psql: Psql
) -> None:
    r"""`\dt` shows the users' tables and none of lfmigrate's."""
    execute(database, "CREATE TABLE mine (n integer)")
    up(database, SHIPPED)

    listed = psql(database, "-At", "-c", r"\dt")

    assert {line.split("|")[1] for line in listed.stdout.splitlines()} == TABLES | {"mine"}


def test_whatever_else_is_in_the_database_is_untouched(
    database: str, dump: Dump, psql: Psql
) -> None:
    """With ours dropped again, the dump with all rows is what it was before."""
    execute(database, FOREIGN)
    before = dump(database, rows=True)

    report = up(database, SHIPPED)
    psql(database, "-q", "-f", str(SHIPPED_DOWN))

    assert len(report.relations) == 15
    assert dump(database, rows=True) == before


def test_what_is_recorded_is_what_was_reported(database: str) -> None:
    """The history expects the relations of the report, each told to the file that makes it."""
    execute(database, FOREIGN)
    up(database, SHIPPED)

    assert recorded(database) == {
        "002_leadership_feedback_tables.up.sql": TABLES | FUNCTIONS,
        "views/v_current_cost_categories.sql": {"v_current_cost_categories"},
        "views/v_recommendations_with_categories.sql": {"v_recommendations_with_categories"},
    }


# --------------------------------------------------------------------------------------------------
# Tables that were there before
# --------------------------------------------------------------------------------------------------

DRIFT = """
ALTER TABLE program_resources DROP COLUMN title;
ALTER TABLE efficiency_kpis ADD COLUMN note text DEFAULT 'x';
ALTER TABLE cost_category_drgs ALTER COLUMN drg_code TYPE varchar(99);
"""


def test_up_adopts_what_psql_has_made(database: str, psql: Psql, dump: Dump) -> None:
    """Everything is skipped or found unchanged, nothing is created, and verify agrees."""
    apply_with_psql(psql, database)
    before = dump(database)

    report = up(database, SHIPPED)

    assert statuses(report) == (
        {f"table {name}": "skipped" for name in TABLES}
        | {f"view {name}": "unchanged" for name in VIEWS}
        | {f"function {name}": "unchanged" for name in FUNCTIONS}
    )
    assert dump(database) == before
    assert verify(database, SHIPPED).ok


def test_up_creates_those_that_are_missing_among_those_that_are_there(
    database: str, psql: Psql
) -> None:
    """Each relation gets the status that is true of it."""
    apply_with_psql(psql, database)
    execute(database, "DROP TABLE program_resources, recommendation_cost_categories CASCADE")

    report = up(database, SHIPPED)

    created = {name for name, status in statuses(report).items() if status == "created"}
    assert created == {
        "table program_resources",
        "table recommendation_cost_categories",
        "view v_recommendations_with_categories",
    }
    assert verify(database, SHIPPED).ok


def test_an_existing_table_is_given_nothing_but_its_missing_index(
    database: str, psql: Psql
) -> None:
    """What the file adds to a table that was there is a row of its own."""
    apply_with_psql(psql, database)
    execute(database, "DROP INDEX recommendations_status_idx")

    report = up(database, SHIPPED)

    assert statuses(report)["table recommendations"] == "skipped"
    assert statuses(report)["index recommendations.recommendations_status_idx"] == "created"
    assert verify(database, SHIPPED).ok


def test_drifted_tables_are_skipped_and_each_difference_is_named(
    database: str, psql: Psql, dump: Dump
) -> None:
    """A column too few, one too many and one of another type; none is altered."""
    apply_with_psql(psql, database)
    execute(database, DRIFT)
    before = dump(database)

    report = up(database, SHIPPED)

    drifted = {v.relation.name: v for v in report.relations if v.status == "drifted"}
    assert drifted.keys() == {"program_resources", "efficiency_kpis", "cost_category_drgs"}
    lost = next(d for d in drifted["program_resources"].differences if d.part == "column title")
    assert (lost.expected, lost.live) == ("character varying(255)", None)
    extra = drifted["efficiency_kpis"].differences
    assert [(d.part, d.expected, d.live) for d in extra] == [
        ("column note", None, "text DEFAULT 'x'::text")
    ]
    other = next(
        d for d in drifted["cost_category_drgs"].differences if d.part == "column drg_code"
    )
    assert other.live is not None
    assert other.live.startswith("character varying(99)")
    assert dump(database) == before


def test_verify_reports_the_drift_that_up_skipped(database: str, psql: Psql) -> None:
    """What up found is not forgotten, nor taken for right."""
    apply_with_psql(psql, database)
    execute(database, DRIFT)
    found = {v.relation.name: v.differences for v in up(database, SHIPPED).relations}

    report = verify(database, SHIPPED)

    wrong = {v.relation.name: v.differences for v in report.relations if v.status != "ok"}
    assert wrong == {name: differences for name, differences in found.items() if differences}
    assert verdict(report, "efficiency_kpis").status == "drifted"


def test_drift_is_shown_and_does_not_fail_up(database: str, psql: Psql, cli: Cli) -> None:
    """The exit code is 0; the table and the differences are on standard output."""
    apply_with_psql(psql, database)
    execute(database, DRIFT)

    done = cli("up", "--database-url", database)

    assert done.returncode == 0
    assert "column title" in done.stdout
    assert "3 drifted" in done.stdout


def test_strict_rolls_everything_back_and_shows_the_drift(
    database: str, psql: Psql, cli: Cli, dump: Dump
) -> None:
    """Exit code 3, the table all the same, and not a trace in the database."""
    apply_with_psql(psql, database)
    execute(database, DRIFT + "DROP TABLE recommendation_cost_categories CASCADE")
    before = dump(database)

    done = cli("up", "--strict", "--database-url", database)

    assert done.returncode == 3
    assert "column title" in done.stdout
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before
    assert not has_history(database)


def test_strict_is_content_with_identical_tables(database: str, psql: Psql) -> None:
    """Skipped is no drift."""
    apply_with_psql(psql, database)

    report = up(database, SHIPPED, strict=True)

    assert "drifted" not in statuses(report).values()


def test_strict_meets_drift_that_came_after_the_last_run(applied: str) -> None:
    """Even with nothing to do."""
    execute(applied, "ALTER TABLE efficiency_kpis ADD COLUMN note text")

    with pytest.raises(DifferenceFound) as caught:
        up(applied, SHIPPED, strict=True)

    assert caught.value.facts[0] == "table public.efficiency_kpis"
    assert isinstance(caught.value.report, UpReport)


def test_a_statement_that_stumbles_over_a_skipped_table_tells_which(
    database: str, folder: Write, dump: Dump
) -> None:
    """The failure names the table that was already there and is not what the file needs."""
    execute(database, "CREATE TABLE t (id integer)")
    before = dump(database)
    path = folder(
        {
            "1_t.up.sql": "CREATE TABLE IF NOT EXISTS t (id integer, name text, size int);\n"
            "CREATE INDEX IF NOT EXISTS t_name_idx ON t (name);"
        }
    )

    with pytest.raises(StatementFailed) as caught:
        up(database, path)

    assert (caught.value.file, caught.value.line) == ("1_t.up.sql", 2)
    assert "t was already there and was skipped; it has 1 of 3 expected columns." in (
        caught.value.facts
    )
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before


# --------------------------------------------------------------------------------------------------
# What has gone missing
# --------------------------------------------------------------------------------------------------


def test_a_table_that_was_dropped_by_hand_is_made_again(applied: str) -> None:
    """The next up runs the migration once more and says so."""
    execute(applied, "DROP TABLE program_resources")

    report = up(applied, SHIPPED)

    assert migrations(report) == {"002": "repaired"}
    made = {name for name, status in statuses(report).items() if status != "unchanged"}
    assert made == {"table program_resources"}
    assert statuses(report)["table program_resources"] == "created"
    assert verify(applied, SHIPPED).ok
    assert migrations(up(applied, SHIPPED)) == {"002": "already_applied"}


def test_a_view_that_was_dropped_by_hand_is_made_again(applied: str) -> None:
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
    assert "1_a.up.sql:1 (CREATE TABLE A) may not run twice" in done.stderr
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

    with pytest.raises(DifferenceFound, match="cannot be made again") as caught:
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


def test_a_missing_view_whose_file_is_gone_cannot_be_made_again(
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
    assert notes == ("views/v.sql ran, but is not in the folder",)


def test_strict_refuses_what_was_skipped_and_could_not_be_compared(
    database: str, folder: Write, dump: Dump
) -> None:
    """A second file's IF NOT EXISTS hides what it would have made."""
    files = {"1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": "CREATE TABLE IF NOT EXISTS a (id int, b int);"})
    before = dump(database), history(database)

    with pytest.raises(DifferenceFound, match="could not all be compared"):
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


# --------------------------------------------------------------------------------------------------
# Options, and what the folder and the history say of each other
# --------------------------------------------------------------------------------------------------

THREE = {
    "001_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);",
    "002_b.up.sql": "CREATE TABLE b (a_id int REFERENCES a);",
    "003_c.up.sql": "CREATE TABLE c (id int);",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM c;",
}


def test_to_runs_no_further(database: str, folder: Write) -> None:
    """Later migrations stay pending, and so do the views; the next up runs them."""
    path = folder(THREE)

    first = up(database, path, to="2")
    second = up(database, path)

    assert statuses(first) == {"table a": "created", "table b": "created"}
    assert migrations(first) == {"001": "applied", "002": "applied"}
    assert statuses(second)["view v"] == "created"
    assert migrations(second)["003"] == "applied"


def test_to_the_newest_runs_the_views(database: str, folder: Write) -> None:
    """Nothing stays pending, so a view has all that it needs."""
    report = up(database, folder(THREE), to="003")

    assert statuses(report)["view v"] == "created"


def test_an_unknown_version_is_refused(database: str, folder: Write, cli: Cli) -> None:
    """Exit code 2, with the versions that there are."""
    path = folder(THREE)

    done = cli("up", "--to", "7", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 2
    assert 'there is no migration "7"' in done.stderr
    assert "001, 002, 003" in done.stderr
    assert not has_history(database)


@pytest.mark.parametrize("to", ["", "x", "-1", "1.5", "²", "2 "])
def test_a_version_that_is_no_number_is_refused(database: str, folder: Write, to: str) -> None:
    """It is told as an unknown version, not as a traceback."""
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
    """A per-migration run tells what is there when it ends."""
    path = folder({"1_a.up.sql": "CREATE TABLE a (id int);", "2_b.up.sql": "DROP TABLE a;"})

    report = up(database, path, per_migration=True)

    assert statuses(report) == {}


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


def test_an_edited_file_is_told_and_not_run(database: str, folder: Write) -> None:
    """A warning says so; the database stays as it is."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))

    report = up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int, more text);"}))

    assert report.notes == ("1_a was edited after it was applied; the edit was not run",)
    assert statuses(report) == {"table a": "unchanged"}
    assert migrations(report) == {"1": "already_applied"}


def test_a_line_end_is_no_edit(database: str, folder: Write) -> None:
    """A checkout with CRLF and a byte order mark is the same file."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (\n  id int\n);\n"}))

    report = up(database, folder({"1_a.up.sql": "\ufeffCREATE TABLE a (\r\n  id int\r\n);\r\n"}))

    assert report.notes == ()


def test_a_missing_file_is_told(database: str, folder: Write) -> None:
    """What it made is still expected, and shown."""
    up(database, folder(THREE))

    report = up(database, folder({k: v for k, v in THREE.items() if not k.startswith("002")}))

    assert "002_b is applied, but its file is not in the folder" in report.notes
    assert statuses(report)["table b"] == "unchanged"


def test_a_renamed_version_is_the_same_migration(database: str, folder: Write) -> None:
    """001 and 1 are one number, so widening the numbers later runs nothing twice."""
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))

    report = up(database, folder({"001_a.up.sql": "CREATE TABLE a (id int);"}))

    assert [m.status for m in report.migrations] == ["already_applied"]


def test_two_files_of_one_version_are_refused(folder: Write) -> None:
    """Nobody can tell which one is meant."""
    path = folder({"1_a.up.sql": "SELECT 1;", "001_b.up.sql": "SELECT 1;"})

    with pytest.raises(SqlFileError, match=r"version 1 is there more than once: 001_b.*1_a"):
        lfmigrate.read_folder(path)


def test_a_gap_in_the_numbers_is_told_and_run(database: str, folder: Write) -> None:
    """A file that was left out of a commit is worth a warning and no refusal."""
    report = up(database, folder({"1_a.up.sql": "SELECT 1;", "3_c.up.sql": "SELECT 1;"}))

    assert report.notes == ("no migration 2 between 1 and 3",)
    assert migrations(report) == {"1": "applied", "3": "applied"}


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


# --------------------------------------------------------------------------------------------------
# View files
# --------------------------------------------------------------------------------------------------

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
    """Its file did not change, so there is nothing to do; verify and up tell."""
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


# --------------------------------------------------------------------------------------------------
# The truth of statuses: later migrations, and other people's relations
# --------------------------------------------------------------------------------------------------

BASE = """
CREATE TABLE t (id int PRIMARY KEY, name text, size int DEFAULT 1);
CREATE TABLE other (id int);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
"""
UNCHANGED = {"table t": "unchanged", "table other": "unchanged", "function touch()": "unchanged"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN more text", {"table t": "altered", "column t.more": "created"}),
        ("ALTER TABLE t ALTER size TYPE bigint",
         {"table t": "altered", "column t.size": "replaced"}),
        ("ALTER TABLE t DROP COLUMN size", {"table t": "altered"}),
        ("ALTER TABLE t ALTER name SET NOT NULL",
         {"table t": "altered", "column t.name": "replaced"}),
        ("ALTER TABLE t ALTER size DROP DEFAULT",
         {"table t": "altered", "column t.size": "replaced"}),
        (
            "ALTER TABLE t RENAME COLUMN name TO title",
            {"table t": "altered", "column t.title": "created"},
        ),
        ("CREATE INDEX t_name_idx ON t (name)",
         {"table t": "altered", "index t.t_name_idx": "created"}),
        (
            "ALTER TABLE t ADD CONSTRAINT t_size_check CHECK (size > 0)",
            {"table t": "altered", "constraint t.t_size_check": "created"},
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", {"table t": "altered"}),
        (
            "CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
            {"table t": "altered", "trigger t.touch": "created"},
        ),
        (
            "ALTER TABLE other ADD FOREIGN KEY (id) REFERENCES t",
            {"table other": "altered", "constraint other.other_id_fkey": "created"},
        ),
        ("CREATE VIEW v AS SELECT id FROM t", {"view v": "created"}),
        ("COMMENT ON TABLE t IS 'words'", {}),
        ("GRANT SELECT ON t TO PUBLIC", {}),
        ("INSERT INTO t VALUES (1)", {}),
    ],
)  # fmt: skip
def test_a_change_of_an_earlier_migrations_table_is_told(
    database: str, folder: Write, change: str, expected: dict[str, str]
) -> None:
    """The table is altered, its new parts are created, and verify expects the new state."""
    up(database, folder({"1_t.up.sql": BASE}))
    path = folder({"1_t.up.sql": BASE, "2_change.up.sql": change})

    report = up(database, path)

    assert statuses(report) == UNCHANGED | expected
    assert verify(database, path).ok
    assert verify(database, path, replay_files=True).ok


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX t_name_idx",
        "DROP TRIGGER g ON t",
        "DROP RULE r ON t",
        "DROP POLICY p ON t",
        "DROP STATISTICS t_stats",
        "ALTER TABLE t DROP CONSTRAINT t_size_check",
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t DROP CONSTRAINT t_other_id_fkey",
        "ALTER TABLE t ALTER other_id DROP NOT NULL",
        "ALTER TABLE t ALTER size DROP DEFAULT",
        "ALTER TABLE t ALTER id DROP IDENTITY",
        "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE t RESET (fillfactor)",
        "ALTER TABLE t SET LOGGED",
        "ALTER TABLE t DISABLE TRIGGER g",
    ],
)
def test_what_a_later_migration_takes_off_a_table_is_no_longer_expected(
    database: str, folder: Write, change: str
) -> None:
    """The server deletes such a part's row without touching the table's, and it is seen anyhow."""
    base = """
        CREATE UNLOGGED TABLE other (id int PRIMARY KEY);
        CREATE UNLOGGED TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,
            size int DEFAULT 1 CHECK (size > 0), other_id int NOT NULL REFERENCES other)
            WITH (fillfactor = 70);
        CREATE INDEX t_name_idx ON t (name);
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
        CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON t USING (true);
        CREATE STATISTICS t_stats ON id, size FROM t;"""
    if change.endswith("SET LOGGED"):  # a logged table may not refer to an unlogged one
        base = base.replace("UNLOGGED TABLE other", "TABLE other")
    path = folder({"1_t.up.sql": base, "2_less.up.sql": change})
    up(database, path, to="1")

    report = up(database, path)

    named = {name for name in statuses(report) if name.split()[0] in {"table", "function"}}
    assert {name: statuses(report)[name] for name in named} == {
        "table t": "altered",
        "table other": "unchanged",
        "function touch()": "unchanged",
    }
    assert verify(database, path).ok
    assert statuses(up(database, path))["table t"] == "unchanged"


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("DROP TABLE t", {"table other", "function touch()"}),
        ("DROP FUNCTION touch()", {"table t", "table other"}),
        ("DROP TABLE t; CREATE TABLE t (id bigint)",
         {"table t", "table other", "function touch()"}),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1", {"view t", "table other", "function touch()"}),
        ("ALTER FUNCTION touch() RENAME TO touch2",
         {"table t", "table other", "function touch2()"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", ["1", None], ids=["later", "in-one-run"])
def test_what_a_migration_drops_or_renames_is_no_longer_expected(
    database: str, folder: Write, change: str, left: set[str], first: str | None
) -> None:
    """Neither verify nor the next up miss it."""
    path = folder({"1_t.up.sql": BASE, "2_change.up.sql": change})
    if first is not None:
        up(database, path, to=first)

    report = up(database, path)

    parts_of_it = {name for name in statuses(report) if name.startswith("column ")}
    dropped = {name for name, status in statuses(report).items() if status == "dropped"}
    assert statuses(report).keys() - parts_of_it - dropped == left
    assert bool(dropped) == (first is not None and len(left) == 2)
    assert statuses(verify(database, path)) == dict.fromkeys(left, "ok")
    assert statuses(up(database, path)) == dict.fromkeys(left, "unchanged")


RENAMED = "ALTER TABLE t RENAME TO renamed"


def test_a_table_that_is_renamed_in_the_run_that_makes_it_has_its_last_name(
    database: str, folder: Write
) -> None:
    """The first name was never seen by anybody."""
    path = folder({"1_t.up.sql": BASE, "2_rename.up.sql": RENAMED})

    report = up(database, path)

    assert statuses(report)["table renamed"] == "created"
    assert "table t" not in statuses(report)
    assert verify(database, path).ok


def test_a_table_that_is_renamed_by_a_later_migration_is_still_tracked(
    database: str, folder: Write
) -> None:
    """Under its new name, as altered."""
    path = folder({"1_t.up.sql": BASE, "2_rename.up.sql": RENAMED})
    up(database, path, to="1")

    report = up(database, path)

    assert statuses(report) == {
        "table renamed": "altered",
        "table other": "unchanged",
        "function touch()": "unchanged",
    }
    assert statuses(verify(database, path)).keys() == statuses(report).keys()


def test_drift_from_before_a_later_migration_stays_drift(database: str, folder: Write) -> None:
    """A migration that adds one column does not bless another one that somebody added."""
    files = {"1_t.up.sql": BASE}
    up(database, folder(files))
    execute(database, "ALTER TABLE t ADD COLUMN sneaked_in text; ALTER TABLE t DROP COLUMN name")
    path = folder({**files, "2_more.up.sql": "ALTER TABLE t ADD COLUMN more text;"})

    report = up(database, path)

    assert statuses(report)["table t"] == "drifted"
    assert statuses(report)["column t.more"] == "created"
    assert parts(verdict(verify(database, path), "t")) == {"column sneaked_in", "column name"}


def test_a_migration_that_removes_drift_makes_it_right(database: str, folder: Write) -> None:
    """Dropping what should not be there leaves nothing to complain of."""
    files = {"1_t.up.sql": BASE}
    up(database, folder(files))
    execute(database, "ALTER TABLE t ADD COLUMN sneaked_in text")
    path = folder({**files, "2_less.up.sql": "ALTER TABLE t DROP COLUMN sneaked_in;"})

    up(database, path)

    assert verify(database, path).ok


FOREIGN_TABLE = "CREATE TABLE theirs (id int PRIMARY KEY, name text)"
ADDITIONS = [
    ("ALTER TABLE theirs ADD COLUMN ours text", "column ours",
     "ALTER TABLE theirs DROP COLUMN ours"),
    ("CREATE INDEX theirs_name_idx ON theirs (name)", "index theirs_name_idx",
     "DROP INDEX theirs_name_idx"),
    ("""CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TRIGGER g BEFORE UPDATE ON theirs FOR EACH ROW EXECUTE FUNCTION f()""", "trigger g",
     "DROP TRIGGER g ON theirs"),
    ("ALTER TABLE theirs ADD CONSTRAINT k CHECK (id > 0)", "constraint k",
     "ALTER TABLE theirs DROP CONSTRAINT k"),
]  # fmt: skip


def test_our_part_of_somebody_elses_table_can_be_dropped_by_a_migration(
    database: str, folder: Write
) -> None:
    """It is not missed afterwards."""
    execute(database, FOREIGN_TABLE)
    path = folder(
        {
            "1_i.up.sql": "CREATE INDEX theirs_name_idx ON theirs (name);",
            "2_drop.up.sql": "DROP INDEX theirs_name_idx;",
        }
    )
    up(database, path, to="1")

    up(database, path)

    assert verify(database, path).ok


@pytest.mark.parametrize(("addition", "part", "removal"), ADDITIONS)
def test_only_our_part_of_somebody_elses_table_is_tracked(
    database: str, folder: Write, addition: str, part: str, removal: str
) -> None:
    """Their later changes are none of our business; the loss of our part is drift."""
    execute(database, FOREIGN_TABLE)
    path = folder({"1_add.up.sql": addition})

    report = up(database, path)
    execute(database, "ALTER TABLE theirs ADD COLUMN later text; ALTER TABLE theirs DROP COLUMN id")
    after_theirs = verify(database, path)
    if part != "constraint k":  # it went with their column
        execute(database, removal)

    kind, name = part.split()
    assert statuses(report)[f"{kind} theirs.{name}"] == "created"
    assert "table theirs" not in statuses(report)
    if part != "constraint k":
        assert after_theirs.ok
    assert parts(verdict(verify(database, path), "theirs")) == {part}


def test_the_options_of_somebody_elses_table_are_not_ours(database: str, folder: Write) -> None:
    """An index of ours touches the row in which their options stand, and no more."""
    execute(database, "CREATE TABLE theirs (id int) WITH (fillfactor = 70)")
    path = folder({"1_i.up.sql": "CREATE INDEX theirs_id_idx ON theirs (id);"})

    up(database, path)
    execute(database, "ALTER TABLE theirs SET (fillfactor = 90)")

    assert verify(database, path).ok


def test_only_our_index_on_somebody_elses_materialized_view_is_tracked(
    database: str, folder: Write
) -> None:
    """The view itself is not adopted with it."""
    execute(database, "CREATE MATERIALIZED VIEW theirs AS SELECT 1 AS id")
    path = folder({"1_i.up.sql": "CREATE INDEX theirs_id_idx ON theirs (id);"})

    report = up(database, path)
    execute(database, "ALTER MATERIALIZED VIEW theirs SET (fillfactor = 90);")

    assert statuses(report) == {"index theirs.theirs_id_idx": "created"}
    assert verify(database, path).ok
    execute(database, "DROP INDEX theirs_id_idx")
    assert parts(verdict(verify(database, path), "theirs")) == {"index theirs_id_idx"}


def test_a_trigger_on_somebody_elses_view_is_tracked_alone(database: str, folder: Write) -> None:
    """Their next CREATE OR REPLACE VIEW is none of our business."""
    execute(database, "CREATE VIEW theirs AS SELECT 1 AS id")
    path = folder(
        {
            "1_g.up.sql": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER g INSTEAD OF INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION f();"
        }
    )

    report = up(database, path)
    execute(database, "CREATE OR REPLACE VIEW theirs AS SELECT 2 AS id")

    assert statuses(report) == {"trigger theirs.g": "created", "function f()": "created"}
    assert verify(database, path).ok


def test_a_second_addition_to_somebody_elses_table_is_tracked_too(
    database: str, folder: Write
) -> None:
    """Two migrations, two parts, and still nothing else of the table."""
    execute(database, FOREIGN_TABLE)
    files = {"1_a.up.sql": "ALTER TABLE theirs ADD COLUMN a int;"}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": "ALTER TABLE theirs ADD COLUMN b int;"})

    report = up(database, path)
    execute(database, "ALTER TABLE theirs ADD COLUMN later text")

    assert statuses(report)["column theirs.b"] == "created"
    assert verify(database, path).ok
    execute(database, "ALTER TABLE theirs DROP COLUMN a, DROP COLUMN b")
    assert parts(verdict(verify(database, path), "theirs")) == {"column a", "column b"}


def test_two_additions_to_somebody_elses_table_in_one_run_are_tracked(
    database: str, folder: Write
) -> None:
    """The same parts as when they are applied one after the other."""
    execute(database, FOREIGN_TABLE)
    path = folder(
        {
            "1_a.up.sql": "ALTER TABLE theirs ADD COLUMN a int;",
            "2_b.up.sql": "CREATE INDEX theirs_a_idx ON theirs (a);",
        }
    )

    report = up(database, path)

    assert statuses(report) == {
        "column theirs.a": "created",
        "index theirs.theirs_a_idx": "created",
    }
    assert verify(database, path).ok
    execute(database, "ALTER TABLE theirs DROP COLUMN a")
    assert parts(verdict(verify(database, path), "theirs")) == {"column a", "index theirs_a_idx"}


def test_a_foreign_key_to_somebody_elses_table_is_no_change_of_it(
    database: str, folder: Write
) -> None:
    """The server marks the other table, too; that is not reported nor expected."""
    execute(database, FOREIGN_TABLE)
    path = folder({"1_t.up.sql": "CREATE TABLE t (their_id int REFERENCES theirs);"})

    report = up(database, path)

    assert statuses(report) == {"table t": "created"}
    assert recorded(database) == {"1_t.up.sql": {"t"}}
    execute(database, "DROP TABLE theirs CASCADE")
    assert parts(verdict(verify(database, path), "t")) == {"constraint t_their_id_fkey"}


def test_a_foreign_key_between_our_own_tables_alters_only_the_one_that_has_it(
    database: str, folder: Write
) -> None:
    """In a later run, the table that is pointed at stays unchanged."""
    files = {"1_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);"}
    up(database, folder(files))

    report = up(database, folder({**files, "2_b.up.sql": "CREATE TABLE b (a int REFERENCES a);"}))

    assert statuses(report) == {"table a": "unchanged", "table b": "created"}


KINDS = [
    ("CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'",
     {"function f(integer, text)"}),
    ("CREATE PROCEDURE p(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := 1; END'",
     {"procedure p(integer)"}),
    ("CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)", {"aggregate total(integer)"}),
    ("CREATE TYPE mood AS ENUM ('sad', 'it''s ok')", {"type mood"}),
    ("CREATE DOMAIN positive AS int CHECK (value > 0)", {"type positive"}),
    ("CREATE TYPE pair AS (a int, b text)", {"type pair"}),
    ("CREATE TYPE span AS RANGE (subtype = int)", {"type span"}),
    ("CREATE SEQUENCE ticket START 5", {"sequence ticket"}),
    ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n", {"materialized view m"}),
    ("""CREATE TABLE p (n int) PARTITION BY RANGE (n);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)""", {"table p", "table p1"}),
    ("CREATE TABLE s (id serial, n int GENERATED ALWAYS AS IDENTITY)", {"table s"}),
    ("CREATE UNLOGGED TABLE u (id int)", {"table u"}),
    ("CREATE TABLE parent (id int); CREATE TABLE child (more int) INHERITS (parent)",
     {"table parent", "table child"}),
    ("CREATE SCHEMA app", {"schema app"}),
    ("CREATE SCHEMA app CREATE TABLE x (id int) CREATE VIEW y AS SELECT id FROM x",
     {"schema app", "table x", "view y"}),
    ("CREATE TABLE empty ()", {"table empty"}),
    ("SELECT 1 AS n INTO made_by_select", {"table made_by_select"}),
    ("CREATE TABLE t AS SELECT 1 AS n", {"table t"}),
    ("CREATE VIEW v AS SELECT 1 AS n", {"view v"}),
    ("CREATE TEMP TABLE t (id int); CREATE TEMP VIEW v AS SELECT 1", set()),
    ("""CREATE TEMP SEQUENCE s; CREATE TYPE pg_temp.mood AS ENUM ('sad');
     CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'""", set()),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), KINDS)
def test_each_kind_of_object_is_reported_as_what_it_is(
    database: str, folder: Write, statement: str, expected: set[str]
) -> None:
    """Created at first; verified, and unchanged when nothing is left to do."""
    path = folder({"1_make.up.sql": statement})

    report = up(database, path)

    assert statuses(report) == dict.fromkeys(expected, "created")
    assert statuses(verify(database, path)) == dict.fromkeys(expected, "ok")
    assert statuses(up(database, path)) == dict.fromkeys(expected, "unchanged")


@pytest.mark.parametrize(
    ("make", "change", "name"),
    [
        ("CREATE TYPE mood AS ENUM ('sad')", "ALTER TYPE mood ADD VALUE 'ok'", "type mood"),
        ("CREATE DOMAIN d AS int", "ALTER DOMAIN d ADD CHECK (value > 0)", "type d"),
        ("CREATE TYPE pair AS (a int)", "ALTER TYPE pair ADD ATTRIBUTE b text", "type pair"),
        ("CREATE SEQUENCE s", "ALTER SEQUENCE s INCREMENT 5", "sequence s"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
         "ALTER FUNCTION f() IMMUTABLE", "function f()"),
        ("CREATE TABLE p (n int) PARTITION BY RANGE (n); CREATE TABLE q (n int)",
         "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (0) TO (9)", "table q"),
        ("CREATE TABLE t (n int)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "table t"),
        ("CREATE TABLE t (n int)", "CREATE POLICY p ON t USING (n > 0)", "table t"),
        ("CREATE TABLE t (n int)", "ALTER TABLE t SET (fillfactor = 50)", "table t"),
        ("CREATE TABLE t (n int)", "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING", "table t"),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n", "CREATE INDEX m_n_idx ON m (n)",
         "materialized view m"),
        ("CREATE VIEW v AS SELECT 1 AS n", "ALTER VIEW v SET (security_barrier)", "view v"),
    ],
)  # fmt: skip
def test_a_change_of_another_kind_of_object_is_seen(
    database: str, folder: Write, make: str, change: str, name: str
) -> None:
    """Done by a migration it is altered or replaced, done by hand it is drift."""
    files = {"1_make.up.sql": make}
    up(database, folder(files))
    path = folder({**files, "2_change.up.sql": change})

    execute(database, change)
    by_hand = statuses(verify(database, folder(files)))[name]
    execute(
        database, "DROP SCHEMA public CASCADE; DROP SCHEMA lfmigrate CASCADE; CREATE SCHEMA public"
    )
    up(database, path, to="1")
    by_migration = statuses(up(database, path))[name]

    assert by_hand == "drifted"
    assert by_migration in {"altered", "replaced"}
    assert verify(database, path).ok


def test_an_extension_is_one_row_without_its_members(database: str, folder: Write) -> None:
    """What an extension brings along is its own business."""
    available = fetch(
        database,
        "SELECT name FROM pg_available_extensions"
        " WHERE name IN ('citext', 'pgcrypto', 'hstore', 'vector') ORDER BY name",
    )
    if not available:
        pytest.skip("the server has none of citext, hstore, pgcrypto and vector")
    name = available[0]
    path = folder({"1_ext.up.sql": f"CREATE EXTENSION IF NOT EXISTS {name};"})

    report = up(database, path)

    assert statuses(report) == {f"extension {name}": "created"}
    assert statuses(verify(database, path)) == {f"extension {name}": "ok"}
    execute(database, f"DROP EXTENSION {name}")
    assert statuses(verify(database, path)) == {f"extension {name}": "missing"}
    assert statuses(up(database, path)) == {f"extension {name}": "created"}


def test_an_extension_that_was_there_is_skipped(database: str, folder: Write) -> None:
    """IF NOT EXISTS on somebody else's extension claims nothing."""
    path = folder({"1_ext.up.sql": "CREATE EXTENSION IF NOT EXISTS plpgsql;"})

    report = up(database, path)

    assert "created" not in statuses(report).values()


@pytest.mark.parametrize(("body", "status"), [("SELECT 1", "unchanged"), ("SELECT 2", "replaced")])
def test_a_replaced_function_is_told_from_one_that_stays_the_same(
    database: str, folder: Write, body: str, status: str
) -> None:
    """CREATE OR REPLACE says nothing by itself; the definitions do."""
    make = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS '{}';"
    files = {"1_f.up.sql": make.format("SELECT 1")}
    up(database, folder(files))
    path = folder({**files, "2_f.up.sql": make.format(body)})

    report = up(database, path)

    assert statuses(report) == {"function f()": status}
    assert verify(database, path).ok


@pytest.mark.parametrize(
    ("body", "status"), [("\n  SELECT 1 + 1;\n", "unchanged"), (" SELECT 1 + 2; ", "replaced")]
)
def test_a_function_with_a_parsed_body_is_compared_without_its_format(
    database: str, folder: Write, body: str, status: str
) -> None:
    """The server keeps the query and not its text."""
    head = "CREATE OR REPLACE FUNCTION f(n int DEFAULT{} 1) RETURNS int LANGUAGE sql "
    make = head + "BEGIN ATOMIC{}END;"
    files = {"1_f.up.sql": make.format("", " SELECT 1 + 1; ")}
    up(database, folder(files))
    path = folder({**files, "2_f.up.sql": make.format("\n", body)})

    report = up(database, path)

    assert statuses(report) == {"function f(integer)": status}
    assert verify(database, path).ok


@pytest.mark.parametrize(("body", "status"), [("SELECT 1", "unchanged"), ("SELECT 2", "replaced")])
def test_a_function_of_somebody_else_that_is_replaced_is_told(
    database: str, folder: Write, body: str, status: str
) -> None:
    """It is ours from then on."""
    execute(database, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    path = folder(
        {"1_f.up.sql": f"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS '{body}';"}
    )

    report = up(database, path)

    assert statuses(report) == {"function f()": status}
    assert statuses(verify(database, path)) == {"function f()": "ok"}


def test_overloaded_functions_are_told_apart(database: str, folder: Write) -> None:
    """One name, two functions: dropping one leaves the other."""
    path = folder(
        {
            "1_f.up.sql": "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 2';",
        }
    )
    up(database, path)
    execute(database, "DROP FUNCTION f(int)")

    report = verify(database, path)

    assert statuses(report) == {"function f(integer)": "missing", "function f(text)": "ok"}


def test_tables_made_inside_subtransactions_are_attributed(database: str, folder: Write) -> None:
    """A DO block's EXCEPTION clause makes a subtransaction with an id of its own."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int);",
            "2_b.up.sql": """
                DO $$ BEGIN
                    CREATE TABLE b (id int);
                    BEGIN
                        CREATE TABLE b2 (id int);
                        CREATE INDEX a_id_idx ON a (id);
                    EXCEPTION WHEN others THEN NULL;
                    END;
                    BEGIN
                        CREATE TABLE never (id int);
                        RAISE EXCEPTION 'undone';
                    EXCEPTION WHEN raise_exception THEN
                        CREATE TABLE b3 (id int);
                    END;
                END $$;""",
            "3_c.up.sql": "CREATE TABLE c (id int);",
        }
    )

    report = up(database, path)

    assert statuses(report) == dict.fromkeys(
        ["table a", "table b", "table b2", "table b3", "table c"], "created"
    )
    assert recorded(database) == {
        "1_a.up.sql": {"a"},
        "2_b.up.sql": {"a", "b", "b2", "b3"},
        "3_c.up.sql": {"c"},
    }
    assert verify(database, path).ok


def test_what_another_session_makes_meanwhile_is_not_ours(database: str, folder: Write) -> None:
    """Committed between our first statement and our last, and visible to us, but not reported."""
    path = folder(
        {"1_t.up.sql": "CREATE TABLE t (id int);\nSELECT pg_advisory_xact_lock(42);\nSELECT 1;"}
    )
    execute(database, "CREATE TABLE theirs (id int)")
    reports: list[UpReport] = []
    thread = threading.Thread(target=lambda: reports.append(up(database, path)))
    with psycopg.connect(database, autocommit=True) as other, psycopg.connect(database) as open_one:
        other.execute("SELECT pg_advisory_lock(42)")
        thread.start()
        wait_for_a_waiter(other)

        other.execute("CREATE TABLE meanwhile (id int)")
        other.execute("CREATE FUNCTION meanwhile() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        other.execute("CREATE TYPE moment AS ENUM ('now')")
        other.execute("CREATE SCHEMA elsewhere")
        other.execute("CREATE INDEX theirs_id_idx ON theirs (id)")
        open_one.execute("CREATE TABLE not_committed (id int)")
        other.execute("SELECT pg_advisory_unlock(42)")
        thread.join(timeout=30)

    assert statuses(reports[0]) == {"table t": "created"}
    assert recorded(database) == {"1_t.up.sql": {"t"}}
    assert statuses(verify(database, path)) == {"table t": "ok"}


def wait_for_a_waiter(conn: psycopg.Connection[Any]) -> None:
    """Wait until a session queues for an advisory lock of this database."""
    question = """
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    give_up_at = time.monotonic() + 20
    while conn.execute(question).fetchone() is None:
        assert time.monotonic() < give_up_at, "nobody waits for the lock"
        time.sleep(0.02)


def test_each_migration_of_a_run_gets_its_own_relations(database: str, folder: Write) -> None:
    """The history tells apart what several files of one transaction made."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int); CREATE TYPE a_kind AS ENUM ('x');",
            "2_b.up.sql": "CREATE TABLE b (id int); CREATE FUNCTION b() RETURNS int LANGUAGE sql"
            " AS 'SELECT 1';",
            "3_c.up.sql": "CREATE SEQUENCE c; CREATE INDEX a_id_idx ON a (id);",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
        }
    )

    up(database, path)

    assert recorded(database) == {
        "1_a.up.sql": {"a", "a_kind"},
        "2_b.up.sql": {"b", "b()"},
        "3_c.up.sql": {"a", "c"},
        "views/v.sql": {"v"},
    }


def test_objects_in_another_schema_are_tracked(database: str, folder: Write) -> None:
    """A file may name any schema; what it makes there is reported with that name."""
    path = folder(
        {
            "1_app.up.sql": "CREATE SCHEMA app; CREATE TABLE app.x (id int);"
            "CREATE TYPE app.kind AS ENUM ('a'); CREATE TABLE y (k app.kind);"
        }
    )

    report = up(database, path)
    execute(database, "ALTER TABLE app.x ADD COLUMN more int; DROP TABLE y")

    found = {(v.relation.kind, v.relation.schema, v.relation.name) for v in report.relations}
    assert found == {
        ("schema", "", "app"),
        ("table", "app", "x"),
        ("type", "app", "kind"),
        ("table", "public", "y"),
    }
    assert statuses(verify(database, path)) == {
        "schema app": "ok",
        "table x": "drifted",
        "type kind": "ok",
        "table y": "missing",
    }


def test_tables_of_one_name_in_two_schemas_are_told_apart(database: str, folder: Write) -> None:
    """Somebody else's app.t is not our t."""
    execute(database, "CREATE SCHEMA app; CREATE TABLE app.t (id int)")
    path = folder({"1_t.up.sql": "CREATE TABLE IF NOT EXISTS t (id int);"})

    report = up(database, path)
    execute(database, "DROP TABLE app.t")

    assert statuses(report) == {"table t": "created"}
    assert verify(database, path).ok


# --------------------------------------------------------------------------------------------------
# Settings that a file makes
# --------------------------------------------------------------------------------------------------

LIKE_PG_DUMP = """
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
CREATE TABLE IF NOT EXISTS public.dumped (id integer NOT NULL);
"""


def test_a_files_settings_do_not_reach_the_next_file(database: str, folder: Write) -> None:
    """Unqualified names resolve again, and a skip is still noticed."""
    execute(database, "CREATE TABLE there (id int)")
    path = folder(
        {
            "1_dump.up.sql": LIKE_PG_DUMP,
            "2_next.up.sql": "CREATE TABLE IF NOT EXISTS there (id int);CREATE TABLE new (id int);",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM new;",
        }
    )

    report = up(database, path)

    assert statuses(report) == {
        "table dumped": "created",
        "table there": "skipped",
        "table new": "created",
        "view v": "created",
    }
    assert verify(database, path).ok


def test_a_files_timeout_does_not_reach_the_next_file(database: str, folder: Write) -> None:
    """What the command line asked for holds for every file."""
    path = folder(
        {
            "1_dump.up.sql": LIKE_PG_DUMP,
            "2_next.up.sql": "CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS"
            " timeout, current_setting('check_function_bodies') AS checked;",
        }
    )

    up(database, path, scope=lfmigrate.Scope(statement_timeout_ms=7000))

    assert fetch(database, "SELECT * FROM seen") == [("7s", "on")]


SHOWN = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY name"


@pytest.mark.parametrize(
    "statement",
    [
        LIKE_PG_DUMP,
        "SET SESSION statement_timeout = '77s';",
        "set datestyle = 'German';",
        "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$;",
        "DO $$ BEGIN SET work_mem = '77MB'; END $$;",
        "SELECT SET_CONFIG('my.own', 'x', false);",
        "SET LOCAL work_mem = '77MB';",
        "SET TIME ZONE 'Asia/Tokyo';",
    ],
)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}], ids=["run", "dry-run"])
def test_a_files_settings_do_not_outlive_the_run(
    database: str, folder: Write, statement: str, options: dict[str, Any]
) -> None:
    """Behind a pooler, they would be somebody else's a moment later."""
    path = folder({"1_set.up.sql": statement})
    with lfmigrate.connect(database) as conn:
        before = conn.execute(SHOWN).fetchall()

        lfmigrate.up(conn, lfmigrate.read_folder(path), **options)

        after = conn.execute(SHOWN).fetchall()
        own = conn.execute("SELECT nullif(current_setting('my.own', true), '')").fetchone()
    assert after == before
    assert own == (None,)


def test_a_files_role_reaches_neither_the_next_file_nor_the_session(
    role: str, database: str, folder: Write
) -> None:
    """SET ROLE ends with the file: the history is written as who came, and so is the next table."""
    execute(database, f"GRANT ALL ON SCHEMA public TO {role}")
    path = folder(
        {
            "1_theirs.up.sql": f"SET ROLE {role}; CREATE TABLE theirs (id int);",
            "2_mine.up.sql": "CREATE TABLE mine (id int);",
        }
    )
    with lfmigrate.connect(database) as conn:
        before = conn.execute("SELECT current_user").fetchone()

        lfmigrate.up(conn, lfmigrate.read_folder(path))

        after = conn.execute("SELECT current_user").fetchone()
    owners = dict(
        fetch(database, "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public'")
    )
    assert after == before
    assert before is not None
    assert owners == {"theirs": role, "mine": before[0]}


def test_a_caller_keeps_its_own_settings(database: str, folder: Write) -> None:
    """What the session had before is there afterwards, unless a file made settings itself."""
    path = folder({"1_t.up.sql": "CREATE TABLE t (id int);"})
    with lfmigrate.connect(database) as conn:
        conn.execute("SET work_mem = '77MB'")

        lfmigrate.up(conn, lfmigrate.read_folder(path))

        assert conn.execute("SHOW work_mem").fetchone() == ("77MB",)


# --------------------------------------------------------------------------------------------------
# Schemas and permissions
# --------------------------------------------------------------------------------------------------


def test_two_tenants_share_a_database(database: str) -> None:
    """Each schema has tables and a history of its own."""
    execute(database, "CREATE SCHEMA north; CREATE SCHEMA south")
    north, south = lfmigrate.Scope(schema="north"), lfmigrate.Scope(schema="south")

    first = up(database, SHIPPED, scope=north)
    second = up(database, SHIPPED, scope=south)
    execute(database, "DROP TABLE north.program_resources")

    assert set(statuses(first).values()) == set(statuses(second).values()) == {"created"}
    assert {v.relation.schema for v in second.relations} == {"south"}
    assert fetch(
        database,
        "SELECT schemaname, count(*)::int FROM pg_tables"
        " WHERE schemaname IN ('north', 'south', 'public') GROUP BY 1 ORDER BY 1",
    ) == [("north", 10), ("south", 11)]
    assert not verify(database, SHIPPED, scope=north).ok
    assert verify(database, SHIPPED, scope=south).ok
    assert verify(database, SHIPPED, scope=south, replay_files=True).ok
    assert migrations(up(database, SHIPPED, scope=south)) == {"002": "already_applied"}


@pytest.mark.parametrize(
    "name", ["Capital", "with space", 'a "quote"', "it's", "übung", "ключ", "a,b", "%s"]
)
def test_a_schema_may_have_any_name(database: str, name: str) -> None:
    """Names are quoted wherever they go, so two runs, a repair and a replay all work."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    scope = lfmigrate.Scope(schema=name)

    report = up(database, SHIPPED, scope=scope)

    assert {v.relation.schema for v in report.relations} == {name}
    assert verify(database, SHIPPED, scope=scope).ok
    assert verify(database, SHIPPED, scope=scope, replay_files=True).ok
    assert set(statuses(up(database, SHIPPED, scope=scope)).values()) == {"unchanged"}
    assert fetch(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]


def test_tables_of_another_tenant_are_not_adopted(database: str) -> None:
    """Public is on the search path behind the tenant's schema, and its tables are its own."""
    execute(database, "CREATE SCHEMA tenant")
    up(database, SHIPPED)

    report = up(database, SHIPPED, scope=lfmigrate.Scope(schema="tenant"))

    assert set(statuses(report).values()) == {"created"}
    assert len(report.relations) == 15


def test_a_schema_that_does_not_exist_is_refused(database: str, cli: Cli, dump: Dump) -> None:
    """Exit code 4; it is not made, and nothing goes elsewhere instead."""
    before = dump(database)

    done = cli("up", "--schema", "nowhere", "--database-url", database)

    assert done.returncode == 4
    assert 'schema "nowhere" does not exist' in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before
    assert not has_history(database)


def test_the_history_can_live_in_a_schema_that_is_there(role: str, database: str) -> None:
    """A role that may not create schemas names one, and a table called history there is safe."""
    execute(
        database,
        f"GRANT ALL ON SCHEMA public TO {role};"
        "CREATE TABLE history (id int); INSERT INTO history VALUES (1)",
    )
    url = make_conninfo(database, user=role)
    scope = lfmigrate.Scope(history_schema="public")

    up(url, SHIPPED, scope=scope)

    assert migrations(up(url, SHIPPED, scope=scope)) == {"002": "already_applied"}
    assert verify(url, SHIPPED, scope=scope).ok
    assert len(verify(url, SHIPPED, scope=scope).relations) == 15
    assert fetch(database, "SELECT * FROM history") == [1]
    assert not has_history(database)


def test_a_role_that_may_not_make_the_history_is_told_the_way_out(
    role: str, database: str, cli: Cli, dump: Dump
) -> None:
    """The GRANT and the option are both named, and nothing is changed."""
    execute(database, f"GRANT ALL ON SCHEMA public TO {role}")
    before = dump(database)

    done = cli("up", "--database-url", make_conninfo(database, user=role))

    assert done.returncode == 4
    assert "GRANT CREATE ON DATABASE" in done.stderr
    assert f"TO {role};" in done.stderr
    assert "--history-schema" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before


def test_a_role_that_may_not_make_tables_is_told_the_grant(
    role: str, database: str, cli: Cli, dump: Dump
) -> None:
    """The message has the statement to send to the schema's owner."""
    execute(
        database,
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
        f"CREATE SCHEMA lfmigrate; GRANT ALL ON SCHEMA lfmigrate TO {role}",
    )
    before = dump(database)

    done = cli("up", "--database-url", make_conninfo(database, user=role))

    assert done.returncode == 4
    assert f"GRANT USAGE, CREATE ON SCHEMA public TO {role};" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before


def test_a_role_that_may_not_replay_adopts_with_a_warning(
    role: str, database: str, folder: Write
) -> None:
    """Without CREATE on the database there is no scratch schema; up says what that costs."""
    execute(
        database,
        f"GRANT ALL ON SCHEMA public TO {role}; CREATE SCHEMA lfmigrate;"
        f"GRANT ALL ON SCHEMA lfmigrate TO {role}",
    )
    url = make_conninfo(database, user=role)
    execute(url, "CREATE TABLE t (id int)")
    path = folder({"1_t.up.sql": "CREATE TABLE IF NOT EXISTS t (id int);"})

    report = up(url, path)

    assert migrations(report) == {"1": "applied"}
    assert len(report.notes) == 1
    assert "could not be compared" in report.notes[0]
    assert "permission denied" in report.notes[0]


def test_a_read_only_session_is_told(database: str, folder: Write) -> None:
    """Before anything is sent that would fail less clearly."""
    url = make_conninfo(database, options="-c default_transaction_read_only=on")

    with pytest.raises(DatabaseError, match="read-only"):
        up(url, folder(THREE))

    assert not has_history(database)
