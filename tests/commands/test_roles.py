"""A rollback does not drop roles that the migration has not created."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import lfmigrate
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import read
from tests.helpers.commands import up
from tests.helpers.databases import execute, value

Write = Callable[[Mapping[str, str | bytes]], Path]

IF_MISSING = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
            CREATE ROLE {name};
        END IF;
    END $$
"""


@pytest.fixture
def name(server_url: str) -> Iterator[str]:
    """Return the name of a role that does not exist, and drop it afterwards."""
    chosen = f"lf_role_{uuid4().hex[:12]}"
    yield chosen
    execute(server_url, f"DROP ROLE IF EXISTS {chosen}")


def rollback(url: str, files: Path, parent: Path, **options: Any) -> lfmigrate.RollbackReport:
    """Roll back a folder."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=parent, **options)


def exists(url: str, name: str) -> bool:
    """Return whether a role exists."""
    return bool(value(url, f"SELECT count(*) FROM pg_roles WHERE rolname = '{name}'"))


@pytest.mark.parametrize("text", ["CREATE ROLE {name} LOGIN", IF_MISSING])
def test_a_role_that_the_migration_has_created_is_dropped(
    text: str, name: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """It is listed."""
    files = folder(
        {
            "001_a.up.sql": text.format(name=name),
            "001_a.down.sql": f"DROP ROLE {name}",
        }
    )
    up(database, files)
    report = rollback(database, files, tmp_path)

    assert [(one.kind, one.name) for one in report.lost] == [("role", name)]
    assert not exists(database, name)


def test_a_role_that_existed_before_is_not_dropped_without_cascade(
    name: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """The manifest keeps its definition then."""
    execute(database, f"CREATE ROLE {name} LOGIN CREATEDB", f"GRANT pg_monitor TO {name}")
    files = folder(
        {
            "001_a.up.sql": IF_MISSING.format(name=name),
            "001_a.down.sql": f"DROP ROLE {name}",
        }
    )
    up(database, files)

    with pytest.raises(Refused, match="existed before the migration") as caught:
        rollback(database, files, tmp_path)
    assert caught.value.exit_code == 5
    assert caught.value.facts[0] == f"role {name}"
    assert exists(database, name)

    report = rollback(database, files, tmp_path, cascade=True)
    assert not exists(database, name)
    assert report.backup is not None
    (dropped,) = read(report.backup).about.dropped
    assert dropped.definition is not None
    execute(database, *dropped.definition.split("; "))
    assert value(
        database,
        "SELECT rolcanlogin AND rolcreatedb AND pg_has_role(oid, 'pg_monitor', 'MEMBER')"
        f" FROM pg_roles WHERE rolname = '{name}'",
    )


def test_a_role_of_an_earlier_migration_is_not_that_of_a_later_one(
    name: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """Even if one run has applied both."""
    files = folder(
        {
            "001_a.up.sql": f"CREATE ROLE {name}",
            "001_a.down.sql": f"DROP ROLE IF EXISTS {name}",
            "002_b.up.sql": "SELECT 1",
            "002_b.down.sql": f"DROP ROLE {name}",
        }
    )
    up(database, files)

    with pytest.raises(Refused, match="existed before the migration"):
        rollback(database, files, tmp_path)
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.rollback(conn, lfmigrate.read_folder(files), to="0", backup_dir=tmp_path)
    assert not exists(database, name)


def test_check_does_not_drop_the_roles_of_other_databases(
    name: str, database: str, folder: Write
) -> None:
    """On a server that has one of the name."""
    execute(database, f"CREATE ROLE {name}")
    files = folder(
        {
            "001_a.up.sql": IF_MISSING.format(name=name),
            "001_a.down.sql": f"DROP ROLE {name}",
        }
    )
    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.check(conn, lfmigrate.read_folder(files))

    assert not report.ok
    assert any(f"role {name}" in line for proof in report.proofs for line in proof.problems)
    assert exists(database, name)
    execute(database, f"DROP ROLE {name}")
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.check(conn, lfmigrate.read_folder(files)).ok
