"""A server that has another major version than the one that described what is expected.

Major versions describe the same definition differently, so a text of another one is compared with
nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from lfmigrate.errors import DifferenceFound
from lfmigrate.postgres import embedded
from lfmigrate.postgres.programs import bin_folder, major_version
from lfmigrate.settings import Scope
from tests.helpers.commands import SHIPPED, migrations, rollback, statuses, up, verdict, verify
from tests.helpers.databases import execute, history, value

# It is about the texts of different versions.
pytestmark = pytest.mark.per_version

Write = Callable[[Mapping[str, str | bytes]], Path]

FILES: Mapping[str, str | bytes] = {
    "1_a.up.sql": """
        CREATE TABLE t (id integer PRIMARY KEY, a text NOT NULL,
            CONSTRAINT a_check CHECK (a IN ('x', 'y')));
        CREATE INDEX t_a ON t (a) WHERE a <> '';
        CREATE VIEW v AS SELECT t.id, t.a FROM t WHERE t.a IS NOT NULL;
        CREATE POLICY p ON t USING (a = 'x' OR id > 0);
    """,
    "views/w.sql": "CREATE OR REPLACE VIEW w AS SELECT id FROM v;",
}

# Each touches one part of what an earlier version described.
LATER = [
    "CREATE OR REPLACE VIEW v AS SELECT t.id, t.a FROM t WHERE t.a IS NULL;",
    "ALTER TABLE t ADD COLUMN b integer NOT NULL DEFAULT 1;",
    "ALTER TABLE t ALTER COLUMN a DROP NOT NULL;",
    "ALTER POLICY p ON t USING (a = 'y' OR id > 1);",
    "ALTER TABLE t DROP CONSTRAINT a_check;",
    "ALTER TABLE t RENAME TO t2;",
    "COMMENT ON COLUMN t.a IS 'x';",
    "SELECT 1;",
]


def described_by_13(url: str) -> None:
    """Let the history look as if another version had described everything."""
    execute(
        url,
        "UPDATE lfmigrate.lfmigrate_history SET server_version = 130000,"
        " expected = replace(replace(expected::text, 'integer', 'int of 13'), 'IS', 'is')::jsonb",
    )


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("verified", [False, True])
def test_a_later_migration_makes_no_false_drift(
    database: str, folder: Write, later: str, *, verified: bool
) -> None:
    """In whatever order the commands come."""
    path = folder(FILES)
    up(database, path)
    described_by_13(database)
    if verified:
        assert verify(database, path).ok
        assert set(statuses(up(database, path, strict=True)).values()) == {"unchanged"}
    path = folder({**FILES, "2_b.up.sql": later, "2_b.down.sql": "SELECT 1;"})

    report = up(database, path, strict=True)

    assert migrations(report) == {"1": "already_applied", "2": "applied"}
    found = verify(database, path)
    assert (found.source, found.problems) == ("history", ())
    assert set(statuses(up(database, path, strict=True)).values()) == {"unchanged"}
    assert [row["action"] for row in history(database)][2:4] == ["upgrade", "up"]


def test_a_replay_is_recorded_even_if_nothing_is_pending(database: str, folder: Write) -> None:
    """The next commands compare with the history, and replay nothing."""
    path = folder(FILES)
    up(database, path)
    described_by_13(database)
    assert verify(database, path).source == "replay"
    assert up(database, path, dry_run=True).migrations

    first, second = up(database, path, strict=True), up(database, path, strict=True)

    assert set(statuses(first).values()) | set(statuses(second).values()) == {"unchanged"}
    assert [row["action"] for row in history(database)] == ["up", "view", "upgrade"]
    found = verify(database, path)
    assert (found.source, found.ok) == ("history", True)


def test_a_change_by_hand_is_found_after_an_upgrade(database: str, folder: Write) -> None:
    """The recorded texts of the applied files say what to expect."""
    path = folder(FILES)
    up(database, path)
    described_by_13(database)
    execute(database, "ALTER TABLE t ADD COLUMN by_hand integer")
    path = folder({**FILES, "2_b.up.sql": "COMMENT ON TABLE t IS 'x';"})

    report = up(database, path)

    assert verdict(report, "t").status == "drifted"
    assert [d.part for d in verdict(report, "t").differences] == ["column by_hand"]
    assert [d.part for d in verdict(verify(database, path), "t").differences] == ["column by_hand"]


def test_a_rollback_drops_only_what_its_migration_created(database: str, folder: Write) -> None:
    """That what it did not create was described again does not make it its own."""
    path = folder(FILES)
    up(database, path)
    described_by_13(database)
    path = folder(
        {
            **FILES,
            "2_b.up.sql": "ALTER TABLE t ADD COLUMN b integer;",
            "2_b.down.sql": "ALTER TABLE t DROP COLUMN b;",
        }
    )
    up(database, path)

    rollback(database, path)

    assert verify(database, folder(FILES)).ok
    path = folder({**FILES, "1_a.down.sql": "DROP VIEW v; DROP TABLE t;"})
    rollback(database, path)
    assert value(database, "SELECT to_regclass('t')") is None


def test_what_the_files_no_longer_create_is_missed_all_the_same(
    database: str, folder: Write
) -> None:
    """The older version has created it; verify and up say the same of it."""
    version = "current_setting('server_version_num')::int"
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE t (id integer);"
            f"DO $$ BEGIN IF {version} = 130000 THEN CREATE TABLE old (id integer); END IF; END $$;"
        }
    )
    up(database, path)
    execute(database, "CREATE TABLE old (id integer)")
    described_by_13(database)
    old = '{"kind": "table", "name": "old", "schema": "public", "parts": [["column id", "int"]]}'
    execute(
        database,
        "UPDATE lfmigrate.lfmigrate_history SET expected ="
        f" jsonb_insert(expected::jsonb, '{{relations,0}}', '{old}')",
    )

    there = verify(database, path)
    execute(database, "DROP TABLE old")
    gone = verify(database, path)

    assert there.ok
    assert any("not compared: table public.old" in note for note in there.notes)
    assert statuses(gone) == {"table t": "ok", "table old": "missing"}


def test_what_cannot_be_replayed_is_expected_as_it_is(database: str, folder: Write) -> None:
    """The report says so, and `--strict` refuses."""
    execute(database, "CREATE TABLE theirs (id integer)")
    files = {"1_a.up.sql": "CREATE VIEW v AS SELECT id FROM theirs;"}
    up(database, folder(files))
    described_by_13(database)
    path = folder({**files, "2_b.up.sql": "CREATE TABLE t ();"})

    with pytest.raises(
        DifferenceFound, match="PostgreSQL 13 has described cannot be compared"
    ) as no:
        up(database, path, strict=True)
    report = up(database, path)

    assert no.value.detail == ("view public.v",)
    assert "not compared, and expected as it is now: view public.v" in report.notes[-1]
    assert statuses(report) == {"view v": "unchanged", "table t": "created"}
    assert verify(database, path).ok


def test_nothing_has_drifted_after_a_dump_and_a_restore(
    applied: str, server_version: int, folder: Write, tmp_path: Path
) -> None:
    """From the tested version to the newest one, with the clients of that."""
    if server_version == major_version():
        pytest.skip("this is the newest version")
    execute(applied, "CREATE SCHEMA other")
    other = Scope(schema="other")
    up(applied, folder(FILES), scope=other)
    newest = embedded.start(tmp_path / "newest", say=lambda _: None)
    execute(newest, "CREATE DATABASE upgraded")
    upgraded = make_conninfo(newest, dbname="upgraded")
    dumped = client("pg_dump", "--no-owner", "-d", applied)
    client("psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", upgraded, text=dumped)
    later = {f"{n}_b.up.sql": text for n, text in enumerate(LATER[:5], 2)}
    path = folder({**FILES, **later})

    for scope, files in ((Scope(), SHIPPED), (other, folder(FILES))):
        report = verify(upgraded, files, scope=scope)
        assert [v for v in report.relations if v.status != "ok"] == []
        assert report.source == "replay"
        assert set(statuses(up(upgraded, files, scope=scope, strict=True)).values()) == {
            "unchanged"
        }
    up(upgraded, path, scope=other, strict=True, per_migration=True)

    report = verify(upgraded, path, scope=other)
    assert (report.source, report.problems) == ("history", ())


# PostgreSQL prints what it has read of such a text in another way.
IN_LISTS = """
CREATE TABLE t (
    x varchar(10) NOT NULL, y varchar, CHECK (x IN ('a', 'b''s', '')), CHECK (y NOT IN ('c', 'd'))
);
CREATE INDEX t_x ON t (y) WHERE x IN ('a, b', '(c)');
CREATE VIEW v AS SELECT x, y IN ('a', 'b') AS known FROM t WHERE x IN ('a', 'b') OR y NOT IN ('c');
CREATE MATERIALIZED VIEW m AS SELECT x FROM t WHERE x IN ('a', 'b');
CREATE POLICY p ON t USING (x IN ('a', 'b'));
CREATE DOMAIN d AS varchar CHECK (VALUE IN ('a', 'b'));
CREATE FUNCTION f(x varchar) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT x IN ('a', 'b'); END;
"""


def test_a_dump_and_a_restore_are_no_drift(
    database: str, create_database: Callable[..., str], folder: Write
) -> None:
    """Nor is a later change of one part of what was restored."""
    files = {"1_a.up.sql": IN_LISTS}
    up(database, folder(files))
    restored = create_database()
    # An older server does not know each setting that a newer pg_dump writes.
    client("psql", "-qX", "-d", restored, text=client("pg_dump", "-d", database))
    path = folder(
        {**files, "2_b.up.sql": "COMMENT ON TABLE t IS 'x'; ALTER TABLE t ADD COLUMN z int;"}
    )

    for replays in (False, True):
        report = verify(restored, folder(files), replay_files=replays)
        assert [v for v in report.relations if v.status != "ok"] == []
    up(restored, path, strict=True)
    assert verify(restored, path).ok


def client(program: str, *arguments: str, text: str = "") -> str:
    """Run one of the newest version's clients."""
    return subprocess.run(
        [bin_folder() / program, *arguments],
        input=text,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
