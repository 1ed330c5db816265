"""node-pg-migrate: SQL files of 13 to 17 digits, with -- Up Migration and -- Down Migration."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import excludes_sections
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import Markers, refuse_statements, sections
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)[^0-9](?P<name>.+)\.sql", re.DOTALL)
_SECONDS = 14
_MARKERS = Markers(
    re.compile(r"\s*--[\s-]*(up|down)\s+migration(.*)", re.IGNORECASE),
    re.compile(r"(?!)"),  # it takes whatever begins like a marker for one
    "-- Down Migration",
)

# What says that a folder is its own: how it names files, and a line with nothing but the marker.
_NAMED = re.compile(r"(?:[0-9]{13}|[0-9]{17})[^0-9].+\.sql", re.DOTALL)
_UP = re.compile(r"--[\s-]*up\s+migration[\s-]*", re.IGNORECASE)


def _matches(reader: Reader) -> bool:
    return not excludes_sections(reader) and any(
        _NAMED.fullmatch(name) and any(map(_UP.fullmatch, reader.marks(name)))
        for name in reader.sql
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- lfmigrate: no-transaction"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, _parts)
        else:
            found.misnamed(file, "1714564800000_first-table.sql")
    migrations = found.migrations()
    for older, newer in pairwise(migrations):
        if _moment(older.version) > _moment(newer.version):
            reader.problem(
                f"node-pg-migrate runs {newer.up.name} before {older.up.name}, which is later",
                hint="Write their versions in the same way: in milliseconds, or as dates.",
            )
    return migrations


def _moment(version: str) -> int:
    """Return a version in milliseconds, if it is a time; 17 digits are a date in UTC."""
    try:
        seconds = datetime.strptime(f"{version[:_SECONDS]}+0000", "%Y%m%d%H%M%S%z")
    except ValueError:
        return int(version)
    if len(version) != _SECONDS + 3:
        return int(version)
    return int(seconds.timestamp()) * 1000 + int(version[_SECONDS:])


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKERS)
    down = parts["down"].text if "down" in parts else None
    if "up" not in parts:
        if "down" in parts:
            raise file.refusal(
                'there is no "-- Up Migration", so node-pg-migrate would apply what follows, too',
                parts["down"].offset,
                'Write "-- Up Migration" above what applies the migration.',
            )
        return Parts(parts[""].text)
    refuse_statements(file, parts[""], "-- Up Migration")
    return Parts(parts["up"].text, down)


_NEW = "-- Up Migration\n-- {title}\n\n-- Down Migration\n"
FORMAT = Format("node-pg-migrate", _matches, _read, files={"{version}_{name}.sql": _NEW})
