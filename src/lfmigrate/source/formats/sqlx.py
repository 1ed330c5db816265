"""sqlx: lfmigrate's own naming; a file may begin with -- no-transaction."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.format import Format
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import is_own, read_pairs
from lfmigrate.source.reader import Reader
from lfmigrate.source.rules import outside_transaction
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.transaction_block import placement

FIRST_LINE = "-- no-transaction"
_DOWN = re.compile(r".*\.down\.sql", re.IGNORECASE | re.DOTALL)


def _matches(reader: Reader) -> bool:
    """Return whether it is a folder that lfmigrate would refuse if it were its own."""
    ups = (name for name in reader.sql if not _DOWN.fullmatch(name))
    outside = any(
        text.startswith(FIRST_LINE) and _has_to_run_outside(name, text)
        for name in ups
        for text in [reader.text(name)]
    )
    return outside and not is_own(reader)


def _has_to_run_outside(name: str, text: str) -> bool:
    file = SqlFile(name, None, text)
    try:
        return not file.no_transaction and any(placement(s) == "outside" for s in file.statements)
    except SqlFileError:
        return False


def _read(reader: Reader) -> list[Migration]:
    def translate(file: SqlFile) -> SqlFile:
        # What can run in a transaction does, as in a folder without such files.
        if not file.text.startswith(FIRST_LINE) or not _has_to_run_outside(file.name, file.text):
            return file
        return SqlFile(file.name, file.path, outside_transaction(file.text))

    return read_pairs(reader, translate)


def checksum(migration: Migration) -> str:
    """Return what _sqlx_migrations.checksum is, in hex: the SHA-384 of the file."""
    from hashlib import sha384  # noqa: PLC0415 (loads OpenSSL)

    return sha384(migration.content).hexdigest()


FORMAT = Format("sqlx", _matches, _read, checksum, has_repeatables=True)
