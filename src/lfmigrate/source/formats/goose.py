"""goose: up and down in one file, between comments that begin with +goose."""

from __future__ import annotations

import os
import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import is_marked
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import (
    Markers,
    filled_between,
    refuse_order,
    refuse_statements,
    sections,
)
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)_(?P<name>.+)\.sql")
_UP = re.compile(r"-{2,}[ \t]*\+goose[ \t]*(up)[- \t]*()", re.IGNORECASE)
_DOWN = re.compile(r"-{2,}[ \t]*\+goose[ \t]*(down)[- \t]*()", re.IGNORECASE)
_MARKERS = Markers(
    re.compile(r"-{2,}[ \t]*\+goose[ \t]*(up|down)[- \t]*()", re.IGNORECASE),
    re.compile(r"^[^\S\n]+-{2,}.*\+goose[ \t]*(?:up|down)\b", re.IGNORECASE),
    "-- +goose Down",
)
# For goose, every comment at the beginning of a line with this word in it is an annotation.
_ANNOTATION = re.compile(r"^([^\S\n]*)--(.*\+goose.*)$", re.IGNORECASE | re.MULTILINE)
_OTHERS = {"up", "down", "no transaction", "envsub on", "envsub off"}
_STATEMENT = ("statementbegin", "statementend")
_SUBSTITUTED = re.compile(
    r"^-{2,}[ \t]*\+goose[ \t]*envsub on[ \t\r]*$(.*?)"
    r"(?:^-{2,}[ \t]*\+goose[ \t]*envsub off|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\}", re.ASCII)


def _matches(reader: Reader) -> bool:
    return is_marked(reader, _UP, _DOWN)


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that has the line "-- +goose NO TRANSACTION"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, lambda f: _parts(f, reader))
        else:
            found.misnamed(file, "00001_first_table.sql")
    return found.migrations()


def _parts(file: SqlFile, reader: Reader) -> Parts:
    outside = "no transaction" in _annotations(file)
    values = {**os.environ, **reader.variables}
    parts = sections(filled_between(file, _SUBSTITUTED, _VARIABLE, values), _MARKERS)
    refuse_statements(file, parts[""], "-- +goose Up")
    refuse_order(file, parts, "up", "-- +goose Up")
    up = parts["up"].text
    return Parts(up, parts["down"].text if "down" in parts else None, outside, outside)


def _annotations(file: SqlFile) -> set[str]:
    """Return the annotations of a file in lower case, and refuse what goose rejects."""
    found: set[str] = set()
    opened: re.Match[str] | None = None
    for each in _ANNOTATION.finditer(file.text):
        place = each.start() + len(each[1])
        if each[1]:
            raise file.refusal(
                f'blanks before "{each.group().strip()}", which goose rejects',
                place,
                "Begin the line with the annotation, or reword the comment.",
            )
        word = re.sub(r"\+goose", "", each[2].replace("--", ""), flags=re.IGNORECASE, count=1)
        word = word.strip().lower()
        found.add(word)
        if word in _STATEMENT and (opened is None) == (word == _STATEMENT[0]):
            opened = each if opened is None else None
        elif word not in _OTHERS or (opened is not None and word in {"up", "down"}):
            what = "misplaced" if word in {*_OTHERS, *_STATEMENT} else "unknown"
            raise file.refusal(
                f'{what} annotation "{each.group().strip()}"',
                place,
                "goose knows Up, Down, StatementBegin, StatementEnd, NO TRANSACTION and ENVSUB.",
            )
    if opened is not None:
        raise file.refusal(
            "no StatementEnd follows this", opened.start(), 'Write "-- +goose StatementEnd".'
        )
    return found


_NEW = "-- +goose Up\n-- {title}\n\n-- +goose Down\n"
FORMAT = Format("goose", _matches, _read, files={"{version}_{name}.sql": _NEW})
