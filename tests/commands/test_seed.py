"""The seed adds up, keeps what people entered, and loads all of a folder or nothing."""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.commands.seed import SeedReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    CsvFileError,
    DatabaseError,
    LfmigrateError,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from tests.conftest import Cli, Psql
from tests.helpers.commands import up
from tests.helpers.databases import execute, value
from tests.helpers.faults import Cutter, wait_for_session, wait_until, wait_until_left
from tests.helpers.processes import Started
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

# Files are read, and problems put into words, on this side of the connection; the checks are plain
# queries, and all of them run on every version, too, where they have to hold.
of_files = pytest.mark.any_version

# What was reported where no error was raised.
DONE = "done"

SHIPPED = lfmigrate.shipped_folder()
FILES = sorted((SHIPPED / "seed").glob("*.csv"))
CHECKS = sorted((SHIPPED / "seed" / "checks").glob("*.sql"))
HEADER = (
    "period_key,slug,category_name,spending_pmpm_actual,spending_pmpm_benchmark,"
    "utilization_actual,utilization_benchmark"
)


# A folder of its own, of which nothing in the package knows.
OWN = {
    "001_shop.up.sql": """
        CREATE TABLE shop (id serial PRIMARY KEY, name text UNIQUE, opened date);
        CREATE TABLE item (shop_id int NOT NULL REFERENCES shop, name text NOT NULL,
            price numeric(8, 2) CONSTRAINT item_price_check CHECK (price > 0),
            UNIQUE (shop_id, name));
    """,
    "001_shop.down.sql": "DROP TABLE item; DROP TABLE shop;",
    "seed/load.sql": """
        CREATE TEMP TABLE seed_shop (name text NOT NULL, opened date) ON COMMIT DROP;
        CREATE TEMP TABLE seed_item (shop text NOT NULL, name text NOT NULL, price numeric(8, 2))
            ON COMMIT DROP;
        CREATE UNIQUE INDEX ON seed_shop (name);
        CREATE UNIQUE INDEX ON seed_item (shop, name);
        INSERT INTO shop (name, opened) SELECT s.name, s.opened FROM seed_shop AS s
        WHERE NOT EXISTS (SELECT FROM shop WHERE shop.name = s.name);
        SELECT s.tableoid, s.ctid, 'shop' AS "column", 'there is no shop ' || s.shop AS problem
        FROM seed_item AS s WHERE NOT EXISTS (SELECT FROM shop WHERE shop.name = s.shop);
        INSERT INTO item SELECT shop.id, s.name, s.price FROM seed_item AS s
        JOIN shop ON shop.name = s.shop
        WHERE NOT EXISTS (SELECT FROM item WHERE item.shop_id = shop.id AND item.name = s.name);
        SELECT setval('shop_id_seq', greatest((SELECT max(id) FROM shop), 100));
    """,
    "seed/shop.csv": "name,opened\nCorner,2026-01-31\nMall,\n",
    "seed/item.csv": 'shop,name,price\nCorner,"Bread, brown",2.50\nMall,"two\nlines",1\n',
    "seed/checks/01_prices.sql": """-- Every item has a price
        SELECT item.name, 'no price' AS problem FROM item WHERE price IS NULL""",
}


def seed(url: str, path: Path = SHIPPED, **options: Any) -> SeedReport:
    """Seed a database from a folder of SQL files."""
    with lfmigrate.connect(url) as conn:
        return lfmigrate.seed(conn, lfmigrate.read_folder(path), **options)


def counts(report: SeedReport) -> dict[str, tuple[int, int]]:
    """Return what was inserted and kept, by table."""
    return {table.name: (table.inserted, table.kept) for table in report.tables}


def rows_of(path: Path) -> int:
    """Count the rows of a file with a reader that shares nothing with the package."""
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def own_files(tmp_path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a folder for --from."""
    folder = tmp_path / f"from-{uuid4().hex[:6]}"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def refused(url: str, source: Path, path: Path = SHIPPED) -> LfmigrateError:
    """Return why a folder of files is not loaded."""
    with pytest.raises(LfmigrateError) as caught:
        seed(url, path, source=source)
    return caught.value


@pytest.fixture
def shop(database: str, folder: Write) -> tuple[str, Path]:
    """Return a database with the folder of its own applied, and that folder."""
    path = folder(OWN)
    up(database, path)
    return database, path


# --------------------------------------------------------------------------------------------------
# The shipped seed
# --------------------------------------------------------------------------------------------------


def test_every_row_of_every_file_is_loaded(applied: str) -> None:
    """What the report counts is what the files have and what is in the tables."""
    report = seed(applied)

    assert counts(report) == {path.stem: (rows_of(path), 0) for path in FILES}
    assert len(FILES) == 11
    for path in FILES:
        assert value(applied, f"SELECT count(*) FROM {path.stem}") == rows_of(path)


def test_a_second_run_inserts_nothing(seeded: str, dump: Dump) -> None:
    """Not even a sequence moves."""
    before = dump(seeded, rows=True)

    report = seed(seeded)

    assert counts(report) == {path.stem: (0, rows_of(path)) for path in FILES}
    assert dump(seeded, rows=True) == before


def test_what_people_entered_stays(seeded: str, dump: Dump) -> None:
    """A recommendation that was accepted stays accepted; only what is gone comes back."""
    execute(
        seeded,
        "UPDATE recommendations SET status = 'accepted', status_changed_by = 'me'",
        "UPDATE cost_categories SET description = 'ours'",
        "DELETE FROM program_resources WHERE resource_type = 'testimonial'",
    )
    before = dump(seeded, rows=True)

    report = seed(seeded)

    gone = value(
        seeded, "SELECT count(*) FROM program_resources WHERE resource_type = 'testimonial'"
    )
    assert gone > 0
    assert {n: c[0] for n, c in counts(report).items() if c[0]} == {"program_resources": gone}
    execute(seeded, "DELETE FROM program_resources WHERE resource_type = 'testimonial'")
    unsequenced = re.compile(r"SELECT pg_catalog.setval.*")
    assert unsequenced.sub("", dump(seeded, rows=True)) == unsequenced.sub("", before)


def test_the_periods_have_what_readers_know(seeded: str) -> None:
    """Three periods, one of them active; thirteen slugs, five metrics, eight measures in each."""
    with psycopg.connect(seeded) as conn:
        periods = conn.execute(
            """SELECT period_key, is_active, member_months,
                   (SELECT count(*) FROM cost_categories AS x WHERE x.period_id = p.id),
                   (SELECT array_agg(metric_type ORDER BY id) FROM performance_metrics AS x
                    WHERE x.period_id = p.id),
                   (SELECT count(*) >= 8 FROM efficiency_kpis AS x WHERE x.period_id = p.id)
               FROM performance_periods AS p ORDER BY id"""
        ).fetchall()
    shown = [
        "patient_count",
        "risk_score",
        "cost_pmpm",
        "total_cost",
        "cost_savings_opportunity",
    ]

    assert periods == [
        ("ytd", True, 46908, 13, shown, True),
        ("last_12_months", False, 62256, 13, shown, True),
        ("last_quarter", False, 15720, 13, shown, True),
    ]
    assert value(seeded, "SELECT count(*) FROM recommendations") >= 6
    kinds = value(seeded, "SELECT array_agg(DISTINCT resource_type) FROM program_resources")
    assert sorted(kinds) == ["best_practice", "implementation_step", "testimonial"]


# Figures of a practice that were worked out elsewhere, to the cent.
WORKED_OUT = {
    "acute-rehab": "320381.64",
    "op-surgical": "326010.60",
    "ip-surgical": "282386.16",
    "inpatient-medical": "390274.56",
    "primary-care": "35650.08",
    "preventive-care": "11727.00",
    "lab-services": "-22515.84",
    "radiology": "-12196.08",
    "generic-drugs": "-26268.48",
    "op-radiology": "-41748.12",
    "avoidable-ed-visits": "-45500.76",
    "skilled-nursing": "-195137.28",
    "other-services": "-98506.80",
}


def test_the_year_to_date_agrees_with_figures_worked_out_elsewhere(seeded: str) -> None:
    """What load.sql computes is what a spreadsheet computes."""
    with psycopg.connect(seeded) as conn:
        amounts = conn.execute(
            "SELECT slug, spending_variance_amount FROM v_current_cost_categories"
        ).fetchall()
        metrics = conn.execute(
            """SELECT metric_type, current_value, benchmark_value
               FROM performance_metrics AS m JOIN performance_periods AS p ON p.id = m.period_id
               WHERE p.is_active AND metric_type LIKE '%cost%'"""
        ).fetchall()

    assert dict(amounts) == {slug: Decimal(amount) for slug, amount in WORKED_OUT.items()}
    assert {name: (now, expected) for name, now, expected in metrics} == {
        "cost_pmpm": (Decimal("1037.80"), Decimal("1018.09")),
        "total_cost": (Decimal("48681122.40"), Decimal("1018.09") * 46908),
        "cost_savings_opportunity": (Decimal("1366430.04"), None),
    }


def test_a_file_has_no_ids_and_nothing_that_is_computed() -> None:
    """People edit natural keys and facts."""
    columns = {path.stem: path.read_text(encoding="utf-8").split("\n", 1)[0] for path in FILES}
    computed = {
        "cost_categories": {"spending_variance_amount", "performance_status", "is_opportunity"},
        "recommendations": {"estimated_savings"},
        "cost_opportunities": {"amount_variance", "percent_variance", "opportunity_type"},
        "cost_category_discharging_hospitals": {"percent_discharged_to_irf"},
    }

    for name, header in columns.items():
        names = set(header.split(","))
        assert not [column for column in names if column == "id" or column.endswith("_id")]
        assert not names & computed.get(name, set())


@pytest.mark.parametrize("check", CHECKS, ids=[path.stem for path in CHECKS])
def test_an_identity_holds_in_the_shipped_seed(seeded: str, check: Path) -> None:
    """Run by hand, as psql would: it returns no row."""
    with psycopg.connect(seeded) as conn:
        assert conn.execute(check.read_bytes()).fetchall() == []


def breaks() -> list[tuple[str, str, str]]:
    """Return check, what breaks it, and what it then says: at least one for each part of each."""
    found = []
    for path in sorted((Path(__file__).parents[1] / "breaks").glob("*.sql")):
        for block in path.read_text(encoding="utf-8").split("-- says: ")[1:]:
            said, sql = block.split("\n", 1)
            found.append((path.stem, sql, said))
    return found


@of_files
@pytest.mark.parametrize(("check", "sql", "said"), breaks())
def test_an_identity_can_break(seeded: str, cli: Cli, check: str, sql: str, said: str) -> None:
    """Each part of each check finds the rows that offend, and says why."""
    execute(seeded, "ALTER TABLE recommendations DISABLE TRIGGER USER", sql)

    done = cli("seed", "--check", "--json", "--database-url", seeded)

    document = json.loads(done.stdout)
    broken = {c["name"]: c for c in document["checks"] if c["status"] == "broken"}
    assert done.returncode == 3
    assert any(said in row["problem"] for row in broken[check]["rows"]), broken[check]["rows"]


def test_every_check_has_been_seen_to_break() -> None:
    """A new check gets its counterexample."""
    assert {path.stem for path in CHECKS} == {check for check, _, _ in breaks()}


@of_files
def test_the_checks_print_a_table(
    seeded: str, cli: Cli, expect_golden: Callable[..., None]
) -> None:
    """What holds, what does not, and the rows that offend."""
    whole = cli("seed", "--check", "--database-url", seeded)
    execute(seeded, "UPDATE cost_categories SET aco_rank = 24 WHERE slug = 'radiology'")
    broken = cli("seed", "--check", "--database-url", seeded)

    assert (whole.returncode, broken.returncode) == (0, 3)
    expect_golden("seed_check", whole.stdout)
    expect_golden("seed_check_broken", broken.stdout + broken.stderr)


@of_files
def test_a_padded_code_is_the_one_that_a_spreadsheet_has_cut(applied: str, tmp_path: Path) -> None:
    """056 comes back from a spreadsheet as 56, and is kept the second time."""
    seed(applied)
    head = "period_key,slug,drg_code,drg_description\n"
    source = own_files(
        tmp_path, {"cost_category_drgs.csv": head + "ytd,acute-rehab,56,Degenerative\n"}
    )

    first, second = seed(applied, source=source), seed(applied, source=source)

    assert counts(first) == {"cost_category_drgs": (1, 0)}
    assert counts(second) == {"cost_category_drgs": (0, 1)}
    assert value(applied, "SELECT count(*) FROM cost_category_drgs WHERE drg_code = '056'") == 1


# --------------------------------------------------------------------------------------------------
# The command
# --------------------------------------------------------------------------------------------------


@of_files
def test_the_report_is_a_table_or_json(
    applied: str, cli: Cli, expect_golden: Callable[..., None]
) -> None:
    """Names, inserted and kept; the same for scripts."""
    table = cli("seed", "--database-url", applied)
    document = json.loads(cli("seed", "--json", "--database-url", applied).stdout)

    expect_golden("seed", table.stdout)
    assert (document["command"], document["ok"], document["exit_code"]) == ("seed", True, 0)
    assert document["dry_run"] is False
    assert [(t["name"], t["inserted"], t["kept"]) for t in document["tables"]][:2] == [
        ("performance_periods", 0, 3),
        ("performance_metrics", 0, 15),
    ]


def test_a_dry_run_reports_and_keeps_nothing(applied: str, cli: Cli) -> None:
    """The same counts, and no row."""
    done = cli("seed", "--dry-run", "--json", "--database-url", applied)

    assert done.returncode == 0
    assert sum(t["inserted"] for t in json.loads(done.stdout)["tables"]) == sum(map(rows_of, FILES))
    assert value(applied, "SELECT count(*) FROM performance_periods") == 0


def test_a_dry_run_finds_what_would_be_found_at_the_commit(database: str, folder: Write) -> None:
    """A deferred constraint is checked before the report."""
    path = folder(
        {
            **OWN,
            "002_later.up.sql": "ALTER TABLE item ADD CONSTRAINT later EXCLUDE (name WITH =)"
            " DEFERRABLE INITIALLY DEFERRED",
            "seed/item.csv": "shop,name\nCorner,same\nMall,same\n",
        }
    )
    up(database, path)

    with pytest.raises(StatementFailed, match="exclusion constraint"):
        seed(database, path, dry_run=True)


@of_files
@pytest.mark.parametrize("options", [["--from", "."], ["--replace"], ["--dry-run"]])
def test_a_check_loads_nothing(applied: str, cli: Cli, options: list[str]) -> None:
    """--check beside an option of loading is a misunderstanding."""
    done = cli("seed", "--check", *options, "--database-url", applied)

    assert done.returncode == 2
    assert "--check loads nothing" in done.stderr


def test_before_up_the_seed_says_so(database: str, cli: Cli) -> None:
    """Exit code 5, and the command that helps; for the checks, too."""
    for command in (["seed"], ["seed", "--check"]):
        done = cli(*command, "--database-url", database)

        assert done.returncode == 5
        assert "migration 002_leadership_feedback_tables is not applied here" in done.stderr
        assert 'Run "lfmigrate up" first' in done.stderr


def test_drifted_tables_are_reported_by_what_they_lack(applied: str) -> None:
    """Every missing column, not only the one that the server stumbled over."""
    execute(
        applied,
        "DROP VIEW v_current_cost_categories",
        "ALTER TABLE cost_categories DROP COLUMN aco_rank, DROP COLUMN description",
        "ALTER TABLE efficiency_kpis ALTER kpi_type TYPE text",
    )

    with pytest.raises(StatementFailed) as caught:
        seed(applied)

    said = "\n".join(caught.value.facts)
    assert (caught.value.file, caught.value.sqlstate) == ("seed/load.sql", "42703")
    assert "cost_categories: column aco_rank, integer, is missing" in said
    assert "cost_categories: column description, text, is missing" in said
    assert (
        "efficiency_kpis: column kpi_type, character varying(100) NOT NULL, is text NOT NULL"
        in said
    )
    assert NOTHING_CHANGED.text in said
    assert value(applied, "SELECT count(*) FROM performance_periods") == 0


def test_replace_saves_empties_and_loads(seeded: str, tmp_path: Path, dump: Dump) -> None:
    """What was there before is in the backup, and comes back with a restore."""
    execute(seeded, "UPDATE recommendations SET status = 'completed'")
    before = dump(seeded, rows=True)

    report = seed(seeded, replace=True, backup_dir=tmp_path)

    assert counts(report) == {path.stem: (rows_of(path), 0) for path in FILES}
    assert sum(table.rows for table in report.lost) == sum(map(rows_of, FILES))
    assert value(seeded, "SELECT count(*) FROM recommendations WHERE status = 'completed'") == 0
    assert report.backup is not None
    with lfmigrate.connect(seeded) as conn:
        lfmigrate.restore(
            conn, lfmigrate.read_folder(SHIPPED), report.backup, replace=True, backup_dir=tmp_path
        )
    assert dump(seeded, rows=True) == before


def test_replace_is_refused_unless_confirmed(seeded: str, cli: Cli, dump: Dump) -> None:
    """What would go is shown first, with its rows; a dry run needs no leave and makes no backup."""
    before = dump(seeded, rows=True)

    done = cli("seed", "--replace", "--database-url", seeded)
    reported = cli("seed", "--replace", "--json", "--database-url", seeded)
    dry = cli("seed", "--replace", "--dry-run", "--json", "--database-url", seeded)

    assert done.returncode == 5
    assert "would be truncated: 11 tables, 338 rows" in done.stdout
    assert "not confirmed" in done.stderr
    assert json.loads(reported.stdout)["dry_run"] is False
    document = json.loads(dry.stdout)
    assert (document["backup"], sum(t["rows"] for t in document["lost"])) == (None, 338)
    strip = re.compile(r"SELECT pg_catalog.setval.*")
    assert strip.sub("", dump(seeded, rows=True)) == strip.sub("", before)


def test_replace_does_not_break_what_others_refer_to(seeded: str, tmp_path: Path) -> None:
    """A table of another owner references ours; nothing is emptied."""
    execute(
        seeded, "CREATE TABLE note (period_id int REFERENCES performance_periods ON DELETE CASCADE)"
    )

    with pytest.raises(Refused, match="outside the migrations refer") as caught:
        seed(seeded, replace=True, backup_dir=tmp_path)

    assert "note" in " ".join(caught.value.facts)
    assert "is complete" in " ".join(caught.value.facts)
    assert value(seeded, "SELECT count(*) FROM performance_periods") == 3


def test_replace_keeps_its_backup_when_the_files_are_bad(seeded: str, tmp_path: Path) -> None:
    """A rule that only the merge meets: all is rolled back, and the message names the backup."""
    source = own_files(
        tmp_path,
        {
            "performance_periods.csv": "period_key,period_label,start_date,end_date\nx,X,2026-02-01,2026-01-01\n"
        },
    )

    with pytest.raises(StatementFailed) as caught:
        seed(seeded, source=source, replace=True, backup_dir=tmp_path / "kept")

    assert [f"The backup in {p} is complete." for p in (tmp_path / "kept").iterdir()] == [
        caught.value.detail[-1]
    ]
    assert value(seeded, "SELECT count(*) FROM recommendations") == 7


@of_files
def test_without_a_folder_of_seeds_there_is_nothing_to_load(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Each missing piece is named."""
    bare = folder({"001_a.up.sql": "CREATE TABLE a (n int)"})
    unchecked = folder({"001_a.up.sql": "CREATE TABLE a (n int)", "seed/load.sql": "SELECT 1"})
    up(database, bare)
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(UsageError, match=r"there is no seed/load\.sql"):
        seed(database, bare)
    with pytest.raises(UsageError, match="there are no CSV files"):
        seed(database, unchecked, source=empty)
    with pytest.raises(UsageError, match="cannot be read"):
        seed(database, unchecked, source=tmp_path / "nowhere")
    with (
        lfmigrate.connect(database) as conn,
        pytest.raises(UsageError, match="there are no checks"),
    ):
        lfmigrate.check_seed(conn, lfmigrate.read_folder(unchecked))


# --------------------------------------------------------------------------------------------------
# Files of one's own
# --------------------------------------------------------------------------------------------------


def test_a_subset_of_files_refers_to_what_is_there(seeded: str, tmp_path: Path) -> None:
    """One file is enough; a BOM and the line ends of Windows are no matter."""
    source = own_files(
        tmp_path,
        {
            "efficiency_kpis.csv": b"\xef\xbb\xbfkpi_label,kpi_type,period_key,actual_value\r\n"
            b'"Days, at home",days_at_home,ytd,301.5\r\nKnown,readmission_rate_30_day,ytd,1\r\n'
        },
    )

    report = seed(seeded, source=source)

    assert counts(report) == {"efficiency_kpis": (1, 1)}
    assert (
        value(seeded, "SELECT kpi_label FROM efficiency_kpis WHERE kpi_type = 'days_at_home'")
        == "Days, at home"
    )


def test_another_folder_is_seeded_by_the_same_code(shop: tuple[str, Path]) -> None:
    """Its own tables, staging and rules; a SELECT that finds nothing is no finding."""
    url, path = shop

    first, second = seed(url, path), seed(url, path)

    assert counts(first) == {"shop": (2, 0), "item": (2, 0)}
    assert counts(second) == {"shop": (0, 2), "item": (0, 2)}
    assert value(url, "SELECT name FROM item WHERE price = 1") == "two\nlines"
    assert value(url, "SELECT nextval('shop_id_seq')") == 101


def test_a_file_means_the_same_wherever_it_is_loaded(database: str, folder: Write) -> None:
    """Not a role's settings decide which number is the month, and which noon is meant."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (day date, at timestamptz)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (day date, at timestamptz) ON COMMIT DROP;"
            " INSERT INTO a SELECT day, at FROM seed_a",
            "seed/a.csv": "day,at\n10-11-12,2026-01-01 12:00\n",
        }
    )
    up(database, path)
    name = value(database, "SELECT current_database()")
    execute(
        database,
        f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'",
        f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'",
    )

    seed(database, path)

    assert value(database, "SELECT day = make_date(2010, 11, 12) FROM a")
    assert value(database, "SELECT at = make_timestamptz(2026, 1, 1, 12, 0, 0, 'UTC') FROM a")


BAD = [
    (
        "no header",
        f"{HEADER}\n"[:0] + "ytd,x,X,1,1,1,1\n",
        2,
        "1:1",
        "not a header of column names",
    ),
    ("no row and no header", "", 2, "1:1", "the file is empty"),
    ("blank first line", "\nytd,x\n", 2, "1:1", "the first line is empty"),
    ("unknown column", f"{HEADER},colour\n", 2, "1:117", 'unknown column "colour"'),
    ("missing columns", "period_key,slug\n", 2, "1:16", 'missing columns "category_name"'),
    ("column twice", f"{HEADER},slug\n", 2, "1:117", "appears twice"),
    ("semicolons", HEADER.replace(",", ";") + "\n", 2, "1:1", "not a header of column names"),
    ("carriage returns", f"{HEADER}\rytd,x,X,1,1,1,1\r", 2, "1:116", "carriage return alone"),
    ("quoted header", f'"{HEADER}\n', 2, "1:1", "a quote is opened here and never closed"),
    ("UTF-16", f"{HEADER}\n".encode("utf-16"), 2, "1:1", "the file is UTF-16"),
    ("Latin-1 header", f"{HEADER},größe\n".encode("latin-1"), 2, "1:119", "byte 0xF6 is not UTF-8"),
    (
        "Latin-1 row",
        f"{HEADER}\nytd,café,X,1,1,1,1\n".encode("latin-1"),
        2,
        "2:8",
        "byte 0xE9 is not UTF-8",
    ),
    ("NUL", f"{HEADER}\nytd,a\0b,X,1,1,1,1\n", 2, "2:6", "a NUL character"),
    (
        "too many fields",
        f"{HEADER}\nytd,x,X,1,1,1,1,9\n",
        2,
        "2:17",
        "8 fields, but the header has 7",
    ),
    ("too few fields", f"{HEADER}\nytd,x,X,1,1,1\n", 2, "2:14", "6 fields, but the header has 7"),
    ("empty line", f"{HEADER}\nytd,x,X,1,1,1,1\n\n", 2, "3:1", "the line is empty"),
    ("unclosed quote", f'{HEADER}\nytd,x,"X,1,1,1,1\nytd,y,Y,1,1,1,1\n', 2, "2:7", "never closed"),
    ("end mark", f"{HEADER}\nytd,x,X,1,1,1,1\n\\.\nytd,y,Y,1,1,1,1\n", 2, "3:1", "ends the data"),
    (
        "mixed line ends",
        f"{HEADER}\nytd,x,X,1,1,1,1\r\n",
        2,
        "2:16",
        "line ending differs from that of the first",
    ),
    ("the other way round", f"{HEADER}\r\nytd,x,X,1,1,1,1\n", 2, "2:16", "line ending differs"),
    ("no number", f"{HEADER}\nytd,x,X,1,abc,1,1\n", 4, "2:11", '"abc"'),
    ("money", f'{HEADER}\nytd,x,X,"$1,000.50",1,1,1\n', 4, "2:9", '"$1,000.50"'),
    (
        "number too large",
        f"{HEADER}\nytd,x,X,123456789.00,1,1,1\n",
        4,
        "2:9",
        "numeric field overflow",
    ),
    ("text too long", f"{HEADER}\nytd,x,{'X' * 256},1,1,1,1\n", 4, "2:7", "too long"),
    ("in a second line", f'{HEADER}\nytd,x,"X\nY",1,1,1,nix\n', 4, "3:10", '"nix"'),
    ("empty and required", f"{HEADER}\nytd,,X,1,1,1,1\n", 4, "2:5", '"slug" must not be empty'),
    ("unknown period", f"{HEADER}\nnext,x,X,1,1,1,1\n", 4, "2:1", 'there is no period "next"'),
    (
        "repeated key",
        f"{HEADER}\nytd,x,X,1,1,1,1\nytd,x,Y,2,2,2,2\n",
        4,
        "3:1",
        "repeats an earlier one: (period_key, slug) = (ytd, x)",
    ),
    (
        "against a check",
        f"{HEADER},aco_rank,total_categories\nytd,x,X,1,1,1,1,3,2\n",
        4,
        "2:17",
        "aco_rank >= 1 AND aco_rank <= total_categories (constraint cost_categories_aco_rank_check)",
    ),
]


@pytest.mark.parametrize(
    ("content", "code", "place", "said"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_a_bad_file_is_reported_with_its_place(
    seeded: str,
    tmp_path: Path,
    cli: Cli,
    dump: Dump,
    *,
    content: str | bytes,
    code: int,
    place: str,
    said: str,
) -> None:
    """File, line, column, what is wrong, the documented exit code; and nothing is loaded."""
    before = dump(seeded, rows=True)
    source = own_files(tmp_path, {"cost_categories.csv": content})

    done = cli("seed", "--from", source, "--database-url", seeded)

    assert done.returncode == code, done.stderr
    assert f"cost_categories.csv:{place}" in done.stderr
    assert said in done.stderr
    assert NOTHING_CHANGED.text in done.stderr
    assert done.stderr.count(NOTHING_CHANGED.text) == 1
    strip = re.compile(r"SELECT pg_catalog.setval.*")
    assert strip.sub("", dump(seeded, rows=True)) == strip.sub("", before)


def test_a_date_that_does_not_exist_is_reported_with_its_place(seeded: str, tmp_path: Path) -> None:
    """And how dates are written."""
    head = "period_key,period_label,start_date,end_date\n"
    source = own_files(
        tmp_path,
        {
            "performance_periods.csv": head
            + "q,Q,2026-02-30,2026-03-31\nr,R,yesterday-ish,2026-01-01\n"
        },
    )

    error = refused(seeded, source)

    assert [line.split(" ")[0] for line in error.facts[:2]] == [
        "performance_periods.csv:2:5:",
        "performance_periods.csv:3:5:",
    ]
    assert error.hint == "Write a date as 2026-09-30."


@of_files
def test_an_unknown_name_is_reported_where_it_is_used(seeded: str, tmp_path: Path) -> None:
    """Period, slug and title, in all files at once; and a title that several have."""
    execute(seeded, "INSERT INTO recommendations (title) VALUES ('Twice'), ('Twice')")
    source = own_files(
        tmp_path,
        {
            "cost_opportunities.csv": "period_key,slug\nytd,radiology\nytd,nothing\n",
            "program_resources.csv": "recommendation_title,resource_type,display_order,content,title\n"
            "Nobody,best_practice,1,x,y\nWellness visits that end with a plan,best_practice,1,x,y\n"
            "Twice,best_practice,1,x,y\n",
            "recommendation_cost_categories.csv": "recommendation_title,period_key,slug\nNobody,ytd,gone\n"
            "Twice,ytd,radiology\n",
            "efficiency_kpis.csv": "period_key,kpi_type,kpi_label,slug,actual_value\nytd,a,A,nowhere,\nytd,b,B,,\n",
        },
    )

    error = refused(seeded, source)

    assert error.exit_code == 4
    assert set(error.facts[:-1]) == {
        'cost_opportunities.csv:3:5: there is no category "nothing" in period "ytd"',
        'efficiency_kpis.csv:2:9: there is no category "nowhere" in period "ytd"',
        "efficiency_kpis.csv:3:10: it must not be empty where no category is named",
        'program_resources.csv:2:1: there is no recommendation "Nobody"',
        'program_resources.csv:3:1: recommendation "Wellness visits that end with a plan" has no page of details (has_program_details is false)',
        'program_resources.csv:4:1: there are 2 recommendations "Twice", so it is not known which is meant',
        'recommendation_cost_categories.csv:2:1: there is no recommendation "Nobody"',
        'recommendation_cost_categories.csv:3:1: there are 2 recommendations "Twice", so it is not known which is meant',
        'recommendation_cost_categories.csv:2:12: there is no category "gone" in period "ytd"',
    }


def test_problems_of_several_rows_and_files_are_reported_together(
    seeded: str, tmp_path: Path
) -> None:
    """Not one a run: rows behind a bad one are looked at, too."""
    source = own_files(
        tmp_path,
        {
            "cost_categories.csv": f'{HEADER}\nytd,a,A,x,1,1,1\nytd,b,B,1,1\nytd,"c\nd",C,1,1,1,1\nytd,e,E,1,1,1,y\n',
            "performance_periods.csv": "period_key,period_label,start_date,end_date\nq,Q,no,2026-01-01\n",
        },
    )

    error = refused(seeded, source)

    assert error.message == "4 problems in the files", error.facts
    assert [line.split(" ")[0] for line in error.facts[:-1]] == [
        "performance_periods.csv:2:5:",
        "cost_categories.csv:2:9:",
        "cost_categories.csv:3:12:",
        "cost_categories.csv:6:15:",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("within", ["\n", "\r\n", "\r"])
def test_line_breaks_within_cells_do_not_shift_the_place(
    shop: tuple[str, Path], tmp_path: Path, end: str, within: str
) -> None:
    """The server counts some of them and others not; the file's own lines are what people see."""
    url, path = shop
    rows = [
        "name,opened",
        f'"a{within}b{within}c",',
        f'"d{within}e",',
        "f,no",
        f'"g{within}h",never',
    ]
    source = own_files(tmp_path, {"shop.csv": end.join(rows) + end})
    lines = 0 if within == "\r" else 1

    error = refused(url, source, path)

    assert [line.split(": ")[0] for line in error.facts[:-1]] == [
        f"shop.csv:{4 + 3 * lines}:3",
        f"shop.csv:{5 + 4 * lines}:{4 if lines else 7}",
    ]


@of_files
def test_every_repeated_key_of_every_file_is_reported(seeded: str, tmp_path: Path) -> None:
    """The first of its kind stays; the others are listed."""
    source = own_files(
        tmp_path,
        {
            "cost_categories.csv": f"{HEADER}\n" + "ytd,x,X,1,1,1,1\n" * 3,
            "cost_opportunities.csv": "period_key,slug\nytd,a\nytd,b\nytd,a\n",
        },
    )

    error = refused(seeded, source)

    assert [line.split(" this")[0] for line in error.facts[:-1]] == [
        "cost_categories.csv:3:1:",
        "cost_categories.csv:4:1:",
        "cost_opportunities.csv:4:1:",
    ]


def test_a_key_that_is_not_whole_repeats_nothing(database: str, folder: Write) -> None:
    """As the server's own unique index has it."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, k text)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int, k text) ON COMMIT DROP;"
            " CREATE UNIQUE INDEX ON seed_a (k, n); INSERT INTO a SELECT n, k FROM seed_a",
            "seed/a.csv": "n,k\n,A\n,A\n1,B\n1,B\n",
        }
    )
    up(database, path)

    error = refused(database, path / "seed", path)

    assert (error.line, error.message) == (5, "this row repeats an earlier one: (k, n) = (B, 1)")


def test_a_key_that_the_staging_table_holds_is_reported_with_its_row(
    database: str, folder: Write
) -> None:
    """With UNIQUE in the staging table COPY itself refuses the row, behind other bad ones."""
    load = str(OWN["seed/load.sql"]).replace(
        "name text NOT NULL, opened date", "name text NOT NULL UNIQUE, opened date"
    )
    path = folder(
        {**OWN, "seed/load.sql": load, "seed/shop.csv": "name,opened\na,\nb,\na,\nc,no\nb,\n"}
    )
    up(database, path)

    with pytest.raises(StatementFailed) as caught:
        seed(database, path)

    assert [line.split(": ")[0] for line in caught.value.facts[:-1]] == [
        "shop.csv:4:1",
        "shop.csv:5:3",
        "shop.csv:6:1",
    ]


VICTIM = "nextval('public.victim')"

# Each tries to be SQL, a place, a column or the end of a message.
HOSTILE = [
    template.format(call)
    for call in (VICTIM, f"{VICTIM}::text", f"(SELECT {VICTIM})", f"1 + {VICTIM}")
    for template in (
        "{}::text) AS value, 1 AS number FROM pg_temp.seed_t) AS numbered) AS again --)=(x",
        "{})=(",
        ")=({}",
        "'; SELECT {}; --",
        "' || {} || '",
        "$1; SELECT {}",
        "\\'; SELECT {}; --",
        '"; SELECT {}; --',
        '" FROM pg_temp.seed_t WHERE {} > 0; --',
        "%s {} %(x)s {{}}",
        "$$ || {} || $$",
        "x\nCOPY seed_t, line 2, column n: {}",
        'x" n: "{}',
        "a, n: {}",
        "a\u2028COPY seed_t, line 3 {}",
        "\\. {}",
        "x) already exists.\nKey (n)=({}",
        "COPY seed_t, line 77, column d: {}",
        "(c1)=(1) {}",
        "); SELECT {}; CREATE UNIQUE INDEX ON seed_t (c2",
        "/* {} */ *//**/",
        "-- {}\n)",
        "{}, column n: 1",
        "\t{}\x01",
        "\U0001f600 {} é",
    )
]


def hostile(database: str, folder: Write, load: str, rows: list[list[str]]) -> LfmigrateError:
    """Seed a table of text from rows, the first of which is the header; return the refusal."""
    columns = ", ".join(f"c{n} text" for n in range(len(HOSTILE)))
    table = f"CREATE TABLE t ({columns}, n int, d date, CONSTRAINT short CHECK (length(c0) < 9))"
    path = folder({"001_t.up.sql": f"CREATE SEQUENCE victim; {table};"})
    up(database, path)
    (path / "seed").mkdir()
    (path / "seed" / "load.sql").write_text(
        f"CREATE TEMP TABLE seed_t ({columns}, n int, d date) ON COMMIT DROP; {load}",
        encoding="utf-8",
    )
    with (path / "seed" / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)

    error = refused(database, path / "seed", path)

    assert value(database, "SELECT is_called FROM victim") is False
    assert error.outcome == NOTHING_CHANGED
    return error


def line_of(rows: list[list[str]], row: int) -> int:
    """Return the line that a row begins on: values contain line breaks."""
    return 1 + sum(1 + cell.count("\n") for each in rows[:row] for cell in [",".join(each)])


@of_files
def test_a_value_never_becomes_sql_where_a_key_is_repeated(database: str, folder: Write) -> None:
    """A hundred unique indexes, each violated by a value; the server puts it into its message."""
    names = [f"c{n}" for n in range(len(HOSTILE))]
    rows = [names, HOSTILE, HOSTILE]
    indexes = "".join(f"CREATE UNIQUE INDEX ON seed_t ({name});" for name in names)

    error = hostile(database, folder, indexes, rows)

    assert len(HOSTILE) == 100
    assert error.message == "100 problems in the files, of which these are the first 20"
    place = f"t.csv:{line_of(rows, 2)}:1: this row repeats an earlier one: "
    assert error.facts[0].startswith(f"{place}(c0) = ({HOSTILE[0][:20]}")


@pytest.mark.parametrize(
    ("key", "twice", "lines"),
    [
        ("lower(c0)", ["A", "a", "b"], [3]),
        ("(c0 || ')=(' || c1)", ["A", "A", "b"], [3]),
        ("c0) WHERE (c1 = ')=('", ["A", "A", "b", "A"], [3, 5]),
        ('"n)=(" ', ["1", "1", ""], [3]),
    ],
)
def test_any_key_is_read_from_the_catalogs(
    database: str, folder: Write, key: str, twice: list[str], lines: list[int]
) -> None:
    """Expressions, conditions, and names that look like the server's message."""
    path = folder(
        {
            "001_t.up.sql": 'CREATE TABLE t (c0 text, c1 text, "n)=(" text);',
            "seed/load.sql": 'CREATE TEMP TABLE seed_t (c0 text, c1 text, "n)=(" text)'
            f" ON COMMIT DROP; CREATE UNIQUE INDEX ON seed_t ({key});",
            "seed/t.csv": 'c0,c1,"n)=("\n' + "".join(f"{each},)=(,{each}\n" for each in twice),
        }
    )
    up(database, path)

    error = refused(database, path / "seed", path)

    found = [int(fact.split(":")[1]) for fact in error.facts if "repeats" in fact]
    assert (found or [error.line or 0]) == lines


def test_a_null_repeats_another_one_where_the_index_says_so(database: str, folder: Write) -> None:
    """NULLS NOT DISTINCT, which PostgreSQL 14 does not have."""
    if value(database, "SELECT current_setting('server_version_num')::int") < 150000:
        pytest.skip("PostgreSQL 15 or later")
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, k text)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int, k text) ON COMMIT DROP;"
            " CREATE UNIQUE INDEX ON seed_a (k, n) NULLS NOT DISTINCT;",
            "seed/a.csv": "n,k\n,A\n1,A\n,A\n",
        }
    )
    up(database, path)

    error = refused(database, path / "seed", path)

    assert (error.line, error.message) == (4, "this row repeats an earlier one: (k, n) = (A)")


@of_files
@pytest.mark.parametrize("column", ["n", "d"])
def test_a_value_never_becomes_sql_or_a_place_where_copy_rejects_it(
    database: str, folder: Write, column: str
) -> None:
    """It is in the server's message and its context, behind the line and the column."""
    rows = [["c0", "n", "d"], *(["x", "1", "2026-01-31"] for _ in HOSTILE)]
    for row, bad in zip(rows[1:], HOSTILE, strict=True):
        row[rows[0].index(column)] = bad

    error = hostile(database, folder, "SELECT 1;", rows[:21])

    assert error.message == "20 problems in the files"
    places = [tuple(map(int, fact.split(":")[1:3])) for fact in error.facts if "t.csv:" in fact]
    at = rows[0].index(column)
    expected = [(line_of(rows, n), 3 if at == 1 else 5) for n in range(1, 21)]
    assert places == expected


@of_files
def test_a_value_never_becomes_sql_where_a_check_rejects_it(database: str, folder: Write) -> None:
    """The rows are looked up by the rule alone; one that a query rejects by its ctid."""
    rows = [["c0", "n"], *([bad, "1"] for bad in HOSTILE)]
    failing = hostile(database, folder, "INSERT INTO t SELECT * FROM seed_t;", rows)
    assert failing.message == "100 problems in the files, of which these are the first 20"
    assert failing.facts[0].startswith("t.csv:2:1: t demands that length(c0) < 9")


@of_files
def test_a_value_in_a_problem_is_only_text(database: str, folder: Write) -> None:
    """A query of load.sql may put it there, and into the name of a column."""
    rows = [["c0", "n"], *([bad, "1"] for bad in HOSTILE)]
    found = 'SELECT tableoid, ctid, c0 AS problem, c0 AS "column" FROM seed_t;'

    error = hostile(database, folder, found, rows)

    assert error.message == "100 problems in the files, of which these are the first 20"


@of_files
@pytest.mark.parametrize(
    ("rule", "sqlstate"),
    [
        ("CREATE UNIQUE INDEX ON t (c0); INSERT INTO t (c0) SELECT c0 FROM seed_t;", "23505"),
        ("ALTER TABLE t ADD FOREIGN KEY (c0) REFERENCES parent;", "23503"),
        ("ALTER TABLE t ADD EXCLUDE (c0 WITH =); INSERT INTO t (c0) TABLE keys;", "23P01"),
        ("ALTER TABLE t ALTER c1 SET NOT NULL;", "23502"),
        ("ALTER TABLE t ALTER c0 TYPE varchar(4);", "22001"),
        ("ALTER TABLE t ALTER c0 TYPE date USING NULL;", "22007"),
    ],
)
def test_a_value_never_becomes_sql_where_an_insert_rejects_it(
    database: str, folder: Write, rule: str, sqlstate: str
) -> None:
    """The server's message has it, and lfmigrate asks the server nothing about it."""
    rows = [["c0", "n"], *([bad, "1"] for bad in HOSTILE[:25])]
    load = (
        "ALTER TABLE t DROP CONSTRAINT short; CREATE TABLE parent (k text PRIMARY KEY);"
        " CREATE VIEW keys AS SELECT c0 FROM seed_t;"
    )

    error = hostile(
        database,
        folder,
        f"{load} {rule} INSERT INTO t (c0) SELECT c0::{'date' if 'date' in rule else 'text'}"
        " FROM seed_t;",
        rows,
    )

    assert isinstance(error, StatementFailed)
    assert error.sqlstate == sqlstate


@of_files
def test_more_rejected_rows_than_are_looked_for_are_called_that(
    database: str, folder: Write
) -> None:
    """How many a COPY would reject is not known without copying around each."""
    rows = [["c0", "n"], *(["x", "no"] for _ in range(1000))]

    error = hostile(database, folder, "SELECT 1;", rows)

    assert error.message == "the first 20 of at least 21 problems in the files"
    assert sum("t.csv:" in fact for fact in error.facts) == 20


@of_files
def test_twenty_problems_are_enough(seeded: str, tmp_path: Path) -> None:
    """Who has more has one cause; how many there are is said where it is known."""
    source = own_files(
        tmp_path,
        {
            "cost_opportunities.csv": "period_key,slug\n"
            + "".join(f"ytd,s{n}\n" for n in range(500))
        },
    )

    error = refused(seeded, source)

    assert error.message == "500 problems in the files, of which these are the first 20"
    assert len(error.facts) == 21


@of_files
def test_headers_of_all_files_are_looked_at_before_a_row_is_sent(
    seeded: str, tmp_path: Path
) -> None:
    """A file that belongs to no table is named, with those that do."""
    source = own_files(
        tmp_path,
        {"nothing.csv": "a,b\n", "cost_categories.csv": "slug\n", "recommendations.csv": ""},
    )

    error = refused(seeded, source)

    assert isinstance(error, CsvFileError)
    assert [line.split(":")[0] for line in error.facts[:-1]] == [
        "cost_categories.csv",
        "nothing.csv",
        "recommendations.csv",
    ]
    assert "performance_periods.csv" in str(error.hint)


@of_files
def test_two_files_of_one_table_are_refused(shop: tuple[str, Path], tmp_path: Path) -> None:
    """Which rows would be meant is not known, nor how many of which were inserted."""
    url, path = shop
    source = own_files(tmp_path, {"shop.CSV": "name\na\n", "shop.csv": "name\nb\n"})

    error = refused(url, source, path)

    assert (error.file, error.message) == ("shop.csv", "shop.CSV is for the same table")


def test_names_that_need_quotes_are_only_names(database: str, folder: Write) -> None:
    """A table and columns with blanks, commas and quotes; the place is that of the column."""
    path = folder(
        {
            "001_a.up.sql": 'CREATE TABLE "Order Items" ("Größe, x" int, "a""b" text)',
            "seed/load.sql": 'CREATE TEMP TABLE "seed_Order Items" ("Größe, x" int, "a""b" text)'
            ' ON COMMIT DROP; CREATE UNIQUE INDEX ON "seed_Order Items" ("Größe, x");'
            ' INSERT INTO "Order Items" SELECT * FROM "seed_Order Items";',
            "seed/Order Items.csv": '"a""b","Größe, x"\nx,1\ny,2\n',
        }
    )
    up(database, path)
    assert counts(seed(database, path)) == {"Order Items": (2, 0)}

    (path / "seed" / "Order Items.csv").write_text('"a""b","Größe, x"\nx,k\n', encoding="utf-8")
    wrong = refused(database, path / "seed", path)
    (path / "seed" / "Order Items.csv").write_text(
        '"a""b","Größe, x"\nx,3\ny,3\n', encoding="utf-8"
    )
    twice = refused(database, path / "seed", path)

    assert (wrong.line, wrong.column) == (2, 3)
    assert (twice.line, twice.message) == (3, 'this row repeats an earlier one: ("Größe, x") = (3)')


def test_a_check_without_words_of_the_file_names_its_rule(
    shop: tuple[str, Path], tmp_path: Path
) -> None:
    """All rows that break it; a comment on the constraint says it in someone's own words."""
    url, path = shop
    source = own_files(
        tmp_path,
        {
            "item.csv": "shop,name,price\nMall,a,0\nMall,b,1\nMall,c,-1\n",
            "shop.csv": "name\nMall\n",
        },
    )

    plain = refused(url, source, path)
    execute(url, "COMMENT ON CONSTRAINT item_price_check ON item IS 'nothing is free'")
    worded = refused(url, source, path)

    assert plain.facts[:2] == (
        "item.csv:2:8: item demands that price > 0::numeric (constraint item_price_check)",
        "item.csv:4:8: item demands that price > 0::numeric (constraint item_price_check)",
    )
    assert "item demands that nothing is free (constraint item_price_check)" in worded.facts[0]


def test_a_rule_about_computed_columns_is_named_with_the_row(database: str, folder: Write) -> None:
    """The file has no such column, so the row is shown as the server shows it."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, twice int CONSTRAINT small CHECK (twice < 10))",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;"
            " INSERT INTO a SELECT n, n * 2 FROM seed_a",
            "seed/a.csv": "n\n1\n7\n",
        }
    )
    up(database, path)

    with pytest.raises(StatementFailed) as caught:
        seed(database, path)

    said = "\n".join(caught.value.facts)
    assert "a demands that twice < 10 (constraint small)" in said
    assert "(7, 14)" in said
    assert (caught.value.file, caught.value.line) == ("seed/load.sql", 1)


def test_a_mistake_in_load_sql_has_its_place(database: str, folder: Write) -> None:
    """Within a SELECT, too, around which something was put."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;\n\n  SELECT nothing\n  FROM seed_a;",
            "seed/a.csv": "n\n1\n",
        }
    )
    up(database, path)

    with pytest.raises(StatementFailed) as caught:
        seed(database, path)

    assert (caught.value.line, caught.value.column) == (3, 10)
    assert caught.value.facts[:2] == ("3 | SELECT nothing", "           ^")


@pytest.mark.parametrize(
    "query",
    [
        "WITH w AS (SELECT tableoid, ctid FROM seed_a) SELECT *, 'n' AS \"column\", 'p' AS problem FROM w",
        "(SELECT tableoid, ctid, 'n' AS \"column\", 'p' AS problem FROM seed_a)",
    ],
)
def test_any_query_may_refuse_rows(database: str, folder: Write, query: str) -> None:
    """However it is written: rows that it returns are not loaded over."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int)",
            "seed/load.sql": f"CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP; {query};"
            " WITH w AS (SELECT n FROM seed_a) INSERT INTO a SELECT n FROM w;",
            "seed/a.csv": "n\n1\n",
        }
    )
    up(database, path)

    error = refused(database, path / "seed", path)

    assert (error.message, error.file, error.line, error.column) == ("p", "a.csv", 2, 1)
    assert value(database, "SELECT count(*) FROM a") == 0


def test_a_check_that_cannot_be_asked_of_staged_rows_is_reported_as_it_is(
    database: str, folder: Write
) -> None:
    """The staging table has text where the table has a number."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n numeric CONSTRAINT pos CHECK (n > 0))",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n text) ON COMMIT DROP;"
            " INSERT INTO a SELECT n::numeric FROM seed_a",
            "seed/a.csv": "n\n-1\n",
        }
    )
    up(database, path)

    error = refused(database, path / "seed", path)

    assert (error.sqlstate, error.file) == ("23514", "seed/load.sql")


def test_what_load_sql_changes_besides_is_reported(database: str, folder: Write) -> None:
    """A folder may update rows; the report does not hide it. A file without a table is named."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, seen int DEFAULT 0); CREATE TABLE log (n int)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;"
            " CREATE TEMP TABLE seed_more (n int) ON COMMIT DROP;"
            " INSERT INTO a SELECT n FROM seed_a; UPDATE a SET seen = 1; INSERT INTO log VALUES (1)",
            "seed/a.csv": "n\n1\n7\n",
            "seed/more.csv": "n\n1\n",
        }
    )
    up(database, path)

    report = seed(database, path)

    assert counts(report) == {"a": (2, 0), "log": (1, 0)}
    assert report.notes == (
        "more.csv has no table of its name, so what became of its 1 row is not known",
        "load.sql has changed rows of public.a: 2 updated",
    )


def test_rows_that_are_updated_and_then_deleted_are_not_added_up(
    database: str, folder: Write
) -> None:
    """Ten rows would be more than there are."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;"
            " UPDATE a SET n = 0; DO $$ BEGIN DELETE FROM a; END $$",
            "seed/a.csv": "n\n",
        }
    )
    up(database, path)
    execute(database, "INSERT INTO a SELECT * FROM generate_series(1, 5)")

    assert seed(database, path).notes == (
        "load.sql has changed rows of public.a: 5 updated, 5 deleted",
    )


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("TRUNCATE other;", "table public.other"),
        ("DROP TABLE other;", "table public.other"),
        ("DO $$ BEGIN ALTER TABLE other DROP COLUMN n; END $$;", "table column public.other.n"),
        ("ALTER SEQUENCE shop_id_seq RESTART WITH 7;", DONE),
        ("SELECT lo_unlink(4711);", "large object 4711"),
        ("SELECT lo_put(4711, 0, 'y');", "large object 4711"),
        ("DROP INDEX other_m; CREATE INDEX other_m ON other (m);", DONE),
    ],
)
def test_what_load_sql_would_remove_is_refused(
    text: str, lost: str, shop: tuple[str, Path]
) -> None:
    """It comes without a question, and nothing saves it."""
    url, path = shop
    execute(url, "CREATE TABLE other (n int, m int)", "CREATE INDEX other_m ON other (m)")
    execute(url, "INSERT INTO other VALUES (1, 2)", "SELECT lo_from_bytea(4711, 'x')")
    load = path / "seed" / "load.sql"
    load.write_text(load.read_text() + text)

    try:
        seed(url, path)
    except Refused as error:
        found = lost if lost in error.detail else str(error)
    else:
        found = DONE

    assert found == lost
    assert value(url, "SELECT to_jsonb(other) FROM other") == {"n": 1, "m": 2}
    assert value(url, "SELECT lo_get(4711)") == b"x"


def test_a_partitioned_table_is_counted_as_one(database: str, folder: Write) -> None:
    """Rows go to partitions, and are reported for the table that people know."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int) PARTITION BY RANGE (n);"
            " CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (5);"
            " CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (5) TO (9)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;"
            " INSERT INTO a SELECT n FROM seed_a",
            "seed/a.csv": "n\n1\n7\n8\n",
        }
    )
    up(database, path)

    assert counts(seed(database, path)) == {"a": (3, 0)}


def test_a_server_that_does_not_count_is_refused(shop: tuple[str, Path]) -> None:
    """A report of zeros would be a lie."""
    url, path = shop
    execute(url, f"ALTER DATABASE {value(url, 'SELECT current_database()')} SET track_counts = off")

    with pytest.raises(DatabaseError, match="does not count rows"):
        seed(url, path)

    assert value(url, "SELECT count(*) FROM shop") == 0


@pytest.mark.parametrize("statement", ["COMMIT", "BEGIN", "SAVEPOINT x"])
def test_load_sql_has_no_say_in_the_transaction(
    database: str, folder: Write, statement: str
) -> None:
    """It is lfmigrate's, as it is for migrations."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int)",
            "seed/load.sql": f"{statement};",
            "seed/a.csv": "n\n",
        }
    )
    up(database, path)

    with pytest.raises(SqlFileError):
        seed(database, path)


def test_names_of_columns_are_names_and_no_sql(seeded: str, tmp_path: Path) -> None:
    """A header is quoted, and unknown names never reach the server."""
    evil = 'slug") FROM STDIN; DROP TABLE performance_periods CASCADE; --'
    source = own_files(
        tmp_path,
        {"cost_opportunities.csv": f'period_key,"{evil.replace(chr(34), chr(34) * 2)}"\nytd,x\n'},
    )

    error = refused(seeded, source)

    assert "unknown column" in error.message
    assert value(seeded, "SELECT count(*) FROM performance_periods") == 3


# --------------------------------------------------------------------------------------------------
# Other sessions, other roles, other places
# --------------------------------------------------------------------------------------------------


def test_two_seeds_at_once_load_the_rows_once(applied: str) -> None:
    """Both succeed; together they have inserted each row once."""
    with Threads(4) as pool:
        reports = list(pool.map(seed, [applied] * 4))

    inserted = [sum(table.inserted for table in report.tables) for report in reports]
    assert sorted(inserted) == [0, 0, 0, sum(map(rows_of, FILES))]


def test_a_lock_of_another_owner_is_named(seeded: str, cli: Cli) -> None:
    """The seed does not wait for ever behind an open transaction, and says whose it is."""
    with psycopg.connect(seeded) as holder:
        holder.execute("LOCK TABLE cost_categories IN SHARE MODE")
        done = cli("seed", "--lock-timeout", "1s", "--database-url", seeded)

    assert done.returncode == 4
    assert "held by" in done.stderr
    assert NOTHING_CHANGED.text in done.stderr


def test_a_role_that_owns_only_the_schema_can_seed(database: str, tmp_path: Path) -> None:
    """No superuser is needed, for up, seed, checks and a replacement."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {role} LOGIN", f"CREATE SCHEMA dash AUTHORIZATION {role}")
    try:
        with lfmigrate.connect(database) as conn:
            conn.execute(f"SET ROLE {role}".encode())
            scope = lfmigrate.Scope(schema="dash", history_schema="dash")
            files = lfmigrate.read_folder(SHIPPED)
            lfmigrate.up(conn, files, scope=scope)
            first = lfmigrate.seed(conn, files, scope=scope)
            second = lfmigrate.seed(conn, files, scope=scope, replace=True, backup_dir=tmp_path)
            checked = lfmigrate.check_seed(conn, files, scope=scope)
        assert counts(first) == counts(second) == {p.stem: (rows_of(p), 0) for p in FILES}
        assert {table.schema for table in first.tables} == {"dash"}
        assert checked.ok
        assert value(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_the_rights_that_the_readme_names_are_enough(applied: str, tmp_path: Path) -> None:
    """INSERT, SELECT and TEMPORARY to load; TRUNCATE as well to replace; reading only to check."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(
        applied,
        f"CREATE ROLE {role}",
        f"GRANT USAGE ON SCHEMA lfmigrate TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public, lfmigrate TO {role}",
    )
    files = lfmigrate.read_folder(SHIPPED)
    try:
        with lfmigrate.connect(applied) as conn:
            conn.execute(f"SET ROLE {role}".encode())
            assert lfmigrate.check_seed(conn, files).ok
            with pytest.raises(StatementFailed, match="permission denied"):
                lfmigrate.seed(conn, files)
            execute(applied, f"GRANT INSERT ON ALL TABLES IN SCHEMA public TO {role}")
            first = lfmigrate.seed(conn, files)
            with pytest.raises(StatementFailed, match="permission denied"):
                lfmigrate.seed(conn, files, replace=True, backup_dir=tmp_path)
            execute(
                applied,
                f"GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {role}",
                f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            )
            second = lfmigrate.seed(conn, files, replace=True, backup_dir=tmp_path)
        assert counts(first) == counts(second) == {p.stem: (rows_of(p), 0) for p in FILES}
    finally:
        execute(applied, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_without_temporary_tables_the_grant_is_named(applied: str) -> None:
    """Some administrators take the right away from everybody."""
    role = f"lf_role_{uuid4().hex[:12]}"
    name = value(applied, "SELECT current_database()")
    execute(
        applied,
        f"CREATE ROLE {role}",
        f"REVOKE TEMPORARY ON DATABASE {name} FROM public",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public, lfmigrate TO {role}",
        f"GRANT USAGE ON SCHEMA lfmigrate TO {role}",
    )
    try:
        with lfmigrate.connect(applied) as conn:
            conn.execute(f"SET ROLE {role}".encode())
            with pytest.raises(StatementFailed) as caught:
                lfmigrate.seed(conn, lfmigrate.read_folder(SHIPPED))
        assert f'GRANT TEMPORARY ON DATABASE "{name}" TO "{role}"' in str(caught.value.hint)
    finally:
        execute(applied, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_nothing_of_a_seed_stays_in_the_session(applied: str) -> None:
    """No temporary table and no setting, whether it went well or not."""
    with lfmigrate.connect(applied) as conn:
        before = dict(conn.execute("SELECT name, setting FROM pg_settings").fetchall())
        lfmigrate.seed(conn, lfmigrate.read_folder(SHIPPED))
        after = dict(conn.execute("SELECT name, setting FROM pg_settings").fetchall())
        left = conn.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()

    # Those of languages appear when they are first used; lfmigrate's own stay behind, empty.
    assert {name: after[name] for name in before} == before
    assert left == (0,)


# --------------------------------------------------------------------------------------------------
# Faults
# --------------------------------------------------------------------------------------------------


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_cut_connection_leaves_all_or_nothing(applied: str, way: Any) -> None:
    """Cut anywhere: every row or none, and the message says which."""
    whole = sum(map(rows_of, FILES))
    tables = "\n+ ".join(f"(SELECT count(*) FROM {path.stem})" for path in FILES)
    empty = f"TRUNCATE {', '.join(path.stem for path in FILES)}"
    with Proxy(target_of(applied)) as counter:
        seed(through(applied, counter.port))
    size = counter.bytes_up if way == "up" else counter.bytes_down
    execute(applied, empty)
    committed = 0
    places = [*range(500, size - 120, size // 20), *range(size - 120, size, 10)]
    for at_byte in places:
        reported = DONE  # perhaps with a note, if the answer to COMMIT was lost
        with Cutter(target_of(applied), at_byte=at_byte, way=way) as proxy:
            try:
                seed(through(applied, proxy.port))
            except ConnectionFailed as error:
                reported = " ".join(error.facts)
        wait_until_left(applied)
        found = value(applied, f"SELECT {tables}")
        assert found in {0, whole}, at_byte
        assert (reported == DONE) == (found == whole), (at_byte, reported)
        if found:
            committed += 1
            execute(applied, empty)
    assert committed < len(places) // 2


@pytest.mark.sweep
@pytest.mark.process
def test_a_killed_seed_leaves_nothing_or_everything(applied: str) -> None:
    """SIGKILL at 12 moments of a run."""
    whole = sum(map(rows_of, FILES))
    tables = " + ".join(f"(SELECT count(*) FROM {path.stem})" for path in FILES)
    rng = random.Random(20261125)  # noqa: S311 (nothing secret; the same moments each time)
    found = []
    # First behind a lock on each of some tables, and then wherever some milliseconds lead.
    held = [path.stem for path in FILES[::3]]
    moments: list[str | float] = [*held, *(rng.uniform(0.0, 0.3) for _ in range(12 - len(held)))]
    for moment in moments:
        execute(applied, f"TRUNCATE {', '.join(path.stem for path in FILES)}")
        with psycopg.connect(applied) as holder:
            if isinstance(moment, str):
                holder.execute(f"LOCK TABLE {moment} IN EXCLUSIVE MODE".encode())
            process = Started(["seed", "--database-url", applied], piped=False)
            wait_for_session(applied, process)
            if isinstance(moment, str):
                wait_until(
                    lambda: value(applied, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"),
                    "the seed waits for the lock",
                )
            else:
                time.sleep(moment)
            process.kill()
            process.wait()
        wait_until_left(applied)
        found.append(value(applied, f"SELECT {tables}"))

    assert set(found[: len(held)]) == {0}
    assert set(found) <= {0, whole}


# getrusage would count the process that this one was forked from.
MEMORY = r"""
import re, sys
from pathlib import Path
import lfmigrate
url, folder = sys.argv[1:]
moved = []
with lfmigrate.connect(url) as conn:
    lfmigrate.seed(conn, lfmigrate.read_folder(folder), watch=moved.append)
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
print(*(m.bytes for m in moved))
print(*{m.of_bytes for m in moved})
"""


@pytest.mark.any_version
@pytest.mark.process
def test_a_large_file_loads_in_flat_memory_and_shows_how_far_it_is(
    database: str, folder: Write
) -> None:
    """Blocks go to the server as they are read, and each one is reported."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, words text)",
            "seed/load.sql": "CREATE TEMP TABLE seed_a (n int, words text) ON COMMIT DROP;"
            " INSERT INTO a SELECT n, words FROM seed_a",
        }
    )
    up(database, path)
    file = path / "seed" / "a.csv"
    with file.open("w", encoding="utf-8") as writing:
        writing.write("n,words\n")
        writing.writelines(f"{n},{'word ' * 30}\n" for n in range(1_000_000))
    size = file.stat().st_size

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, database, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )

    peak_kb, moved, of_bytes = done.stdout.splitlines()
    places = [int(place) for place in moved.split()]
    assert int(peak_kb) * 1024 < 100_000_000 < size
    assert len(places) > 100
    assert places == sorted(places)
    assert places[-1] == size
    assert of_bytes == str(size)
    assert value(database, "SELECT count(*) FROM a") == 1_000_000


@of_files
def test_psql_can_read_what_the_seed_reads(applied: str, psql: Psql, tmp_path: Path) -> None:
    """The files are plain CSV: psql's own copy takes them, with the same number of rows."""
    for path in FILES:
        header = path.read_text(encoding="utf-8").split("\n", 1)[0]
        columns = ", ".join(f"{name} text" for name in header.split(","))
        script = tmp_path / "read.sql"
        script.write_text(
            f"CREATE TEMP TABLE x ({columns});\n\\copy x FROM '{path}' CSV HEADER\nSELECT count(*) FROM x;",
            encoding="utf-8",
        )
        done = psql(applied, "-At", "-f", str(script))

        assert done.stdout.split()[-1] == str(rows_of(path)), done.stderr
