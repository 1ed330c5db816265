"""golang-migrate: lfmigrate's own naming; a file may have its own BEGIN and COMMIT."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.format import Format
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import is_own, read_pairs
from lfmigrate.source.reader import Reader
from lfmigrate.source.rules import outside_transaction, without_transaction
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.transaction_block import placement

_UP = re.compile(r"[0-9]+_.+\.up\.sql", re.DOTALL)
_DOWN = re.compile(r"[0-9]+_.+\.down\.sql", re.DOTALL)
_NAMED = re.compile(rf"{_UP.pattern}|{_DOWN.pattern}", re.DOTALL)


def _matches(reader: Reader) -> bool:
    """Return whether a file has its own BEGIN and COMMIT, for which lfmigrate would refuse it."""
    ups = [name for name in reader.sql if _UP.fullmatch(name)]
    return (
        any(map(_DOWN.fullmatch, reader.sql))
        and any(_bare(text) != text for text in map(reader.text, ups))
        and not is_own(reader)
    )


def _read(reader: Reader) -> list[Migration]:
    def translate(file: SqlFile) -> SqlFile:
        text = _bare(file.text)
        if text == file.text and _NAMED.fullmatch(file.name) and _is_alone(file):
            text = outside_transaction(text)
        return SqlFile(file.name, file.path, text)

    return read_pairs(reader, translate)


def _bare(text: str) -> str:
    """Return a text without its own transaction."""
    try:
        return without_transaction(text)
    except SqlFileError:
        return text  # reported when the file is split


def _is_alone(file: SqlFile) -> bool:
    """Return whether it is one statement, which the server can run outside a transaction only."""
    if file.no_transaction:
        return False
    try:
        return [placement(statement) for statement in file.statements] == ["outside"]
    except SqlFileError:
        return False  # reported when the file is split


FORMAT = Format("golang-migrate", _matches, _read, has_repeatables=True)
