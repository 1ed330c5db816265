"""`new`: create the next pair of migration files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lfmigrate.errors import UsageError
from lfmigrate.redaction import has_password
from lfmigrate.source.folder import read_folder

# YYYYMMDDhhmmss, as golang-migrate, sqlx and dbmate write it.
_TIMESTAMP_DIGITS = 14

_NUMBERED = re.compile(r"[0-9]+_.*\.sql$", re.IGNORECASE)

_UP = """\
-- {version}: {title}
--
-- What:  (what it creates or changes)
-- Why:   (who needs it, and what for)
-- Down:  (what is lost when it is rolled back)

"""

_DOWN = """\
-- {version} down: reverts {up}, in reverse order; IF EXISTS, never CASCADE
--
-- Loses: (which rows are lost for good)

"""


@dataclass(frozen=True, slots=True)
class NewReport:
    """The two files that were created."""

    up: Path
    down: Path


def new(folder: Path, name: str) -> NewReport:
    """Create the files of the next migration, with headers to fill in.

    Args:
        folder: The SQL folder; it is created if its parent exists.
        name: What the migration does; it becomes lower snake case in the file names.

    Returns:
        The paths of the files.

    Raises:
        UsageError: The name has no letter or digit or is a URL, or the folder is not writable.
        SqlFileError: The folder has files that cannot be run.
    """
    slug = re.sub(r"\W+", "_", name.lower()).strip("_")
    is_url = "://" in name or has_password(name)  # which must not become a file's name
    if not slug or is_url:
        raise UsageError(
            "a database URL is no migration name" if is_url else f'invalid migration name "{name}"',
            hint='Say what it does, as in "lfmigrate new add_risk_scores".',
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
            hint="Name a writable folder with --sql-dir.",
        ) from None
    return NewReport(up, down)


def _next_version(folder: Path) -> str:
    # A folder of other SQL files has no migrations, and `read_folder` would refuse it.
    if not folder.is_dir() or not any(_NUMBERED.match(p.name) for p in folder.iterdir()):
        return "001"
    versions = [m.version for m in read_folder(folder).migrations]
    if not versions:
        return "001"
    newest = max(versions, key=int)
    if len(newest) == _TIMESTAMP_DIGITS:
        now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        # A clock that is behind must not create a migration that is out of order from the start.
        return max(now, str(int(newest) + 1))
    return str(int(newest) + 1).zfill(len(newest))
