"""Finds out whose folder one is."""

from __future__ import annotations

from lfmigrate.errors import SqlFileError
from lfmigrate.source.format import Format
from lfmigrate.source.formats import (
    dbmate,
    diesel,
    drizzle,
    flyway,
    golang_migrate,
    goose,
    graphile,
    mybatis,
    node_pg_migrate,
    own,
    pop,
    postgres_migrations,
    prisma,
    refused,
    sql_migrate,
    sqlx,
    supabase,
    tern,
)
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.reader import Reader

_OTHERS: tuple[Format, ...] = (
    diesel.FORMAT,
    diesel.HASURA,
    prisma.FORMAT,
    goose.FORMAT,
    golang_migrate.FORMAT,
    sqlx.FORMAT,
    dbmate.FORMAT,
    flyway.FORMAT,
    drizzle.FORMAT,
    supabase.FORMAT,
    sql_migrate.FORMAT,
    node_pg_migrate.FORMAT,
    graphile.FORMAT,
    tern.FORMAT,
    postgres_migrations.FORMAT,
    pop.FORMAT,
    mybatis.FORMAT,
)

FORMATS = {each.name: each for each in (own.FORMAT, *_OTHERS)}


def format_of(reader: Reader, wanted: str | None) -> Format:
    """Return the format of a folder; lfmigrate's own if it is no other tool's.

    Args:
        reader: The folder.
        wanted: The name of the one to use, whatever is in the folder; None to find out.

    Raises:
        SqlFileError: There is no such format; the folder could have two; or it is not one to read.
    """
    chosen = _found(reader) if wanted is None else named(wanted)
    refused.refuse_programs(reader, is_own=chosen.name in PAIRS)
    return chosen


def _found(reader: Reader) -> Format:
    refused.refuse_others(reader)
    found = [each for each in _OTHERS if each.matches(reader)]
    if len(found) > 1:
        names = " and ".join(each.name for each in found)
        raise SqlFileError(
            f'the files in "{reader.folder}" are of two formats: {names}',
            hint=f"Say which one to use, such as --format {found[0].name}.",
        )
    return found[0] if found else own.FORMAT


def named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        SqlFileError: There is none of that name.
    """
    if name not in FORMATS:
        raise SqlFileError(
            f'there is no format "{name}"',
            detail=[f"formats: {', '.join(FORMATS)}"],
            hint="Name one of them with --format, or leave it out.",
        )
    return FORMATS[name]
