"""Suspends what would reject or change rows that are put back as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.catalog.tables import Column, ForeignKey, Member, NotValid, Table
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.rows.dump import EXACT, qualified
from lfmigrate.syntax.names import quote_name

# How pg_trigger and ALTER TABLE say in which sessions a trigger fires, or a rule applies.
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


@dataclass(frozen=True, slots=True)
class Suspended:
    """What was suspended: the statements that put everything back as it was."""

    statements: Sequence[str]

    def resume(self, flight: Flight) -> None:
        """Queue the check of what was deferred, and the statements."""
        # First, because a table with pending trigger events cannot be altered.
        flight.do("SET CONSTRAINTS ALL IMMEDIATE")
        with empty_path(flight):
            for statement in self.statements:
                flight.do(statement)


def suspend(
    conn: Connection,
    tables: Sequence[Table],
    circular: Sequence[tuple[Member, ForeignKey]] = (),
    always: Sequence[tuple[Table, Column]] = (),
) -> Suspended:
    """Suspend triggers of users, rules, and constraints that are NOT VALID; defer the others.

    Row-level security that is forced on the owner is lifted. Values are read as `EXACT` says.

    Args:
        conn: A connection with an open transaction that has locked the tables.
        tables: The tables.
        circular: The foreign keys that no order of the tables satisfies, with their tables. They
            are deferred, too.
        always: Identity columns that are GENERATED ALWAYS, and will be updated.

    Returns:
        What to resume in the same transaction.

    Raises:
        DatabaseError: The role does not own what has to be altered.
    """
    flight = Flight(conn)
    flight.set(EXACT)
    with empty_path(flight):
        asked = flight.ask(catalog.not_valid(tables))
    flight.go()
    pairs = [*_policies(tables), *_triggers(tables), *_deferrals(circular), *_identities(always)]
    flight = Flight(conn)
    with empty_path(flight):
        for statement in (*(do for do, _ in pairs), *_drop(asked.value)):
            flight.do(statement)
    flight.do("SET CONSTRAINTS ALL DEFERRED")
    flight.go()
    return Suspended((*_add(asked.value), *(undo for _, undo in reversed(pairs))))


@contextmanager
def empty_path(flight: Flight) -> Iterator[None]:
    """Let what is queued in the block find an empty search path: definitions have full names."""
    flight.do("SELECT set_config('lfmigrate.path', current_setting('search_path'), true)")
    flight.set({"search_path": ""})
    yield
    flight.do("SELECT set_config('search_path', current_setting('lfmigrate.path'), true)")


@contextmanager
def without_triggers(flight: Flight, tables: Sequence[Table]) -> Iterator[None]:
    """Let no trigger of users fire for what is queued in the block; the role owns the tables."""
    pairs = list(_triggers(tables))
    for do, _ in pairs:
        flight.do(do)
    yield
    for _, undo in pairs:
        flight.do(undo)


def _policies(tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    for table in tables:
        if table.forced:
            force = "FORCE ROW LEVEL SECURITY"
            yield (
                f"ALTER TABLE {qualified(table)} NO {force}",
                f"ALTER TABLE {qualified(table)} {force}",
            )


def _triggers(tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    for member in (member for table in tables for member in table.members):
        for trigger in member.triggers:
            # ONLY, because a partition's copy of a trigger may be in another state.
            name = f"TRIGGER {quote_name(trigger.name)}"
            yield (
                f"ALTER TABLE ONLY {qualified(member)} DISABLE {name}",
                f"ALTER TABLE ONLY {qualified(member)} {_ENABLE[trigger.enabled]} {name}",
            )
        for rule in member.rules:
            name = f"RULE {quote_name(rule.name)}"
            yield (
                f"ALTER TABLE {qualified(member)} DISABLE {name}",
                f"ALTER TABLE {qualified(member)} {_ENABLE[rule.enabled]} {name}",
            )


def _deferrals(circular: Sequence[tuple[Member, ForeignKey]]) -> Iterator[tuple[str, str]]:
    for member, key in circular:
        if not key.deferrable:
            alter = f"ALTER TABLE {qualified(member)} ALTER CONSTRAINT {quote_name(key.name)}"
            yield f"{alter} DEFERRABLE INITIALLY DEFERRED", f"{alter} NOT DEFERRABLE"


def _identities(always: Sequence[tuple[Table, Column]]) -> Iterator[tuple[str, str]]:
    for table, column in always:
        alter = f"ALTER TABLE {qualified(table)} ALTER {quote_name(column.name)} SET GENERATED"
        yield f"{alter} BY DEFAULT", f"{alter} ALWAYS"


def _drop(constraints: Sequence[NotValid]) -> Iterator[str]:
    for each in constraints:
        if each.drop:
            yield f"ALTER {each.target} DROP CONSTRAINT {quote_name(each.name)}"


def _add(constraints: Sequence[NotValid]) -> Iterator[str]:
    for each in constraints:
        if each.drop:
            name = quote_name(each.name)
            yield f"ALTER {each.target} ADD CONSTRAINT {name} {each.definition}"
    for each in constraints:
        name = quote_name(each.name)
        if each.validate:
            yield f"ALTER {each.target} VALIDATE CONSTRAINT {name}"
        if each.comment is not None:
            words, target = each.comment.replace("'", "''"), each.target.removeprefix("TABLE ")
            yield f"COMMENT ON CONSTRAINT {name} ON {target} IS '{words}'"
