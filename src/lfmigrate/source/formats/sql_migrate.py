"""sql-migrate: any names, up and down in one file, between comments that begin with +migrate."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import is_marked
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import Markers, Section, refuse_statements, sections
from lfmigrate.source.sqlfile import SqlFile

_UP = re.compile(r"-- \+migrate[ \t]+(Up)(?:[ \t]+(.*))?[ \t]*")
_DOWN = re.compile(r"-- \+migrate[ \t]+(Down)(?:[ \t]+(.*))?[ \t]*")
_MARKERS = Markers(
    re.compile(r"-- \+migrate[ \t]+(Up|Down)(?:[ \t]+(.*))?[ \t]*"),
    re.compile(
        r"^(?!-- \+migrate[ \t]+Statement(?:Begin|End)\b)\s*--[-\s#*/]*\+[ \t]*(?i:migrate)\b"
    ),
    "-- +migrate Down",
)


def _matches(reader: Reader) -> bool:
    return is_marked(reader, _UP, _DOWN)


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that begins with the line "-- +migrate Up notransaction"')
    for file in reader.sql:
        # The whole name is the id.
        found.add(file, "", file, _parts)
    return found.migrations()


def _parts(file: SqlFile) -> Parts:
    parts = sections(file, _MARKERS)
    refuse_statements(file, parts[""], "-- +migrate Up")
    if "up" not in parts:
        raise file.refusal('there is no "-- +migrate Up"', 0, "Write it above what applies it.")
    down = parts.get("down")
    return Parts(
        parts["up"].text,
        None if down is None else down.text,
        _is_outside(file, parts["up"]),
        down is not None and _is_outside(file, down),
    )


def _is_outside(file: SqlFile, section: Section) -> bool:
    if section.options.lower() not in {"", "notransaction"}:
        raise file.refusal(
            f'unknown option "{section.options}"', section.offset, "The option is notransaction."
        )
    return section.options != ""


_NEW = "-- +migrate Up\n-- {title}\n\n-- +migrate Down\n"
FORMAT = Format("sql-migrate", _matches, _read, files={"{version}_{name}.sql": _NEW})
