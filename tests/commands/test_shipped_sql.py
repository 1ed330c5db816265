"""The SQL files that ship with lfmigrate: their house rules, and what their tables refuse."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from tests.helpers.databases import new_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Psql

Conn = psycopg.Connection[DictRow]
Row = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "sql"
UP = FOLDER / "002_leadership_feedback_tables.up.sql"
DOWN = FOLDER / "002_leadership_feedback_tables.down.sql"
VIEWS = sorted((FOLDER / "views").glob("*.sql"))
FILES = [UP, *VIEWS, DOWN]
CREATING = [UP, *VIEWS]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Path) else None


each_file = pytest.mark.parametrize("path", FILES, ids=name_of)
each_view = pytest.mark.parametrize("path", VIEWS, ids=name_of)

# A rule compares values of one row with operators that are the same on all versions; that the rules
# are there on each version is for the tests of the contract, above.
of_rules = pytest.mark.any_version


# --------------------------------------------------------------------------------------------------
# The contract: what a reader of the tables may rely on
# --------------------------------------------------------------------------------------------------

# name, type, NN where NULL is refused, then the default; "derived" marks a generated column.
CONTRACT = {
    "performance_periods": """
        id integer NN
        period_key varchar(50) NN
        period_label varchar(100) NN
        start_date date NN
        end_date date NN
        is_active boolean NN default false
        member_months integer
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "performance_metrics": """
        id integer NN
        period_id integer NN
        metric_type varchar(100) NN
        current_value numeric(18,4) NN
        previous_value numeric(18,4)
        change_percent numeric(9,2) derived
        change_direction varchar(10) derived
        benchmark_value numeric(18,4)
        is_above_benchmark boolean derived
        display_format varchar(50) NN default 'number'
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "cost_categories": """
        id integer NN
        slug varchar(50) NN
        category_name varchar(255) NN
        period_id integer NN
        spending_pmpm_actual numeric(10,2) NN
        spending_pmpm_benchmark numeric(10,2) NN
        spending_variance_amount numeric(14,2)
        spending_variance_percent numeric(9,2) derived
        trend_percent numeric(6,1) default 0.0
        utilization_actual numeric(12,2) NN
        utilization_benchmark numeric(12,2) NN
        utilization_variance_percent numeric(9,2) derived
        utilization_unit varchar(50)
        performance_status varchar(20) NN
        is_opportunity boolean NN default false
        is_strength boolean NN default false
        aco_rank integer
        total_categories integer
        description text
        display_order integer
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "recommendations": """
        id integer NN
        title varchar(255) NN
        description text
        status varchar(50) NN default 'not_started'
        priority varchar(20)
        is_measurable boolean NN default true
        estimated_savings numeric(14,2)
        affected_lives integer
        cohort_size integer
        implementation_complexity varchar(20)
        patient_cohort text
        has_program_details boolean NN default false
        program_overview text
        video_url varchar(500)
        can_convert_to_workflow boolean NN default false
        workflow_type varchar(50)
        status_changed_at timestamptz
        status_changed_by varchar(255)
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "recommendation_cost_categories": """
        id integer NN
        recommendation_id integer NN
        cost_category_id integer NN
        impact_amount numeric(14,2)
        created_at timestamptz NN default now()
    """,
    "program_resources": """
        id integer NN
        recommendation_id integer NN
        resource_type varchar(50) NN
        title varchar(255)
        content text NN
        display_order integer
        author varchar(255)
        author_role varchar(255)
        created_at timestamptz NN default now()
    """,
    "efficiency_kpis": """
        id integer NN
        period_id integer NN
        kpi_type varchar(100) NN
        kpi_label varchar(255) NN
        actual_value numeric(12,2) NN
        aco_benchmark numeric(12,2)
        milliman_benchmark numeric(12,2)
        variance_percent numeric(9,2) derived
        performance_status varchar(20)
        display_format varchar(50) NN default 'number'
        display_order integer
        aco_rank integer
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "cost_opportunities": """
        id integer NN
        period_id integer NN
        cost_category_id integer NN
        opportunity_type varchar(50) NN
        amount_variance numeric(14,2)
        percent_variance numeric(9,2)
        aco_rank integer
        display_order integer
        show_on_dashboard boolean NN default true
        created_at timestamptz NN default now()
        updated_at timestamptz NN default now()
    """,
    "cost_category_hospitals": """
        id integer NN
        cost_category_id integer NN
        hospital_name varchar(255) NN
        discharges integer
        avg_los numeric(5,2)
        spend numeric(14,2)
        readmission_rate numeric(5,2)
        display_order integer
        created_at timestamptz NN default now()
    """,
    "cost_category_drgs": """
        id integer NN
        cost_category_id integer NN
        drg_code varchar(20)
        drg_description varchar(500) NN
        patient_count integer
        total_spend numeric(14,2)
        benchmark_avg numeric(14,2)
        avg_spend_per_patient numeric(14,2) derived
        percent_above_benchmark numeric(9,2) derived
        display_order integer
        created_at timestamptz NN default now()
    """,
    "cost_category_discharging_hospitals": """
        id integer NN
        cost_category_id integer NN
        hospital_name varchar(255) NN
        discharges integer
        percent_discharged_to_irf numeric(5,2)
        percent_discharged_to_irf_benchmark numeric(5,2)
        display_order integer
        created_at timestamptz NN default now()
    """,
}
TABLES = list(CONTRACT)
VIEW_NAMES = ["v_current_cost_categories", "v_recommendations_with_categories"]
STAMPED = [name for name, columns in CONTRACT.items() if "updated_at" in columns]
each_table = pytest.mark.parametrize("table", TABLES)
each_stamped_table = pytest.mark.parametrize("table", STAMPED)

# Leading columns of indexes that readers rely on, beside those of the unique rules.
INDEXES = {
    "cost_categories": ["(period_id, display_order)", "(performance_status)"],
    "recommendations": ["(status)", "(priority, estimated_savings DESC NULLS LAST)"],
    "recommendation_cost_categories": ["(cost_category_id)"],
    "program_resources": ["(recommendation_id, display_order, id)"],
    "cost_opportunities": ["(cost_category_id, period_id)", "(opportunity_type)"],
    "cost_category_hospitals": ["(cost_category_id, display_order)"],
    "cost_category_drgs": ["(cost_category_id, display_order)"],
    "cost_category_discharging_hospitals": ["(cost_category_id, display_order)"],
}


# --------------------------------------------------------------------------------------------------
# A database with everything in it, shared by the tests that only read or roll back
# --------------------------------------------------------------------------------------------------

# A period that is active and one that is not, each with a category, and one recommendation. Their
# ids are far above those that the identities hand out.
PARENTS = """
    INSERT INTO performance_periods (id, period_key, period_label, start_date, end_date, is_active)
    VALUES (1001, 'ytd', 'Year to date', '2025-01-01', '2025-09-30', true),
           (1002, 'last_quarter', 'Last quarter', '2025-07-01', '2025-09-30', false);
    INSERT INTO cost_categories (id, period_id, slug, category_name, performance_status,
                                 spending_pmpm_actual, spending_pmpm_benchmark,
                                 utilization_actual, utilization_benchmark)
    VALUES (1001, 1001, 'acute-rehab', 'Acute rehab', 'red', 27.83, 21.00, 14.58, 11.20),
           (1002, 1002, 'acute-rehab', 'Acute rehab', 'red', 27.90, 21.00, 14.60, 11.20);
    INSERT INTO recommendations (id, title) VALUES (1001, 'Plan discharges earlier');
"""

# A row per table that every rule accepts; a test changes what it is about.
VALID: dict[str, Row] = {
    "performance_periods": {
        "period_key": "last_12_months",
        "period_label": "Last 12 months",
        "start_date": date(2024, 10, 1),
        "end_date": date(2025, 9, 30),
    },
    "performance_metrics": {
        "period_id": 1001,
        "metric_type": "cost_pmpm",
        "current_value": "1037.80",
    },
    "cost_categories": {
        "slug": "op-surgical",
        "category_name": "Outpatient surgery",
        "period_id": 1001,
        "spending_pmpm_actual": "90.85",
        "spending_pmpm_benchmark": "83.90",
        "utilization_actual": "328.40",
        "utilization_benchmark": "310",
        "performance_status": "red",
    },
    "recommendations": {"title": "Operate on outpatients"},
    "recommendation_cost_categories": {"recommendation_id": 1001, "cost_category_id": 1001},
    "program_resources": {
        "recommendation_id": 1001,
        "resource_type": "best_practice",
        "title": "Call within two days",
        "content": "Somebody calls.",
    },
    "efficiency_kpis": {
        "period_id": 1001,
        "kpi_type": "readmissions",
        "kpi_label": "30-day readmissions",
        "actual_value": "16.30",
    },
    "cost_opportunities": {
        "period_id": 1001,
        "cost_category_id": 1001,
        "opportunity_type": "overspending",
        "amount_variance": "320381.64",
    },
    "cost_category_hospitals": {"cost_category_id": 1001, "hospital_name": "Lakeside"},
    "cost_category_drgs": {
        "cost_category_id": 1001,
        "drg_code": "945",
        "drg_description": "Rehabilitation with CC/MCC",
    },
    "cost_category_discharging_hospitals": {
        "cost_category_id": 1001,
        "hospital_name": "Lakeside",
    },
}


@pytest.fixture(scope="module")
def shared_url(server_url: str) -> Iterator[str]:
    """Return the URL of a database in which all files have been run, with a few parent rows."""
    with new_database(server_url) as name:
        url = make_conninfo(server_url, dbname=name)
        with psycopg.connect(url) as conn:
            for path in CREATING:
                conn.execute(path.read_bytes())
            conn.execute(PARENTS)
        yield url


@pytest.fixture(scope="module")
def shared_connection(shared_url: str) -> Iterator[Conn]:
    """Return one connection to the shared database."""
    with psycopg.connect(shared_url, row_factory=dict_row) as conn:
        yield conn


@pytest.fixture
def conn(shared_connection: Conn) -> Iterator[Conn]:
    """Return a connection to the shared database; what the test does is rolled back."""
    yield shared_connection
    shared_connection.rollback()


def insert(conn: Conn, table: str, **changes: Any) -> Row:
    """Insert the table's valid row with some values changed; return it as the server keeps it."""
    values = VALID[table] | changes
    row = conn.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING *").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        ),
        values,
    ).fetchone()
    assert row is not None
    return row


def update(conn: Conn, table: str, row_id: int, **changes: Any) -> Row:
    """Update a row and return it as the server keeps it; without changes, write it as it is."""
    values = changes or {"id": row_id}
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
    ]
    row = conn.execute(
        sql.SQL("UPDATE {} SET {} WHERE id = %(row_id)s RETURNING *").format(
            sql.Identifier(table), sql.SQL(", ").join(assignments)
        ),
        values | {"row_id": row_id},
    ).fetchone()
    assert row is not None
    return row


def column(conn: Conn, query: str, **parameters: Any) -> list[Any]:
    """Return the first column of a query's rows."""
    return [next(iter(row.values())) for row in conn.execute(query.encode(), parameters)]


# --------------------------------------------------------------------------------------------------
# Reading the files
# --------------------------------------------------------------------------------------------------

COMMENT_PATTERN = r"--[^\n]*"
STRING_PATTERN = r"'(?:[^']|'')*'"
BODY_PATTERN = r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"


def header(path: Path) -> str:
    """Return the comment that a file starts with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:end])


def without_comments_and_strings(path: Path) -> str:
    """Return a file's SQL, the bodies of its functions and DO blocks included."""
    pattern = re.compile(f"{STRING_PATTERN}|{COMMENT_PATTERN}")
    return pattern.sub(
        lambda found: "" if found[0].startswith("--") else "''", path.read_text(encoding="utf-8")
    )


def statements(path: Path) -> list[str]:
    """Split a file at the semicolons that end a statement; comments are left out."""
    token = re.compile(
        f"(?P<string>{STRING_PATTERN})|(?P<comment>{COMMENT_PATTERN})|(?P<body>{BODY_PATTERN})|;",
        re.DOTALL,
    )
    text = path.read_text(encoding="utf-8")
    found, current, position = [], "", 0
    for match in token.finditer(text):
        current += text[position : match.start()]
        position = match.end()
        if match[0] == ";":
            found.append(current.strip())
            current = ""
        elif not match["comment"]:
            current += match[0]
    rest = (current + text[position:]).strip()
    return [*found, rest] if rest else found


def objects(path: Path, verb: str) -> list[tuple[str, str]]:
    """Return kind and name of each table, view and function created or dropped, in order."""
    pattern = re.compile(
        rf"{verb}(?: OR REPLACE)? (TABLE|VIEW|FUNCTION)(?: IF (?:NOT )?EXISTS)? (\w+)"
    )
    return [(m[1], m[2]) for m in map(pattern.match, statements(path)) if m]


# Everything about the current schema that has a text.
CATALOG = """
    WITH ours AS (
        SELECT c.oid, c.relname::text, c.relkind::text
        FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace
    )
    SELECT concat_ws(' ', relkind, relname, pg_get_viewdef(oid)) FROM ours WHERE relkind = 'v'
    UNION ALL SELECT concat_ws(' ', relkind, relname) FROM ours WHERE relkind <> 'v'
    UNION ALL
    SELECT concat_ws(' ', relname, attname, attnum, format_type(atttypid, atttypmod), attnotnull,
                     attidentity, attgenerated, pg_get_expr(adbin, adrelid))
    FROM ours
    JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    UNION ALL
    SELECT concat_ws(' ', conname, convalidated, pg_get_constraintdef(c.oid))
    FROM ours JOIN pg_constraint AS c ON conrelid = ours.oid
    UNION ALL
    SELECT concat_ws(' ', indisvalid, pg_get_indexdef(indexrelid, 0, true))
    FROM ours JOIN pg_index ON indrelid = ours.oid
    UNION ALL
    SELECT concat_ws(' ', tgenabled, pg_get_triggerdef(t.oid, true))
    FROM ours JOIN pg_trigger AS t ON tgrelid = ours.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws(' ', proname, prosrc, obj_description(oid, 'pg_proc'))
    FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    UNION ALL
    SELECT concat_ws(' ', relname, objsubid, description)
    FROM ours JOIN pg_description ON objoid = oid AND classoid = 'pg_class'::regclass
    ORDER BY 1
"""


def catalog(url: str, schema: str = "public") -> list[str]:
    """Return everything in a schema of the database, as sorted lines of text."""
    url = make_conninfo(url, options=f"-csearch_path={schema}")
    with psycopg.connect(url, row_factory=dict_row) as conn:
        return column(conn, CATALOG)


# --------------------------------------------------------------------------------------------------
# House rules that the text keeps
# --------------------------------------------------------------------------------------------------


@each_file
def test_a_header_says_what_why_and_what_is_lost(path: Path) -> None:
    """A stranger who opens the file learns what it is for before the first statement."""
    wanted = ["What:", "Why:"]
    if path in (UP, DOWN):
        wanted.append("Down:" if path == UP else "Lost:")

    found = re.findall(r"^-- (\w+:) ", header(path), flags=re.MULTILINE)

    assert [label for label in found if label in wanted] == wanted


def test_the_header_of_up_says_that_its_do_blocks_may_run_again() -> None:
    """Without the directive the runner would not repair a database in which a table is missing."""
    lines = header(UP).splitlines()

    assert "-- lfmigrate: rerunnable" in lines


@each_file
def test_no_name_has_a_schema_in_front(path: Path) -> None:
    """Whatever stands before a dot is an alias, a row of a trigger, or a relation of ours."""
    code = without_comments_and_strings(path)
    aliases = re.findall(r"\b(?:AS|FROM|JOIN|WITH)\s+(\w+)\b(?!\s*\.)", code)
    records = re.findall(r"(\w+) record;", code)
    allowed = {"NEW", "OLD", *aliases, *records, *TABLES, *VIEW_NAMES}

    qualifiers = set(re.findall(r"\b([a-zA-Z_]\w*)\.[a-zA-Z_%]", code))

    assert qualifiers <= allowed


@each_file
def test_a_file_neither_controls_the_transaction_nor_the_session(path: Path) -> None:
    """The transaction and the settings are the runner's; a file creates, comments or drops."""
    allowed = {"DROP"} if path == DOWN else {"CREATE", "COMMENT", "DO"}

    verbs = {statement.split()[0] for statement in statements(path)}

    assert verbs <= allowed
    assert not re.search(r"\bSET\b", without_comments_and_strings(path))


@each_file
def test_a_file_has_no_psql_commands(path: Path) -> None:
    r"""A line that starts with a backslash would only work in psql."""
    lines = path.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.lstrip().startswith("\\")] == []


@pytest.mark.parametrize("path", CREATING, ids=name_of)
def test_everything_that_is_created_may_be_there_already(path: Path) -> None:
    """Tables and indexes come IF NOT EXISTS, functions and views OR REPLACE."""
    rerunnable = re.compile(
        r"CREATE (TABLE IF NOT EXISTS|(UNIQUE )?INDEX IF NOT EXISTS|OR REPLACE (FUNCTION|VIEW)) "
    )

    creating = [text for text in statements(path) if text.startswith("CREATE")]

    assert creating
    assert [text for text in creating if not rerunnable.match(text)] == []


@each_view
def test_a_view_file_is_named_like_its_only_view(path: Path) -> None:
    """One view per file, so that a changed file means one changed view."""
    assert objects(path, "CREATE") == [("VIEW", path.stem)]


@each_view
def test_a_view_lists_its_columns_and_has_no_star(path: Path) -> None:
    """A star would be frozen into today's columns."""
    assert "*" not in without_comments_and_strings(path)


def test_down_drops_in_exactly_the_reverse_order() -> None:
    """What was made last goes first: the views, then the tables, then the functions."""
    created = [made for path in CREATING for made in objects(path, "CREATE")]

    dropped = objects(DOWN, "DROP")

    assert dropped == created[::-1]
    assert len(dropped) == len(statements(DOWN))


def test_down_works_on_what_is_left_and_takes_nothing_else_along() -> None:
    """Every drop is IF EXISTS and none is CASCADE."""
    drops = statements(DOWN)

    assert [text for text in drops if " IF EXISTS " not in text] == []
    assert "CASCADE" not in without_comments_and_strings(DOWN)


def test_the_files_use_nothing_that_postgresql_14_lacks() -> None:
    """A reader of the text sees it, even where no old server is at hand."""
    newer = re.compile(
        r"NULLS NOT DISTINCT|security_invoker|JSON_ARRAYAGG|VIRTUAL|NOT ENFORCED|\bMERGE\b",
        re.IGNORECASE,
    )

    found = [newer.findall(without_comments_and_strings(path)) for path in FILES]

    assert found == [[]] * len(FILES)


# --------------------------------------------------------------------------------------------------
# House rules that the catalogs prove
# --------------------------------------------------------------------------------------------------


def test_there_are_exactly_eleven_tables_and_two_views(conn: Conn) -> None:
    """Nothing is missing and nothing comes along by accident."""
    relations = """
        SELECT relname FROM pg_class
        WHERE relkind::text = %(kind)s AND relnamespace = 'public'::regnamespace
    """

    tables = column(conn, relations, kind="r")
    views = column(conn, relations, kind="v")

    assert sorted(tables) == sorted(TABLES)
    assert sorted(views) == VIEW_NAMES


@each_table
def test_a_table_has_the_columns_of_the_contract(conn: Conn, table: str) -> None:
    """Name, order, type, NOT NULL, default, and whether the column is derived."""
    rows = conn.execute(
        """
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required,
               attgenerated = 's' AS derived, pg_get_expr(adbin, adrelid) AS expression
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum
        """,
        [table],
    ).fetchall()

    found = []
    for row in rows:
        kind = row["type"].replace("character varying", "varchar")
        words = [row["name"], kind.replace("timestamp with time zone", "timestamptz")]
        words += ["NN"] if row["required"] else []
        if row["derived"]:
            words.append("derived")
        elif row["expression"]:
            words += ["default", row["expression"].removesuffix("::character varying")]
        found.append(" ".join(words))

    assert found == [line.strip() for line in CONTRACT[table].strip().splitlines()]


@each_table
def test_a_primary_key_is_an_identity_that_takes_given_ids(conn: Conn, table: str) -> None:
    """A restore brings its own ids; everybody else gets the next one."""
    keys = conn.execute(
        """
        SELECT attname AS name, attidentity AS identity
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = %s::regclass AND indisprimary
        """,
        [table],
    ).fetchall()

    assert keys == [{"name": "id", "identity": "d"}]


@pytest.mark.parametrize(
    ("view", "table", "added"),
    [
        (VIEW_NAMES[0], "cost_categories", ["period_label", "period_key", "status_label"]),
        (VIEW_NAMES[1], "recommendations", ["affected_categories"]),
    ],
)
def test_a_view_has_every_column_of_its_table_and_then_its_own(
    conn: Conn, view: str, table: str, added: list[str]
) -> None:
    """A column that is added to the table and forgotten in the view shows here."""
    names = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %(relation)s::regclass AND attnum > 0 ORDER BY attnum
    """

    assert column(conn, names, relation=view) == column(conn, names, relation=table) + added


def test_every_constraint_and_index_is_named_in_the_file(conn: Conn) -> None:
    """A name that the server makes up, or cuts off, does not stand in the text."""
    words = set(re.findall(r"\w+", UP.read_text(encoding="utf-8")))
    # PostgreSQL 18 keeps NOT NULL as a constraint, too ("n"); that one is not referred to by name.
    names = column(
        conn,
        """
        SELECT conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'
        """,
    )

    assert len(names) > 80
    assert [name for name in names if name not in words] == []


def test_every_constraint_and_index_is_named_after_its_table_and_kind(conn: Conn) -> None:
    """PostgreSQL's own style, so that a name in an error message leads to the table."""
    rows = conn.execute(
        """
        SELECT conname AS name, conrelid::regclass::text AS relation, contype::text AS kind
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT indexrelid::regclass::text, indrelid::regclass::text, 'i'
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace
        """
    ).fetchall()
    suffixes = {"p": "pkey", "u": "key", "c": "check", "f": "fkey", "i": "(idx|key|pkey)"}

    strange = [
        row["name"]
        for row in rows
        if not re.fullmatch(rf"{row['relation']}_(\w+_)?{suffixes[row['kind']]}", row["name"])
    ]

    assert strange == []


@pytest.mark.parametrize("relation", TABLES + VIEW_NAMES)
def test_every_relation_and_every_column_has_a_comment(conn: Conn, relation: str) -> None:
    """The meaning and the unit are in the database, where everybody who needs them looks."""
    bare = column(
        conn,
        """
        SELECT n FROM (
            SELECT 0 AS n UNION ALL
            SELECT attnum FROM pg_attribute WHERE attrelid = %(relation)s::regclass AND attnum > 0
        ) AS parts
        WHERE coalesce(CASE n WHEN 0 THEN obj_description(%(relation)s::regclass, 'pg_class')
                              ELSE col_description(%(relation)s::regclass, n) END, '') = ''
        """,
        relation=relation,
    )

    assert bare == []


@pytest.mark.parametrize(
    ("view", "table"),
    [(VIEW_NAMES[0], "cost_categories"), (VIEW_NAMES[1], "recommendations")],
)
def test_a_column_means_the_same_in_a_view_as_in_its_table(
    conn: Conn, view: str, table: str
) -> None:
    """Two texts about one column must not grow apart."""
    different = column(
        conn,
        """
        SELECT mine.attname FROM pg_attribute AS mine JOIN pg_attribute AS other USING (attname)
        WHERE mine.attrelid = %(view)s::regclass AND other.attrelid = %(table)s::regclass
          AND mine.attnum > 0
          AND col_description(mine.attrelid, mine.attnum)
              IS DISTINCT FROM col_description(other.attrelid, other.attnum)
        """,
        view=view,
        table=table,
    )

    assert different == []


def test_every_foreign_key_has_an_index_that_starts_with_its_columns(conn: Conn) -> None:
    """Without one, every delete of a parent reads the whole child table."""
    without = column(
        conn,
        """
        SELECT conname FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index
            WHERE indrelid = conrelid AND indpred IS NULL
              AND (string_to_array(indkey::text, ' ')::smallint[])[1:cardinality(conkey)] = conkey)
        """,
    )

    assert without == []


def test_every_foreign_key_is_required_and_cascades(conn: Conn) -> None:
    """A detail without its parent has no meaning."""
    rows = conn.execute(
        """
        SELECT conname, confdeltype::text,
               (SELECT bool_and(attnotnull) FROM pg_attribute
                WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS required
        FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        """
    ).fetchall()

    assert len(rows) == 11
    assert [r for r in rows if r["confdeltype"] != "c" or not r["required"]] == []


@each_table
def test_the_indexes_that_readers_rely_on_are_there(conn: Conn, table: str) -> None:
    """Besides the unique rules: just these, so no write pays for an index that is not used."""
    definitions = column(
        conn,
        """
        SELECT pg_get_indexdef(indexrelid, 0, true) FROM pg_index
        WHERE indrelid = %(table)s::regclass AND NOT indisunique
        """,
        table=table,
    )

    found = [definition.partition(" USING btree ")[2] for definition in definitions]

    assert sorted(found) == sorted(INDEXES.get(table, []))


# --------------------------------------------------------------------------------------------------
# Running the files
# --------------------------------------------------------------------------------------------------


def file_options(paths: list[Path]) -> list[str]:
    return [word for path in paths for word in ("-f", str(path))]


def test_psql_runs_the_files_once_and_twice(psql: Psql, database: str) -> None:
    """A second run by hand succeeds and leaves every definition and comment as it was."""
    first = psql(database, *file_options(CREATING))
    after_first = catalog(database)
    second = psql(database, *file_options(CREATING))

    assert (first.returncode, first.stderr) == (0, "")
    assert second.returncode == 0, second.stderr
    assert len(after_first) > 300
    assert catalog(database) == after_first


def test_a_second_run_rewrites_neither_column_comments_nor_triggers(conn: Conn) -> None:
    """Rows of the catalogs that are not written again need no vacuum and take no locks."""
    versions = """
        SELECT concat_ws(' ', tableoid, xmin, objoid, objsubid) FROM pg_description
        WHERE objsubid > 0 AND objoid = ANY (%(tables)s::regclass[])
        UNION ALL
        SELECT concat_ws(' ', tableoid, xmin, tgrelid, tgname) FROM pg_trigger
        WHERE tgrelid = ANY (%(tables)s::regclass[]) ORDER BY 1
    """
    before = column(conn, versions, tables=TABLES)

    conn.execute(UP.read_bytes())

    assert len(before) > 130
    assert column(conn, versions, tables=TABLES) == before


def test_a_trigger_that_was_switched_off_stays_off(conn: Conn) -> None:
    """Running the file again is no reason to undo what someone did on purpose."""
    conn.execute("ALTER TABLE recommendations DISABLE TRIGGER recommendations_set_updated_at")

    conn.execute(UP.read_bytes())

    assert column(
        conn, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'recommendations_set_updated_at'"
    ) == ["D"]


def test_the_statements_run_one_by_one_in_a_pipeline(database: str, shared_url: str) -> None:
    """The extended protocol takes one command at a time; one transaction holds them all, twice."""
    with psycopg.connect(database) as conn, conn.pipeline():
        for path in CREATING * 2:
            for statement in statements(path):
                conn.execute(statement.encode())

    assert catalog(database) == catalog(shared_url)


def test_the_files_go_to_the_schema_that_the_search_path_names(
    database: str, shared_url: str
) -> None:
    """Tables, functions, triggers and comments: all of it, and nothing to public."""
    with psycopg.connect(database, options="-csearch_path=elsewhere") as conn:
        conn.execute("CREATE SCHEMA elsewhere")
        for path in CREATING:
            conn.execute(path.read_bytes())

    assert catalog(database) == []
    assert catalog(database, "elsewhere") == catalog(shared_url)


def test_down_leaves_nothing(psql: Psql, database: str) -> None:
    """Up, down, and the schema is as empty as before."""
    psql(database, *file_options(CREATING))

    down = psql(database, "-f", str(DOWN))

    assert (down.returncode, down.stderr) == (0, "")
    assert catalog(database) == []


@each_table
def test_down_works_when_a_table_is_missing(conn: Conn, table: str) -> None:
    """A schema that someone has begun to take apart can be undone as well."""
    conn.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(table)))

    conn.execute(DOWN.read_bytes())

    assert column(conn, CATALOG) == []


def test_down_works_on_an_empty_schema(conn: Conn) -> None:
    """Undoing twice is harmless."""
    conn.execute(DOWN.read_bytes())

    conn.execute(DOWN.read_bytes())

    assert column(conn, CATALOG) == []


@pytest.mark.parametrize(
    "dependent",
    [
        b"CREATE VIEW board_pack AS SELECT slug FROM cost_categories",
        b"CREATE VIEW board_pack AS SELECT slug FROM v_current_cost_categories",
        b"CREATE TABLE note (id integer REFERENCES recommendations)",
        b"""
        CREATE TABLE note (updated_at date);
        CREATE TRIGGER note_set BEFORE UPDATE ON note
            FOR EACH ROW EXECUTE FUNCTION leadership_feedback_set_updated_at()
        """,
    ],
    ids=["view of a table", "view of a view", "foreign key", "trigger"],
)
def test_down_fails_where_another_owner_depends_on_it(conn: Conn, dependent: bytes) -> None:
    """Without CASCADE, the server refuses instead of taking a colleague's work along."""
    conn.execute(dependent)

    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        conn.execute(DOWN.read_bytes())


# --------------------------------------------------------------------------------------------------
# Tables that were there before, with something missing
# --------------------------------------------------------------------------------------------------

DROPPABLE = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND NOT EXISTS (
        SELECT FROM pg_index WHERE indrelid = attrelid AND attnum = ANY (indkey))
"""
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = %(table)s::regclass"


def make_older(conn: Conn, table: str, columns: list[str]) -> None:
    """Turn a table into one that an older script made: without triggers and some columns."""
    for view in VIEW_NAMES:
        conn.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(view)))
    for trigger in column(conn, TRIGGERS, table=table):
        conn.execute(
            sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), sql.Identifier(table))
        )
    for name in columns:
        conn.execute(
            sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {} CASCADE").format(
                sql.Identifier(table), sql.Identifier(name)
            )
        )


@each_table
def test_up_passes_over_a_table_that_lacks_every_column_without_an_index(
    conn: Conn, table: str
) -> None:
    """The table is left as it is, no trigger waits for a missing column, and the rest is made."""
    missing = column(conn, DROPPABLE, table=table)
    make_older(conn, table, missing)

    conn.execute(UP.read_bytes())

    assert {"created_at"} <= set(missing)
    assert column(conn, DROPPABLE, table=table) == []
    assert column(conn, TRIGGERS, table=table) == []


@each_stamped_table
def test_a_table_without_updated_at_can_still_be_updated(conn: Conn, table: str) -> None:
    """A trigger that sets a missing column would make every update fail."""
    row = insert(conn, table)
    make_older(conn, table, ["updated_at"])

    conn.execute(UP.read_bytes())

    assert update(conn, table, row["id"])["id"] == row["id"]


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        ("updated_at", ["stamp_given_name", "stamp_status_change"]),
        ("status_changed_at", ["set_updated_at"]),
        ("status_changed_by", ["set_updated_at", "stamp_status_change"]),
    ],
)
def test_a_missing_column_costs_only_the_trigger_that_needs_it(
    conn: Conn, missing: str, left: list[str]
) -> None:
    """The other triggers of recommendations are made all the same, and work."""
    make_older(conn, "recommendations", [missing])

    conn.execute(UP.read_bytes())

    triggers = column(conn, TRIGGERS, table="recommendations")
    assert sorted(triggers) == [f"recommendations_{name}" for name in left]
    row = insert(conn, "recommendations", status="accepted")
    changed = update(conn, "recommendations", row["id"], status="completed")
    if "stamp_status_change" in left:
        assert changed["status_changed_at"] is not None


def test_an_older_table_gets_the_comments_and_triggers_that_fit(conn: Conn) -> None:
    """Columns that are there are explained, and stamped, even where others are missing."""
    make_older(conn, "efficiency_kpis", ["milliman_benchmark"])
    conn.execute("COMMENT ON COLUMN efficiency_kpis.aco_rank IS NULL")

    conn.execute(UP.read_bytes())

    comments = column(
        conn,
        """
        SELECT col_description(attrelid, attnum) FROM pg_attribute
        WHERE attrelid = 'efficiency_kpis'::regclass AND attname = 'aco_rank'
        """,
    )
    assert "1 = best" in comments[0]
    assert column(conn, TRIGGERS, table="efficiency_kpis") == ["efficiency_kpis_set_updated_at"]


def test_an_older_cost_categories_can_still_be_referred_to(conn: Conn) -> None:
    """The key that the composite foreign key needs is made on a table that was there before."""
    make_older(conn, "cost_categories", [])
    conn.execute("DROP TABLE cost_opportunities")
    conn.execute("DROP INDEX cost_categories_id_period_id_key")

    conn.execute(UP.read_bytes())

    assert insert(conn, "cost_opportunities")["cost_category_id"] == 1001


def test_a_trigger_of_another_form_is_put_right(conn: Conn) -> None:
    """The name is ours, so what stands under it is what the file says."""
    expected = column(conn, CATALOG)
    conn.execute("DROP TRIGGER recommendations_set_updated_at ON recommendations")
    conn.execute(
        "CREATE TRIGGER recommendations_set_updated_at BEFORE UPDATE OF title ON recommendations"
        " FOR EACH ROW EXECUTE FUNCTION leadership_feedback_set_updated_at()"
    )

    conn.execute(UP.read_bytes())

    assert column(conn, CATALOG) == expected


# --------------------------------------------------------------------------------------------------
# What the tables refuse and what they accept
# --------------------------------------------------------------------------------------------------

# constraint, values that break it
REFUSED: list[tuple[str, Row]] = [
    ("performance_periods_period_key_check", {"period_key": "Last_12"}),
    ("performance_periods_period_key_check", {"period_key": "last-12"}),
    ("performance_periods_period_key_check", {"period_key": "last__12"}),
    ("performance_periods_period_key_check", {"period_key": "_ytd"}),
    ("performance_periods_period_key_check", {"period_key": "ytd\n"}),
    ("performance_periods_period_key_check", {"period_key": ""}),
    ("performance_periods_period_label_check", {"period_label": ""}),
    ("performance_periods_period_label_check", {"period_label": " \t\n"}),
    ("performance_periods_end_date_check", {"end_date": date(2024, 9, 30)}),
    ("performance_periods_infinity_check", {"end_date": "infinity"}),
    ("performance_periods_infinity_check", {"start_date": "-infinity"}),
    ("performance_periods_member_months_check", {"member_months": 0}),
    ("performance_periods_member_months_check", {"member_months": -1}),
    ("performance_metrics_metric_type_check", {"metric_type": "Cost PMPM"}),
    ("performance_metrics_display_format_check", {"display_format": "dollars"}),
    ("performance_metrics_display_format_check", {"display_format": "per_thousand"}),
    ("performance_metrics_nan_check", {"current_value": "NaN"}),
    ("performance_metrics_nan_check", {"previous_value": "NaN"}),
    ("performance_metrics_nan_check", {"benchmark_value": "NaN"}),
    ("cost_categories_slug_check", {"slug": "op_surgical"}),
    ("cost_categories_slug_check", {"slug": "Op-Surgical"}),
    ("cost_categories_slug_check", {"slug": "-op"}),
    ("cost_categories_spending_pmpm_actual_check", {"spending_pmpm_actual": "-0.01"}),
    ("cost_categories_spending_pmpm_actual_check", {"spending_pmpm_actual": "NaN"}),
    ("cost_categories_spending_pmpm_benchmark_check", {"spending_pmpm_benchmark": "-0.01"}),
    ("cost_categories_spending_pmpm_benchmark_check", {"spending_pmpm_benchmark": "NaN"}),
    ("cost_categories_spending_variance_amount_check", {"spending_variance_amount": "-326010.60"}),
    ("cost_categories_spending_variance_amount_check", {"spending_variance_amount": "0"}),
    ("cost_categories_spending_variance_amount_check", {"spending_variance_amount": "NaN"}),
    (
        "cost_categories_spending_variance_amount_check",
        {"spending_pmpm_actual": "83.90", "spending_variance_amount": "0.01"},
    ),
    ("cost_categories_trend_percent_check", {"trend_percent": "NaN"}),
    ("cost_categories_utilization_actual_check", {"utilization_actual": "-0.01"}),
    ("cost_categories_utilization_actual_check", {"utilization_actual": "NaN"}),
    ("cost_categories_utilization_benchmark_check", {"utilization_benchmark": "-0.01"}),
    ("cost_categories_utilization_benchmark_check", {"utilization_benchmark": "NaN"}),
    ("cost_categories_utilization_unit_check", {"utilization_unit": "admits per k"}),
    ("cost_categories_performance_status_check", {"performance_status": "amber"}),
    ("cost_categories_is_strength_check", {"is_opportunity": True, "is_strength": True}),
    ("cost_categories_aco_rank_check", {"aco_rank": 25, "total_categories": 24}),
    ("cost_categories_aco_rank_check", {"aco_rank": 0, "total_categories": 24}),
    ("cost_categories_aco_rank_check", {"aco_rank": 0}),
    ("cost_categories_total_categories_check", {"total_categories": 0}),
    ("recommendations_status_check", {"status": "done"}),
    ("recommendations_priority_check", {"priority": "urgent"}),
    ("recommendations_estimated_savings_check", {"estimated_savings": "-0.01"}),
    ("recommendations_estimated_savings_check", {"estimated_savings": "NaN"}),
    ("recommendations_affected_lives_check", {"affected_lives": -1}),
    ("recommendations_cohort_size_check", {"cohort_size": -1}),
    (
        "recommendations_implementation_complexity_check",
        {"implementation_complexity": "simple"},
    ),
    ("recommendations_video_url_check", {"video_url": "javascript:alert(1)"}),
    ("recommendations_video_url_check", {"video_url": "example.org/film"}),
    ("recommendations_video_url_check", {"video_url": "ftp://example.org/film"}),
    ("recommendations_video_url_check", {"video_url": "https://"}),
    ("recommendations_video_url_check", {"video_url": "https://example.org/a film"}),
    ("recommendations_video_url_check", {"video_url": " https://example.org"}),
    ("recommendations_workflow_type_check", {"workflow_type": "referral"}),
    ("recommendations_infinity_check", {"status_changed_at": "infinity"}),
    ("recommendations_infinity_check", {"status": "accepted", "status_changed_at": "-infinity"}),
    ("recommendations_status_changed_by_check", {"status_changed_by": "a\nb"}),
    ("recommendation_cost_categories_impact_amount_check", {"impact_amount": "-0.01"}),
    ("recommendation_cost_categories_impact_amount_check", {"impact_amount": "NaN"}),
    ("program_resources_resource_type_check", {"resource_type": "film"}),
    ("program_resources_title_check", {"title": None}),
    ("program_resources_title_check", {"resource_type": "implementation_step", "title": None}),
    ("program_resources_author_check", {"resource_type": "testimonial"}),
    ("efficiency_kpis_performance_status_check", {"performance_status": "red"}),
    ("efficiency_kpis_display_format_check", {"display_format": "currency"}),
    ("efficiency_kpis_percent_check", {"display_format": "percent", "actual_value": "100.01"}),
    ("efficiency_kpis_percent_check", {"display_format": "percent", "actual_value": "-0.01"}),
    ("efficiency_kpis_percent_check", {"display_format": "percent", "aco_benchmark": "100.01"}),
    (
        "efficiency_kpis_percent_check",
        {"display_format": "percent", "milliman_benchmark": "100.01"},
    ),
    ("efficiency_kpis_aco_rank_check", {"aco_rank": 0}),
    ("efficiency_kpis_nan_check", {"actual_value": "NaN"}),
    ("efficiency_kpis_nan_check", {"aco_benchmark": "NaN"}),
    ("efficiency_kpis_nan_check", {"milliman_benchmark": "NaN"}),
    ("cost_opportunities_opportunity_type_check", {"opportunity_type": "savings"}),
    ("cost_opportunities_amount_variance_check", {"amount_variance": "-0.01"}),
    ("cost_opportunities_amount_variance_check", {"amount_variance": "0"}),
    (
        "cost_opportunities_amount_variance_check",
        {"opportunity_type": "efficient", "amount_variance": "0.01"},
    ),
    (
        "cost_opportunities_amount_variance_check",
        {"opportunity_type": "efficient", "amount_variance": "0"},
    ),
    (
        "cost_opportunities_amount_variance_check",
        {"opportunity_type": "neutral", "amount_variance": "-0.01"},
    ),
    ("cost_opportunities_aco_rank_check", {"aco_rank": 0}),
    ("cost_opportunities_nan_check", {"amount_variance": "NaN"}),
    ("cost_opportunities_nan_check", {"percent_variance": "NaN"}),
    ("cost_category_hospitals_discharges_check", {"discharges": -1}),
    ("cost_category_hospitals_avg_los_check", {"avg_los": "-0.01"}),
    ("cost_category_hospitals_avg_los_check", {"avg_los": "NaN"}),
    ("cost_category_hospitals_spend_check", {"spend": "-0.01"}),
    ("cost_category_hospitals_spend_check", {"spend": "NaN"}),
    ("cost_category_hospitals_readmission_rate_check", {"readmission_rate": "-0.01"}),
    ("cost_category_hospitals_readmission_rate_check", {"readmission_rate": "100.01"}),
    ("cost_category_hospitals_readmission_rate_check", {"readmission_rate": "NaN"}),
    ("cost_category_drgs_patient_count_check", {"patient_count": -1}),
    ("cost_category_drgs_total_spend_check", {"total_spend": "-0.01"}),
    ("cost_category_drgs_total_spend_check", {"total_spend": "NaN"}),
    ("cost_category_drgs_benchmark_avg_check", {"benchmark_avg": "-0.01"}),
    ("cost_category_drgs_benchmark_avg_check", {"benchmark_avg": "NaN"}),
    ("cost_category_discharging_hospitals_discharges_check", {"discharges": -1}),
    (
        "cost_category_discharging_hospitals_irf_percent_check",
        {"percent_discharged_to_irf": "-0.01"},
    ),
    (
        "cost_category_discharging_hospitals_irf_percent_check",
        {"percent_discharged_to_irf": "100.01"},
    ),
    (
        "cost_category_discharging_hospitals_irf_percent_check",
        {"percent_discharged_to_irf": "NaN"},
    ),
    (
        "cost_category_discharging_hospitals_irf_benchmark_check",
        {"percent_discharged_to_irf_benchmark": "-0.01"},
    ),
    (
        "cost_category_discharging_hospitals_irf_benchmark_check",
        {"percent_discharged_to_irf_benchmark": "100.01"},
    ),
]


def table_of(constraint: str) -> str:
    """Return the table that a constraint's name starts with."""
    return max((table for table in TABLES if constraint.startswith(f"{table}_")), key=len)


def described(value: object) -> str | None:
    """Return a readable id for a test case's values."""
    if isinstance(value, dict):
        return ",".join(f"{name}={content!r}" for name, content in value.items()) or "plain"
    return None


@of_rules
@pytest.mark.parametrize(("constraint", "values"), REFUSED, ids=described)
def test_a_check_refuses_a_row_that_cannot_be_true(
    conn: Conn, constraint: str, values: Row
) -> None:
    """The error names the constraint, and the constraint names the rule."""
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        insert(conn, table_of(constraint), **values)

    assert caught.value.diag.constraint_name == constraint


def test_every_check_has_a_row_that_it_refuses(conn: Conn) -> None:
    """A check that is added without a case here could be one that never fires."""
    checks = column(
        conn,
        """
        SELECT conname FROM pg_constraint
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace
        """,
    )
    only_on_update = {"recommendations_status_changed_at_check"}

    assert {constraint for constraint, _ in REFUSED} | only_on_update == set(checks)


ACCEPTED: list[tuple[str, Row]] = [
    *((table, {}) for table in TABLES),
    ("performance_periods", {"period_key": "2025_q3"}),
    ("performance_periods", {"end_date": VALID["performance_periods"]["start_date"]}),
    ("performance_periods", {"member_months": 1}),
    ("performance_metrics", {"current_value": "99999999999999.9999"}),
    ("performance_metrics", {"current_value": "-1", "previous_value": "-2"}),
    ("performance_metrics", {"display_format": "currency"}),
    ("performance_metrics", {"display_format": "percent"}),
    ("cost_categories", {"period_id": 1002}),
    ("cost_categories", {"spending_pmpm_actual": "0", "spending_pmpm_benchmark": "0"}),
    ("cost_categories", {"utilization_actual": "0", "utilization_benchmark": "0"}),
    ("cost_categories", {"spending_variance_amount": "326010.60"}),
    ("cost_categories", {"spending_pmpm_actual": "83.91", "spending_variance_amount": "0.01"}),
    ("cost_categories", {"spending_pmpm_actual": "83.89", "spending_variance_amount": "-0.01"}),
    ("cost_categories", {"spending_pmpm_actual": "83.90", "spending_variance_amount": "0"}),
    ("cost_categories", {"trend_percent": None}),
    ("cost_categories", {"trend_percent": "-3.5"}),
    ("cost_categories", {"utilization_unit": "visits_per_k"}),
    ("cost_categories", {"performance_status": "yellow"}),
    ("cost_categories", {"performance_status": "green", "is_strength": True}),
    ("cost_categories", {"is_opportunity": True}),
    ("cost_categories", {"aco_rank": 1, "total_categories": 1}),
    ("cost_categories", {"aco_rank": 24, "total_categories": 24}),
    ("cost_categories", {"aco_rank": 24}),
    ("cost_categories", {"total_categories": 24}),
    *(
        ("recommendations", {"status": status})
        for status in (
            "not_started",
            "acknowledged",
            "accepted",
            "rejected",
            "already_doing",
            "in_progress",
            "completed",
        )
    ),
    ("recommendations", {"priority": "high", "implementation_complexity": "low"}),
    ("recommendations", {"priority": "medium", "implementation_complexity": "medium"}),
    ("recommendations", {"priority": "low", "implementation_complexity": "high"}),
    ("recommendations", {"estimated_savings": "0", "affected_lives": 0, "cohort_size": 0}),
    ("recommendations", {"estimated_savings": "999999999999.99"}),
    ("recommendations", {"video_url": "https://example.org/film?t=1"}),
    ("recommendations", {"video_url": "HTTP://example.org"}),
    ("recommendations", {"can_convert_to_workflow": True}),
    ("recommendations", {"can_convert_to_workflow": True, "workflow_type": "referral"}),
    ("recommendation_cost_categories", {"impact_amount": "0"}),
    ("program_resources", {"resource_type": "implementation_step", "author": "A. Nurse"}),
    ("program_resources", {"resource_type": "testimonial", "title": None, "author": "A. Nurse"}),
    ("program_resources", {"resource_type": "testimonial", "author": "A. Nurse"}),
    *(
        ("efficiency_kpis", {"performance_status": status})
        for status in ("good", "warning", "poor", "bad")
    ),
    ("efficiency_kpis", {"display_format": "percent", "actual_value": "0"}),
    ("efficiency_kpis", {"display_format": "percent", "actual_value": "100"}),
    ("efficiency_kpis", {"display_format": "percent", "aco_benchmark": "100"}),
    ("efficiency_kpis", {"display_format": "per_thousand", "actual_value": "235.35"}),
    ("efficiency_kpis", {"actual_value": "-1", "aco_rank": 1}),
    ("cost_opportunities", {"amount_variance": "0.01", "aco_rank": 1}),
    ("cost_opportunities", {"amount_variance": None}),
    ("cost_opportunities", {"opportunity_type": "efficient", "amount_variance": "-0.01"}),
    ("cost_opportunities", {"opportunity_type": "efficient", "amount_variance": None}),
    ("cost_opportunities", {"opportunity_type": "neutral", "amount_variance": "0"}),
    ("cost_category_hospitals", {"discharges": 0, "avg_los": "0", "spend": "0"}),
    ("cost_category_hospitals", {"readmission_rate": "0"}),
    ("cost_category_hospitals", {"readmission_rate": "100", "avg_los": "999.99"}),
    ("cost_category_drgs", {"patient_count": 0, "total_spend": "0", "benchmark_avg": "0"}),
    ("cost_category_drgs", {"drg_code": None}),
    ("cost_category_discharging_hospitals", {"discharges": 0, "percent_discharged_to_irf": "0"}),
    ("cost_category_discharging_hospitals", {"percent_discharged_to_irf": "100"}),
    ("cost_category_discharging_hospitals", {"percent_discharged_to_irf_benchmark": "0"}),
    ("cost_category_discharging_hospitals", {"percent_discharged_to_irf_benchmark": "100"}),
]


@of_rules
@pytest.mark.parametrize(("table", "values"), ACCEPTED, ids=described)
def test_a_row_at_the_edge_of_the_rules_is_accepted(conn: Conn, table: str, values: Row) -> None:
    """Boundaries and unknown values are legitimate, and are kept as they were given."""
    row = insert(conn, table, **values)

    assert {name: row[name] for name in values} == {
        name: Decimal(value) if isinstance(row[name], Decimal) else value
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("performance_periods_period_key_key", {}),
        ("performance_metrics_period_id_metric_type_key", {}),
        ("cost_categories_slug_period_id_key", {}),
        ("recommendation_cost_categories_pair_key", {}),
        ("efficiency_kpis_period_id_kpi_type_key", {}),
        ("cost_opportunities_period_id_cost_category_id_key", {}),
        ("cost_category_hospitals_cost_category_id_hospital_name_key", {}),
        ("cost_category_drgs_cost_category_id_drg_code_key", {}),
        ("cost_category_discharging_hospitals_hospital_name_key", {}),
    ],
    ids=described,
)
def test_a_natural_key_is_unique(conn: Conn, constraint: str, values: Row) -> None:
    """The same row a second time is refused, and the error names the key."""
    insert(conn, table_of(constraint), **values)

    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        insert(conn, table_of(constraint), **values)

    assert caught.value.diag.constraint_name == constraint


def test_only_one_period_is_active(conn: Conn) -> None:
    """A second active period would double every number on the dashboard."""
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        insert(conn, "performance_periods", is_active=True)

    assert caught.value.diag.constraint_name == "performance_periods_is_active_idx"


def test_many_periods_are_inactive(conn: Conn) -> None:
    """The rule is about true alone."""
    keys = ["q1", "q2"]

    rows = [insert(conn, "performance_periods", period_key=key) for key in keys]

    assert [row["is_active"] for row in rows] == [False, False]


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("performance_metrics_period_id_fkey", {"period_id": 9}),
        ("cost_categories_period_id_fkey", {"period_id": 9}),
        ("recommendation_cost_categories_recommendation_id_fkey", {"recommendation_id": 9}),
        ("recommendation_cost_categories_cost_category_id_fkey", {"cost_category_id": 9}),
        ("program_resources_recommendation_id_fkey", {"recommendation_id": 9}),
        ("efficiency_kpis_period_id_fkey", {"period_id": 9}),
        ("cost_opportunities_cost_category_id_period_id_fkey", {"cost_category_id": 9}),
        # A category of another period: both parents exist, but not as a pair.
        ("cost_opportunities_cost_category_id_period_id_fkey", {"cost_category_id": 1002}),
        ("cost_category_hospitals_cost_category_id_fkey", {"cost_category_id": 9}),
        ("cost_category_drgs_cost_category_id_fkey", {"cost_category_id": 9}),
        ("cost_category_discharging_hospitals_cost_category_id_fkey", {"cost_category_id": 9}),
    ],
    ids=described,
)
def test_a_detail_needs_its_parent(conn: Conn, constraint: str, values: Row) -> None:
    """A row without a parent, or with one of another period, is refused."""
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as caught:
        insert(conn, table_of(constraint), **values)

    assert caught.value.diag.constraint_name == constraint


def test_deleting_the_parents_deletes_every_detail(conn: Conn) -> None:
    """No table is left with rows that belong to no period."""
    for table in TABLES[1:]:
        insert(conn, table)

    conn.execute("DELETE FROM performance_periods")
    conn.execute("DELETE FROM recommendations")

    counts = {table: column(conn, f"SELECT count(*) FROM {table}") for table in TABLES}
    assert counts == {table: [0] for table in TABLES}


# --------------------------------------------------------------------------------------------------
# Derived columns
# --------------------------------------------------------------------------------------------------


@of_rules
@pytest.mark.parametrize(
    ("current", "previous", "percent", "direction"),
    [
        ("1037.80", "1000", "3.78", "up"),
        ("1000", "1037.80", "-3.64", "down"),
        ("1.085", "1.085", "0.00", "flat"),
        ("5", None, None, None),
        ("5", "0", None, "up"),
        ("0", "0", None, "flat"),
        ("0", "5", "-100.00", "down"),
        ("-50", "-100", "-50.00", "up"),
        ("100", "-50", "-300.00", "up"),
        ("99998.9999", "1", "9999799.99", "up"),
        ("100000", "1", None, "up"),
        ("99999999999999.9999", "0.0001", None, "up"),
    ],
)
def test_a_metrics_change_follows_from_its_values(
    conn: Conn, current: str, previous: str | None, percent: str | None, direction: str | None
) -> None:
    """Plain arithmetic; NULL without a previous value, with 0, and where it would not fit."""
    row = insert(conn, "performance_metrics", current_value=current, previous_value=previous)

    assert row["change_percent"] == (percent and Decimal(percent))
    assert row["change_direction"] == direction


@of_rules
@pytest.mark.parametrize(
    ("benchmark", "above"), [("1037.79", True), ("1037.80", False), ("1038", False), (None, None)]
)
def test_a_metric_knows_whether_it_is_above_its_benchmark(
    conn: Conn,
    benchmark: str | None,
    above: bool | None,  # noqa: FBT001 (the expected value)
) -> None:
    """Equal is not above, and without a benchmark there is no answer."""
    row = insert(conn, "performance_metrics", benchmark_value=benchmark)

    assert row["is_above_benchmark"] is above


@of_rules
@pytest.mark.parametrize("measure", ["spending", "utilization"])
@pytest.mark.parametrize(
    ("actual", "benchmark", "percent"),
    [
        ("27.83", "21.00", "32.52"),
        ("57.04", "61.20", "-6.80"),
        ("21.00", "21.00", "0.00"),
        ("0", "21.00", "-100.00"),
        ("21.00", "0", None),
        ("0", "0", None),
        ("999.99", "0.01", "9999800.00"),  # just below the limit of 9,999,900
        ("1000.00", "0.01", None),
        ("99999999.99", "0.01", None),
    ],
)
def test_a_categorys_variance_follows_from_actual_and_benchmark(
    conn: Conn, measure: str, actual: str, benchmark: str, percent: str | None
) -> None:
    """The same arithmetic for dollars and for utilization."""
    infix = "_pmpm" if measure == "spending" else ""

    row = insert(
        conn,
        "cost_categories",
        **{f"{measure}{infix}_actual": actual, f"{measure}{infix}_benchmark": benchmark},
    )

    assert row[f"{measure}_variance_percent"] == (percent and Decimal(percent))


@of_rules
@pytest.mark.parametrize(
    ("actual", "benchmark", "percent"),
    [
        ("235.35", "250", "-5.86"),
        ("16.30", "16.30", "0.00"),
        ("16.30", None, None),
        ("16.30", "0", None),
        ("5", "-10", "-150.00"),
        ("9999999999.99", "0.01", None),
    ],
)
def test_a_kpis_variance_follows_from_the_aco_benchmark(
    conn: Conn, actual: str, benchmark: str | None, percent: str | None
) -> None:
    """The other benchmark plays no part."""
    row = insert(
        conn,
        "efficiency_kpis",
        actual_value=actual,
        aco_benchmark=benchmark,
        milliman_benchmark="1",
    )

    assert row["variance_percent"] == (percent and Decimal(percent))


@of_rules
@pytest.mark.parametrize(
    ("totals", "average", "percent"),
    [
        ((12, "264000", "20000"), "22000.00", "10.00"),
        (
            (3, "100", "0.30"),
            "33.33",
            "11010.00",
        ),  # of the average as shown; 33.333... has 11011.11
        ((12, "264000", None), "22000.00", None),
        ((12, "264000", "0"), "22000.00", None),
        ((12, "0", "20000"), "0.00", "-100.00"),
        ((12, None, "20000"), None, None),
        ((None, "264000", "20000"), None, None),
        ((0, "0", "20000"), None, None),
        ((1, "999999999999.99", "0.01"), "999999999999.99", None),
    ],
)
def test_a_drgs_average_and_percentage_follow_from_its_totals(
    conn: Conn,
    totals: tuple[int | None, str | None, str | None],
    average: str | None,
    percent: str | None,
) -> None:
    """From patients, spend and benchmark; NULL where one is unknown or there are no patients."""
    names = ["patient_count", "total_spend", "benchmark_avg"]

    row = insert(conn, "cost_category_drgs", **dict(zip(names, totals, strict=True)))

    assert row["avg_spend_per_patient"] == (average and Decimal(average))
    assert row["percent_above_benchmark"] == (percent and Decimal(percent))


# --------------------------------------------------------------------------------------------------
# Triggers
# --------------------------------------------------------------------------------------------------


@each_stamped_table
def test_an_update_sets_updated_at(conn: Conn, table: str) -> None:
    """The server's clock, even when the writer sends another time."""
    row = insert(conn, table, updated_at=LONG_AGO)

    updated = update(conn, table, row["id"], updated_at=LONG_AGO)

    assert [updated["updated_at"]] == column(conn, "SELECT now()")
    assert updated["created_at"] == row["created_at"]


@each_stamped_table
def test_an_insert_keeps_the_updated_at_that_it_brings(conn: Conn, table: str) -> None:
    """A restore brings the same rows back, times included."""
    row = insert(conn, table, updated_at=LONG_AGO)

    assert row["updated_at"] == LONG_AGO


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"status": "accepted"}, "now"),
        ({"status": "accepted", "status_changed_at": LONG_AGO}, LONG_AGO),
        ({"status": "not_started", "status_changed_at": LONG_AGO}, LONG_AGO),
    ],
    ids=described,
)
def test_an_inserted_status_has_a_time(
    conn: Conn, values: Row, expected: datetime | str | None
) -> None:
    """Only what has not been started may be without one."""
    now = column(conn, "SELECT now()")[0]

    row = insert(conn, "recommendations", **values)

    assert row["status_changed_at"] == (now if expected == "now" else expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "completed"}, "now"),
        ({"status": "not_started"}, "now"),
        ({"status": "completed", "status_changed_at": None}, "now"),
        ({"status": "completed", "status_changed_at": datetime(2021, 5, 1, tzinfo=UTC)}, "given"),
        ({"status": "not_started", "status_changed_at": None}, "given"),
        ({"status": "accepted"}, LONG_AGO),
        ({"title": "Another"}, LONG_AGO),
        ({"status_changed_at": datetime(2021, 5, 1, tzinfo=UTC)}, "given"),
    ],
    ids=described,
)
def test_a_changed_status_has_the_time_of_the_change(
    conn: Conn, changes: Row, expected: datetime | str
) -> None:
    """Stamped when the status changes, unless the writer gives a time; untouched otherwise."""
    row = insert(conn, "recommendations", status="accepted", status_changed_at=LONG_AGO)

    updated = update(conn, "recommendations", row["id"], **changes)

    times = {"now": column(conn, "SELECT now()")[0], "given": changes.get("status_changed_at")}
    assert updated["status_changed_at"] == (
        times[expected] if isinstance(expected, str) else expected
    )


@pytest.mark.parametrize("before", ["anna", None])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # The name is not that of the person before, if the client sends none.
        ({"status": "completed"}, "role"),
        ({"status": "completed", "status_changed_at": LONG_AGO}, "role"),
        ({"status": "not_started", "status_changed_at": None}, "role"),
        # What the statement sets counts, if it is the name that is there or none, too.
        ({"status": "completed", "status_changed_by": "anna"}, "anna"),
        ({"status": "completed", "status_changed_by": "bert"}, "bert"),
        ({"status": "completed", "status_changed_by": None}, None),
        ({"status": "completed", "status_changed_by": "\x01"}, "role"),
        # The status does not change, so the person before has changed it last.
        ({"status": "accepted"}, "before"),
        ({"title": "Another"}, "before"),
        ({"status_changed_by": "bert"}, "bert"),
        ({"status_changed_by": "anna", "title": "Another"}, "anna"),
        ({"status": "accepted", "status_changed_by": None}, None),
    ],
    ids=described,
)
def test_a_changed_status_has_the_name_of_who_changed_it(
    conn: Conn, before: str | None, changes: Row, expected: str | None
) -> None:
    """The columns that the statement sets decide, and not their values."""
    row = insert(
        conn,
        "recommendations",
        status="accepted",
        status_changed_at=LONG_AGO,
        status_changed_by=before,
    )
    assert row["status_changed_by"] == before

    updated = update(conn, "recommendations", row["id"], **changes)

    role = column(conn, "SELECT current_user")[0]
    assert updated["status_changed_by"] == {"role": role, "before": before}.get(
        expected or "", expected
    )


@pytest.mark.parametrize("name", ["anna", "bert"])
def test_each_row_of_an_update_has_the_name_that_it_sets(conn: Conn, name: str) -> None:
    """The one before does not matter, nor does a join."""
    for before in ("anna", "bert", None):
        insert(conn, "recommendations", status="accepted", status_changed_by=before)

    rows = conn.execute(
        "UPDATE recommendations AS r SET status = 'completed', status_changed_by = given.name"
        " FROM (VALUES (%(name)s)) AS given (name) WHERE r.status = 'accepted'"
        " RETURNING r.status_changed_by",
        {"name": name},
    ).fetchall()

    assert {row["status_changed_by"] for row in rows} == {name}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"status": "accepted"}, "role"),
        ({"status": "accepted", "status_changed_by": "anna"}, "anna"),
        # A late entry of a decision by someone who is not known.
        ({"status": "accepted", "status_changed_at": LONG_AGO}, None),
    ],
    ids=described,
)
def test_an_inserted_status_has_a_name(conn: Conn, values: Row, expected: str | None) -> None:
    """That of the role, if it is stamped with the present time."""
    row = insert(conn, "recommendations", **values)

    role = column(conn, "SELECT current_user")[0]
    assert row["status_changed_by"] == (role if expected == "role" else expected)


def test_a_trigger_that_is_disabled_leaves_no_mark(conn: Conn) -> None:
    """The one of the two that takes the mark away; the constraint refuses it."""
    row = insert(conn, "recommendations", status="accepted", status_changed_by="anna")
    conn.execute("ALTER TABLE recommendations DISABLE TRIGGER recommendations_stamp_status_change")

    with pytest.raises(psycopg.errors.CheckViolation):
        update(conn, "recommendations", row["id"], status_changed_by="anna")


def test_the_time_of_a_status_cannot_be_erased(conn: Conn) -> None:
    """An accepted recommendation was accepted at some time."""
    row = insert(conn, "recommendations", status="accepted")

    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        update(conn, "recommendations", row["id"], status_changed_at=None)

    assert caught.value.diag.constraint_name == "recommendations_status_changed_at_check"


# --------------------------------------------------------------------------------------------------
# Views
# --------------------------------------------------------------------------------------------------


def test_the_current_categories_are_those_of_the_active_period(conn: Conn) -> None:
    """One row per category of that period, with the period's names."""
    insert(conn, "cost_categories")

    rows = conn.execute(
        "SELECT id, slug, period_key, period_label FROM v_current_cost_categories ORDER BY slug"
    ).fetchall()

    assert [row["slug"] for row in rows] == ["acute-rehab", "op-surgical"]
    assert rows[0]["id"] == 1001
    assert {(row["period_key"], row["period_label"]) for row in rows} == {("ytd", "Year to date")}


def test_there_are_no_current_categories_without_an_active_period(conn: Conn) -> None:
    """An empty page is better than the numbers of some period."""
    conn.execute("UPDATE performance_periods SET is_active = false")

    rows = conn.execute("SELECT id FROM v_current_cost_categories").fetchall()

    assert rows == []


@pytest.mark.parametrize(
    ("status", "label"),
    [
        ("green", "Efficient"),
        ("yellow", "Watch"),
        ("red", "Priority"),
        ("purple", "Unknown"),
    ],
)
def test_a_status_has_a_label(conn: Conn, status: str, label: str) -> None:
    """A word that an older table lets in is not called something that it is not."""
    conn.execute(
        "ALTER TABLE cost_categories DROP CONSTRAINT cost_categories_performance_status_check"
    )
    row = insert(conn, "cost_categories", performance_status=status)

    labels = column(
        conn, "SELECT status_label FROM v_current_cost_categories WHERE id = %(id)s", id=row["id"]
    )

    assert labels == [label]


def test_a_recommendation_without_categories_has_an_empty_list(conn: Conn) -> None:
    """Not NULL, which a page would have to treat on its own."""
    rows = conn.execute(
        "SELECT id, affected_categories FROM v_recommendations_with_categories"
    ).fetchall()

    assert rows == [{"id": 1001, "affected_categories": []}]


def test_the_affected_categories_are_json_in_the_order_of_their_keys(conn: Conn) -> None:
    """json, not jsonb, keeps the keys as they were written."""
    insert(conn, "recommendation_cost_categories", impact_amount="1200.50")

    texts = column(conn, "SELECT affected_categories::text FROM v_recommendations_with_categories")
    types = column(
        conn, "SELECT pg_typeof(affected_categories)::text FROM v_recommendations_with_categories"
    )

    (text,) = texts
    assert text == (
        """[{"category_id" : 1001, "category_name" : "Acute rehab", """
        """"category_slug" : "acute-rehab", "impact_amount" : 1200.50}]"""
    )
    assert types == ["json"]


def test_the_affected_categories_come_in_a_fixed_order(conn: Conn) -> None:
    """The largest impact first, unknown impacts last, then by name, then by id."""
    # id, name and impact, inserted in an order that is none of the wanted ones
    cases = [
        (2001, "Zebra", None),
        (2002, "Apple", None),
        (2003, "Same", "10"),
        (2005, "Twin", "20"),
        (2004, "Twin", "20"),
        (2006, "Large", "300"),
        (2007, "Zero", "0"),
    ]
    for category_id, name, impact in cases:
        insert(conn, "cost_categories", id=category_id, slug=f"c-{category_id}", category_name=name)
        insert(
            conn,
            "recommendation_cost_categories",
            cost_category_id=category_id,
            impact_amount=impact,
        )

    lists = column(conn, "SELECT affected_categories FROM v_recommendations_with_categories")

    assert [entry["category_id"] for entry in lists[0]] == [
        2006,
        2004,
        2005,
        2003,
        2007,
        2002,
        2001,
    ]
    assert lists[0][-1]["impact_amount"] is None


def test_every_recommendation_comes_once_with_its_own_categories(conn: Conn) -> None:
    """Two categories do not make two rows, and no other categories slip in."""
    other = insert(conn, "recommendations")
    insert(conn, "recommendation_cost_categories", cost_category_id=1001)
    insert(conn, "recommendation_cost_categories", cost_category_id=1002)

    rows = conn.execute(
        "SELECT id, json_array_length(affected_categories) AS n"
        " FROM v_recommendations_with_categories ORDER BY id DESC"
    ).fetchall()

    assert rows == [{"id": 1001, "n": 2}, {"id": other["id"], "n": 0}]
