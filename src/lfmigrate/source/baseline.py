"""A migration made from a dump: what new databases begin with."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from lfmigrate.errors import COMMITTED, UNKNOWN, LfmigrateError, SqlFileError, UsageError
from lfmigrate.source.folder import Folder, Migration, read_folder
from lfmigrate.source.formats.detect import named
from lfmigrate.source.migration import OWN, PAIRS
from lfmigrate.source.sqlfile import SqlFile, from_text, read_file
from lfmigrate.syntax.scanner import Statement

_NAME = "baseline"

# psql's own commands, with which pg_dump begins and ends a file.
_RESTRICT = re.compile(r"^\\restrict ([A-Za-z0-9]+)$", re.MULTILINE)
_CONNECT = re.compile(r"^\\connect\b", re.MULTILINE)
_COPY = re.compile(r"^COPY [^;]* FROM stdin;", re.MULTILINE)
_ARCHIVE = b"PGDMP"

# What pg_dump sets for a session that does nothing else; a run has its own settings.
_SETTINGS = re.compile(
    r"SET\s+(?:statement_timeout|lock_timeout|idle_in_transaction_session_timeout"
    r"|transaction_timeout|client_encoding|standard_conforming_strings|client_min_messages"
    r"|row_security)\b|SELECT\s+pg_catalog\.set_config\('search_path', '', false\)",
    re.IGNORECASE,
)
_ENCODING = re.compile(r"SET\s+client_encoding\s*=\s*'(?!UTF-?8')([^']*)'", re.IGNORECASE)
_OWNER = re.compile(r"ALTER\s.*\bOWNER\s+TO\s+(?:\"(?:[^\"]|\"\")+\"|[\w$]+)", re.DOTALL)
_ROWS = re.compile(r"INSERT\s+INTO\s|SELECT\s+pg_catalog\.(?:setval|lo_create)\b", re.IGNORECASE)
_PUBLIC = re.compile(r"CREATE\s+SCHEMA\s+public\s*", re.IGNORECASE)
_SCHEMA_ONLY = "Make it with pg_dump --schema-only --no-owner."


@dataclass(frozen=True, slots=True)
class Baseline:
    """A migration that creates what a dump has.

    Attributes:
        migration: The migration, as it is read from its file.
        path: Where the file is to be.
        text: What is to be in it.
        notes: What was left out of the dump.
    """

    migration: Migration
    path: Path
    text: str = field(repr=False)
    notes: tuple[str, ...] = ()

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write the file; remove it again if what follows fails.

        Raises:
            UsageError: It cannot be written.
        """
        made = [path for path in (self.path.parent.parent, self.path.parent) if not path.exists()]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("x", encoding="utf-8", newline="") as file:
                file.write(self.text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UsageError(
                f"cannot write {self.path}: {error.strerror}",
                hint="Name a writable folder with --sql-dir.",
            ) from None
        try:
            yield
        except BaseException as error:
            kept = isinstance(error, LfmigrateError) and error.outcome in {COMMITTED, UNKNOWN}
            if not kept:
                self.path.unlink(missing_ok=True)
                for path in reversed(made):
                    path.rmdir()
            raise


def read_baseline(
    path: Path,
    dump: Path,
    *,
    format: str | None = None,  # noqa: A002 (the option's name)
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Folder, Baseline]:
    """Make the first migration of a folder from a dump. Only reads.

    Args:
        path: The folder; it may be empty, or not exist.
        dump: A plain-text dump of pg_dump's, without rows.
        format: Whose folder it is; None to find out from what is in it.
        variables: The values of placeholders.

    Returns:
        The folder as it is with the migration, and the migration.

    Raises:
        UsageError: The folder has a baseline, has no version for it, or is that of a tool that
            keeps a list.
        SqlFileError: The dump cannot be run, or has rows.
    """
    sql, notes = _cleaned(dump)
    folder = None if _is_empty(path) else read_folder(path, format=format, variables=variables)
    name = folder.format if folder is not None else format or OWN
    for migration in folder.migrations if folder is not None else ():
        if migration.label.removesuffix(".sql").endswith(f"_{_NAME}"):
            raise UsageError(
                f"{path} has a baseline already: {migration.up.name}",
                hint=f"Adopt the database with --to {migration.version}, or delete the file.",
            )
    version = _version(folder)
    file, text = _file(folder, name, version, sql)
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / "sql"
        if path.is_dir():
            shutil.copytree(path, copy, ignore=shutil.ignore_patterns("seed", ".*"))
        target = copy / file
        if target.exists():
            raise UsageError(f"{path / file} exists already", hint="Delete it, or rename it.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
        found = read_folder(copy, format=name, variables=variables)
    # None that is read later than the folder is needed from the copy.
    found = replace(found, path=path)
    migration = next(m for m in found.migrations if m.up.name == file)
    if found.migrations[0] is not migration:
        raise UsageError(
            f"{file} would not be the first migration of {path}: it is"
            f" {found.migrations[0].up.name}",
            hint="A baseline comes before all others. Give that one a greater version.",
        )
    return found, Baseline(migration, path / file, text, notes)


def _is_empty(path: Path) -> bool:
    return not path.is_dir() or all(each.name.startswith(".") for each in path.iterdir())


def _version(folder: Folder | None) -> str:
    """Return a version before all others, written in the same way."""
    if folder is None or not folder.migrations:
        return "001"
    digits = re.match(r"[0-9]+", folder.migrations[0].version)
    return "0" * (len(digits.group()) if digits else 1)


def _file(folder: Folder | None, name: str, version: str, sql: str) -> tuple[str, str]:
    """Return the name and the text of the file, as the format of the folder has them."""
    if name in PAIRS:
        ups = [m.up.name.lower() for m in folder.migrations] if folder is not None else []
        has_pairs = name == "golang-migrate" or any(each.endswith(".up.sql") for each in ups)
        return f"{version}_{_NAME}{'.up' if has_pairs else ''}.sql", sql
    files = named(name).files
    if not files:
        raise UsageError(
            f"a new migration of {name} has to be created by it",
            hint="It keeps a list of its migrations; adopt what it has applied instead.",
        )
    file, template = next(iter(files.items()))
    # What follows the title reverts it, and nothing is to revert a baseline.
    begin, _, _ = template.partition("{title}\n")
    return file.format(version=version, name=_NAME), begin[: begin.rfind("\n") + 1] + sql


def _cleaned(dump: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a dump without what is not the schema's, and what is worth a warning."""
    file = _read(dump)
    result, done, owners = "", 0, 0
    for statement in file.statements:
        _refuse(file, statement)
        new = _instead(statement)
        if new is not None:
            owners += bool(_OWNER.fullmatch(_bare(statement)))
            result += file.text[done : statement.offset] + new
            done = _end(file, statement)
    result = re.sub(r"\n{3,}", "\n\n", result + file.text[done:]).strip() + "\n"
    if not from_text(dump.name, result).statements:
        raise SqlFileError(f"{dump} creates nothing", hint=_SCHEMA_ONLY)
    if not owners:
        return result, ()
    many = "statements that give" if owners > 1 else "statement that gives"
    note = (
        f"left out of the baseline: {owners} {many} an object its owner; the role that runs it"
        " owns everything in a new database"
    )
    return result, (note,)


def _read(dump: Path) -> SqlFile:
    """Return the text of a dump, without psql's own commands."""
    if dump.is_file():
        with dump.open("rb") as opened:
            if opened.read(len(_ARCHIVE)) == _ARCHIVE:
                raise SqlFileError(
                    f"{dump} is an archive of pg_dump's, and no SQL", hint="Make it with -Fp."
                )
    file = read_file(dump.parent, dump.name)
    file = from_text(file.name, file.text.replace("\r\n", "\n"))
    for pattern, what in ((_COPY, "rows"), (_CONNECT, "\\connect: it is of whole databases")):
        if found := pattern.search(file.text):
            raise file.refusal(f"this dump has {what}", found.start(), _SCHEMA_ONLY)
    key = _RESTRICT.search(file.text)
    if key is None:
        return file
    # A function's body may have such a line, too, but not with this word.
    text = re.sub(rf"^\\(?:un)?restrict {key[1]}$", "", file.text, flags=re.MULTILINE)
    return from_text(dump.name, text)


def _refuse(file: SqlFile, statement: Statement) -> None:
    """Refuse a statement that does not belong in a baseline.

    Raises:
        SqlFileError: It writes rows, or is lfmigrate's own; or the dump has another encoding.
    """
    text, offset = statement.text, statement.offset
    if found := _ENCODING.match(text):
        raise file.refusal(f"this dump is in {found[1]}", offset, "Make it with --encoding=UTF8.")
    if _ROWS.match(text):
        raise file.refusal("this dump has rows", offset, _SCHEMA_ONLY)
    if "lfmigrate_history" in text:
        hint = "Leave that schema out, with --exclude-schema=lfmigrate."
        raise file.refusal("this dump has lfmigrate's history", offset, hint)


def _instead(statement: Statement) -> str | None:
    """Return what a statement becomes; None if it stays."""
    text = _bare(statement)
    if _SETTINGS.match(text) or _OWNER.fullmatch(text):
        return ""
    return "CREATE SCHEMA IF NOT EXISTS public;" if _PUBLIC.fullmatch(text) else None


def _bare(statement: Statement) -> str:
    return statement.text.rstrip("; \n\r\t")


def _end(file: SqlFile, statement: Statement) -> int:
    """Return where a statement ends, with its semicolon."""
    end = statement.offset + len(statement.text)
    rest = file.text[end:]
    return end + len(rest) - len(rest.lstrip()) + 1 if rest.lstrip().startswith(";") else end
