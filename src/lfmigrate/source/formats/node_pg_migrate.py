"""node-pg-migrate: SQL files of 13 to 17 digits, with -- Up Migration and -- Down Migration."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import sections, with_directives
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]{13,17})_(?P<name>.+)\.sql")
_MARKER = re.compile(r"\s*--[\s-]*(up|down)\s+migration(.*)", re.IGNORECASE)


def _matches(reader: Reader) -> bool:
    return any(
        _NAME.fullmatch(name) and any(map(_MARKER.fullmatch, reader.marks(name)))
        for name in reader.sql
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- lfmigrate: no-transaction"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, _parts)
        else:
            found.misnamed(file, "1714564800000_first-table.sql")
    return found.migrations()


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKER)
    down = parts["down"].text if "down" in parts else None
    if "up" not in parts:
        return Parts(parts[""].text, down)  # from the top
    return Parts(with_directives(parts[""], parts["up"]), down)


FORMAT = Format("node-pg-migrate", _matches, _read)
