"""Loads an archive into new tables in a schema of its own, to be looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count

from lfmigrate import catalog
from lfmigrate.errors import Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import copy_in
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.rows import archive
from lfmigrate.rows.dump import EXACT, OnCopy, copy_from, watched
from lfmigrate.rows.saved import Archive, SavedTable
from lfmigrate.rows.suspended import empty_path
from lfmigrate.syntax.names import quote_name, stored_name


def load_into(
    conn: Connection, saved: Archive, schema: str, *, watch: OnCopy | None = None
) -> tuple[tuple[SavedTable, ...], tuple[str, ...]]:
    """Create the tables of an archive in a schema, and load them, in the open transaction.

    They have the columns and types that were saved, and no constraints, indexes or sequences. Where
    a type does not exist any more, or is defined in another way, the column is text.

    Args:
        conn: A connection with an open transaction.
        saved: The archive.
        schema: The schema's name, unquoted; it is created if it does not exist.
        watch: Called after every block.

    Returns:
        The tables as they are called there, and what is worth a warning.

    Raises:
        Refused: The schema has something of these names.
        DatabaseError: The server refused.
    """
    tables = _named(saved, schema)
    types = {kind for table in tables for kind in _types(table).values()}
    flight = Flight(conn)
    flight.set(EXACT)
    with empty_path(flight):
        exists = flight.ask(_schema_exists(schema))
        taken = flight.ask(_taken(schema, [table.name for table in tables]))
        known = flight.ask(_known(types))
    flight.go()
    if taken.value:
        raise Refused(
            f'schema "{schema}" has relations of these names',
            detail=[f"{schema}.{name}" for name in taken.value],
            hint="Name another schema, which is created if it does not exist.",
        )
    flight = Flight(conn)
    with empty_path(flight):
        if not exists.value:
            flight.do(f"CREATE SCHEMA {quote_name(schema)}")
        for table in tables:
            columns = [
                # A comment in the name of a type must not reach what follows.
                f"{quote_name(name)} {kind if known.value[kind] else 'text'}\n"
                for name, kind in _types(table).items()
            ]
            flight.do(f"CREATE TABLE {_qualified(table)} ({', '.join(columns)})")
        created = flight.ask(catalog.tables((table.schema, table.name) for table in tables))
    flight.go()
    notes = _make_text(conn, tables, created.value, known.value)
    for _ in copy_in(
        conn,
        [
            (
                copy_from(
                    _qualified(table), (name for name, _ in table.columns), saved.about.encoding
                ),
                watched(archive.blocks(saved, table), table.name, table.bytes, watch),
            )
            for table in tables
            if table.rows
        ],
    ):
        pass  # the rows are counted in the manifest
    return tables, notes


def _make_text(
    conn: Connection,
    tables: Sequence[SavedTable],
    created: Sequence[catalog.Table],
    known: Mapping[str, bool],
) -> tuple[str, ...]:
    """Turn columns into text whose type is another one than then; return a note for each."""
    notes = []
    flight = Flight(conn)
    by_name = {table.name: table for table in created}
    for table in tables:
        live = {column.name: column.definition for column in by_name[table.name].columns}
        then = dict(table.definitions)
        types = _types(table)
        for name, kind in table.columns:
            label = f"column {table.schema}.{table.name}.{name} is text: type {kind}"
            if types[name] != kind and known[types[name]]:
                continue  # the base type of a domain
            if not known[types[name]]:
                notes.append(f"{label} does not exist")
            elif then.get(name, "") != live[name] or "domain over" in live[name]:
                notes.append(f"{label} is defined in another way, or has a domain in it")
                flight.do(f"ALTER TABLE {_qualified(table)} ALTER {quote_name(name)} TYPE text")
    flight.go()
    return tuple(notes)


def _types(table: SavedTable) -> dict[str, str]:
    """Return the type of each column; for a domain, whose checks may be newer, its base type."""
    definitions = dict(table.definitions)
    types = {}
    for name, kind in table.columns:
        base = re.search(
            rf"(?:^|; ){re.escape(kind)} domain over ([^;]+)", definitions.get(name, "")
        )
        types[name] = kind if base is None else base[1]
    return types


def _named(saved: Archive, schema: str) -> tuple[SavedTable, ...]:
    """Return tables with their new names: with their schema, where the name is taken."""
    taken: set[str] = set()
    named = {}
    for table in sorted(saved.tables, key=lambda t: t.schema != saved.about.schema):
        longer = stored_name(f"{table.schema}_{table.name}")
        candidates = chain(
            (table.name, longer), (f"{stored_name(longer[:50])}_{n}" for n in count(2))
        )
        name = next(each for each in candidates if each not in taken)
        taken.add(name)
        named[table.file] = replace(table, schema=schema, name=name)
    return tuple(named[table.file] for table in saved.tables)


def _qualified(table: SavedTable) -> str:
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"


def _schema_exists(schema: str) -> Query[bool]:
    return Query(
        "SELECT to_jsonb(EXISTS (SELECT FROM pg_namespace WHERE nspname = $1))", (schema,), bool
    )


def _taken(schema: str, names: Iterable[str]) -> Query[tuple[str, ...]]:
    return Query(
        "SELECT coalesce(jsonb_agg(c.relname ORDER BY c.relname), '[]') FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND $2::jsonb ? c.relname",
        (schema, json.dumps(list(names))),
        tuple,
    )


def _known(types: Iterable[str]) -> Query[dict[str, bool]]:
    """Ask which texts are the name of a type, and nothing else."""
    return Query(
        "SELECT coalesce(jsonb_object_agg(t.name, to_regtype(t.name) IS NOT NULL), '{}')"
        " FROM jsonb_array_elements_text($1::jsonb) AS t (name)",
        (json.dumps(sorted(types)),),
        dict,
    )
