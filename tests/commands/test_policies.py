"""Row-level security: rows that a policy hides are never taken for rows that are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.rows.archive import read
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]

FORCED = {
    "001_note.up.sql": """
        CREATE TABLE note (id int PRIMARY KEY, tenant text NOT NULL);
        ALTER TABLE note ENABLE ROW LEVEL SECURITY;
        ALTER TABLE note FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON note USING (tenant = current_setting('app.tenant', true));
    """,
    "seed/note.csv": "id,tenant\n1,c\n",
    "seed/checks/01_tenants.sql": "-- No tenant b\nSELECT id FROM note WHERE tenant = 'b'",
    "seed/load.sql": """
        CREATE TEMPORARY TABLE seed_note (id int, tenant text) ON COMMIT DROP;
        INSERT INTO note SELECT s.* FROM seed_note AS s
        WHERE NOT EXISTS (SELECT FROM note AS n WHERE n.id = s.id);
    """,
}


@pytest.fixture
def owner(role: str, database: str) -> str:
    """Return the URL of the test's database for a role that may create tables there."""
    execute(
        database,
        f"GRANT CREATE ON DATABASE {psycopg.conninfo.conninfo_to_dict(database)['dbname']}"
        f" TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    )
    return make_conninfo(database, user=role)


@pytest.fixture
def forced(owner: str, database: str, folder: Write) -> Path:
    """Return a folder whose table hides its two rows even from its owner."""
    files = folder(FORCED)
    up(owner, files)
    execute(database, "INSERT INTO note VALUES (1, 'a'), (2, 'b')")
    assert value(owner, "SELECT count(*) FROM note") == 0
    return files


def test_a_backup_names_the_policy_and_the_way_out(
    role: str, database: str, owner: str, forced: Path, tmp_path: Path
) -> None:
    """A read-only transaction cannot lift FORCE; the owner may, and a superuser need not."""
    files = lfmigrate.read_folder(forced)
    with closing(lfmigrate.connect(owner)) as conn, pytest.raises(Refused) as caught:
        lfmigrate.backup(conn, files, out=tmp_path / "out")
    assert caught.value.exit_code == 5
    assert caught.value.message == f"row-level security hides rows of 1 table from role {role}"
    assert caught.value.facts == ("table public.note: policy own", "Nothing was changed.")
    assert "ALTER TABLE public.note NO FORCE ROW LEVEL SECURITY;" in (caught.value.hint or "")
    assert not (tmp_path / "out").exists()

    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.backup(conn, files, out=tmp_path / "out").tables[0].rows == 2
    execute(owner, "ALTER TABLE public.note NO FORCE ROW LEVEL SECURITY;")
    with closing(lfmigrate.connect(owner)) as conn:
        assert lfmigrate.backup(conn, files, out=tmp_path / "more").tables[0].rows == 2


def test_a_role_that_does_not_own_the_tables_is_refused(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Every policy is named, and a table without any shows no row at all."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int); CREATE TABLE b (n int)"})
    up(database, files)
    execute(
        database,
        f"GRANT USAGE ON SCHEMA lfmigrate TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA lfmigrate, public TO {role}",
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE b ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY b ON a USING (true)",
        'CREATE POLICY "A" ON a USING (true)',
    )
    with (
        closing(lfmigrate.connect(make_conninfo(database, user=role))) as conn,
        pytest.raises(Refused) as caught,
    ):
        lfmigrate.backup(conn, lfmigrate.read_folder(files), out=tmp_path / "out")
    assert caught.value.detail == (
        'table public.a: policies "A", b',
        "table public.b: row-level security without a policy",
    )
    assert "or as the tables' owner" in (caught.value.hint or "")


def test_a_partition_is_read_through_its_table(
    owner: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Only the policies of what is named in a query apply."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (n int) PARTITION BY LIST (n);
                CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1);
                ALTER TABLE a1 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            """
        }
    )
    up(owner, files)
    execute(database, "INSERT INTO a VALUES (1), (1)")
    with closing(lfmigrate.connect(owner)) as conn:
        saved = lfmigrate.backup(conn, lfmigrate.read_folder(files), out=tmp_path / "out")
    assert [(t.name, t.rows) for t in saved.tables] == [("a", 2)]


def test_what_is_emptied_is_counted_and_saved_as_a_whole(
    owner: str, database: str, forced: Path, tmp_path: Path
) -> None:
    """FORCE is lifted for the count and the copy, under the lock, and is back afterwards."""
    from lfmigrate.commands.seed import preview_replace  # noqa: PLC0415 (not public)

    execute(database, f"ALTER ROLE {role_of(owner)} SET app.tenant = 'c'")
    files = lfmigrate.read_folder(forced)
    with closing(lfmigrate.connect(owner)) as conn:
        assert [t.rows for t in preview_replace(conn, files).lost] == [2]
        with pytest.raises(Refused, match="row-level security hides rows of 1 table") as caught:
            lfmigrate.seed(conn, files, replace=True, backup_dir=tmp_path / "b")
    # What load.sql looks for, a policy would hide from it.
    assert caught.value.backup is not None
    assert [t.rows for t in read(caught.value.backup).tables] == [2]
    assert fetch(database, "SELECT id FROM note ORDER BY id") == [1, 2]
    assert value(database, "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'note'")


def role_of(url: str) -> str:
    """Return the role that a URL names."""
    return str(psycopg.conninfo.conninfo_to_dict(url)["user"])


def test_a_seed_does_not_take_hidden_rows_for_missing_ones(
    owner: str, database: str, forced: Path
) -> None:
    """Neither does it insert what a policy then hides."""
    files = lfmigrate.read_folder(forced)
    with (
        closing(lfmigrate.connect(owner)) as conn,
        pytest.raises(Refused, match="row-level security hides rows of 1 table") as caught,
    ):
        lfmigrate.seed(conn, files)
    assert caught.value.detail == ("table public.note: policy own",)
    assert value(database, "SELECT count(*) FROM note") == 2

    with (
        closing(lfmigrate.connect(owner)) as conn,
        pytest.raises(StatementFailed, match="row-level security") as failed,
    ):
        lfmigrate.check_seed(conn, files)
    assert failed.value.file == "seed/checks/01_tenants.sql"


def test_a_refusal_has_no_sqlstate_that_is_not_the_servers(
    owner: str, forced: Path, tmp_path: Path
) -> None:
    """One of lfmigrate's own would lead nowhere."""
    with closing(lfmigrate.connect(owner)) as conn, pytest.raises(Refused) as refused:
        lfmigrate.backup(conn, lfmigrate.read_folder(forced), out=tmp_path / "out")
    assert refused.value.sqlstate is None


def test_a_restore_lifts_force_and_sets_it_again(
    owner: str, database: str, forced: Path, tmp_path: Path
) -> None:
    """COPY does not work under a policy; who owns the table need not be under it."""
    files = lfmigrate.read_folder(forced)
    with closing(lfmigrate.connect(database)) as conn:
        path = lfmigrate.backup(conn, files, out=tmp_path / "out").path
    with closing(lfmigrate.connect(owner)) as conn:
        with pytest.raises(Refused, match="1 table is not empty") as caught:
            lfmigrate.restore(conn, files, path)
        assert caught.value.detail == ("table public.note, rows: 2",)
        lfmigrate.restore(conn, files, path, replace=True, backup_dir=tmp_path)
    assert fetch(database, "SELECT id FROM note ORDER BY id") == [1, 2]
    assert value(database, "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'note'")
    assert value(owner, "SELECT count(*) FROM note") == 0
