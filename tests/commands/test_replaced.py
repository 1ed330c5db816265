"""What a migration replaces that others have created is restored by its rollback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

import lfmigrate
from lfmigrate.errors import Refused
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

BASE = (
    "CREATE TABLE t (n int, note text)",
    "CREATE TABLE log (n int)",
    "CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS 'SELECT 1'",
    "COMMENT ON FUNCTION f IS 'it''s theirs'",
    "CREATE FUNCTION body() RETURNS int BEGIN ATOMIC SELECT count(*) FROM t; END",
    "CREATE PROCEDURE p(INOUT a int) LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW WHEN (new.n > 1) EXECUTE FUNCTION fire()",
    "COMMENT ON TRIGGER g ON t IS 'theirs'",
    "ALTER TABLE t DISABLE TRIGGER g",
    "CREATE RULE r AS ON DELETE TO t DO ALSO INSERT INTO log VALUES (old.n)",
    "CREATE VIEW v WITH (security_barrier) AS SELECT n, note FROM t WHERE n > 0",
    "COMMENT ON VIEW v IS 'theirs'",
    "COMMENT ON COLUMN v.n IS 'number'",
    "ALTER VIEW v ALTER COLUMN note SET DEFAULT 'none'",
    "CREATE TRIGGER w INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION fire()",
    "CREATE RULE u AS ON UPDATE TO v DO INSTEAD NOTHING",
)
GRANTS = (
    "GRANT EXECUTE ON FUNCTION f TO {role} WITH GRANT OPTION",
    "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
    "GRANT SELECT ON v TO {role}",
    "GRANT UPDATE (note) ON v TO PUBLIC",
    "ALTER VIEW v OWNER TO {role}",
    "ALTER FUNCTION f OWNER TO {role}",
)

F = """
    CREATE OR REPLACE FUNCTION f(a int, b text DEFAULT 'y') RETURNS text
    LANGUAGE sql AS 'SELECT 2'
"""
V = "CREATE OR REPLACE VIEW v AS SELECT n, upper(note) AS note, 1 AS more FROM t"
FIRE = "FOR EACH ROW EXECUTE FUNCTION fire()"
REPLACED = {
    F: ["DROP FUNCTION f", "SELECT 1", F.replace("2", "3"), "COMMENT ON FUNCTION f IS 'ours'"],
    V: ["DROP VIEW v", "SELECT 1", "DROP VIEW v; CREATE VIEW v AS SELECT 7 AS n"],
    "CREATE OR REPLACE VIEW v AS SELECT n, upper(note) AS note FROM t": ["DROP VIEW v", "SELECT 1"],
    "CREATE OR REPLACE FUNCTION body() RETURNS int LANGUAGE sql AS 'SELECT 2'": [
        "DROP FUNCTION body()",
        "SELECT 1",
    ],
    "CREATE OR REPLACE PROCEDURE p(INOUT a int) LANGUAGE sql AS 'SELECT 2'": [
        "DROP PROCEDURE p",
        "SELECT 1",
    ],
    f"CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE}": ["DROP TRIGGER g ON t", "SELECT 1"],
    "CREATE OR REPLACE RULE r AS ON DELETE TO t DO NOTHING": ["DROP RULE r ON t", "SELECT 1"],
    f"CREATE OR REPLACE TRIGGER w INSTEAD OF UPDATE ON v {FIRE}": ["DROP TRIGGER w ON v"],
    "CREATE OR REPLACE RULE u AS ON UPDATE TO v DO INSTEAD SELECT 1": ["SELECT 1"],
    f"{V}; {F}": ["DROP VIEW v; DROP FUNCTION f"],
}


def rollback(url: str, files: Path, parent: Path) -> lfmigrate.RollbackReport:
    """Roll back a folder."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=parent)


@pytest.fixture
def theirs(role: str, database: str) -> None:
    """Create what others have."""
    execute(database, *BASE, *(grant.format(role=role) for grant in GRANTS))


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "down"), [(text, down) for text, downs in REPLACED.items() for down in downs]
)
def test_a_rollback_restores_what_a_migration_has_replaced(
    text: str, down: str, *, database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """Definition, owner, privileges and comment, whether the down file drops it or leaves it."""
    before = dump(database)
    files = folder(
        {
            "001_a.up.sql": f"CREATE TABLE own (n int); {text}",
            "001_a.down.sql": f"DROP TABLE own; {down}",
        }
    )
    up(database, files)
    assert dump(database) != before

    report = rollback(database, files, tmp_path)

    assert dump(database) == before
    assert report.dependents == ()
    assert any("restores the previous definition of" in note for note in report.notes)
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True).ok
    up(database, files)
    rollback(database, files, tmp_path)
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
def test_only_what_no_file_has_created_is_restored(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A later migration's down file says itself what the one before it had created."""
    files = folder(
        {
            "001_a.up.sql": f"{F}; CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "001_a.down.sql": "DROP FUNCTION own()",
            "002_b.up.sql": f"""
                {F.replace("2", "3")};
                CREATE OR REPLACE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 2'
            """,
            "002_b.down.sql": "SELECT 1",
        }
    )
    up(database, files)
    rollback(database, files, tmp_path)
    assert fetch(database, "SELECT f(1)") == ["3"]
    assert value(database, "SELECT own()") == 2
    rollback(database, files, tmp_path)
    assert fetch(database, "SELECT f(1)") == ["1"]


@pytest.mark.usefixtures("theirs")
def test_what_depends_on_its_new_columns_keeps_it(
    database: str, folder: Write, tmp_path: Path, dump: Dump
) -> None:
    """Another owner's view uses a column that the migration has added."""
    files = folder({"001_a.up.sql": V, "001_a.down.sql": "SELECT 1"})
    up(database, files)
    execute(database, "CREATE VIEW user_of_more AS SELECT more FROM v")
    before = dump(database)

    with pytest.raises(Refused, match="outside the migration") as caught:
        rollback(database, files, tmp_path)

    assert any("user_of_more" in line for line in caught.value.detail)
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
def test_an_owner_that_is_gone_does_not_keep_the_definition(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Nor do privileges of a role that was dropped since."""
    files = folder({"001_a.up.sql": F, "001_a.down.sql": "DROP FUNCTION f"})
    up(database, files)
    execute(
        database,
        "ALTER FUNCTION f OWNER TO CURRENT_USER",
        "ALTER VIEW v OWNER TO CURRENT_USER",
        f"DROP OWNED BY {role}",
        f"DROP ROLE {role}",
    )

    rollback(database, files, tmp_path)

    assert fetch(database, "SELECT f(1)") == ["1"]
    execute(database, f"CREATE ROLE {role}")


@pytest.mark.parametrize(
    "down", ["SELECT 1", "SET ROLE {role}", "SET search_path = pg_catalog; DROP FUNCTION biggest()"]
)
def test_a_body_that_names_its_tables_without_a_schema_is_restored(
    down: str, role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Whatever the down file leaves in the session."""
    old = "SELECT max(n) FROM t"
    execute(database, "CREATE TABLE t (n int)")
    execute(database, f"CREATE FUNCTION biggest() RETURNS int LANGUAGE sql AS '{old}'")
    new = "CREATE OR REPLACE FUNCTION biggest() RETURNS int LANGUAGE sql AS 'SELECT 2'"
    text = down.format(role=role).replace("biggest", "public.biggest")
    files = folder({"001_a.up.sql": new, "001_a.down.sql": text})
    up(database, files)

    rollback(database, files, tmp_path)

    assert value(database, "SELECT prosrc FROM pg_proc WHERE proname = 'biggest'") == old
