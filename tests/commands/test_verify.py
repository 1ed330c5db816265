"""`verify` on a real server: every change of a schema is found, and nothing else is.

A single change is a file, ``tests/changes/<folder>/<what changed>.sql``, and a new one needs no
Python. It runs on a database where the folder's migrations are applied: ``leadership`` is the
folder that ships, ``kinds`` is ``tests/folders/kinds``, with one of every kind of object. Its
comments say what verify has to report, and that all other relations are ``ok``:

    -- expect: STATUS KIND NAME: PART; PART    for each relation that is not ok, parts in any order
    -- expect: ok                              for a change that is no drift
    -- since: 17                               where older servers do not know the statement
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

import lfmigrate
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.engine.state import read_state
from lfmigrate.errors import NOTHING_CHANGED, StatementFailed, UsageError
from lfmigrate.pytest_plugin.databases import TestDatabases
from tests.conftest import Cli, Psql
from tests.helpers.commands import up, verify
from tests.helpers.databases import execute, value

# It compares what each version's catalogs say, and how it prints definitions.
pytestmark = pytest.mark.per_version

Dump = Callable[..., str]
Write = Callable[[Mapping[str, str | bytes]], Path]
Create = Callable[..., str]
# Status, kind, name, and the parts that differ.
Row = tuple[str, str, str, frozenset[str]]

CHANGES = Path(__file__).parents[1] / "changes"
FOLDERS = {
    "leadership": lfmigrate.shipped_folder(),
    "kinds": Path(__file__).parents[1] / "folders" / "kinds",
}
KINDS = (
    "table|view|materialized view|foreign table|sequence|function|procedure|aggregate|type"
    "|schema|extension"
)
EXPECT = re.compile(
    rf"-- expect: (?:ok|(?P<status>drifted|missing) (?P<kind>{KINDS})"
    r" (?P<name>[^:]+)(?:: (?P<parts>.+))?)"
)


@dataclass(frozen=True)
class Change:
    """A file under ``tests/changes``."""

    folder: str
    name: str
    text: str
    since: int
    expected: frozenset[Row]


def read_change(path: Path) -> Change:
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("-- expect: ")]
    matches = [EXPECT.fullmatch(line) for line in lines]
    if not matches or None in matches:
        raise ValueError(f"{path}: no -- expect line, or one that cannot be read")
    since = re.search(r"^-- since: (\d+)$", text, re.MULTILINE)
    return Change(
        folder=path.parent.name,
        name=path.stem,
        text=text,
        since=int(since[1]) if since else 0,
        expected=frozenset(
            (m["status"], m["kind"], m["name"], frozenset((m["parts"] or "").split("; ")) - {""})
            for m in matches
            if m is not None and m["status"]
        ),
    )


EVERY_CHANGE = [read_change(path) for path in sorted(CHANGES.glob("*/*.sql"))]

TABLE = "CREATE TABLE a (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'x');\n"


# --------------------------------------------------------------------------------------------------
# What the tests are made of
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def kinds_template(_lfmigrate_databases: TestDatabases) -> str:
    """Return the name of a database with ``tests/folders/kinds`` applied, to be cloned."""
    files = lfmigrate.read_folder(FOLDERS["kinds"])
    return _lfmigrate_databases.template("kinds", lambda conn: lfmigrate.up(conn, files))


@pytest.fixture
def clone(
    create_database: Create, lfmigrate_template: str, kinds_template: str
) -> Callable[[str], str]:
    """Return a function that makes a database with one of `FOLDERS` applied."""
    templates = {"leadership": lfmigrate_template, "kinds": kinds_template}
    return lambda name: create_database(templates[name])


@pytest.fixture
def create_role() -> Iterator[Callable[..., str]]:
    """Return a function that makes a role that owns nothing and returns a URL for it."""
    made: list[tuple[str, sql.Identifier]] = []

    def make(url: str, *, reads_history: bool = False, read_only: bool = False) -> str:
        role = f"lf_role_{uuid4().hex[:12]}"
        name = sql.Identifier(role)
        statements = ["CREATE ROLE {} LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"]
        if reads_history:
            statements += [
                "GRANT USAGE ON SCHEMA lfmigrate TO {}",
                "GRANT SELECT ON lfmigrate.lfmigrate_history TO {}",
            ]
        if read_only:
            statements += ["ALTER ROLE {} SET default_transaction_read_only = on"]
        with psycopg.connect(url, autocommit=True) as conn:
            for statement in statements:
                conn.execute(sql.SQL(statement).format(name))
        made.append((url, name))
        return make_conninfo(url, user=role)

    yield make
    for url, name in made:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP OWNED BY {}").format(name))
            conn.execute(sql.SQL("DROP ROLE {}").format(name))


def rows(report: VerifyReport) -> frozenset[Row]:
    return frozenset(
        (
            verdict.status,
            verdict.relation.kind,
            verdict.relation.name,
            frozenset(difference.part for difference in verdict.differences),
        )
        for verdict in report.relations
        if verdict.status != "ok"
    )


# --------------------------------------------------------------------------------------------------
# Every change is found, and nothing else is
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", EVERY_CHANGE, ids=lambda change: f"{change.folder}/{change.name}"
)
def test_a_change_of_the_schema_is_reported_with_its_relation_and_part(
    change: Change, clone: Callable[[str], str], server_version: int
) -> None:
    """What the file's ``expect`` lines say is found from the history, and from a replay alike."""
    if server_version < change.since:
        pytest.skip(f"needs PostgreSQL {change.since}")
    url = clone(change.folder)
    execute(url, change.text)

    files = lfmigrate.read_folder(FOLDERS[change.folder])

    with lfmigrate.connect(url) as conn:
        recorded = lfmigrate.verify(conn, files)
        replayed = lfmigrate.verify(conn, files, replay_files=True)

    assert rows(recorded) == change.expected
    assert rows(replayed) == change.expected
    assert (recorded.source, replayed.source) == ("history", "replay")
    assert recorded.ok == replayed.ok == (not change.expected)


# --------------------------------------------------------------------------------------------------
# Where what to expect comes from
# --------------------------------------------------------------------------------------------------


def apply_by_hand(psql: Psql, url: str, folder: Path) -> None:
    for path in [*sorted(folder.glob("*.up.sql")), *sorted(folder.glob("views/*.sql"))]:
        done = psql(url, "-q", "-f", str(path))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FOLDERS)
def test_a_schema_that_psql_made_is_as_the_files_say(name: str, database: str, psql: Psql) -> None:
    """Without a history, the files are replayed, and agree with what they made by hand."""
    apply_by_hand(psql, database, FOLDERS[name])

    report = verify(database, FOLDERS[name])

    assert report.source == "replay"
    assert len(report.relations) > 10
    assert rows(report) == frozenset()
    assert report.notes == ()


def test_a_drift_is_found_without_a_history(database: str, psql: Psql) -> None:
    """A schema that psql made is compared as strictly as one that lfmigrate made."""
    apply_by_hand(psql, database, FOLDERS["leadership"])
    execute(database, "ALTER TABLE program_resources ALTER COLUMN author TYPE varchar(256)")

    report = verify(database, FOLDERS["leadership"])

    assert rows(report) == {
        ("drifted", "table", "program_resources", frozenset({"column author"})),
    }


def test_an_empty_database_misses_every_relation(database: str) -> None:
    """Without a history, all that the files make is expected."""
    report = verify(database, FOLDERS["kinds"])

    assert {verdict.status for verdict in report.relations} == {"missing"}
    assert len(report.relations) == 27


def test_a_history_of_another_major_version_is_not_compared_with(applied: str) -> None:
    """The server's texts differ between major versions, so the files are replayed instead."""
    execute(applied, "UPDATE lfmigrate.lfmigrate_history SET server_version = 130011")

    report = verify(applied, FOLDERS["leadership"])

    assert report.source == "replay"
    assert rows(report) == frozenset()
    assert [note for note in report.notes if "PostgreSQL 13" in note]


def test_a_difference_that_was_there_before_up_is_still_a_difference(
    database: str, folder: Write
) -> None:
    """What `up` skipped is expected as the file says, not as it was found."""
    execute(database, "CREATE TABLE a (id integer PRIMARY KEY, name text, extra text)")
    files = folder({"001_a.up.sql": TABLE.replace("TABLE", "TABLE IF NOT EXISTS")})
    up(database, files)

    report = verify(database, files)

    assert report.source == "history"
    assert rows(report) == {
        ("drifted", "table", "a", frozenset({"column name", "column extra"})),
    }


def test_of_a_table_of_another_owner_only_our_column_is_compared(
    database: str, folder: Write
) -> None:
    """A migration that adds a column to a table does not make the rest of it ours."""
    execute(database, "CREATE TABLE theirs (id integer)")
    files = folder({"001_a.up.sql": "ALTER TABLE theirs ADD COLUMN ours text;"})
    up(database, files)
    execute(database, "ALTER TABLE theirs ADD COLUMN later text, ALTER COLUMN id TYPE bigint")

    before = verify(database, files)
    execute(database, "ALTER TABLE theirs ALTER COLUMN ours SET NOT NULL")
    after = verify(database, files)

    assert rows(before) == frozenset()
    assert rows(after) == {("drifted", "table", "theirs", frozenset({"column ours"}))}


def test_each_schema_is_compared_on_its_own(database: str, folder: Write) -> None:
    """The same folder in two schemas is two expectations."""
    files = lfmigrate.read_folder(folder({"001_a.up.sql": TABLE}))
    execute(database, "CREATE SCHEMA one; CREATE SCHEMA two")
    one, two = lfmigrate.Scope(schema="one"), lfmigrate.Scope(schema="two")
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, files, scope=one)
        lfmigrate.up(conn, files, scope=two)
    execute(database, "ALTER TABLE two.a DROP COLUMN name")

    with lfmigrate.connect(database) as conn:
        of_one = lfmigrate.verify(conn, files, scope=one)
        of_two = lfmigrate.verify(conn, files, scope=two)

    assert rows(of_one) == frozenset()
    assert rows(of_two) == {("drifted", "table", "a", frozenset({"column name"}))}


def test_what_a_migration_makes_in_a_schema_of_its_own_is_compared(
    database: str, folder: Write
) -> None:
    """Names that carry their schema are recorded with it."""
    files = folder({"001_a.up.sql": "CREATE SCHEMA app; CREATE TABLE app.a (id integer);"})
    up(database, files)
    execute(database, "ALTER TABLE app.a ADD COLUMN extra text")

    changed = verify(database, files)
    execute(database, "DROP SCHEMA app CASCADE")
    dropped = verify(database, files)

    assert rows(changed) == {("drifted", "table", "a", frozenset({"column extra"}))}
    assert rows(dropped) == {
        ("missing", "table", "a", frozenset()),
        ("missing", "schema", "app", frozenset()),
    }


def test_a_replay_compares_what_has_a_schema_of_its_own(database: str, folder: Write) -> None:
    """With or without a history, no relation of the files is passed over in silence."""
    files = folder(
        {
            "001_a.up.sql": "CREATE SCHEMA IF NOT EXISTS app;"
            " CREATE TABLE IF NOT EXISTS app.a (id integer);"
        }
    )
    up(database, files)
    execute(database, "ALTER TABLE app.a ADD COLUMN extra text")

    report = verify(database, files, replay_files=True)

    assert rows(report) == {("drifted", "table", "a", frozenset({"column extra"}))}


def test_parentheses_in_names_are_part_of_the_names(database: str, folder: Write) -> None:
    """A routine is found whatever it, its arguments and their types are called."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TYPE "odd(t" AS (i integer);
                CREATE FUNCTION "f(x"("a(b" integer, "odd(t") RETURNS integer
                    LANGUAGE sql AS 'SELECT 1';
            """
        }
    )
    up(database, files)

    report = verify(database, files)

    assert rows(report) == frozenset()
    assert [v.relation.kind for v in report.relations] == ["type", "function"]


def test_migrations_that_only_change_rows_leave_nothing_to_compare(
    database: str, folder: Write, create_role: Callable[..., str]
) -> None:
    """An empty expectation is one: nothing is replayed, and reading is permission enough."""
    execute(database, "CREATE TABLE other (id integer)")
    files = folder({"001_a.up.sql": "INSERT INTO other VALUES (1);"})
    up(database, files)

    report = verify(create_role(database, reads_history=True, read_only=True), files)

    assert (report.source, report.relations, report.ok) == ("history", (), True)


def test_an_extension_is_compared_without_its_members(database: str, folder: Write) -> None:
    """An extension is there or missing; what it consists of is its own business."""
    available = "SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'vector')"
    name = value(database, available)
    if name is None:
        pytest.skip("the server has none of the extensions that this test knows")
    files = folder({"001_a.up.sql": f"CREATE EXTENSION IF NOT EXISTS {name}; {TABLE}"})
    up(database, files)

    present = verify(database, files)
    execute(database, f"DROP EXTENSION {name}")
    dropped = verify(database, files)

    assert [(v.status, v.relation.kind) for v in present.relations] == [
        ("ok", "table"),
        ("ok", "extension"),
    ]
    assert rows(dropped) == {("missing", "extension", name, frozenset())}


def test_2000_tables_of_others_are_not_described(applied: str) -> None:
    """Beside a large schema, only what the history expects is read from the catalogs."""
    alone = verify(applied, FOLDERS["leadership"])
    for first in (1, 1001):
        execute(
            applied,
            f"DO $$ BEGIN FOR n IN {first}..{first + 999} LOOP"
            " EXECUTE format('CREATE TABLE foreign_%s (id integer)', n); END LOOP; END $$",
        )

    with lfmigrate.connect(applied) as conn:
        seen = read_state(conn, lfmigrate.Scope())
    beside = verify(applied, FOLDERS["leadership"])
    replayed = verify(applied, FOLDERS["leadership"], replay_files=True)

    assert set(seen.live) == set(seen.history.expected)
    assert beside.relations == alone.relations
    assert rows(replayed) == frozenset()
    assert len(replayed.relations) == len(alone.relations) == 15


# --------------------------------------------------------------------------------------------------
# Verify changes nothing
# --------------------------------------------------------------------------------------------------


def test_a_role_that_may_only_read_the_history_can_verify(
    applied: str, create_role: Callable[..., str]
) -> None:
    """Two SELECTs are all the permission that it takes, in a read-only session."""
    url = create_role(applied, reads_history=True, read_only=True)
    execute(applied, "ALTER TABLE program_resources ADD COLUMN extra text")

    report = verify(url, FOLDERS["leadership"])

    assert report.source == "history"
    assert rows(report) == {
        ("drifted", "table", "program_resources", frozenset({"column extra"})),
    }


def test_a_verify_with_a_history_reads_in_a_read_only_transaction(applied: str) -> None:
    """Even for a superuser: a history that can only be seen by read-only transactions is seen."""
    execute(
        applied,
        """
        ALTER TABLE lfmigrate.lfmigrate_history RENAME TO kept;
        CREATE VIEW lfmigrate.lfmigrate_history AS
            SELECT * FROM lfmigrate.kept WHERE current_setting('transaction_read_only') = 'on';
        """,
    )
    hidden = value(applied, "SELECT count(*) FROM lfmigrate.lfmigrate_history")

    report = verify(applied, FOLDERS["leadership"])

    assert hidden == 0
    assert report.source == "history"
    assert report.ok


def test_a_verify_with_a_history_takes_no_transaction_id(applied: str) -> None:
    """Only what writes gets an id. Others use the server too, so one quiet moment has to do."""
    newest = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

    def ids_taken() -> int:
        before = value(applied, newest)
        verify(applied, FOLDERS["leadership"])
        return int(value(applied, newest) - before)

    # A verify that took an id would not come out at 0 once.
    quiet = any(ids_taken() == 0 for _ in range(30))

    assert quiet


@pytest.mark.parametrize("name", FOLDERS)
def test_a_replay_leaves_nothing_behind(name: str, clone: Callable[[str], str], dump: Dump) -> None:
    """The live database is as it was; test_shadow.py has what becomes of the other one."""
    url = clone(name)
    before = dump(url, rows=True)

    verify(url, FOLDERS[name], replay_files=True)

    assert dump(url, rows=True) == before


def test_a_replay_that_fails_in_the_middle_leaves_nothing_behind(
    database: str, folder: Write, dump: Dump
) -> None:
    """The error has the place in the file, and the connection is ready for the next command."""
    execute(database, "CREATE TABLE other (id integer); INSERT INTO other VALUES (1)")
    before = dump(database, rows=True)
    broken = lfmigrate.read_folder(
        folder({"001_a.up.sql": TABLE, "002_b.up.sql": "CREATE TABLE b ();\nSELECT 1 / 0;\n"})
    )

    with lfmigrate.connect(database) as conn:
        with pytest.raises(StatementFailed) as caught:
            lfmigrate.verify(conn, broken)
        status = conn.info.transaction_status

    error = caught.value
    assert (error.file, error.line, error.sqlstate) == ("002_b.up.sql", 2, "22012")
    assert error.outcome == NOTHING_CHANGED
    assert status == TransactionStatus.IDLE
    assert dump(database, rows=True) == before


@pytest.mark.usefixtures("without_private_server")
def test_without_history_and_permission_the_message_names_the_ways_out(
    database: str, create_role: Callable[..., str], cli: Cli, dump: Dump
) -> None:
    """A role that may not create a database learns what would help, and who may do that."""
    url = create_role(database)
    before = dump(database)
    role = conninfo_to_dict(url)["user"]

    done = cli("verify", "--database-url", url)

    assert done.returncode == 4
    assert done.stdout == ""
    assert f'role "{role}" may not create databases' in done.stderr
    assert "not on the private PostgreSQL: it is not installed" in done.stderr
    assert f'ALTER ROLE "{role}" CREATEDB' in done.stderr
    assert "--shadow-url" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert dump(database) == before


@pytest.mark.usefixtures("without_private_server")
def test_the_granted_permission_is_enough_for_a_replay(
    database: str, folder: Write, create_role: Callable[..., str]
) -> None:
    """What the message asks for is what it takes."""
    url = create_role(database)
    execute(database, f'ALTER ROLE "{conninfo_to_dict(url)["user"]}" CREATEDB')
    execute(database, TABLE)

    report = verify(url, folder({"001_a.up.sql": TABLE}))

    assert [(v.relation.name, v.status) for v in report.relations] == [("a", "ok")]


def test_a_history_that_may_not_be_read_is_named_with_its_grants(
    applied: str, create_role: Callable[..., str], cli: Cli
) -> None:
    """A history that is hidden is no missing history."""
    url = create_role(applied)

    done = cli("verify", "--database-url", url, "--sql-dir", FOLDERS["leadership"])

    assert done.returncode == 4
    assert "may not read the history" in done.stderr
    assert "GRANT USAGE ON SCHEMA" in done.stderr
    assert "GRANT SELECT ON" in done.stderr
    assert "Nothing was changed." in done.stderr


def test_an_open_transaction_is_refused_and_left_as_it_is(applied: str) -> None:
    """Whose transaction it is, ends it."""
    files = lfmigrate.read_folder(FOLDERS["leadership"])
    with lfmigrate.connect(applied) as conn:
        conn.execute("BEGIN")
        conn.execute("CREATE TABLE mine (id integer)")

        with pytest.raises(UsageError, match="open transaction") as caught:
            lfmigrate.verify(conn, files)
        conn.execute("COMMIT")

    assert caught.value.outcome == NOTHING_CHANGED
    assert value(applied, "SELECT count(*) FROM mine") == 0


@pytest.mark.parametrize("replay", [False, True])
def test_the_session_is_as_it_was(applied: str, replay: bool) -> None:  # noqa: FBT001
    """Settings last for the transaction only, as a pooler demands."""
    files = lfmigrate.read_folder(FOLDERS["leadership"])
    # A name with a dot comes with an extension when that is loaded.
    settings = "SELECT name, setting FROM pg_settings WHERE name NOT LIKE '%.%' ORDER BY name"
    with lfmigrate.connect(applied) as conn:
        conn.execute("SET search_path = public, pg_temp")
        before = conn.execute(settings).fetchall()

        lfmigrate.verify(conn, files, replay_files=replay)

        after = conn.execute(settings).fetchall()
        status = conn.info.transaction_status

    assert after == before
    assert status == TransactionStatus.IDLE


# --------------------------------------------------------------------------------------------------
# Files that are not what ran
# --------------------------------------------------------------------------------------------------


def test_an_edited_file_is_shown_as_a_diff_and_is_a_difference(
    database: str, folder: Write, cli: Cli
) -> None:
    """What ran is what the schema is compared with, and the folder is no longer that."""
    files = folder({"001_a.up.sql": TABLE})
    up(database, files)
    (files / "001_a.up.sql").write_text(TABLE.replace("'x'", "'y'"))

    done = cli("verify", "--database-url", database, "--sql-dir", files)
    report = verify(database, files)

    assert done.returncode == 3
    assert "error: 1 migration was edited after it was applied\n  edited: 001_a\n" in done.stderr
    assert not report.ok
    assert {v.status for v in report.relations} == {"ok"}
    removed = "-CREATE TABLE a (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'x');"
    assert removed in report.edited[0].diff
    assert removed.replace("'x'", "'y'").replace("-C", "+C") in report.edited[0].diff
    assert "DEFAULT 'x'" in done.stdout
    assert "DEFAULT 'y'" in done.stdout


def test_a_replay_compares_with_the_edited_file(database: str, folder: Write) -> None:
    """The history says what ran, a replay says what the files say now."""
    files = folder({"001_a.up.sql": TABLE})
    up(database, files)
    (files / "001_a.up.sql").write_text(TABLE.replace("'x'", "'y'"))

    report = verify(database, files, replay_files=True)

    assert rows(report) == {("drifted", "table", "a", frozenset({"column name"}))}


def test_other_line_ends_are_no_edit(database: str, folder: Write) -> None:
    """A checkout on Windows is the same file."""
    files = folder({"001_a.up.sql": TABLE})
    up(database, files)
    (files / "001_a.up.sql").write_bytes(b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode())

    report = verify(database, files)

    assert report.edited == ()
    assert report.notes == ()


@pytest.mark.parametrize("replay", [False, True])
def test_a_pending_migration_is_mentioned_and_not_expected(
    database: str,
    folder: Write,
    replay: bool,  # noqa: FBT001
) -> None:
    """What has not run yet cannot be missing."""
    files = folder({"001_a.up.sql": TABLE})
    up(database, files)
    (files / "002_b.up.sql").write_text("CREATE TABLE b (id integer);")

    report = verify(database, files, replay_files=replay)
    allowed = verify(database, files, replay_files=replay, allow_pending=True)

    assert [problem.message for problem in report.problems] == [
        "1 migration or repeatable file is pending"
    ]
    assert (report.ok, allowed.ok) == (False, True)
    assert [v.relation.name for v in report.relations] == ["a"]
    assert "1 pending, and not expected yet: 002_b" in report.notes


def test_a_migration_without_its_file_is_a_difference(database: str, folder: Write) -> None:
    """The history knows what to expect, file or no file."""
    files = folder({"001_a.up.sql": TABLE, "002_b.up.sql": "CREATE TABLE b (id integer);"})
    up(database, files)
    (files / "002_b.up.sql").unlink()

    report = verify(database, files, allow_pending=True)

    assert [problem.message for problem in report.problems] == [
        "1 applied file is not in the folder"
    ]
    assert {v.relation.name for v in report.relations} == {"a", "b"}
    assert {v.status for v in report.relations} == {"ok"}
    assert "002_b is applied, but its file is not in the folder" in report.notes


# --------------------------------------------------------------------------------------------------
# What a script reads
# --------------------------------------------------------------------------------------------------


def test_the_json_has_a_row_for_each_relation_and_null_for_what_is_not_there(
    applied: str, cli: Cli
) -> None:
    """The document is the contract: keys, statuses, counts and differences."""
    execute(
        applied,
        """
        ALTER TABLE program_resources DROP COLUMN author_role;
        ALTER TABLE program_resources ADD COLUMN extra integer;
        ALTER TABLE efficiency_kpis ALTER COLUMN kpi_label TYPE varchar(300);
        CREATE INDEX aside ON recommendations (title);
        DROP VIEW v_current_cost_categories;
        """,
    )

    done = cli("verify", "--database-url", applied, "--json")
    document = json.loads(done.stdout)

    assert done.returncode == 3
    assert {"command", "ok", "exit_code", "database", "schema", "elapsed_ms"} <= set(document)
    assert (document["command"], document["ok"], document["exit_code"]) == ("verify", False, 3)
    assert (document["schema"], document["source"]) == ("public", "history")
    assert set(document["database"]) == {"host", "port", "name"}
    relations = {relation["name"]: relation for relation in document["relations"]}
    assert len(relations) == len(document["relations"]) == 15
    for relation in relations.values():
        assert set(relation) >= {
            "kind", "name", "status", "columns", "indexes", "constraints", "differences",
        }  # fmt: skip
    assert {name: r["status"] for name, r in relations.items() if r["status"] != "ok"} == {
        "program_resources": "drifted",
        "efficiency_kpis": "drifted",
        "recommendations": "drifted",
        "v_current_cost_categories": "missing",
    }
    assert relations["program_resources"]["differences"] == [
        {"part": "column author_role", "expected": "character varying(255)", "live": None},
        {"part": "column extra", "expected": None, "live": "integer"},
    ]
    assert relations["efficiency_kpis"]["differences"] == [
        {
            "part": "column kpi_label",
            "expected": "character varying(255) NOT NULL",
            "live": "character varying(300) NOT NULL",
        }
    ]
    assert [d["expected"] for d in relations["recommendations"]["differences"]] == [None]
    assert relations["v_current_cost_categories"]["differences"] == []
    assert relations["cost_categories"]["differences"] == []


def test_the_counts_are_those_of_the_live_relation(applied: str, cli: Cli) -> None:
    """Columns, indexes and constraints are counted as the catalogs count them."""
    execute(applied, "ALTER TABLE program_resources ADD COLUMN extra integer UNIQUE")

    done = cli("verify", "--database-url", applied, "--json")
    counted = {
        r["name"]: [r["columns"], r["indexes"], r["constraints"]]
        for r in json.loads(done.stdout)["relations"]
        if r["kind"] == "table"
    }

    assert counted == value(
        applied,
        """
        SELECT jsonb_object_agg(c.relname, jsonb_build_array(
            (SELECT count(*) FROM information_schema.columns AS a WHERE a.table_name = c.relname),
            (SELECT count(*) FROM pg_indexes AS i WHERE i.tablename = c.relname),
            (SELECT count(*) FROM pg_constraint AS k
             WHERE k.conrelid = c.oid AND k.contype <> 'n')))
        FROM pg_class AS c
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
        """,
    )


@pytest.mark.parametrize("options", [[], ["--replay"]])
def test_an_untouched_schema_exits_with_0(applied: str, cli: Cli, options: list[str]) -> None:
    """Nothing is reported, and a script goes on."""
    done = cli("verify", "--database-url", applied, *options)
    document = json.loads(cli("verify", "--database-url", applied, "--json", *options).stdout)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not re.search("drifted|missing|unexpected", done.stdout)
    assert (document["ok"], document["exit_code"]) == (True, 0)
    assert {relation["status"] for relation in document["relations"]} == {"ok"}
    assert not any(relation["differences"] for relation in document["relations"])


@pytest.mark.parametrize(
    ("status", "change"),
    [
        ("missing", "DROP VIEW v_current_cost_categories"),
        ("drifted", "DROP INDEX recommendations_status_idx"),
        ("drifted", "CREATE INDEX aside ON recommendations (title)"),
    ],
)
def test_any_difference_exits_with_3(applied: str, cli: Cli, status: str, change: str) -> None:
    """Each status that is not ok stops a script, and the report names it."""
    execute(applied, change)

    done = cli("verify", "--database-url", applied)

    assert done.returncode == 3
    assert status in done.stdout


def test_a_view_file_that_never_ran_is_mentioned(database: str, folder: Write) -> None:
    """It is not expected yet, and not passed over in silence."""
    files = {"001_a.up.sql": "CREATE TABLE a (id integer);"}
    up(database, folder(files))
    files["views/v.sql"] = "CREATE OR REPLACE VIEW v AS SELECT id FROM a;"

    report = verify(database, folder(files))

    assert not report.ok
    assert verify(database, folder(files), allow_pending=True).ok
    assert report.notes == ("views/v.sql has not run yet, and its view is not expected",)
