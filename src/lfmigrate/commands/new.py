"""`new`: create the files of the next migration, in the format of the folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from lfmigrate.errors import UsageError
from lfmigrate.redaction import has_password
from lfmigrate.source.folder import read_folder
from lfmigrate.source.formats.detect import named
from lfmigrate.source.migration import OWN, PAIRS

# YYYYMMDDhhmmss, as golang-migrate, sqlx and dbmate write it.
_TIMESTAMP_DIGITS = 14

_NUMBERED = re.compile(r"[VUR]?[0-9]+.*\.sql$", re.IGNORECASE)
_SUBFOLDER = re.compile(r"[0-9].*|meta|committed")

# Those whose versions are times from the first one on.
_TIMED = frozenset({"dbmate", "diesel", "hasura", "mybatis", "pop", "prisma", "supabase"})

# Where installers put packages, which the next installation overwrites.
_INSTALLED = frozenset({"site-packages", "dist-packages"})

# What a version is in a file's or a folder's name.
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]+(?:-[0-9]+)?|[0-9]+(?:\.[0-9]+)*")

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
    """The files that were created; ``down`` is None where one file has both."""

    up: Path
    down: Path | None


def new(
    folder: Path,
    name: str,
    *,
    format: str | None = None,  # noqa: A002 (the option's name)
    variables: Mapping[str, str] = MappingProxyType({}),
) -> NewReport:
    """Create the files of the next migration, with headers to fill in.

    Args:
        folder: The SQL folder; it is created if its parent exists.
        name: What the migration does; it becomes lower snake case in the file names.
        format: Whose folder it is, such as ``goose``; None to find out from what is in it.
        variables: The values of placeholders in its files, by name.

    Returns:
        The paths of the files.

    Raises:
        UsageError: The name has no letter or digit or is a URL, the folder is not writable or part
            of an installed package, or it is that of a tool whose migrations only that tool can
            create.
        SqlFileError: The folder has files that cannot be run.
    """
    slug = re.sub(r"\W+", "_", name.lower()).strip("_")
    is_url = "://" in name or has_password(name)  # which must not become a file's name
    if not slug or is_url:
        raise UsageError(
            "a database URL is no migration name" if is_url else f'invalid migration name "{name}"',
            hint='Say what it does, as in "lfmigrate new add_risk_scores".',
        )
    if _INSTALLED & set(folder.resolve().parts):
        raise UsageError(
            f"{folder} is part of an installed package",
            hint="Name a folder of your project with --sql-dir.",
        )
    version, texts = _next(folder, format, variables)
    title = slug.replace("_", " ")
    up = f"{version}_{slug}.up.sql"
    paths = []
    try:
        folder.mkdir(exist_ok=True)
        for file, text in texts.items():
            path = folder / file.format(version=version, name=slug)
            if path.parent != folder:
                path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as opened:
                opened.write(text.format(version=version, title=title, up=up))
            paths.append(path)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}",
            hint="Name a writable folder with --sql-dir.",
        ) from None
    return NewReport(paths[0], paths[1] if len(paths) > 1 else None)


def _next(
    folder: Path, wanted: str | None, variables: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Return the next version, and the texts of its files by name."""
    versions: list[str] = []
    name = wanted or OWN
    # A folder of other SQL files has no migrations, and `read_folder` would refuse it.
    if folder.is_dir() and any(map(_may_be_one, folder.iterdir())):
        found = read_folder(folder, format=wanted, variables=variables)
        matches = [_VERSION.match(migration.version) for migration in found.migrations]
        versions = [match.group() for match in matches if match]
        name = found.format
    own = {"{version}_{name}.up.sql": _UP, "{version}_{name}.down.sql": _DOWN}
    texts = own if name in PAIRS else named(name).files
    if not texts:
        raise UsageError(
            f"a new migration of {name} has to be created by it",
            hint=f"It keeps a list of its migrations. {OWN} runs what it creates.",
        )
    if name in _TIMED and (not versions or len(versions[-1]) < _TIMESTAMP_DIGITS):
        return _now()[0], texts
    return _after(versions[-1]) if versions else "001", texts


def _may_be_one(path: Path) -> bool:
    is_folder = path.is_dir()
    return bool(_SUBFOLDER.fullmatch(path.name) if is_folder else _NUMBERED.match(path.name))


def _after(newest: str) -> str:
    """Return the version after the newest one, written in the same way."""
    if "-" in newest:
        now = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S") + newest[len("2024-05-01-120000") :]
        return max(now, f"{newest}-1")
    if "." in newest:
        begin, _, last = newest.rpartition(".")
        return f"{begin}.{int(last) + 1}"
    seconds, milliseconds = _now()
    time = {len(seconds): seconds, len(milliseconds): milliseconds}.get(len(newest), "")
    following = str(int(newest) + 1).zfill(len(newest))
    # A clock that is behind must not create a migration that is out of order from the start.
    return max(time, following) if time else following


def _now() -> tuple[str, str]:
    """Return the time as YYYYMMDDhhmmss in UTC, and in milliseconds."""
    now = datetime.now(UTC)
    return now.strftime("%Y%m%d%H%M%S"), str(int(now.timestamp() * 1000))
