"""tern: consecutive numbers from 1, and one line between what creates and what drops."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import excludes_sections
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import Markers, sections
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)_(?P<name>.+)\.sql")
_MARKERS = Markers(
    re.compile(r"[ \t]*---- create above / (drop) below ----[ \t]*()"),
    re.compile(r"create\s+above\s*/\s*drop\s+below", re.IGNORECASE),
    "---- create above / drop below ----",
)
_OUTSIDE = re.compile(r"^----[ \t]*tern: disable-tx[ \t]*----", re.MULTILINE)


def _matches(reader: Reader) -> bool:
    numbers = {int(match["version"]) for match in map(_NAME.fullmatch, reader.sql) if match}
    return (
        numbers == {*range(1, len(numbers) + 1)}
        and not excludes_sections(reader)
        and any(
            _MARKERS.exact.fullmatch(mark) for name in reader.sql for mark in reader.marks(name)
        )
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "---- tern: disable-tx ----"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, _parts)
        else:
            found.misnamed(file, "001_first_table.sql")
    migrations = found.migrations()
    for at, migration in enumerate(migrations, 1):
        if migration.number != at:
            reader.problem(
                f"there is no migration {at}: tern numbers them from 1 without gaps",
                hint="Restore it, or rename the files in another format.",
            )
            break
    return migrations


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKERS)
    down = parts["drop"].text if "drop" in parts else None
    outside = _OUTSIDE.search(file.text) is not None
    return Parts(parts[""].text, down, outside, outside)


_NEW = "-- {title}\n\n---- create above / drop below ----\n\n"
FORMAT = Format("tern", _matches, _read, files={"{version}_{name}.sql": _NEW})
