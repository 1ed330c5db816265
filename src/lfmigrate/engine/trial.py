"""A trial of down files inside a savepoint: what they drop, and whose rows they change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.engine.owned import OwnedObjects
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.object import Item
from lfmigrate.syntax.names import quote_name

# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"

_TRIAL = "lfmigrate_trial"


@dataclass(frozen=True, slots=True)
class Trial:
    """What down files would do.

    Attributes:
        failure: Why they cannot run: other objects depend on what they drop. None if they can.
        dropped: The ids of the objects that they drop; if they cannot run, of all that depends on
            what the migrations created.
        touched: The ids of the tables whose rows they delete, change or rewrite.
        created: What they create.
        items: What the ids stand for.
    """

    failure: StatementFailed | None
    dropped: frozenset[str]
    touched: frozenset[str]
    created: tuple[Item, ...]
    items: Mapping[str, Item]

    @property
    def tables(self) -> tuple[Item, ...]:
        """Return the tables that they drop, or whose rows they touch."""
        ids = self.dropped | self.touched
        return tuple(i for i in self.items.values() if i.relkind in {"r", "p"} and i.id in ids)

    @property
    def outermost(self) -> tuple[Item, ...]:
        """Return `tables` without the partitions of others, whose rows include theirs."""
        ids = {table.id for table in self.tables}
        return tuple(table for table in self.tables if ids.isdisjoint(table.ancestors))

    @property
    def gone(self) -> Mapping[str, Item]:
        """Return what they drop, by id."""
        return {item_id: self.items[item_id] for item_id in self.dropped if item_id in self.items}


@dataclass(frozen=True, slots=True)
class Inventory:
    """What exists, and how many rows this session has changed, when asked."""

    objects: Answer[frozenset[str]]
    changed: Answer[Mapping[str, int]]

    @classmethod
    def queue(cls, flight: Flight, schema: str) -> Inventory:
        """Queue the questions."""
        flight.look_at(schema)
        return cls(flight.ask(catalog.inventory()), flight.ask(catalog.changed_rows()))

    def dropped_until(self, after: Inventory) -> frozenset[str]:
        """Return the objects and columns that were dropped since."""
        gone = self.objects.value - after.objects.value
        return frozenset(item_id for item_id in gone if not item_id.startswith("rows:"))

    def touched_until(self, after: Inventory) -> frozenset[str]:
        """Return the tables whose rows were deleted, changed or rewritten since, by id."""
        before = self.changed.value
        tables = {i for i, rows in after.changed.value.items() if rows > before.get(i, 0)}
        for item_id in self.objects.value - after.objects.value:
            catalog_name, oid, *column = item_id.split(":")
            if catalog_name == "rows" or (catalog_name == "pg_class" and column):
                tables.add(f"pg_class:{oid}")
        return frozenset(tables)


def run_trial(transaction: Transaction, steps: Sequence[Step], owned: OwnedObjects) -> Trial:
    """Run down files inside a savepoint to find out what they do; then roll that back.

    The tables of the migrations are locked against all other sessions first, so that what the trial
    finds cannot change until the files run for good.

    Args:
        transaction: Its lock is queued; nothing needs to have been sent.
        steps: The down files.
        owned: What the migrations created.

    Returns:
        What they would do.

    Raises:
        StatementFailed: They fail, and not because other objects depend on what they drop.
    """
    before, after, statements = _try(transaction, steps, owned)
    failure = next((answer.error for answer in statements if answer.error is not None), None)
    flight = transaction.flight
    created: Answer[Mapping[str, Item]] | None = None
    if failure is None:
        created = flight.ask(catalog.items(after.objects.value - before.objects.value))
    flight.do(f"ROLLBACK TO SAVEPOINT {_TRIAL}")
    flight.do(f"RELEASE SAVEPOINT {_TRIAL}")
    if failure is None:
        dropped, touched = before.dropped_until(after), before.touched_until(after)
    else:
        asked = flight.ask(catalog.dependents(roots(owned)))
        transaction.send()
        dropped, touched = asked.value, frozenset[str]()
    items = transaction.flight.ask(catalog.items(dropped | touched))
    transaction.send()
    return Trial(
        failure=failure,
        dropped=dropped,
        touched=touched,
        created=() if created is None else tuple(created.value.values()),
        items=items.value,
    )


def refuse_more(trial: Trial, before: Inventory, after: Inventory) -> None:
    """Refuse a run of the files that has done more than the trial.

    Args:
        trial: What they did then.
        before: What existed before the run.
        after: What exists after it.

    Raises:
        Refused: Something is lost that was neither shown nor saved.
    """
    more = (before.dropped_until(after) - trial.dropped) | (
        before.touched_until(after) - trial.touched
    )
    if more:
        raise Refused(
            "the down files have dropped more than they did a moment before",
            detail=[f"{len(more)} more objects or tables, {', '.join(sorted(more)[:5])}"],
            hint="Another session changed the schema meanwhile; try again.",
        )


def roots(owned: OwnedObjects) -> Iterable[tuple[str, str | None]]:
    """Return the ids of what the migrations created, without what repeatable files created.

    Returns:
        For `catalog.dependents`: an id, and a part of it if only that is theirs.
    """
    on_top = {key for keys in owned.repeatables.values() for key in keys}
    for key in owned.owned.whole:
        if key in owned.ids and key not in on_top:
            yield owned.ids[key], None
    for key, parts in owned.owned.parts.items():
        if key in owned.ids:
            yield from ((owned.ids[key], part) for part in parts)


def lock_tables(flight: Flight, names: Collection[str]) -> None:
    """Queue a lock of tables, given by their qualified and quoted names, against all others."""
    if names:
        flight.do(f"LOCK TABLE {', '.join(sorted(names))} IN ACCESS EXCLUSIVE MODE")


def _try(
    transaction: Transaction, steps: Sequence[Step], owned: OwnedObjects
) -> tuple[Inventory, Inventory, list[Answer[None]]]:
    flight, schema = transaction.flight, transaction.state.schema
    keys = owned.owned.whole.keys() | owned.owned.parts.keys()
    tables = [r for r in owned.live.values() if r.kind == "table" and r.key in keys]
    lock_tables(flight, [f"{quote_name(r.schema)}.{quote_name(r.name)}" for r in tables])
    scope, defaults = transaction.session.scope, transaction.state.server.defaults
    before = Inventory.queue(flight, schema)
    flight.reset(scope, defaults)
    flight.do(f"SAVEPOINT {_TRIAL}")
    flight.sync()
    statements: list[Answer[None]] = []
    for step in steps:
        statements += flight.run_file(step.file, scope, defaults, release=transaction.releases)
    after = Inventory.queue(flight, schema)
    flight.sync(_DEPENDED_ON)
    transaction.send()
    return before, after, statements
