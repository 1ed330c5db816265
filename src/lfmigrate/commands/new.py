"""`new`: create the next pair of migration files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lfmigrate.errors import UsageError
from lfmigrate.source.folder import read_folder

# YYYYMMDDhhmmss, which golang-migrate, sqlx and dbmate write.
_TIMESTAMP_DIGITS = 14

_NUMBERED = re.compile(r"[0-9]+_.*\.sql$", re.IGNORECASE)

_UP = """\
-- {version}: {title}
--
-- What:  (what it makes or changes)
-- Why:   (who needs it, and what for)
-- Down:  (what is lost when it is undone)

"""

_DOWN = """\
-- {version} down: undoes {up}, in the reverse order; IF EXISTS, never CASCADE
--
-- Loses: (which rows are gone for good)

"""


@dataclass(frozen=True, slots=True)
class NewReport:
    """The two files that were made."""

    up: Path
    down: Path


def new(folder: Path, name: str) -> NewReport:
    """Make the files of the next migration, with headers to fill in.

    Args:
        folder: Where; it is made if only itself is missing.
        name: What the migration is about; becomes lower snake case in the files' names.

    Returns:
        The paths of the files.

    Raises:
        UsageError: The name has no letter or digit, or the folder cannot be written to.
        SqlFileError: The folder holds files that cannot be run as they are.
    """
    slug = re.sub(r"\W+", "_", name.lower()).strip("_")
    if not slug:
        raise UsageError(
            f'"{name}" is no name for a migration',
            hint='Say what it is about, as in "lfmigrate new add_risk_scores".',
        )
    version = _next_version(folder)
    up = folder / f"{version}_{slug}.up.sql"
    down = folder / f"{version}_{slug}.down.sql"
    title = slug.replace("_", " ")
    try:
        folder.mkdir(exist_ok=True)
        with up.open("x", encoding="utf-8") as file:
            file.write(_UP.format(version=version, title=title))
        with down.open("x", encoding="utf-8") as file:
            file.write(_DOWN.format(version=version, up=up.name))
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            hint="Name a folder that can be written to with --sql-dir.",
        ) from None
    return NewReport(up, down)


def _next_version(folder: Path) -> str:
    # A folder of other people's SQL is none of migrations, and `read_folder` would refuse it.
    if not folder.is_dir() or not any(_NUMBERED.match(p.name) for p in folder.iterdir()):
        return "001"
    versions = [m.version for m in read_folder(folder).migrations]
    if not versions:
        return "001"
    newest = max(versions, key=int)
    if len(newest) == _TIMESTAMP_DIGITS:
        now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        # A clock that is behind must not make a migration that is out of order from birth.
        return max(now, str(int(newest) + 1))
    return str(int(newest) + 1).zfill(len(newest))
