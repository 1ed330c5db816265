"""The bundled migration on an empty database, next to foreign objects, and on existing tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.commands.up_report import UpReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DifferenceFound,
    StatementFailed,
)
from tests.conftest import Cli, Psql
from tests.helpers.commands import SHIPPED, migrations, statuses, up, verdict, verify
from tests.helpers.databases import execute, fetch, has_history, history

# The migration that lfmigrate ships with runs on every version.
pytestmark = pytest.mark.per_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

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


def recorded(url: str) -> dict[str, set[str]]:
    """Return the names of the relations that each file's last event is said to have made."""
    return {
        row["file"]: {relation["name"] for relation in row["expected"]["relations"]}
        for row in history(url)
    }


def apply_with_psql(psql: Psql, url: str) -> None:
    done = psql(url, "-q", *(x for path in (SHIPPED_UP, *SHIPPED_VIEWS) for x in ("-f", str(path))))
    assert done.returncode == 0, done.stderr


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
    """The table is shown all the same."""
    done = cli("up", "--database-url", applied)

    assert done.returncode == 0
    assert "up to date: 1 migration applied, 15 objects unchanged" in done.stdout
    assert done.stderr == ""


def test_the_list_of_tables_shows_the_eleven_next_to_what_existed(
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
    """The history expects the relations of the report, each with the file that creates it."""
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
    assert "t already existed and was skipped; it has 1 of 3 expected columns." in (
        caught.value.facts
    )
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before
