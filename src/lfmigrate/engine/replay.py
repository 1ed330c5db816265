"""What SQL files create: run in a scratch schema, read from the catalogs, always rolled back."""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.relation import Relation
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import quote_name

# Why a statement may be skipped even in an empty schema.
NOT_RECREATED = "another file makes the same, or a schema stands in the name"

_SAVEPOINT = "lfmigrate_replay"

_MARKER = "lfmigrate_marker"


@dataclass(frozen=True, slots=True)
class Made:
    """A relation that files make in an empty schema.

    Attributes:
        relation: As the last file leaves it.
        file_index: The place in the sequence of the file that makes it.
        part_files: The place of the file that wrote each part last.
    """

    relation: Relation
    file_index: int
    part_files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay.

    Attributes:
        made: The relations, in the order in which they are made.
        skipped: The places of statements that found what they make already there, although the
            scratch schema was empty: nothing is known of what they would have made.
    """

    made: tuple[Made, ...]
    skipped: tuple[str, ...]


def replay(
    session: Session, state: DatabaseState, files: Sequence[SqlFile], *, inside: bool
) -> Replay:
    """Find out what files make, by running them where nothing is yet, and rolling back.

    Names that a file does not find in the scratch schema resolve as they would in the command's
    schema, so a foreign key to another table works. What a file does to objects that it names with
    their schema, it does to those; that is rolled back too.

    Args:
        session: The command.
        state: The database; the files are meant for its schema.
        files: In the order in which to run them.
        inside: Whether a transaction is open, which then goes on unharmed behind a savepoint;
            otherwise one is begun and rolled back.

    Returns:
        The relations as they would be in that schema. What the files make in other schemas is among
        them only if nothing else was written in the transaction, that is, not ``inside``.

    Raises:
        StatementFailed: A file cannot be run in a scratch schema, or the role may not make one.
            The transaction of the caller is as it was.
    """
    scratch = f"lfmigrate_scratch_{secrets.token_hex(6)}"
    marker = f"{quote_name(scratch)}.{_MARKER}"
    schema = state.schema
    flight = session.flight()
    if inside:
        flight.do(f"SAVEPOINT {_SAVEPOINT}")
        flight.sync()
    else:
        flight.begin(session.scope)
    flight.do("SELECT pg_current_xact_id()")
    flight.do(f"CREATE SCHEMA {quote_name(scratch)}")
    flight.do(f"CREATE TABLE {marker} (n integer)")
    statements = []
    for file in files:
        statements += flight.run_file(
            file.in_one_transaction(), session.scope, state.server.defaults, scratch
        )
        flight.do(f"INSERT INTO {marker} VALUES (1)")
    flight.look_at(scratch, schema)
    found = flight.ask(catalog.snapshot((), ledger=marker))
    markers = flight.ask(_markers(marker))
    flight.sync()
    flight.do(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}" if inside else "ROLLBACK")
    flight.go()
    ends = markers.value
    made = []
    for item in found.value.found:
        relation = item.relation
        if not item.cids or relation.name == scratch:
            continue
        if relation.schema == scratch:
            relation = replace(relation, schema=schema)
        elif inside:
            continue
        first = bisect_left(ends, item.cids[0])
        part_files = {
            part: max(first, bisect_left(ends, cid)) for part, cid in item.written.items()
        }
        made.append(Made(relation, first, part_files))
    return Replay(
        made=tuple(made),
        skipped=_once(
            f"{answer.statement.file}:{answer.statement.line}"
            for answer in statements
            if answer.statement is not None and answer.has_skipped
        ),
    )


def _once(places: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(places))


def _markers(marker: str) -> Query[list[int]]:
    return Query(
        "SELECT coalesce(jsonb_agg(m.cid ORDER BY m.cid), '[]')"
        f" FROM (SELECT cmin::text::int AS cid FROM {marker}) AS m",
        (),
        list,
    )
