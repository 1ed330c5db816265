"""Prisma Migrate: a folder per migration, with migration.sql; the folder's name is the key."""

from __future__ import annotations

import re
from pathlib import Path

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import OWN_FOLDERS, own_names
from lfmigrate.source.reader import Reader, is_folder

_LOCK = "migration_lock.toml"
_PROVIDER = re.compile(r"""^[ \t]*provider[ \t]*=[ \t]*["']([^"']*)""", re.MULTILINE)
_FILE = "migration.sql"


def _matches(reader: Reader) -> bool:
    # A folder among lfmigrate's own files is not read.
    return (_LOCK in reader.others or not own_names(reader)) and any(
        _FILE in reader.names(path) for path in _folders(reader)
    )


def _folders(reader: Reader) -> list[Path]:
    return [
        reader.folder / name
        for name in reader.others
        if name not in OWN_FOLDERS and is_folder(reader.folder / name)
    ]


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, "with nothing else in it", alone="single")
    if _LOCK in reader.others:
        provider = _PROVIDER.search(reader.text(_LOCK))
        if provider and provider[1] not in {"postgresql", "postgres", "cockroachdb"}:
            reader.problem(
                f"{_LOCK} says that these migrations are for {provider[1]}",
                hint="lfmigrate runs migrations for PostgreSQL only.",
            )
    for path in _folders(reader):
        names = reader.names(path)
        if _FILE in names:
            found.add(path.name, "", f"{path.name}/{_FILE}", lambda file: Parts(file.text))
        elif any(name.endswith(".sql") for name in names):
            found.misnamed(f"{path.name}/", "20240501120000_first_table/migration.sql")
    for name in reader.sql:
        found.misnamed(name, "20240501120000_first_table/migration.sql")
    return found.in_order_of_text("Prisma")


def _checksum(migration: Migration) -> str:
    """Return what _prisma_migrations.checksum is."""
    from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL)

    return sha256(migration.content).hexdigest()


_NEW = {"{version}_{name}/migration.sql": "-- {title}\n\n"}
FORMAT = Format("prisma", _matches, _read, _checksum, _NEW)
