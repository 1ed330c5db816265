"""What files do to existing rows: measured around statements, and checked by locks in the end.

The text of a statement names the tables that it drops, empties or rewrites, so these are measured
around it. Whatever else has changed a table shows in the end: its file or its columns are not those
that the last measured statement has left. The files are then rolled back and run again, and the
table is looked at around every statement, and measured around those that change it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lfmigrate import catalog
from lfmigrate.catalog import Definable, Measured, Mode, Traces, TypeUser
from lfmigrate.engine.definitions import Definitions
from lfmigrate.engine.lost_rows import KnownTable, Link, RowLoss, Search, label_of
from lfmigrate.engine.step import Step
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.postgres.pipeline import Flight, Guard
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Fingerprints
from lfmigrate.syntax.actions import (
    Endangered,
    created_table,
    endangered,
    runs_other_statements,
)
from lfmigrate.syntax.names import Cursor, Name, quote_name
from lfmigrate.syntax.scanner import Statement

_MODES: Mapping[str, Mode] = {
    "drop": "count",
    "truncate": "count",
    "retype": "digest",
    "rewrite": "look",
}

# The server empties a table in place if the same subtransaction has rewritten it before, so that
# its file does not show it. In a new subtransaction, it gets another file.
_SAVE = "lfmigrate_rewritten"


@dataclass(frozen=True, slots=True)
class Suspects:
    """What an earlier run of the same files has left to find out.

    Attributes:
        tables: The ids of the tables to look at around every statement.
        statements: The statements to measure them around.
        begun: What they were like before the files, by id.
        watched: The ids of views, routines, triggers and rules that the files may drop.
        kept: What they replace or drop, and of which the history keeps the definition.
    """

    tables: set[str] = field(default_factory=set)
    statements: set[Statement] = field(default_factory=set)
    begun: dict[str, Measured] = field(default_factory=dict)
    watched: set[str] = field(default_factory=set)
    kept: set[Replaced] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Found:
    """What some files have lost, as far as it was measured.

    Attributes:
        losses: What is lost.
        tables: The ids of the tables that may have lost rows which were not measured in time.
        statements: The statements that may have done it, as far as they are known.
        unknown: The ids of what was dropped and may have been another session's.
    """

    losses: tuple[RowLoss, ...]
    tables: frozenset[str]
    statements: frozenset[Statement]
    unknown: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Around:
    """What was measured around one statement."""

    step: Step
    statement: Statement
    way: str
    before: Answer[None]
    after: Answer[None]


@dataclass(frozen=True, slots=True)
class Updated:
    """A table of which rows were updated or deleted; their number, or None if it is unknown."""

    name: str
    rows: int | None


@dataclass(slots=True)
class Danger:
    """What some files do to rows that existed before them; for one transaction.

    Attributes:
        schema: The schema whose name is left out of reports.
        existing: What existed, with the number of columns and the file of each table.
        suspects: What an earlier run has left to find out.
        earlier: What the statistics had counted before; see `catalog.earlier_changes`.
        watched: What of ``suspects.watched`` exists after each file; empty if that is nothing.
        defined: How what is in ``suspects.kept`` is defined after each file; likewise.
    """

    schema: str
    existing: Answer[Fingerprints]
    suspects: Suspects
    earlier: Answer[Mapping[str, tuple[int, int]]]
    watched: list[Answer[Mapping[str, Definable]]] = field(default_factory=list)
    defined: list[Definitions] = field(default_factory=list)
    _around: list[_Around] = field(default_factory=list)
    _statements: list[tuple[Step, Statement]] = field(default_factory=list)
    _answers: list[Answer[None]] = field(default_factory=list)
    _end: tuple[Answer[Traces], Answer[tuple[TypeUser, ...]]] | None = None
    _created: set[Name] = field(default_factory=set)
    _seen: set[Name] = field(default_factory=set)
    _has_savepoint: bool = False
    _may_have_rewritten: bool = False

    def of(self, step: Step) -> Guard:
        """Return what measures the tables that the statements of a step name."""

        @contextmanager
        def guard(flight: Flight, statement: Statement) -> Iterator[None]:
            self._statements.append((step, statement))
            found = self._endangered(statement)
            if statement.head[:1] == ("COPY",) and "freeze" in statement.text.lower():
                # It has to be in the subtransaction that has created the table.
                self.end_file(flight)
            elif found is None and self._may_have_rewritten:
                self._begin_subtransaction(flight)
            if found is None and not self.suspects.tables:
                yield
                return
            way = "other" if found is None else found.way
            before = _queue(
                flight,
                statement,
                names=[] if found is None else [_qualified(name) for name in found.tables],
                mode=_MODES.get(way, "look"),
                columns=() if found is None else found.columns,
                ids=self.suspects.tables,
                ids_mode="digest" if statement in self.suspects.statements else "look",
            )
            yield
            after = _queue(flight, statement, again=True)
            self._around.append(_Around(step, statement, way, before, after))
            self._may_have_rewritten |= way not in {"drop", "truncate"}

        return guard

    def _endangered(self, statement: Statement) -> Endangered | None:
        """Return what a statement endangers, but for what only rewrites tables of the run's own."""
        if (created := created_table(statement)) is not None:
            self._created.add(created)
        found = endangered(statement)
        if found is None or found.way != "rewrite" or self.suspects.tables:
            return found
        # If the name means another table by now, the chain is broken, and the files run again.
        known = self._created | (self._seen if found.only_adds else set())
        self._seen.update(found.tables)
        return None if known.issuperset(found.tables) else found

    def end_file(self, flight: Flight) -> None:
        """Queue the end of the subtransaction in which the last statements have run."""
        if self._has_savepoint:
            flight.do(f"RELEASE SAVEPOINT {_SAVE}")
        self._has_savepoint = False

    def end_step(self, flight: Flight) -> None:
        """Queue the end of a file, and what of ``suspects.watched`` exists after it."""
        self.end_file(flight)
        if self.suspects.watched:
            flight.look_at(self.schema)
            self.watched.append(flight.ask(catalog.definable(self.suspects.watched)))
        if self.suspects.kept:
            self.defined.append(Definitions.queue(flight, self.suspects.kept, self.schema))

    def _begin_subtransaction(self, flight: Flight) -> None:
        self.end_file(flight)
        flight.do(f"SAVEPOINT {_SAVE}")
        self._has_savepoint, self._may_have_rewritten = True, False

    def queue_end(self, flight: Flight, answers: Sequence[Answer[None]], ledger: str) -> None:
        """Queue what shows in the end what the statements dropped and rewrote.

        Args:
            flight: The statements are queued in it.
            answers: Their answers.
            ledger: As in `catalog.traces`.
        """
        self._answers.extend(answers)
        self._end = flight.ask(catalog.traces(ledger)), flight.ask(catalog.type_users(None))

    @property
    def traces(self) -> Traces:
        """Return what the transaction holds in the end.

        Raises:
            LookupError: Nothing was run.
        """
        if self._end is None:
            raise LookupError("no file was run")
        return self._end[0].value

    def found(self, created: Collection[str]) -> Found:
        """Return what was lost, when the files have run.

        Args:
            created: The ids of the tables that the same command has created before.
        """
        links = self._links()
        search = Search(
            schema=self.schema,
            traces=self.traces,
            users=() if self._end is None else self._end[1].value,
            existing=self._tables(created),
            begun=self.suspects.begun,
            updated={item_id: counts[0] for item_id, counts in self.earlier.value.items()},
            links=links,
            dropped=self._dropped_columns(),
        )
        losses = [loss for table in search.existing for loss in search.losses(table)]
        losses += search.retyped(self._steps_that_retype())
        known = search.known_parts()
        gone = self.traces.gone - search.existing.keys() - self.existing.value.keys() - known
        runs_others = any(runs_other_statements(each) for _, each in self._statements)
        unknown = (gone if runs_others else frozenset()) | search.new_columns()
        # What stays, and another session has created meanwhile, exists when the files run again.
        strangers = self.traces.tables.keys() & self.traces.locked
        strangers -= search.existing.keys() | self.traces.created | set(created)
        return Found(
            tuple(losses),
            frozenset(search.unmeasured) | strangers,
            frozenset(search.statements),
            unknown,
        )

    def gone(self, created: Collection[str]) -> frozenset[str]:
        """Return the ids of the relations other than tables that existed before and are dropped.

        Args:
            created: As in `found`.
        """
        tables = self._tables(created)
        existing = self.existing.value.keys() - tables.keys() - set(created)
        return self.traces.gone & existing

    def step_that_drops(self, name: Name) -> Step | None:
        """Return the only file with a statement that drops a relation by this name; or None."""
        written = {name} | ({Name(None, name.name)} if name.schema == self.schema else set())
        steps = {
            id(step): step
            for step, statement in self._statements
            if statement.head[:1] == ("DROP",) and not written.isdisjoint(Cursor(statement).names())
        }
        return next(iter(steps.values())) if len(steps) == 1 else None

    def changed(self, created: Collection[str]) -> Mapping[str, Updated]:
        """Return the tables with updated or deleted rows, of what existed at first, by id.

        Args:
            created: As in `found`.
        """
        found: dict[str, Updated] = {}
        links = self._links()
        for item_id in self._tables(created):
            table = self.traces.tables.get(item_id)
            if table is not None and item_id in self.traces.written | links.keys():
                name, changed = label_of(table, self.schema), table.changed
            elif table is None and item_id in links:
                last = links[item_id][-1].before
                name, changed = label_of(last, self.schema), last.changed
            else:
                continue
            before = self.earlier.value.get(item_id, (0, 0))[1]
            found[item_id] = Updated(name, None if changed is None else changed - before)
        uncounted = any(each.rows is None for each in found.values())
        # The server keeps no statistics; rows that were only inserted are no reason.
        if uncounted and not any(answer.changed for answer in self._answers):
            return {}
        return {item_id: each for item_id, each in found.items() if each.rows != 0}

    def _steps_that_retype(self) -> list[Step]:
        """Return the files with a statement that drops an attribute of a type."""
        return [
            step
            for step, statement in self._statements
            if statement.head[:2] == ("ALTER", "TYPE") and "drop" in statement.text.lower()
        ]

    def _tables(self, created: Collection[str]) -> Mapping[str, KnownTable]:
        """Return the tables that are not the command's own, as they were before the files."""
        tables = {
            item_id: KnownTable(int(columns), file)
            for item_id, fingerprint in self.existing.value.items()
            if item_id.startswith("pg_class:") and item_id not in created
            for columns, colon, file in [fingerprint.partition(":")]
            if colon
        }
        for item_id, links in self._links().items():
            first = links[0].before
            if item_id not in tables and not first.created and item_id not in created:
                # Another session has created it meanwhile.
                tables[item_id] = KnownTable(max(first.columns, default=0), first.file)
        return tables

    def _links(self) -> Mapping[str, list[Link]]:
        """Return what was measured, in order, by table."""
        links: dict[str, list[Link]] = {}
        for each in self._around:
            later = catalog.measured(each.after)
            for item_id, was in catalog.measured(each.before).items():
                now = later.get(item_id)
                way = each.way if was.named else "other"
                link = Link(each.step, each.statement, way, was, now)
                links.setdefault(item_id, []).append(link)
        return links

    def _dropped_columns(self) -> Mapping[str, set[int]]:
        """Return the numbers of the columns that were dropped, by table."""
        dropped: dict[str, set[int]] = {}
        for item_id in self.traces.locked:
            table, _, number = item_id.rpartition(":")
            if ":" in table:
                dropped.setdefault(table, set()).add(int(number))
        return dropped


def _queue(
    flight: Flight,
    statement: Statement,
    *,
    names: Collection[str] = (),
    mode: Mode = "look",
    columns: Collection[str] = (),
    ids: Collection[str] = (),
    ids_mode: Mode = "look",
    again: bool = False,
) -> Answer[None]:
    settings, sql = catalog.measure(
        names=names, mode=mode, columns=columns, ids=ids, ids_mode=ids_mode, again=again
    )
    flight.set(settings)
    return flight.do(sql, about=statement)


def _qualified(name: Name) -> str:
    return ".".join(quote_name(part) for part in (name.schema, name.name) if part is not None)
