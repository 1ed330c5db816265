"""drizzle: meta/_journal.json says which files there are, and in which order."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import lru_cache
from typing import Any

from lfmigrate.errors import SqlFileError
from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import excludes_sections
from lfmigrate.source.reader import Reader

_JOURNAL = "meta/_journal.json"
_NUMBERED = re.compile(r"([0-9]+)_(.+)", re.DOTALL)


def _matches(reader: Reader) -> bool:
    return (
        "meta" in reader.others
        and (reader.folder / _JOURNAL).is_file()
        and not excludes_sections(reader)
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- lfmigrate: no-transaction"')
    entries = _entries(reader)
    files = [f"{entry['tag']}.sql" for entry in entries]
    for place, file in enumerate(files):
        version, name = f"{place:04}", file.removesuffix(".sql")
        match = _NUMBERED.fullmatch(name)
        if match and int(match[1]) == place:
            version, name = match[1], match[2]
        found.add(version, name, file, lambda each: Parts(each.text))
    reader.notes += [
        f"{name} is ignored: it is not in {_JOURNAL}" for name in reader.sql if name not in files
    ]
    return found.migrations()


def _entries(reader: Reader) -> list[dict[str, Any]]:
    """Return the entries of the journal; none after noting what is wrong with it."""
    hint = "Restore it, or let drizzle-kit write it again."
    with suppress(SqlFileError):
        try:
            journal = json.loads(reader.file(_JOURNAL).text)
            if journal.get("dialect", "postgresql") not in {"postgresql", "pg"}:
                reader.problem(
                    f"{_JOURNAL} says that these migrations are for {journal['dialect']}",
                    hint="lfmigrate runs migrations for PostgreSQL only.",
                )
            entries: list[dict[str, Any]] = journal["entries"]
            tags = [entry["tag"] for entry in entries]
            if not all(isinstance(tag, str) for tag in tags):
                reader.problem(f"{_JOURNAL} has an entry without a tag", hint=hint)
            elif any("/" in tag or "\\" in tag for tag in tags):
                reader.problem(f"{_JOURNAL} has a tag that is no file's name", hint=hint)
            elif len(set(tags)) < len(tags):
                reader.problem(f"{_JOURNAL} has the same tag twice", hint=hint)
            else:
                return entries
        except (ValueError, KeyError, TypeError, AttributeError):
            reader.problem(f"{_JOURNAL} is not a journal of drizzle's", hint=hint)
    if not reader.problems:
        reader.problem(f"{_JOURNAL} cannot be read", hint=hint)
    return []


def _checksum(migration: Migration) -> str:
    """Return what __drizzle_migrations.hash is."""
    from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL)

    return sha256(migration.content).hexdigest()


def _key(migration: Migration) -> str:
    """Return what __drizzle_migrations.created_at is: the time in the journal."""
    path = migration.up.path
    whens = {} if path is None else _whens((path.parent / _JOURNAL).read_bytes())
    return str(whens.get(migration.up.name.removesuffix(".sql"), ""))


@lru_cache(maxsize=1)
def _whens(journal: bytes) -> dict[str, int]:
    return {entry["tag"]: entry.get("when") for entry in json.loads(journal)["entries"]}


FORMAT = Format("drizzle", _matches, _read, _checksum, key=_key)
