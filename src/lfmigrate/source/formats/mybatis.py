"""MyBatis Migrations: what follows -- //@UNDO reverts the rest."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import excludes_sections
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import Markers, filled, sections
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)_(?P<name>.+)\.sql")
_MARKERS = Markers(
    re.compile(r"\s*--\s*//\s*@(UNDO)\b(.*)"),
    re.compile(r"^\s*--\s*//.*@UNDO|^\s*(?:--|//).*(?<![\w.])@(?i:undo)(?![\w.])"),
    "-- //@UNDO",
)

# What says that a folder is its own: how it names files, and a line with nothing but the marker.
_NAMED = re.compile(r"[0-9]{14}_.+\.sql", re.DOTALL)
_UNDO = re.compile(r"--\s*//\s*@UNDO")
_PLACEHOLDER = re.compile(r"\$\{(?P<name>[\w.-]+)\}")

# Scripts that are no migrations.
_OTHERS = {"bootstrap.sql", "onabort.sql"}


def _matches(reader: Reader) -> bool:
    return not excludes_sections(reader) and any(
        _NAMED.fullmatch(name) and any(map(_UNDO.fullmatch, reader.marks(name)))
        for name in reader.sql
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- lfmigrate: no-transaction"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, lambda f: _parts(f, reader))
        elif file.lower() in _OTHERS:
            reader.notes.append(f"{file} is ignored: it is no migration")
        else:
            found.misnamed(file, "20240501120000_first_table.sql")
    return found.migrations()


def _parts(file: SqlFile, reader: Reader) -> Parts:
    parts = sections(filled(file, _PLACEHOLDER, reader.variables), _MARKERS)
    return Parts(parts[""].text, parts["undo"].text if "undo" in parts else None)


_NEW = "-- // {title}\n\n-- //@UNDO\n\n"
FORMAT = Format("mybatis", _matches, _read, files={"{version}_{name}.sql": _NEW})
