"""Flyway: V1.1__name.sql, U1.1__name.sql and R__name.sql, with ${placeholders}."""

from __future__ import annotations

import re
from zlib import crc32

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader, entries, is_folder
from lfmigrate.source.repeatable import repeatable_file
from lfmigrate.source.sections import filled
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import number

_NAME = re.compile(r"(?P<way>[VU])(?P<version>[0-9]+(?:[._][0-9]+)*)__(?P<name>.+)\.sql", re.DOTALL)
_REPEATABLE = re.compile(r"R__.+\.sql", re.DOTALL)
_OWN = re.compile(r"[0-9]+_.+\.sql", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{(?P<name>[^}\n]+)\}")
_OUTSIDE = re.compile(r"^[ \t]*executeInTransaction[ \t]*=[ \t]*false[ \t\r]*$", re.MULTILINE)


def _matches(reader: Reader) -> bool:
    # V2__b.sql among 001_a.sql and 003_c.sql is not a folder of Flyway's.
    return any(map(_NAME.fullmatch, reader.sql)) and not any(map(_OWN.fullmatch, reader.sql))


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, "with a .sql.conf file that says executeInTransaction=false", alone="all")
    named = {file: match for file in reader.sql if (match := _NAME.fullmatch(file))}
    undo = {_number(match): file for file, match in named.items() if match["way"] == "U"}
    for file, match in named.items():
        if match["way"] == "V":
            version = match["version"].replace("_", ".")
            down = undo.pop(_number(match), None)
            found.add(
                version,
                match["name"],
                file,
                lambda f: _parts(f, reader),
                down=down,
                undo=lambda f: _parts(f, reader),
            )
    for file in undo.values():
        reader.problem(
            f"{file} has no migration of its version",
            hint="Add the migration that it reverts, or remove it.",
        )
    for file in reader.sql:
        if _REPEATABLE.fullmatch(file):
            repeatable = reader.read(
                file, lambda f: repeatable_file(filled(f, _PLACEHOLDER, reader.variables))
            )
            reader.repeatables += [repeatable] if repeatable else []
        elif file not in named:
            found.misnamed(file, "V1__first_table.sql")
    _refuse_folders(reader)
    return found.migrations()


def _number(match: re.Match[str]) -> int:
    return number(match["version"].replace("_", "."))


def _parts(file: SqlFile, reader: Reader) -> Parts:
    outside = _OUTSIDE.search(reader.text(f"{file.name}.conf")) is not None
    return Parts(filled(file, _PLACEHOLDER, reader.variables).text, None, outside)


def _refuse_folders(reader: Reader) -> None:
    """Refuse subfolders with migrations, which Flyway reads as well."""
    for name in reader.others:
        path = reader.folder / name
        if is_folder(path) and any(_NAME.fullmatch(each.name) for each in entries(path)):
            reader.problem(
                f"{name}/ has migrations, too; lfmigrate reads one folder",
                hint="Move them to the folder that contains it.",
            )


def checksum(migration: Migration) -> str:
    """Return what flyway_schema_history.checksum is: the CRC-32 of the lines, signed."""
    return checksum_of(migration.content.decode())


def checksum_of(text: str) -> str:
    """Return the CRC-32 of a text's lines, signed; other characters than these end no line."""
    found = crc32(re.sub(r"[\r\n]", "", text.removeprefix("\ufeff")).encode())
    return str(found - (1 << 32) if found >= 1 << 31 else found)


_NEW = {"V{version}__{name}.sql": "-- {title}\n\n"}
FORMAT = Format("flyway", _matches, _read, checksum, _NEW)
