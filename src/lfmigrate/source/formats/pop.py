"""pop and soda: pairs of files, some of them for one kind of database only."""

from __future__ import annotations

import re

from lfmigrate.source.format import Format, Found, Parts
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sqlfile import SqlFile

_NAME = re.compile(
    r"(?P<version>[0-9]+)_(?P<name>[^.]+)(?:\.(?P<dialect>(?!autocommit\b|up\b|down\b)[a-z0-9]+))?"
    r"(?P<outside>\.autocommit)?\.(?P<way>up|down)\.(?P<kind>sql|fizz)"
)
_POSTGRES = {"postgres", "postgresql", "pg"}
_OTHERS = {"mysql", "mariadb", "sqlite", "sqlite3", "cockroach", "cockroachdb", "crdb"}


def _matches(reader: Reader) -> bool:
    named = [match for match in map(_NAME.fullmatch, [*reader.sql, *reader.others]) if match]
    return any(
        match["kind"] == "fizz" or match["outside"] or match["dialect"] in _OTHERS
        for match in named
    )


def _read(reader: Reader) -> list[Migration]:
    found = Found(reader, "whose file is named like 1_name.autocommit.up.sql")
    chosen: dict[tuple[str, str, str], re.Match[str]] = {}
    for file in [*reader.sql, *(each for each in reader.others if each.endswith(".fizz"))]:
        match = _NAME.fullmatch(file)
        if match is None:
            found.misnamed(file, "20240501120000_first_table.up.sql")
        elif match["kind"] == "fizz":
            reader.problem(
                f"{file} is written in fizz, which lfmigrate does not read",
                hint='Translate it with "soda generate sql", or write it in SQL.',
            )
        elif match["dialect"] in {None, *_POSTGRES}:
            key = match["version"], match["name"], match["way"]
            if key not in chosen or match["dialect"]:
                chosen[key] = match
    for (version, name, way), match in chosen.items():
        if way == "down":
            if (version, name, "up") not in chosen:
                reader.problem(
                    f"{match.string} has no migration of its version",
                    hint="Add the migration that it reverts, or remove it.",
                )
            continue

        down = chosen.get((version, name, "down"))
        found.add(
            version,
            name,
            match.string,
            _parts,
            down=down.string if down else None,
            undo=_parts,
        )
    return found.migrations()


def _parts(file: SqlFile) -> Parts:
    match = _NAME.fullmatch(file.name)
    return Parts(file.text, None, match is not None and match["outside"] is not None)


_NEW = {f"{{version}}_{{name}}.{way}.sql": "-- {title}\n\n" for way in ("up", "down")}
FORMAT = Format("pop", _matches, _read, files=_NEW)
