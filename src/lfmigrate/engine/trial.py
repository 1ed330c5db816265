"""A trial of down files inside a savepoint: what they drop, and whose rows they change."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lfmigrate import catalog
from lfmigrate.catalog import Rows, TypeUser
from lfmigrate.engine.dropped import NotRestored, Restored, make_room, restore_previous
from lfmigrate.engine.large_objects import (
    LostObject,
    lost_objects,
    touched,
    touched_objects,
)
from lfmigrate.engine.losses import Changes, Moment, changes, existed_before
from lfmigrate.engine.owned import OwnedObjects
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError, Refused, StatementFailed
from lfmigrate.history import ledger
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows.policies import all_rows_visible, see_all_rows
from lfmigrate.schema.object import Item
from lfmigrate.source.down import dropped_names
from lfmigrate.syntax.names import quote_name

# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"

_TRIAL = "lfmigrate_trial"


@dataclass(frozen=True, slots=True)
class Trial:
    """What down files would do.

    Attributes:
        failure: Why they cannot run: other objects depend on what they drop. None if they can.
        changes: What they do, as ids; if they cannot run, all that depends on what the migrations
            created counts as dropped.
        retyped: The ids of the tables with values that lose a part, because their type does.
        left: The rows of the tables that they write to, after they have run.
        created: What they create.
        items: What the ids stand for.
        large_objects: The large objects that they delete or change, by number.
        restored: The ids of what they drop and the run restores: what belongs to a view that it
            re-creates, such as an index, and the rows of a materialized one.
        roles: The roles that they drop.
        foreign_tables: The names of the foreign tables whose rows they may change.
        not_restored: What does not get its previous definition back.
    """

    failure: StatementFailed | None
    changes: Changes
    retyped: frozenset[str]
    left: Mapping[str, Rows]
    created: tuple[Item, ...]
    items: Mapping[str, Item]
    large_objects: Mapping[int, LostObject]
    restored: frozenset[str] = frozenset()
    roles: tuple[Item, ...] = ()
    foreign_tables: tuple[str, ...] = ()
    not_restored: tuple[NotRestored, ...] = ()

    @property
    def touched(self) -> frozenset[str]:
        """Return the ids of the tables that stay, and of which existing rows may be changed."""
        return self.changes.rewritten | self.changes.written | self.retyped

    @property
    def tables(self) -> tuple[Item, ...]:
        """Return the tables that they drop, or whose rows they touch."""
        ids = self.changes.dropped | self.touched
        return tuple(i for i in self.items.values() if i.relkind in {"r", "p"} and i.id in ids)

    @property
    def outermost(self) -> tuple[Item, ...]:
        """Return `tables` without the partitions of others, whose rows include theirs."""
        ids = {table.id for table in self.tables}
        return tuple(table for table in self.tables if ids.isdisjoint(table.ancestors))

    @property
    def counted(self) -> tuple[Item, ...]:
        """Return `outermost`, and the materialized views that they drop, if those have rows."""
        views = (i for i in self.gone.values() if i.relkind == "m" and i.populated)
        return (*self.outermost, *views)

    def may_lock(self, table_id: str) -> bool:
        """Return whether the role may lock a table against writers."""
        table = self.changes.tables.get(table_id)
        return table is None or table.lockable

    @property
    def gone(self) -> Mapping[str, Item]:
        """Return what they drop, by id."""
        dropped = self.changes.dropped
        return {item_id: self.items[item_id] for item_id in dropped if item_id in self.items}


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
    before, after, statements, restored = _try(transaction, steps, owned)
    failure = next((answer.error for answer in statements if answer.error is not None), None)
    if failure is not None:
        return _failed(transaction, steps, owned, failure)
    done = changes(before, after)
    flight = transaction.flight
    created = flight.ask(catalog.items(done.created))
    retyped = flight.ask(catalog.type_users(done.cut))
    # Rows that the role may not read are counted by the server's statistics.
    done = replace(
        done,
        written=frozenset(
            i for i in done.written if done.tables[i].readable or done.tables[i].changed != 0
        ),
    )
    counted = [t for i, t in done.tables.items() if i in done.written | done.rewritten]
    see_all_rows(flight, [(table.schema, table.name) for table in counted], may_lift=True)
    left = {table.id: flight.ask(catalog.rows_left(table)) for table in counted}
    question = touched(after.traces.value)
    objects_left = flight.ask(question) if question is not None else None
    roll_back_trial(flight)
    objects = flight.ask(question) if question is not None else None
    # No schema, so that definitions hold under any path.
    flight.look_at()
    items = flight.ask(catalog.items(done.dropped | done.rewritten | done.written))
    roles = flight.ask(catalog.role_items(after.traces.value.roles))
    transaction.send()
    found = dict(items.value)
    if new := {table.id for table in retyped.value} - found.keys():
        more = transaction.flight.ask(catalog.items(new))
        transaction.send()
        found |= more.value
    return Trial(
        failure=None,
        changes=done,
        retyped=frozenset(table.id for table in retyped.value),
        left={item_id: answer.value for item_id, answer in left.items()},
        created=tuple(created.value.values()),
        items=found,
        large_objects=lost_objects(objects.value, objects_left.value)
        if objects is not None and objects_left is not None
        else {},
        restored=_restored(steps, found.values(), created.value.values()),
        roles=roles.value,
        foreign_tables=after.traces.value.foreign_tables,
        not_restored=tuple(found for each in restored for found in each.failed.value),
    )


def _restored(
    steps: Sequence[Step], dropped: Iterable[Item], created: Iterable[Item]
) -> frozenset[str]:
    """Return the ids of dropped views that are filled again, and of what re-created ones get back.

    What a run restores of the views that it re-creates, the trial does not.
    """
    filled = {_name(item): item.populated for item in created if item.relkind in {"v", "m"}}
    restated = {(e.key.schema, e.key.name): e.restated for step in steps for e in step.drops}
    views = {i.id: restated.get(_name(i)) for i in dropped if _name(i) in filled}
    found = set()
    for item in dropped:
        if item.id in views:
            if views[item.id] is not None or filled[_name(item)]:
                found.add(item.id)
        elif item.relkind in {None, "i"} and not (item.part or "").startswith("column "):
            of = views.keys() & {":".join(owner.split(":")[:2]) for owner in item.owners}
            lost = [views[view] for view in of]
            if any(names is not None and item.relname not in names for names in lost):
                found.add(item.id)
    return frozenset(found)


def _name(item: Item) -> tuple[str, str]:
    return item.schema or "", item.relname or ""


def with_cascade(
    transaction: Transaction, steps: Sequence[Step], owned: OwnedObjects, failed: Trial
) -> Trial:
    """Return a trial that failed with all that down files would do if their DROPs said CASCADE.

    Args:
        transaction: The trial was rolled back in it.
        steps: The down files with CASCADE.
        owned: What the migrations created.
        failed: The trial without it; returned if the files fail with it, too.
    """
    try:
        found = run_trial(transaction, steps, owned)
    except StatementFailed:
        roll_back_trial(transaction.flight)
        transaction.send()
        return failed
    return failed if found.failure is not None else replace(found, failure=failed.failure)


def _failed(
    transaction: Transaction,
    steps: Sequence[Step],
    owned: OwnedObjects,
    failure: StatementFailed,
) -> Trial:
    """Return what a failed trial shows: what depends on what has to be dropped."""
    roll_back_trial(transaction.flight)
    restored = [each.previous for step in steps if step.restores for each in [step.restores]]
    wholes = {p.key: p for previous in restored for p in previous if p.part is None}
    stays = {owned.ids[key] for key in wholes if key in owned.ids}
    blocked = failure.diagnostic.table
    own: list[tuple[str, str | None]] = [
        (owned.ids[key], None)
        for key, each in wholes.items()
        if key in owned.ids and each.document["properties"]["identity"] == blocked
    ]
    named = dropped_names([step.file for step in steps])
    if not own:
        # What is only restored is not dropped, unless a file says so.
        unnamed = {
            owned.ids[key]
            for key in wholes
            if key in owned.ids and key.name.partition("(")[0].lower() not in named
        }
        own = [root for root in roots(owned) if root[0] not in unnamed]
    asked = transaction.flight.ask(catalog.dependents(own))
    transaction.send()
    transaction.flight.look_at()
    items = transaction.flight.ask(catalog.items(asked.value))
    transaction.send()
    again = tuple(item for item in items.value.values() if item.id in stays)
    return Trial(failure, Changes(dropped=asked.value), frozenset(), {}, again, items.value, {})


def roll_back_trial(flight: Flight) -> None:
    """Queue the end of a trial that has failed, or succeeded."""
    flight.do(f"ROLLBACK TO SAVEPOINT {_TRIAL}")
    flight.do(f"RELEASE SAVEPOINT {_TRIAL}")


@dataclass(frozen=True, slots=True)
class Rerun:
    """The run of the down files for good, to be compared with the trial.

    Attributes:
        before: Right before it.
        after: Right after it.
        retyped: The tables with values that lost a part.
        left: The rows of the tables whose rows have not been saved.
    """

    before: Moment
    after: Moment
    retyped: Answer[tuple[TypeUser, ...]]
    left: Mapping[str, Answer[Rows]]

    @classmethod
    def queue(
        cls,
        transaction: Transaction,
        steps: Sequence[Step],
        trial: Trial,
        unsaved: Collection[str],
    ) -> Rerun:
        """Queue the files for good, and what is asked before and after them.

        Args:
            transaction: Where they run.
            steps: The down files.
            trial: What they did in the trial.
            unsaved: The ids of the tables that it wrote to, and of which no existing row changed.
        """
        schema, table = transaction.state.schema, ledger.table(transaction.session.scope)
        before = Moment.queue(transaction.flight, schema, table)
        transaction.run(steps)
        flight = transaction.flight
        after = Moment.queue(flight, schema, table)
        retyped = flight.ask(catalog.type_users(trial.changes.cut))
        tables = [trial.changes.tables[item_id] for item_id in unsaved]
        if not tables:
            return cls(before, after, retyped, {})
        with all_rows_visible(flight, [(table.schema, table.name) for table in tables]):
            left = {table.id: flight.ask(catalog.rows_left(table)) for table in tables}
        return cls(before, after, retyped, left)


def refuse_more(
    transaction: Transaction, trial: Trial, run: Rerun, unsaved: Mapping[str, int]
) -> None:
    """Refuse a run of the files that has done more than the trial.

    Args:
        transaction: It has run the files.
        trial: What they did then.
        run: What was asked before and after the run.
        unsaved: How many rows the tables had of which the trial has changed none, by id.

    Raises:
        Refused: Something is lost that was neither shown nor saved.
    """
    did, does = trial.changes, changes(run.before, run.after)
    more = (does.dropped - did.dropped) | (does.rewritten - did.rewritten)
    more |= {table.id for table in run.retyped.value} - trial.retyped
    more |= {i for i, rows in unsaved.items() if run.left[i].value.old < rows}
    lost = touched_objects(transaction, run.after.traces.value).lost
    known = {role.id for role in trial.roles}
    objects = [f"role {role}" for role in sorted(run.after.traces.value.roles - known)]
    objects += [
        f"large object {number}"
        for number, each in lost.items()
        if number not in trial.large_objects or trial.large_objects[number] != each
    ]
    # What did not exist when the run began is in no list of what did.
    there = run.after.objects.value
    unknown = {i for i in does.reached if i not in there or i in does.tables}
    unknown -= did.reached | did.dropped
    names: Collection[str] = ()
    if unknown or more:
        try:
            names = existed_before(transaction.conn, unknown | more)
        except DatabaseError:
            names = sorted(unknown | more)
    if names or more or objects:
        raise Refused(
            "the down files have dropped more than they did a moment before",
            detail=[*names, *objects],
            hint="Another session changed the schema meanwhile; try again.",
        )


def roots(owned: OwnedObjects) -> Iterable[tuple[str, str | None]]:
    """Return the ids of what the migrations created, without what repeatable files created.

    Returns:
        For `catalog.dependents`: an id, and a part of it if only that is theirs.
    """
    on_top = {key for keys in owned.repeatables.values() for key in keys}
    for key in (*owned.owned.whole, *owned.owned.found):
        if key in owned.ids and key not in on_top:
            yield owned.ids[key], None
    for key, parts in owned.owned.parts.items():
        if key in owned.ids:
            yield from ((owned.ids[key], part) for part in parts)


def lock_tables(flight: Flight, names: Collection[str], mode: str = "ACCESS EXCLUSIVE") -> None:
    """Queue a lock of tables, given by their qualified and quoted names."""
    if names:
        flight.do(f"LOCK TABLE {', '.join(sorted(names))} IN {mode} MODE")


def _try(
    transaction: Transaction, steps: Sequence[Step], owned: OwnedObjects
) -> tuple[Moment, Moment, list[Answer[None]], list[Restored]]:
    flight, schema = transaction.flight, transaction.state.schema
    keys = owned.owned.whole.keys() | owned.owned.parts.keys() | owned.owned.found
    tables = [r for r in owned.live.values() if r.kind == "table" and r.key in keys]
    lock_tables(flight, [f"{quote_name(r.schema)}.{quote_name(r.name)}" for r in tables])
    scope, defaults = transaction.session.scope, transaction.state.server.defaults
    table = ledger.table(scope)
    before = Moment.queue(flight, schema, table)
    flight.reset(scope, defaults)
    flight.do(f"SAVEPOINT {_TRIAL}")
    flight.sync()
    statements: list[Answer[None]] = []
    restored: list[Restored] = []
    for step in steps:
        if step.restores:
            statements += make_room(flight, step.restores, schema)
            flight.reset(scope, defaults)
        if step.drops:
            flight.look_at(schema)
            wanted = json.dumps([each.key._asdict() for each in step.drops])
            flight.do(catalog.query_text("recreated"), wanted)
            flight.do(catalog.query_text("drop_recreated"))
            flight.reset(scope, defaults)
        statements += flight.run_file(step.file, scope, defaults, release=transaction.releases)
        if step.restores:
            restored.append(restore_previous(flight, step.restores))
            statements += restored[-1].statements
            flight.reset(scope, defaults)
    # What is deferred to the commit belongs to what the files do.
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    after = Moment.queue(flight, schema, table)
    flight.sync(_DEPENDED_ON)
    transaction.send()
    return before, after, statements, restored
