"""A column that a rollback dropped gets its values back in the rows that remained."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import read
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]

NOTES = {
    "001_a.up.sql": """
        CREATE TABLE a (x int, y text, n int, seq serial, PRIMARY KEY (y, x));
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
        CREATE TABLE parts2 PARTITION OF parts DEFAULT;
        CREATE TABLE other (id int PRIMARY KEY);
        INSERT INTO a VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
        INSERT INTO parts VALUES (1), (2);
    """,
    "002_note.up.sql": """
        ALTER TABLE a ADD note text DEFAULT 'none', ADD number serial, ADD "Größe" json,
            ADD twice int GENERATED ALWAYS AS (n * 2) STORED;
        ALTER TABLE parts ADD note numeric(12, 4);
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.n := 0; NEW.note := 'stamped'; RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION stamp();
    """,
    "002_note.down.sql": """
        DROP TRIGGER stamp ON a;
        DROP FUNCTION stamp;
        ALTER TABLE a DROP note, DROP number, DROP "Größe", DROP twice;
        ALTER TABLE parts DROP note;
    """,
}


def restore(url: str, folder: Path, path: Path, **options: Any) -> RestoreReport:
    """Restore a backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.restore(conn, lfmigrate.read_folder(folder), path, **options)


def roll_back(url: str, folder: Path, parent: Path) -> Path:
    """Roll the newest migration back, and return the backup."""
    with closing(lfmigrate.connect(url)) as conn:
        report = lfmigrate.rollback(conn, lfmigrate.read_folder(folder), backup_dir=parent)
    assert report.backup is not None
    return report.backup


@pytest.fixture
def noted(database: str, folder: Write, tmp_path: Path) -> tuple[str, Path, Path]:
    """Return a database whose columns were dropped and added again, its folder, and the backup."""
    files = folder(NOTES)
    up(database, files)
    execute(
        database,
        "ALTER TABLE a DISABLE TRIGGER stamp",
        "UPDATE a SET note = 'of ' || y, number = x * 10, \"Größe\" = '{\"a\":  1}' WHERE x < 3",
        "UPDATE parts SET note = id + 0.1234",
        "ALTER TABLE a ENABLE TRIGGER stamp",
        "SELECT setval('a_number_seq', 500)",
    )
    path = roll_back(database, files, tmp_path / "b")
    up(database, files)
    return database, files, path


def test_the_manifest_names_the_columns(noted: tuple[str, Path, Path]) -> None:
    """Not the one that is computed, and not those of other tables."""
    assert {t.name: t.dropped for t in read(noted[2]).tables} == {
        "a": ("note", "number", "Größe"),
        "parts": ("note",),
    }


def test_values_come_back_by_primary_key(noted: tuple[str, Path, Path]) -> None:
    """What was changed elsewhere since, what is new and what is gone stays as it is."""
    url, files, path = noted
    execute(
        url,
        "ALTER TABLE a DISABLE TRIGGER stamp",
        "UPDATE a SET n = 77 WHERE x = 1",
        "DELETE FROM a WHERE x = 2",
        "INSERT INTO a (x, y, n) VALUES (4, 'four', 4)",
        "ALTER TABLE a ENABLE TRIGGER stamp",
        "SELECT setval('a_seq_seq', 900)",
    )

    # Numbers that the sequence gave out since are overwritten.
    with pytest.raises(Refused, match="columns to restore have other values now") as caught:
        restore(url, files, path)
    assert caught.value.detail == ("table public.a, note, number, Größe, rows: 2",)
    report = restore(url, files, path, replace=True, backup_dir=path.parent)

    assert fetch(url, 'SELECT x, n, note, "Größe"::text, twice FROM a ORDER BY x') == [
        (1, 77, "of one", '{"a":  1}', 154),
        (3, 3, "none", None, 6),
        (4, 4, "none", None, 8),
    ]
    assert fetch(url, "SELECT number FROM a WHERE x IN (1, 3) ORDER BY x")[0] == 10
    assert fetch(url, "SELECT note::text FROM parts ORDER BY id") == ["1.1234", "2.1234"]
    assert value(url, "SELECT last_value FROM a_number_seq") == 500
    assert value(url, "SELECT last_value FROM a_seq_seq") == 900
    assert value(url, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'stamp'") == "O"
    assert [(c.name, c.columns, c.missing) for c in report.columns] == [
        ("a", ("note", "number", "Größe"), 1),
        ("parts", ("note",), 0),
    ]
    assert report.tables == ()
    assert report.lost == ()
    (note,) = report.notes
    assert note == (
        "table public.a: rows of the backup that it does not have, and whose values were not"
        " restored: 1"
    )
    assert report.saved is not None
    assert {t.name: t.rows for t in read(report.saved).tables} == {"a": 3, "parts": 2}


SMALL = {
    "001_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)",
    "002_note.up.sql": "ALTER TABLE a ADD note text DEFAULT 'none'",
    "002_note.down.sql": "ALTER TABLE a DROP note",
}


def dropped(url: str, files: Path, parent: Path) -> Path:
    """Apply, fill, roll back and apply again; return the backup."""
    up(url, files)
    execute(url, "UPDATE a SET note = 'x' || id")
    path = roll_back(url, files, parent)
    up(url, files)
    return path


def test_defaults_are_filled_and_edits_are_not_overwritten_unasked(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """The same value is no difference; NULL and the default are no edits."""
    files = folder(SMALL)
    path = dropped(database, files, tmp_path)
    assert restore(database, files, path).columns[0].rows == 2
    assert fetch(database, "SELECT note FROM a ORDER BY id") == ["x1", "x2"]
    assert restore(database, files, path).columns[0].rows == 0

    execute(database, "UPDATE a SET note = 'edited' WHERE id = 1",
            "UPDATE a SET note = NULL WHERE id = 2")  # fmt: skip
    with pytest.raises(Refused) as caught:
        restore(database, files, path)
    assert caught.value.detail == ("table public.a, note, rows: 1",)
    assert fetch(database, "SELECT note FROM a ORDER BY id") == ["edited", None]


def test_an_empty_table_gets_its_rows_back(database: str, folder: Write, tmp_path: Path) -> None:
    """The backup has them, too."""
    files = folder(SMALL)
    path = dropped(database, files, tmp_path)
    execute(database, "TRUNCATE a")

    report = restore(database, files, path)

    assert fetch(database, "SELECT id, note FROM a ORDER BY id") == [(1, "x1"), (2, "x2")]
    assert report.columns == ()
    assert [t.rows for t in report.tables] == [2]


def test_without_a_primary_key_the_table_is_refused(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Which row is which is not known."""
    files = folder(SMALL | {"001_a.up.sql": "CREATE TABLE a (id int); INSERT INTO a VALUES (1)"})
    path = dropped(database, files, tmp_path)

    with pytest.raises(Refused, match="1 table is not empty"):
        restore(database, files, path)


def test_an_empty_table_that_others_refer_to_is_no_obstacle(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Rows of a table without a primary key are replaced; what is empty needs no TRUNCATE."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (id int PRIMARY KEY);
                CREATE TABLE bare () INHERITS (a);
                INSERT INTO a VALUES (1);
                INSERT INTO bare VALUES (2);
            """,
            "002_b.up.sql": """
                CREATE TABLE b (id int PRIMARY KEY);
                CREATE TABLE c (b_id int, k int) PARTITION BY LIST (k);
                CREATE TABLE c1 PARTITION OF c DEFAULT;
                ALTER TABLE a ADD b_id int REFERENCES b;
                CREATE TABLE d (id int PRIMARY KEY);
                INSERT INTO d VALUES (5);
                ALTER TABLE c1 ADD FOREIGN KEY (k) REFERENCES d NOT VALID;
            """,
            "002_b.down.sql": "ALTER TABLE a DROP b_id; DROP TABLE b, c, d;",
        }
    )
    up(database, files)
    execute(
        database, "INSERT INTO b VALUES (7)", "UPDATE a SET b_id = 7", "INSERT INTO bare VALUES (3)"
    )
    path = roll_back(database, files, tmp_path)
    up(database, files)

    restore(database, files, path, replace=True, backup_dir=tmp_path / "replaced")

    assert fetch(database, "SELECT * FROM a ORDER BY id") == [(1, 7), (2, 7), (3, None)]
    assert fetch(database, "SELECT id FROM d") == [5]


def test_the_command_says_which_columns(
    database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """On the screen and as JSON."""
    files = folder(SMALL)
    path = dropped(database, files, tmp_path)
    options = ("--sql-dir", files, "--database-url", database)
    done = cli("restore", path, *options)
    assert done.returncode == 0, done.stderr
    assert "table a: note restored by primary key in 2 rows" in done.stdout
    document = json.loads(cli("restore", path, "--json", *options).stdout)
    assert document["columns"] == [
        {"schema": "public", "name": "a", "columns": ["note"], "rows": 0}
    ]


def test_identities_come_back_and_rows_of_child_tables_are_left_alone(
    database: str, folder: Write, dump: Callable[..., str], tmp_path: Path
) -> None:
    """GENERATED ALWAYS before and after; a child's row may have the key of one of the table."""
    files = folder(
        SMALL
        | {
            "002_note.up.sql": "ALTER TABLE a ADD note text,"
            " ADD nr int GENERATED ALWAYS AS IDENTITY",
            "002_note.down.sql": "ALTER TABLE a DROP note, DROP nr",
        }
    )
    up(database, files)
    execute(database, "UPDATE a SET note = 'x'", "ALTER SEQUENCE a_nr_seq RESTART 50",
            "UPDATE a SET nr = DEFAULT")  # fmt: skip
    path = roll_back(database, files, tmp_path)
    up(database, files)
    execute(
        database,
        "CREATE TABLE child () INHERITS (a)",
        "INSERT INTO child (id, note, nr) VALUES (1, 'mine', 7)",
    )
    schema = dump(database)

    restore(database, files, path, replace=True, backup_dir=tmp_path)

    assert fetch(database, "SELECT note, nr FROM ONLY a ORDER BY id") == [("x", 50), ("x", 51)]
    assert fetch(database, "SELECT note, nr FROM child") == [("mine", 7)]
    assert dump(database) == schema
    assert value(database, "SELECT last_value FROM a_nr_seq") == 51


def test_values_behind_a_policy_are_not_overwritten_unasked(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """The owner under FORCE sees none of the rows, and restores all of them."""
    name = value(database, "SELECT current_database()")
    execute(database, f"GRANT CREATE ON DATABASE {name} TO {role}")
    execute(database, f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    owner = make_conninfo(database, user=role)
    create = """
        CREATE TABLE t (id int PRIMARY KEY);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    """
    files = folder(
        {
            "001_a.up.sql": create,
            "002_b.up.sql": "ALTER TABLE t ADD body text",
            "002_b.down.sql": "ALTER TABLE t DROP body",
        }
    )
    up(owner, files)
    execute(database, "INSERT INTO t VALUES (1, 'then'), (2, 'then')")
    path = roll_back(owner, files, tmp_path)
    up(owner, files)

    report = restore(owner, files, path)
    execute(database, "UPDATE t SET body = 'now'")
    with pytest.raises(Refused, match="other values now"):
        restore(owner, files, path)
    replaced = restore(owner, files, path, replace=True, backup_dir=tmp_path)

    assert [each.rows for each in report.columns] == [2]
    assert report.notes == ()
    assert replaced.saved is not None
    assert (replaced.saved / "t.csv").read_text().count("now") == 2
    assert fetch(database, "SELECT DISTINCT body FROM t") == ["then"]


def test_rows_that_were_changed_as_well_are_restored_as_a_whole(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A column alone would leave the others as the down file has made them."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE t (id int PRIMARY KEY, x int)",
            "002_b.up.sql": "ALTER TABLE t ADD y int",
            "002_b.down.sql": """
                UPDATE t SET x = 0;
                DELETE FROM t WHERE id > 3;
                ALTER TABLE t DROP y;
            """,
        }
    )
    up(database, files)
    execute(database, "INSERT INTO t SELECT n, n, n FROM generate_series(1, 5) AS n")
    before = fetch(database, "SELECT t::text FROM t ORDER BY id")
    path = roll_back(database, files, tmp_path)
    up(database, files)

    with pytest.raises(Refused, match="not empty"):
        restore(database, files, path)
    restore(database, files, path, replace=True, backup_dir=tmp_path)

    assert fetch(database, "SELECT t::text FROM t ORDER BY id") == before
