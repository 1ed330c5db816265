"""postgres-migrations: consecutive numbers, a dash or an underscore, a name."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import excludes_sections
from lfmigrate.source.reader import Reader

_NAME = re.compile(r"(?P<version>[0-9]+)[-_]?(?P<name>.*)\.sql", re.DOTALL)
_DASHED = re.compile(r"[0-9]+-.+\.sql", re.DOTALL)
_OUTSIDE = "-- postgres-migrations disable-transaction"


def _matches(reader: Reader) -> bool:
    if excludes_sections(reader):
        return False
    marks = [mark for name in reader.sql for mark in reader.marks(name)]
    if any(mark.startswith("--! Previous:") for mark in marks):
        return False
    # One dash among underscores is a mistake, not a format.
    all_dashed = bool(reader.sql) and all(map(_DASHED.fullmatch, reader.sql))
    return all_dashed or any(mark.startswith(_OUTSIDE) for mark in marks)


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, f'that has the line "{_OUTSIDE}"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(
                match["version"],
                match["name"],
                file,
                lambda each: Parts(each.text, None, _OUTSIDE in each.text),
            )
        else:
            found.misnamed(file, "0001-first-table.sql")
    return found.migrations()


def _checksum(migration: Migration) -> str:
    """Return what migrations.hash is: the SHA-1 of the file's name and its content."""
    from hashlib import sha1  # noqa: PLC0415 (loads OpenSSL)

    content = migration.up.name.encode() + migration.content
    return sha1(content, usedforsecurity=False).hexdigest()


_NEW = {"{version}-{name}.sql": "-- {title}\n\n"}
FORMAT = Format("postgres-migrations", _matches, _read, _checksum, _NEW)
