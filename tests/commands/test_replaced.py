"""What a migration replaces that others have created is restored by its rollback."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.errors import Refused
from tests.helpers.commands import up, verify
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
    assert report.restored
    assert report.notes == ()
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
def test_what_one_run_does_is_restored_as_if_each_migration_had_a_run_of_its_own(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """The first one that touches something has its definition, as the one before has left it."""
    before = dump(database)
    replaced = f"""
        CREATE OR REPLACE VIEW v AS SELECT n, upper(text) AS note FROM t;
        {F}; CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE}
    """
    files = folder(
        {
            "001_a.up.sql": "ALTER TABLE t RENAME note TO text",
            "001_a.down.sql": "ALTER TABLE t RENAME text TO note",
            "002_b.up.sql": replaced,
            "002_b.down.sql": "SELECT 1",
            "003_c.up.sql": replaced.replace("upper", "lower").replace("2", "3"),
            "003_c.down.sql": "SELECT 1",
            "004_d.up.sql": "DROP VIEW v; DROP FUNCTION f; DROP TRIGGER g ON t",
            "004_d.down.sql": "SELECT 1",
        }
    )
    up(database, files)

    assert rollback(database, files, tmp_path).restored == ()
    assert rollback(database, files, tmp_path).restored == ()
    restored = rollback(database, files, tmp_path).restored
    assert restored == (
        "function public.f(integer, text)",
        "view public.v",
        "trigger g on public.t",
    )
    assert "text AS note" in fetch(database, "SELECT pg_get_viewdef('v')")[0]
    assert rollback(database, files, tmp_path).restored == ()
    assert dump(database) == before


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

    report = rollback(database, files, tmp_path)

    execute(database, f"CREATE ROLE {role}")
    assert fetch(database, "SELECT f(1)") == ["1"]
    assert any(f'role "{role}" does not exist' in note for note in report.notes)


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


PROPERTIES = (
    "ALTER VIEW rd ALTER n SET DEFAULT 7",
    "COMMENT ON VIEW rd IS 'theirs'",
    "COMMENT ON COLUMN rd.n IS 'number'",
    "GRANT SELECT ON rd TO {role} WITH GRANT OPTION",
    "GRANT EXECUTE ON FUNCTION rt TO {role}",
    "REVOKE EXECUTE ON FUNCTION rt FROM PUBLIC",
    "COMMENT ON FUNCTION rt IS 'theirs'",
    "ALTER VIEW rd OWNER TO {role}",
    "ALTER FUNCTION rt OWNER TO {role}",
)
DROPPED = (
    *BASE,
    "CREATE VIEW rd WITH (security_barrier) AS SELECT n FROM t",
    "CREATE TRIGGER w INSTEAD OF INSERT ON rd FOR EACH ROW EXECUTE FUNCTION fire()",
    "CREATE VIEW top AS SELECT n FROM rd",
    "CREATE FUNCTION rt(OUT a int, OUT b int) LANGUAGE sql AS 'SELECT 1, 2'",
    "CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '3', PARALLEL = SAFE)",
)
DROPS = [
    ("DROP VIEW rd CASCADE; CREATE VIEW rd AS SELECT note FROM t", "SELECT 1"),
    ("DROP VIEW rd CASCADE; CREATE VIEW rd AS SELECT note FROM t", "DROP VIEW rd"),
    ("DROP VIEW top; DROP VIEW rd", "CREATE VIEW rd AS SELECT 1 AS n"),
    ("DO $$ BEGIN DROP VIEW top, rd; END $$; CREATE TABLE rd (n int)", "DROP TABLE rd"),
    (
        "DROP FUNCTION rt(); CREATE FUNCTION rt(OUT a int) LANGUAGE sql AS 'SELECT 1'",
        "SELECT 1",
    ),
    ("DROP FUNCTION rt", "SELECT 1"),
    ("DROP ROUTINE rt; CREATE PROCEDURE rt() LANGUAGE sql AS 'SELECT 1'", "SELECT 1"),
    ("DROP AGGREGATE ag(int)", "SELECT 1"),
    ("CREATE OR REPLACE AGGREGATE ag(int) (SFUNC = int4mul, STYPE = int)", "SELECT 1"),
    (f"DROP TRIGGER g ON t; CREATE TRIGGER g AFTER INSERT ON t {FIRE}", "DROP TRIGGER g ON t"),
    ("DROP TRIGGER w ON v; DROP RULE r ON t", "SELECT 1"),
    ("ALTER TABLE t RENAME note TO text; DROP VIEW v", "ALTER TABLE t RENAME text TO note"),
]


@pytest.mark.parametrize(("text", "down"), DROPS)
def test_a_rollback_restores_what_a_migration_has_dropped(
    text: str,
    down: str,
    *,
    role: str,
    database: str,
    folder: Write,
    dump: Dump,
    tmp_path: Path,
) -> None:
    """Whether something else has its name then; with owner, privileges, comment and options."""
    execute(database, *DROPPED, *(each.format(role=role) for each in PROPERTIES))
    before = dump(database)
    files = folder({"001_a.up.sql": text, "001_a.down.sql": down})
    report = up(database, files)
    assert report.notes == ()
    assert dump(database) != before

    undone = rollback(database, files, tmp_path)

    assert dump(database) == before
    assert undone.restored
    assert undone.notes == ()
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True).ok


def test_each_is_restored_with_the_migration_that_has_dropped_it(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Both run in one transaction."""
    execute(database, *DROPPED)
    files = folder(
        {
            "001_a.up.sql": "DO $$ BEGIN DROP VIEW top; END $$",
            "001_a.down.sql": "SELECT 1",
            "002_b.up.sql": "DROP FUNCTION rt; CREATE VIEW own AS SELECT 1 AS n; DROP VIEW own",
            "002_b.down.sql": "SELECT 1",
        }
    )
    up(database, files)
    assert rollback(database, files, tmp_path).restored == ("function public.rt()",)
    assert rollback(database, files, tmp_path).restored == ("view public.top",)


def test_what_cannot_be_restored_is_named(database: str, folder: Write, tmp_path: Path) -> None:
    """The down file does not create again what the view reads."""
    execute(database, "CREATE TABLE gone ()", "CREATE VIEW v AS SELECT FROM gone")
    execute(database, "CREATE MATERIALIZED VIEW m AS SELECT 1 WHERE false")
    files = folder(
        {
            "001_a.up.sql": "DROP VIEW v; DROP TABLE gone; DROP MATERIALIZED VIEW m",
            "001_a.down.sql": "SELECT 1",
        }
    )
    (note,) = up(database, files).notes
    assert note.startswith("materialized view public.m, which no file has created, was dropped")

    report = rollback(database, files, tmp_path)

    assert report.restored == ()
    (note,) = report.notes
    expected = "the previous definition of view public.v cannot be restored: relation "
    assert note == f'{expected}"public.gone" does not exist'


WIDER = "CREATE OR REPLACE VIEW v AS SELECT n, note, 1 AS more FROM t"
OTHERS = (
    "CREATE VIEW w WITH (security_barrier) AS SELECT * FROM v",
    "COMMENT ON VIEW w IS 'theirs'",
    "CREATE FUNCTION of_w() RETURNS SETOF w LANGUAGE sql AS 'SELECT * FROM w'",
)


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "down"),
    [
        (WIDER, "SELECT 1"),
        (f"{F}; {WIDER}; CREATE OR REPLACE RULE r AS ON DELETE TO t DO NOTHING", "SELECT 1"),
        (
            f"ALTER TABLE t ADD more int; {WIDER.replace('1 AS', '')}",
            "ALTER TABLE t DROP COLUMN more",
        ),
        (
            "ALTER TABLE t ADD y int; CREATE OR REPLACE VIEW v AS SELECT n, note, y FROM t",
            "ALTER TABLE t ALTER y TYPE text; ALTER TABLE t DROP y",
        ),
        (
            (
                f"{BASE[6].replace('fire', 'new')}; CREATE OR REPLACE TRIGGER g AFTER INSERT ON t"
                " FOR EACH ROW EXECUTE FUNCTION new()"
            ),
            "DROP FUNCTION new()",
        ),
    ],
)
def test_what_others_have_on_top_is_re_created(
    text: str, down: str, *, database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """A down file need not name it, nor what it drops of the newer definition."""
    execute(database, *OTHERS)
    before = dump(database)
    files = folder({"001_a.up.sql": text, "001_a.down.sql": down})
    up(database, files)

    report = rollback(database, files, tmp_path)

    assert dump(database) == before
    assert report.dependents == ()
    assert report.notes == ()
    names = {
        verdict.relation.name for verdict in verify(database, files, allow_pending=True).relations
    }
    assert names.isdisjoint({"v", "w", "of_w(integer)", "of_w()"})


@pytest.mark.usefixtures("theirs")
def test_what_an_earlier_migration_has_on_top_stays_its_own(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """It is re-created, expected as before, and dropped by its own down file."""
    before = dump(database)
    files = folder(
        {
            "001_a.up.sql": "CREATE VIEW w AS SELECT * FROM v",
            "001_a.down.sql": "DROP VIEW w",
            "002_b.up.sql": WIDER,
            "002_b.down.sql": "SELECT 1",
        }
    )
    up(database, files)

    assert rollback(database, files, tmp_path).restored == ("view public.v",)

    with closing(lfmigrate.connect(database)) as conn:
        found = lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True)
    assert found.ok
    assert [each.relation.name for each in found.relations] == ["w"]
    assert [lost.name for lost in rollback(database, files, tmp_path).lost] == ["w"]
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
def test_only_what_cannot_stay_is_listed(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """With the reason, and --cascade drops no more than that."""
    execute(database, *OTHERS)
    text = f"{F}; {WIDER}; CREATE OR REPLACE FUNCTION fire() RETURNS trigger"
    text += " LANGUAGE plpgsql AS 'BEGIN RETURN old; END'"
    files = folder({"001_a.up.sql": text, "001_a.down.sql": "SELECT 1"})
    before = dump(database)
    up(database, files)
    execute(database, "CREATE VIEW user_of_more AS SELECT more FROM v")
    with pytest.raises(Refused) as caught:
        rollback(database, files, tmp_path)
    (line, *_) = caught.value.detail
    assert line.startswith("view public.user_of_more: column ")

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.rollback(
            conn, lfmigrate.read_folder(files), backup_dir=tmp_path, cascade=True
        )

    assert [lost.name for lost in report.dependents] == ["user_of_more"]
    assert dump(database) == before
    assert report.backup is not None
    kept = json.loads((report.backup / "manifest.json").read_text())["dropped"]
    assert [each["name"] for each in kept] == ["public.user_of_more"]


@pytest.mark.usefixtures("theirs")
def test_a_down_file_may_read_the_newer_definition(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """Then the previous one is not restored before it."""
    files = folder(
        {"001_a.up.sql": WIDER, "001_a.down.sql": "DO $$ BEGIN PERFORM more FROM v; END $$"}
    )
    execute(database, "GRANT SELECT ON t TO PUBLIC")
    before = dump(database)
    up(database, files)
    execute(database, "CREATE VIEW user_of_more AS SELECT more FROM v")
    with pytest.raises(Refused) as caught:
        rollback(database, files, tmp_path)
    assert [line for line in caught.value.detail if "view" in line] == ["view public.user_of_more"]

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.rollback(
            conn, lfmigrate.read_folder(files), backup_dir=tmp_path, cascade=True
        )

    assert [lost.name for lost in report.dependents] == ["user_of_more"]
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
def test_a_materialized_view_on_top_is_listed_and_dropped_with_cascade(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """It would have to be filled, so it is not re-created."""
    files = folder({"001_a.up.sql": f"{F}; {WIDER}", "001_a.down.sql": "SELECT 1"})
    before = dump(database)
    up(database, files)
    execute(database, "CREATE MATERIALIZED VIEW m AS SELECT n FROM v WITH NO DATA")
    with pytest.raises(Refused) as caught:
        rollback(database, files, tmp_path)
    assert caught.value.detail[0] == "materialized view public.m"
    assert not any("view public.v" in line for line in caught.value.detail)
    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.rollback(
            conn, lfmigrate.read_folder(files), backup_dir=tmp_path, cascade=True
        )
    assert [lost.name for lost in report.dependents] == ["m"]
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "by_hand", "kind", "name"),
    [
        (F, F.replace("2", "99"), "changed function", "public.f(integer, text)"),
        (WIDER, WIDER.replace("1 AS", "99 AS"), "changed view", "public.v"),
        (
            f"CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE}",
            f"CREATE OR REPLACE TRIGGER g AFTER DELETE ON t {FIRE}",
            "changed trigger",
            "g on public.t",
        ),
        ("DROP VIEW v", "CREATE VIEW v AS SELECT 99 AS n", "changed view", "public.v"),
        (F, "COMMENT ON FUNCTION f IS '99'", "changed function", "public.f(integer, text)"),
        (WIDER, "GRANT UPDATE (n) ON v TO PUBLIC -- 99", "changed view", "public.v"),
        (WIDER, "ALTER VIEW v ALTER n SET DEFAULT 99", "changed view", "public.v"),
        (WIDER, "ALTER VIEW v OWNER TO CURRENT_USER", "changed view", "public.v"),
        (
            f"CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE}",
            "ALTER TABLE t ENABLE ALWAYS TRIGGER g; COMMENT ON TRIGGER g ON t IS '99'",
            "changed trigger",
            "g on public.t",
        ),
    ],
)
def test_a_newer_definition_is_named_and_kept(
    text: str,
    by_hand: str,
    kind: str,
    name: str,
    *,
    database: str,
    folder: Write,
    dump: Dump,
    tmp_path: Path,
) -> None:
    """Someone has made it by hand since, and the rollback overwrites it."""
    before = dump(database)
    files = folder({"001_a.up.sql": text, "001_a.down.sql": "SELECT 1"})
    up(database, files)
    with closing(lfmigrate.connect(database)) as conn:
        shown = lfmigrate.rollback(conn, lfmigrate.read_folder(files), dry_run=True)
        assert not any(lost.kind == kind for lost in shown.lost)
        execute(database, by_hand)
        with pytest.raises(Refused, match="not what was confirmed"):
            lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=tmp_path, shown=shown)

    report = rollback(database, files, tmp_path)

    assert (kind, name) in {(lost.kind, lost.name) for lost in report.lost}
    assert any("was changed since the migration" in note for note in report.notes)
    assert report.backup is not None
    (kept,) = json.loads((report.backup / "manifest.json").read_text())["dropped"]
    assert any(by in kept["definition"] for by in ("99", "AFTER DELETE", "GRANT UPDATE", "n, "))
    assert ("ALWAYS" in by_hand) == ("ENABLE ALWAYS TRIGGER" in kept["definition"])
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "by_hand", "note"),
    [
        (
            "CREATE OR REPLACE VIEW v AS SELECT 1 AS n, 'x' AS note; DROP TABLE t CASCADE",
            "SELECT 1",
            'view public.v cannot be restored: relation "public.t" does not exist',
        ),
        (WIDER, "DROP VIEW v; CREATE TABLE v ()", 'view public.v cannot be restored: "v" is not'),
        (
            f"CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE}",
            "DROP TABLE t CASCADE; CREATE TABLE t (n int)",
            'trigger g on public.t cannot be restored: "public.t" is not the relation that it was',
        ),
        (
            "DROP TRIGGER g ON t",
            "DROP TABLE t CASCADE",
            'trigger g on public.t cannot be restored: relation "public.t" does not exist',
        ),
    ],
)
def test_what_cannot_be_restored_is_left_as_it_is(
    text: str,
    by_hand: str,
    note: str,
    *,
    database: str,
    folder: Write,
    dump: Dump,
    tmp_path: Path,
) -> None:
    """The rest of the rollback is done."""
    execute(database, "DROP FUNCTION body()")
    files = folder({"001_a.up.sql": text, "001_a.down.sql": "SELECT 1"})
    up(database, files)
    execute(database, by_hand)
    before = dump(database)

    report = rollback(database, files, tmp_path)

    assert report.restored == ()
    assert any(note in line for line in report.notes)
    assert report.dependents == ()
    assert dump(database) == before


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("text", "renamed", "others"),
    [
        (
            (
                f"CREATE OR REPLACE TRIGGER g AFTER INSERT ON t {FIRE};"
                "CREATE OR REPLACE RULE r AS ON DELETE TO t DO NOTHING"
            ),
            ("ALTER TABLE t RENAME TO other",),
            "TABLE t (n int)",
        ),
        (
            f"{F}; {V.replace(', 1 AS more', '')}",
            ("ALTER VIEW v RENAME TO other", "ALTER FUNCTION f RENAME TO other"),
            "VIEW v AS SELECT 99 AS n",
        ),
    ],
)
def test_what_has_another_name_by_now_is_found(
    text: str,
    renamed: tuple[str, ...],
    others: str,
    *,
    database: str,
    folder: Write,
    dump: Dump,
    tmp_path: Path,
) -> None:
    """And nothing else that has its name."""
    execute(database, *renamed, f"CREATE {others}")
    before = dump(database)
    execute(database, f"DROP {others.partition(' (')[0].partition(' AS')[0]}", *map(_back, renamed))
    files = folder({"001_a.up.sql": text, "001_a.down.sql": "SELECT 1"})
    up(database, files)
    execute(database, *renamed, f"CREATE {others}")

    rollback(database, files, tmp_path)

    assert dump(database) == before


def _back(rename: str) -> str:
    first, new = rename.rsplit(" TO ", 1)
    kind, old = first.removeprefix("ALTER ").removesuffix(" RENAME").split(" ")
    return f"ALTER {kind} {new} RENAME TO {old}"


@pytest.mark.usefixtures("theirs")
def test_what_runs_as_its_owner_is_not_restored_without_it(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """It would run with the privileges of the role that rolls back."""
    execute(
        database,
        "ALTER FUNCTION f SECURITY DEFINER",
        "ALTER VIEW v OWNER TO CURRENT_USER",
        f"GRANT SELECT ON v TO {role}",
    )
    files = folder({"001_a.up.sql": "DROP FUNCTION f; DROP VIEW v", "001_a.down.sql": "SELECT 1"})
    up(database, files)
    execute(database, f"ALTER ROLE {role} RENAME TO {role}_2")
    try:
        report = rollback(database, files, tmp_path)
    finally:
        execute(database, f"ALTER ROLE {role}_2 RENAME TO {role}")

    assert report.restored == ("view public.v",)
    missing = f'role "{role}"'
    privileges, definition = report.notes
    assert privileges == (
        f"not all previous privileges on view public.v are restored: {missing} does not exist"
    )
    assert definition == (
        "the previous definition of function public.f(integer, text) cannot be restored:"
        f" {missing}, its owner, does not exist"
    )
    assert value(database, "SELECT to_regproc('f') IS NULL")


def test_what_cascade_drops_and_no_rollback_restores_is_named(database: str, folder: Write) -> None:
    """Of others; a view is restored, and what goes with a table is no more than that."""
    execute(
        database,
        "CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE t (n int DEFAULT f(1) CONSTRAINT c CHECK (f(n) > 0))",
        "CREATE INDEX i ON t (f(n))",
        "CREATE POLICY p ON t USING (f(n) > 0)",
        "CREATE VIEW v AS SELECT f(n) FROM t",
        "CREATE TABLE gone (n int PRIMARY KEY DEFAULT f(1))",
    )
    own = "CREATE TABLE own (n int); CREATE POLICY own ON own USING (f(n) > 0)"
    dropped = "DROP FUNCTION f(int) CASCADE; DROP TABLE gone"
    files = folder({"001_a.up.sql": own, "002_b.up.sql": dropped})
    up(database, files, to="1")

    notes = up(database, files).notes

    assert sorted(
        note.partition(", which no file has created, was dropped")[0] for note in notes
    ) == [
        "default value for public.t.n",
        "index public.i",
        "policy p on public.t",
        "table constraint c on public.t",
    ]


def test_what_gets_its_name_back_is_not_expected(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """It is others', and a later migration that drops it keeps its definition."""
    execute(
        database,
        "CREATE TABLE t (n int)",
        "CREATE VIEW v AS SELECT 1 AS n",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    up_text = """
        ALTER TABLE t RENAME TO t_old; CREATE TABLE t (n bigint);
        ALTER VIEW v RENAME TO v_old; CREATE VIEW v AS SELECT 'x' AS m;
        ALTER FUNCTION f() RENAME TO f_old;
        CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT 'x'$$
    """
    down_text = """
        DROP TABLE t; ALTER TABLE t_old RENAME TO t;
        DROP VIEW v; ALTER VIEW v_old RENAME TO v;
        DROP FUNCTION f(); ALTER FUNCTION f_old() RENAME TO f
    """
    swap = {"001_a.up.sql": up_text, "001_a.down.sql": down_text}
    files = folder(swap)
    up(database, files)
    rollback(database, files, tmp_path)

    assert verify(database, files, allow_pending=True).relations == ()
    other = folder({"001_b.up.sql": "DROP VIEW v; DROP FUNCTION f()", "001_b.down.sql": "SELECT 1"})
    up(database, other)
    assert set(rollback(database, other, tmp_path).restored) == {
        "view public.v",
        "function public.f()",
    }


def test_up_drops_what_it_could_ask_about_with_one_connection_only(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """It reads everything that it drops before it runs once more."""
    execute(
        database,
        f"ALTER ROLE {role} LOGIN CONNECTION LIMIT 1",
        f"DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database());"
        " END $$",
        f"GRANT CREATE ON SCHEMA public TO {role}",
        "CREATE SEQUENCE s",
        "SELECT nextval('s')",
        "CREATE VIEW v AS SELECT 1 AS n",
        f"ALTER SEQUENCE s OWNER TO {role}",
        f"ALTER VIEW v OWNER TO {role}",
        # Its sequence goes with it, and is no loss of its own.
        "CREATE TABLE t (id serial)",
        "INSERT INTO t DEFAULT VALUES",
        f"ALTER TABLE t OWNER TO {role}",
    )
    mark = "-- lfmigrate: loses-data\n"
    files = folder(
        {
            "001_a.up.sql": f"{mark}DROP SEQUENCE s; DROP VIEW v CASCADE; DROP TABLE t",
            "001_a.down.sql": "SELECT 1",
        }
    )
    with closing(lfmigrate.connect(make_conninfo(database, user=role))) as conn:
        report = lfmigrate.up(conn, lfmigrate.read_folder(files))
        undone = lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=tmp_path)

    assert [(lost.kind, lost.name) for lost in report.lost] == [("table", "t"), ("sequence", "s")]
    assert undone.restored == ("view public.v",)
