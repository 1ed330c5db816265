"""Finds the folder of migrations in a project, where none is configured."""

from __future__ import annotations

import re
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.source.formats.detect import format_of
from lfmigrate.source.migration import OWN
from lfmigrate.source.reader import Reader, is_folder

# Only with migrations in it; SQL of any kind is kept in a folder of that name.
_SQL = "sql"

CANDIDATES = (
    _SQL,
    "migrations",
    "db/migrations",
    "db/migrate",
    "prisma/migrations",
    "supabase/migrations",
    "drizzle",
    "src/main/resources/db/migration",
    "alembic",
)

# A migration by its name, in lfmigrate's naming and those that resemble it.
_NUMBERED = re.compile(r"[VUR]?[0-9]+(?:[_.-].*)?\.sql", re.IGNORECASE | re.DOTALL)


def find_folder(project: Path) -> Path | None:
    """Return the folder in a project that contains migrations; None if there is none.

    A folder of migrations that lfmigrate cannot read is found, too, and one that has none yet: the
    project has migrations of its own, and to run others there would be wrong.

    Args:
        project: The folder to look in, such as the working directory.

    Raises:
        SqlFileError: There are several.
    """
    folders = [(name, project / name) for name in CANDIDATES if is_folder(project / name)]
    found: list[tuple[str, Path]] = []
    for name, path in folders:
        is_other = not any(_is_same(path, other) for _, other in found)
        if is_other and contains_migrations(path):
            found.append((name, path))
    if len(found) > 1:
        names = [name for name, _ in found]
        raise SqlFileError(
            f"{len(found)} folders here contain migrations: {', '.join(names)}",
            hint=f"Say which one to use, such as --sql-dir {names[0]}; to keep it, set sql_dir in"
            " lfmigrate.toml.",
        )
    empty = [each for each in folders if each[0] != _SQL and not Reader(each[1]).sql]
    return next((path for _, path in found or empty), None)


def contains_migrations(folder: Path) -> bool:
    """Return whether a folder has migrations, by the names and markers in it."""
    reader = Reader(folder)
    try:
        # The names first: to find out the format, files are read.
        return (
            any(_NUMBERED.fullmatch(name) for name in reader.sql)
            or format_of(reader, None).name != OWN
            or bool(reader.problems)  # such as a migration in Go or Python
        )
    except SqlFileError:
        return True  # of two formats, or of a tool that is not read


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
