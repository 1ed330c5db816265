"""goose: up and down in one file, between comments that begin with +goose."""

from __future__ import annotations

import os
import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sections import filled, refuse_statements, sections
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9]+)_(?P<name>.+)\.sql")
_MARKER = re.compile(r"--[ \t]*\+goose[ \t]+(up|down)[ \t]*()", re.IGNORECASE)
_ANNOTATION = re.compile(r"^--[ \t]*\+goose[ \t]+(.*?)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_OTHERS = {"up", "down", "statementbegin", "statementend", "no transaction"}
_SUBSTITUTED = re.compile(
    r"^--[ \t]*\+goose[ \t]+envsub[ \t]+on[ \t\r]*$(.*?)"
    r"(?:^--[ \t]*\+goose[ \t]+envsub[ \t]+off|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\}", re.ASCII)


def _matches(reader: Reader) -> bool:
    marks = (mark.lower().replace(" ", "") for name in reader.sql for mark in reader.marks(name))
    return any(mark == "--+gooseup" for mark in marks)


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, 'that has the line "-- +goose NO TRANSACTION"')
    for file in reader.sql:
        if match := _NAME.fullmatch(file):
            found.add(match["version"], match["name"], file, lambda f: _parts(f, reader))
        else:
            found.misnamed(file, "00001_first_table.sql")
    return found.migrations()


def _parts(file: SqlFile, reader: Reader) -> Parts:
    outside = False
    for each in _ANNOTATION.finditer(file.text):
        word = " ".join(each[1].lower().split())
        outside = outside or word == "no transaction"
        if word not in {*_OTHERS, "envsub on", "envsub off"}:
            raise file.refusal(
                f'unknown annotation "{each.group().strip()}"',
                each.start(),
                "goose knows Up, Down, StatementBegin, StatementEnd, NO TRANSACTION and ENVSUB.",
            )
    parts = sections(_substituted(file, reader), _MARKER)
    refuse_statements(file, parts[""], "-- +goose Up")
    if "up" not in parts:
        raise file.refusal('there is no "-- +goose Up"', 0, "Write it above what applies it.")
    up = parts["up"].text
    return Parts(up, parts["down"].text if "down" in parts else None, outside, outside)


def _substituted(file: SqlFile, reader: Reader) -> SqlFile:
    """Return a file with the variables replaced that are between ENVSUB ON and ENVSUB OFF."""
    text, done = "", 0
    for region in _SUBSTITUTED.finditer(file.text):
        blank = re.sub(r"[^\n]", " ", file.text[: region.start(1)])
        part = SqlFile(file.name, file.path, blank + region[1])
        text += file.text[done : region.start(1)]
        text += filled(part, _VARIABLE, {**os.environ, **reader.variables}).text[len(blank) :]
        done = region.end(1)
    return SqlFile(file.name, file.path, text + file.text[done:])


_NEW = "-- +goose Up\n-- {title}\n\n-- +goose Down\n"
FORMAT = Format("goose", _matches, _read, files={"{version}_{name}.sql": _NEW})
