"""Which folder of a project contains its migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from lfmigrate.errors import SqlFileError
from lfmigrate.source.candidates import CANDIDATES, find_folder

PROJECTS = {
    "sql": {"sql/001_a.up.sql": "SELECT 1;"},
    "migrations": {"migrations/20240501120000_a.sql": "-- migrate:up\nSELECT 1;\n"},
    "db/migrations": {"db/migrations/001_a.sql": "SELECT 1;", "sql/report.sql": "SELECT 1;"},
    "prisma/migrations": {
        "prisma/migrations/migration_lock.toml": 'provider = "postgresql"',
        "prisma/migrations/20240501120000_a/migration.sql": "SELECT 1;",
    },
    "db/migrate": {"db/migrate/20240501120000_a.sql": "SELECT 1;"},
    "src/main/resources/db/migration": {"src/main/resources/db/migration/V1__a.sql": "SELECT 1;"},
    "alembic": {"alembic/env.py": "", "alembic/versions/a.py": ""},
    "supabase/migrations": {"supabase/migrations/20240501120000_a.sql": "SELECT 1;"},
    "drizzle": {
        "drizzle/0000_a.sql": "SELECT 1;",
        "drizzle/meta/_journal.json": '{"entries": []}',
    },
}

# Nothing can be run there, and nothing else should be.
PROGRAMS = {
    "Django": {"migrations/0001_initial.py": "", "migrations/__init__.py": ""},
    "Alembic": {"migrations/env.py": "", "migrations/versions/a.py": ""},
    "goose in Go": {"migrations/00001_a.go": ""},
    "sqitch": {"sql/sqitch.plan": "", "sql/deploy/a.sql": ""},
}

NONE = {
    "nothing": {"src/main.py": ""},
    "queries": {"sql/report.sql": "SELECT 1;", "sql/users.sql": "SELECT 1;"},
    "a file": {"migrations": ""},
}


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", PROJECTS)
def test_the_folder_with_migrations_is_found(tmp_path: Path, name: str) -> None:
    """Every candidate, in a format that lives there."""
    assert find_folder(project(tmp_path, PROJECTS[name])) == tmp_path / name


def test_every_candidate_is_tested() -> None:
    """A new one needs a project above."""
    assert set(CANDIDATES) == set(PROJECTS)


@pytest.mark.parametrize("tool", PROGRAMS)
def test_migrations_that_cannot_be_read_are_found_as_well(tmp_path: Path, tool: str) -> None:
    """Then the shipped tables are not created in such a project's database."""
    assert find_folder(project(tmp_path, PROGRAMS[tool])) is not None


@pytest.mark.parametrize("kind", NONE)
def test_what_is_no_folder_of_migrations_is_not(tmp_path: Path, kind: str) -> None:
    """Queries have no numbers."""
    assert find_folder(project(tmp_path, NONE[kind])) is None


def test_two_folders_are_refused(tmp_path: Path) -> None:
    """Whichever was taken, it could be the wrong one."""
    both = project(tmp_path, PROJECTS["sql"] | PROJECTS["migrations"])

    with pytest.raises(SqlFileError) as refused:
        find_folder(both)

    assert refused.value.message == "2 folders here contain migrations: sql, migrations"
    assert "--sql-dir sql" in str(refused.value.hint)


def test_a_link_to_another_candidate_is_no_second_folder(tmp_path: Path) -> None:
    """It is the same one."""
    project(tmp_path, PROJECTS["db/migrations"])
    (tmp_path / "migrations").symlink_to("db/migrations")

    assert find_folder(tmp_path) == tmp_path / "migrations"


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "sql"])
def test_a_folder_without_migrations_yet_is_the_projects(tmp_path: Path, name: str) -> None:
    """Nothing else is to be run there."""
    assert find_folder(project(tmp_path, {f"{name}/README.md": ""})) == tmp_path / name


def test_a_folder_with_migrations_takes_precedence(tmp_path: Path) -> None:
    """Over one that has none yet."""
    files = {"migrations/README.md": "", "sql/001_a.sql": "SELECT 1;"}

    assert find_folder(project(tmp_path, files)) == tmp_path / "sql"
