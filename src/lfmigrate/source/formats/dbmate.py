"""dbmate: up and down in one file, below -- migrate:up and -- migrate:down."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import is_marked
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import (
    Markers,
    Section,
    refuse_order,
    refuse_statements,
    sections,
)
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)(?P<name>.*)\.sql", re.DOTALL)
_UP = re.compile(r"--[ \t]*migrate:(up)(?:[ \t]+(.*))?[ \t]*")
_DOWN = re.compile(r"--[ \t]*migrate:(down)(?:[ \t]+(.*))?[ \t]*")
_MARKERS = Markers(
    re.compile(r"--[ \t]*migrate:(up|down)(?:[ \t]+(.*))?[ \t]*"),
    re.compile(r"^\s*--[-\s#*/+]*migrate[ \t]*:[ \t]*(?:up|down)\b", re.IGNORECASE),
    "-- migrate:down",
)


def _matches(reader: Reader) -> bool:
    return is_marked(reader, _UP, _DOWN)


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- migrate:up transaction:false"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"].lstrip("_-. "), file, _parts)
        else:
            found.misnamed(file, "20240501120000_first_table.sql")
    return found.in_order_of_text("dbmate")


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKERS)
    refuse_statements(file, parts[""], "-- migrate:up")
    refuse_order(file, parts, "up", "-- migrate:up")
    down = parts.get("down")
    return Parts(
        parts["up"].text,
        None if down is None else down.text,
        _is_outside(file, parts["up"]),
        down is not None and _is_outside(file, down),
    )


def _is_outside(file: SqlFile, section: Section) -> bool:
    if section.options not in {"", "transaction:false", "transaction:true"}:
        raise file.refusal(
            f'unknown option "{section.options}"',
            section.offset,
            "The options are transaction:false and transaction:true.",
        )
    return section.options == "transaction:false"


_NEW = "-- migrate:up\n-- {title}\n\n-- migrate:down\n\n"
FORMAT = Format("dbmate", _matches, _read, files={"{version}_{name}.sql": _NEW})
