"""graphile-migrate: committed migrations, each with the hash of the one before in its header."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?:committed/)?(?P<version>[0-9]+)(?:-(?P<name>[-_a-zA-Z0-9]*))?\.sql")
_HEADER = re.compile(r"^--! *([A-Za-z]+)(?:: *(.*?))?[ \t\r]*$", re.MULTILINE)
_OUTSIDE = re.compile(r"^--! no-transaction[ \t\r]*$", re.MULTILINE)
# Only what has a value is replaced; anything else fails on the server, as it would without it.
_PLACEHOLDER = re.compile(r"(?<![:\w]):(?P<name>[A-Z][0-9A-Z_]+)\b")


def _files(reader: Reader) -> list[str]:
    if "committed" in reader.others:
        return [f"committed/{name}" for name in reader.sql_names(reader.folder / "committed")]
    return reader.sql


def _matches(reader: Reader) -> bool:
    return any(
        mark.startswith("--! Previous:")
        for name in _files(reader)
        if _NAME.fullmatch(name)
        for mark in reader.marks(name)
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'whose first line is "--! no-transaction"')
    before = "-"
    for file in sorted(_files(reader), key=_number):
        match = _NAME.fullmatch(file)
        if match is None:
            found.misnamed(file, "000001-first-table.sql")
            continue
        headers = dict(_HEADER.findall(reader.text(file)))
        if headers.get("Previous", "") != before:
            reader.problem(
                f"{file} does not follow the file before it: its header says"
                f" {headers.get('Previous') or 'nothing'}, and not {before}",
                hint="Restore the file that is missing, or its header.",
            )
        before = headers.get("Hash", "")
        found.add(match["version"], match["name"] or "", file, lambda f: _parts(f, reader))
    return found.migrations()


def _number(file: str) -> int:
    match = _NAME.fullmatch(file)
    return int(match["version"]) if match else -1


def _parts(file: SqlFile, reader: Reader) -> Parts:
    known = {f":{name}": value for name, value in reader.variables.items()}

    def value_of(found: re.Match[str]) -> str:
        return known.get(found.group(), found.group())

    text = _PLACEHOLDER.sub(value_of, file.text)
    return Parts(text, None, _OUTSIDE.search(text) is not None)


def _checksum(migration: Migration) -> str:
    """Return what graphile_migrate.migrations.hash is: the hash in the header."""
    headers: dict[str, str] = dict(_HEADER.findall(migration.content.decode()))
    return headers.get("Hash", "")


FORMAT = Format("graphile-migrate", _matches, _read, _checksum)
