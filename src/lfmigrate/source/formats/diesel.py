"""diesel, hasura and movine: a folder per migration, with up.sql and perhaps down.sql."""

from __future__ import annotations

import re
from contextlib import suppress

from lfmigrate.errors import SqlFileError
from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.pairs import own_names
from lfmigrate.source.reader import Reader, is_folder
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(r"(?P<version>[0-9][0-9-]*)_(?P<name>.+)", re.DOTALL)
_SECONDS = 14


def _folders(reader: Reader) -> dict[str, set[str]]:
    """Return the names in each subfolder that has SQL files."""
    found = {
        name: {*reader.names(reader.folder / name)}
        for name in reader.others
        if is_folder(reader.folder / name)
    }
    return {
        name: files for name, files in found.items() if any(each.endswith(".sql") for each in files)
    }


def _is_one(reader: Reader) -> bool:
    # A folder among lfmigrate's own files is not read.
    return not own_names(reader) and any(
        "up.sql" in files and _NAME.fullmatch(name) for name, files in _folders(reader).items()
    )


def _differs(reader: Reader) -> bool:
    """Return whether versions sort in one order as text, and in another as numbers."""
    versions = [m["version"] for m in map(_NAME.fullmatch, _folders(reader)) if m]
    plain = [version for version in versions if version.isdigit()]
    return sorted(plain) != sorted(plain, key=int)


def _read_as(reader: Reader, tool: str) -> list[Migration]:
    found = Found(reader, "whose folder has a metadata.toml with run_in_transaction = false")
    for folder, files in _folders(reader).items():
        match = _NAME.fullmatch(folder)
        if match is None or "up.sql" not in files:
            found.misnamed(f"{folder}/", "2024-05-01-120000_first_table/up.sql")
            continue
        version = match["version"]
        if version.isdigit() and len(version) > _SECONDS and tool == "diesel":
            # Written so, it is compared as text.
            version = "-".join(
                (version[:4], version[4:6], version[6:8], version[8:14], version[14:])
            )
        outside = _is_outside(reader, folder) if "metadata.toml" in files else False

        def parts(file: SqlFile, outside: bool = outside) -> Parts:  # noqa: FBT001 (bound)
            return Parts(file.text, None, outside)

        down = f"{folder}/down.sql" if "down.sql" in files else None
        found.add(version, match["name"], f"{folder}/up.sql", parts, down=down, undo=parts)
    for name in reader.sql:
        found.misnamed(name, "2024-05-01-120000_first_table/up.sql")
    return found.in_order_of_text(tool) if tool == "diesel" else found.migrations()


def _is_outside(reader: Reader, folder: str) -> bool:
    import tomllib  # noqa: PLC0415 (most folders have no such file)

    name = f"{folder}/metadata.toml"
    with suppress(SqlFileError):
        try:
            return tomllib.loads(reader.file(name).text).get("run_in_transaction") is False
        except tomllib.TOMLDecodeError as error:
            reader.problem(f"{name} is not valid TOML: {error}", hint="Correct it.")
    return False


_NEW = {f"{{version}}_{{name}}/{way}.sql": "-- {title}\n\n" for way in ("up", "down")}
FORMAT = Format("diesel", _is_one, lambda reader: _read_as(reader, "diesel"), files=_NEW)
HASURA = Format(
    "hasura",
    lambda reader: _is_one(reader) and _differs(reader),
    lambda reader: _read_as(reader, "hasura"),
    files=_NEW,
)
