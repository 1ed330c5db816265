"""dbmate: up and down in one file, below -- migrate:up and -- migrate:down."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import Section, refuse_statements, sections
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)(?P<name>.*)\.sql", re.DOTALL)
_MARKER = re.compile(r"--[ \t]*migrate:(up|down)(?:[ \t]+(.*))?[ \t]*")
_PAIR = re.compile(r".*\.(?:up|down)\.sql", re.IGNORECASE | re.DOTALL)


def _matches(reader: Reader) -> bool:
    # In a pair of files it is a mistake.
    return not any(_PAIR.fullmatch(name) for name in reader.sql) and any(
        (found := _MARKER.fullmatch(mark)) and found[1] == "up"
        for name in reader.sql
        for mark in reader.marks(name)
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- migrate:up transaction:false"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"].lstrip("_-. "), file, _parts)
        else:
            found.misnamed(file, "20240501120000_first_table.sql")
    return found.in_order_of_text("dbmate")


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKER)
    refuse_statements(file, parts[""], "-- migrate:up")
    if "up" not in parts:
        raise file.refusal('there is no "-- migrate:up"', 0, "Write it above what applies it.")
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
