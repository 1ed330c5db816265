"""The files that `seed` reads: load.sql, CSV files, checks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lfmigrate.errors import UsageError
from lfmigrate.source.sqlfile import SqlFile, read_file
from lfmigrate.syntax.scanner import Statement

# Below the folder of the migrations.
FOLDER = "seed"
_LOAD = "seed/load.sql"
_CHECKS = "seed/checks"

_STAGING_HEADS = (("CREATE", "TEMPORARY", "TABLE"), ("CREATE", "TEMP", "TABLE"))


@dataclass(frozen=True, slots=True)
class Seed:
    """The files of a seed.

    Attributes:
        load: The file ``seed/load.sql``.
        staging: Its first statements, which create the staging tables.
        merge: The others, which merge the staging tables into the target tables.
        files: The CSV files, sorted by name.
    """

    load: SqlFile
    staging: tuple[Statement, ...]
    merge: tuple[Statement, ...]
    files: tuple[Path, ...]


def read_seed(sql_folder: Path, source: Path | None = None) -> Seed:
    """Find the CSV files of a seed, and read ``load.sql``. Only reads.

    Args:
        sql_folder: The folder of the migrations, with ``seed/load.sql`` in it.
        source: The folder of the CSV files; by default ``seed``.

    Raises:
        UsageError: There are no CSV files, or there is no ``load.sql``.
        SqlFileError: ``load.sql`` is invalid.
    """
    if not (sql_folder / _LOAD).is_file():
        raise UsageError(
            f'there is no {_LOAD} in "{sql_folder}"',
            hint="A seed consists of CSV files and the SQL that merges them; see sql/README.md.",
        )
    load = read_file(sql_folder, _LOAD)
    staging = tuple(
        takewhile(lambda s: any(s.head[: len(h)] == h for h in _STAGING_HEADS), load.statements)
    )
    folder = source if source is not None else sql_folder / FOLDER
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(
            f'the folder "{folder}" cannot be read: {error.strerror}',
            hint="Name a folder of CSV files with --from.",
        ) from None
    files = tuple(
        entry
        for entry in entries
        if entry.suffix.lower() == ".csv" and not entry.name.startswith(".")
    )
    if not files:
        raise UsageError(
            f'there are no CSV files in "{folder}"',
            hint="A file is named after the table that it fills: <table>.csv.",
        )
    return Seed(load, staging, load.statements[len(staging) :], files)


def read_checks(sql_folder: Path) -> tuple[SqlFile, ...]:
    """Read the checks of a seed, sorted by name. Only reads.

    Raises:
        UsageError: There are none, or one is not a single statement.
        SqlFileError: One is invalid.
    """
    folder = sql_folder / _CHECKS
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix == ".sql")
    except OSError:
        names = []
    if not names:
        raise UsageError(
            f'there are no checks in "{folder}"',
            hint="A check is a file with one SELECT that returns the rows that violate a rule.",
        )
    checks = tuple(read_file(sql_folder, f"{_CHECKS}/{name}") for name in names)
    for check in checks:
        if len(check.statements) != 1:
            raise UsageError(
                f"{check.name} has {len(check.statements)} statements instead of one",
                hint="A check is one SELECT that returns the rows that violate a rule.",
            )
    return checks


def meaning(check: SqlFile) -> str:
    """Return the rule that a check verifies: the first line of its comment."""
    first = check.text.lstrip().split("\n", 1)[0]
    return first.lstrip("- ").strip() if first.startswith("--") else check.name
