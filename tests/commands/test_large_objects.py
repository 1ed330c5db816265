"""Large objects that a command deletes or changes are shown, saved and restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.errors import ArchiveError, Refused
from lfmigrate.rows.archive import read
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value
from tests.helpers.faults import wait_until
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]

# Two that a file works on, of more than one piece, and one that it leaves alone. A number that is
# chosen may be as low as those of the server's own objects.
CREATE = (
    "SELECT lo_from_bytea(70001, 'precious' || repeat('x', 1500000)::bytea)",
    "SELECT lo_from_bytea(70002, 'other'), lo_from_bytea(4711, '')",
    "COMMENT ON LARGE OBJECT 70001 IS 'it''s'",
    "GRANT SELECT ON LARGE OBJECT 70001 TO PUBLIC",
)
ALL = """
    SELECT concat_ws(' ', o.oid, md5(lo_get(o.oid)), o.lomowner, o.lomacl,
        obj_description(o.oid, 'pg_largeobject'))
    FROM pg_largeobject_metadata AS o ORDER BY o.oid
"""

WAYS = [
    ("SELECT lo_unlink(70001)", {"70001": "large object"}),
    ("SELECT lo_put(70001, 0, 'P')", {"70001": "changed large object"}),
    ("SELECT lowrite(lo_open(70002, 131072), 'P')", {"70002": "changed large object"}),
    ("SELECT lo_truncate(lo_open(70001, 131072), 3)", {"70001": "changed large object"}),
    (
        "SELECT lo_unlink(4711), lo_put(70002, 9, 'x')",
        {"4711": "large object", "70002": "changed large object"},
    ),
    (
        "DO $$ BEGIN PERFORM lo_unlink(70001); PERFORM lo_create(70001); END $$",
        {"70001": "changed large object"},
    ),
]
HARMLESS = [
    "SELECT lo_get(70001)",
    "SELECT lo_put(70002, 0, 'o')",
    "SELECT lo_from_bytea(0, 'new')",
    "ALTER LARGE OBJECT 70001 OWNER TO CURRENT_USER",
    """
    DO $$ BEGIN
        PERFORM lo_unlink(70001);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END $$
    """,
]


def rollback(url: str, files: Path, parent: Path | None, **options: Any) -> RollbackReport:
    """Roll back a folder."""
    with closing(lfmigrate.connect(url)) as conn:
        folder = lfmigrate.read_folder(files)
        return lfmigrate.rollback(conn, folder, backup_dir=parent, **options)


def restore(url: str, files: Path, path: Path, **options: Any) -> lfmigrate.RestoreReport:
    """Restore a backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.restore(conn, lfmigrate.read_folder(files), path, **options)


def downwards(folder: Write, down: str) -> Path:
    """Return a folder with a down file."""
    return folder({"001_a.up.sql": "SELECT 1", "001_a.down.sql": down})


@pytest.mark.parametrize(("down", "lost"), WAYS)
def test_a_rollback_saves_what_it_deletes_or_changes(
    down: str, lost: Mapping[str, str], database: str, folder: Write, tmp_path: Path
) -> None:
    """It comes back under its number, with owner, comment and privileges."""
    files = downwards(folder, down)
    up(database, files)
    execute(database, *CREATE)
    before = fetch(database, ALL)

    preview = rollback(database, files, tmp_path, dry_run=True)
    assert fetch(database, ALL) == before
    report = rollback(database, files, tmp_path)

    assert preview.lost == report.lost
    assert {one.name: one.kind for one in report.lost} == lost
    assert report.backup is not None
    assert fetch(database, ALL) != before
    if "changed large object" in lost.values():
        with pytest.raises(Refused, match="another content"):
            restore(database, files, report.backup)
        saved = restore(database, files, report.backup, replace=True).saved
        assert saved is not None
        assert len(read(saved).large_objects) == list(lost.values()).count("changed large object")
    else:
        restore(database, files, report.backup)
    after = fetch(database, ALL)
    # One that was created again has not the properties that its predecessor had.
    assert [line.split()[:2] for line in after] == [line.split()[:2] for line in before]
    if "lo_create" not in down:
        assert after == before
    restore(database, files, report.backup)
    assert fetch(database, ALL) == after


@pytest.mark.parametrize("text", HARMLESS)
def test_reading_creating_and_equal_content_are_no_loss(
    text: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """All of them lock what deleting or writing would lock."""
    files = folder({"001_a.up.sql": text, "001_a.down.sql": text})
    execute(database, *CREATE)

    assert up(database, files).lost == ()
    report = rollback(database, files, tmp_path)

    assert report.lost == ()
    assert report.backup is None


@pytest.mark.parametrize(("text", "lost"), WAYS)
def test_up_does_not_lose_them_unasked(
    text: str, lost: Mapping[str, str], database: str, folder: Write, tmp_path: Path
) -> None:
    """It is refused, or saves them first."""
    execute(database, *CREATE)
    files = folder({"001_a.up.sql": text})
    before = fetch(database, ALL)

    with pytest.raises(Refused, match="of existing rows") as caught:
        up(database, files)
    assert caught.value.exit_code == 5
    assert fetch(database, ALL) == before
    report = up(database, files, backup_dir=tmp_path)

    assert {one.name: one.kind for one in report.lost} == lost
    (path,) = report.backups
    assert {str(number) for number in read(path).numbers} == set(lost)
    assert up(database, folder({"001_a.up.sql": text}), accept_data_loss=True).lost == ()


def test_a_backup_is_loaded_next_to_the_current_data_with_its_large_objects(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """As far as their numbers are free."""
    execute(database, *CREATE)
    files = folder({"001_a.up.sql": "SELECT lo_unlink(70001), lo_put(70002, 0, 'P')"})
    before = value(database, "SELECT md5(lo_get(70001))")
    report = up(database, files, backup_dir=tmp_path)

    restored = restore(database, files, report.backups[0], into="old")

    assert restored.large_objects == 1
    assert value(database, "SELECT md5(lo_get(70001))") == before
    assert value(database, "SELECT lo_get(70002)") == b"Pther"
    assert restored.notes == (
        "large object 70002 has another content than the backup, and is left as it is",
    )


def test_up_may_delete_what_it_has_created_itself(database: str, folder: Write) -> None:
    """In one transaction or in several."""
    files = folder(
        {
            "001_a.up.sql": "SELECT lo_from_bytea(70001, 'x')",
            "002_b.up.sql": "SELECT lo_put(70001, 0, 'y')",
            "003_c.up.sql": "SELECT lo_unlink(70001)",
        }
    )
    assert up(database, files, per_migration=True).lost == ()


def test_what_the_role_may_not_read_is_not_deleted_unsaved(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Its owner may have revoked that from itself; without a backup it is listed, and goes."""
    name = conninfo_to_dict(database)["dbname"]
    execute(
        database,
        f"GRANT CREATE ON DATABASE {name} TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
        *CREATE,
        f"ALTER LARGE OBJECT 70002 OWNER TO {role}",
        f"REVOKE ALL ON LARGE OBJECT 70002 FROM {role}",
    )
    owner = make_conninfo(database, user=role)
    files = downwards(folder, "SELECT lo_unlink(70002)")
    up(owner, files)

    with pytest.raises(Refused, match="may not read") as caught:
        rollback(owner, files, tmp_path)
    assert caught.value.facts[0] == "large object 70002"
    assert value(database, "SELECT lo_get(70002) = 'other'")
    assert [one.name for one in rollback(owner, files, None).lost] == ["70002"]


def test_what_another_session_writes_meanwhile_is_not_deleted(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """After the trial, and after it was saved."""
    # The trial takes the lock 1, and the run the lock 2.
    files = downwards(
        folder, "SELECT pg_advisory_xact_lock(nextval('runs')); SELECT lo_unlink(70001)"
    )
    execute(database, "CREATE SEQUENCE runs", *CREATE)
    up(database, files)
    waiting = """
        SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
    """
    with psycopg.connect(database, autocommit=True) as gate, Threads() as threads:
        gate.execute("SELECT pg_advisory_lock(2)")
        running = threads.submit(rollback, database, files, tmp_path)
        wait_until(lambda: value(database, waiting) == 1, "the run has asked for the lock")
        execute(database, "SELECT lo_put(70001, 0, 'newer')")
        gate.execute("SELECT pg_advisory_unlock(2)")
        with pytest.raises(Refused, match="dropped more") as caught:
            running.result(timeout=60)
    assert "large object 70001" in caught.value.facts
    assert value(database, "SELECT left(encode(lo_get(70001), 'escape'), 8)") == "newerous"


def test_a_file_that_was_changed_is_refused(database: str, folder: Write, tmp_path: Path) -> None:
    """The checksum is verified before anything is written."""
    files = downwards(folder, "SELECT lo_unlink(70002)")
    up(database, files)
    execute(database, *CREATE)
    path = rollback(database, files, tmp_path).backup
    assert path is not None
    (path / "large-object-70002.bin").write_bytes(b"OTHER")

    with pytest.raises(ArchiveError, match="changed after it was written"):
        restore(database, files, path)


def test_an_owner_or_role_that_is_gone_is_named(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """The content comes back; a note says what did not."""
    files = downwards(folder, "SELECT lo_unlink(70002)")
    execute(
        database,
        *CREATE,
        f"CREATE ROLE {role}_gone",
        f"ALTER LARGE OBJECT 70002 OWNER TO {role}_gone",
        f"GRANT SELECT ON LARGE OBJECT 70002 TO {role}",
    )
    up(database, files)
    path = rollback(database, files, tmp_path).backup
    assert path is not None
    execute(database, f"DROP ROLE {role}_gone")

    report = restore(database, files, path)

    assert any(f"not restored: owner {role}_gone" in note for note in report.notes)
    assert value(database, "SELECT lo_get(70002) = 'other'")
    assert role in value(
        database, "SELECT lomacl::text FROM pg_largeobject_metadata WHERE oid = 70002"
    )


def test_the_command_line_asks_before_it_overwrites_one(
    database: str, folder: Write, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    """The preview names it."""
    files = downwards(folder, "SELECT lo_put(70002, 0, 'O')")
    up(database, files)
    execute(database, *CREATE)
    options = ("--database-url", database, "--sql-dir", files)
    done = cli("rollback", *options, "--backup-dir", tmp_path / "backups", "--yes")
    assert "changed large object  70002" in done.stdout
    (path,) = (tmp_path / "backups").iterdir()

    asked = cli("restore", path, *options, "--replace")

    assert asked.returncode == 5
    assert "large object 70002 would be overwritten" in asked.stdout + asked.stderr
