"""What files do to existing rows: measured around statements, and found by locks in the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lfmigrate import catalog
from lfmigrate.catalog import Measured, Traces
from lfmigrate.engine.losses import CHANGED, Lost
from lfmigrate.engine.step import Step
from lfmigrate.postgres.pipeline import Flight, Guard
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.object import TableName
from lfmigrate.schema.relation import Fingerprints
from lfmigrate.syntax.actions import endangered
from lfmigrate.syntax.names import Name, quote_name
from lfmigrate.syntax.scanner import Statement

# The kind of a column that stays, and whose values its new type does not keep.
CHANGED_COLUMN = "changed column"


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is lost.

    Attributes:
        what: What it is, for reports.
        table: The id of the table that it was in.
        step: The file whose statement says so; None if no text does.
        dropped: The id of the table or column that is dropped; None if none is.
    """

    what: Lost
    table: str
    step: Step | None
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What some files have lost, as far as it was measured.

    Attributes:
        losses: What is lost.
        unmeasured: The ids of the tables that may have lost rows which were not counted in time.
        uncompared: The ids of those whose values have to be measured again, to be compared.
    """

    losses: tuple[Loss, ...]
    unmeasured: frozenset[str]
    uncompared: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Around:
    """A table around one statement."""

    step: Step | None
    way: str
    before: Measured
    after: Measured | None


@dataclass(frozen=True, slots=True)
class Danger:
    """What some files do to rows that existed before them; for one transaction.

    Attributes:
        schema: The schema whose name is left out of reports.
        existing: What existed, with the number of columns and the file of each table.
    """

    schema: str
    existing: Answer[Fingerprints]
    _measures: list[tuple[Step, str, Answer[None], Answer[None] | None]] = field(
        default_factory=list
    )
    _statements: list[Answer[None]] = field(default_factory=list)
    _end: list[tuple[Answer[Traces], Answer[tuple[TableName, ...]]]] = field(default_factory=list)

    def of(self, step: Step) -> Guard:
        """Return what measures the tables that the statements of a step name."""

        @contextmanager
        def guard(flight: Flight, statement: Statement) -> Iterator[None]:
            found = endangered(statement)
            if found is None:
                yield
                return
            stays = found.way != "drop"
            names = [_qualified(name) for name in found.tables]
            before = _queue(flight, statement, names, digest=found.way == "retype")
            yield
            after = _queue(flight, statement, (), digest=True, again=True) if stays else None
            self._measures.append((step, found.way, before, after))

        return guard

    def queue_end(self, flight: Flight, statements: Sequence[Answer[None]]) -> None:
        """Queue what tells in the end what the statements dropped and rewrote."""
        self._statements.extend(statements)
        self._end.append((flight.ask(catalog.traces()), flight.ask(catalog.type_users(None))))

    def found(
        self,
        first: Collection[str],
        begun: Mapping[str, Measured],
        ended: Mapping[str, Measured] | None = None,
    ) -> Found:
        """Return what was lost, when the files have run.

        Args:
            first: The ids of what existed when the command began.
            begun: What was measured before the files ran, by id.
            ended: What of it was measured again afterwards; None if nothing was yet.
        """
        traces, users = (self._end[-1][0].value, self._end[-1][1].value)
        search = _Search(self.schema, traces, self._tables(first), self._around(), begun, ended)
        losses = (
            *search.dropped_tables(),
            *search.dropped_columns(),
            *search.rewritten_tables(),
            *search.retyped_tables({user.id for user in users}),
        )
        # What another session has created since: to be measured in another run of the files.
        search.unmeasured.update(
            table
            for table in traces.locked & traces.tables.keys() - self.existing.value.keys()
            if not traces.tables[table].created
        )
        return Found(losses, frozenset(search.unmeasured), frozenset(search.uncompared))

    def _tables(self, first: Collection[str]) -> Mapping[str, tuple[int, str]]:
        """Return the number of columns, and the file, of each table that existed at first."""
        return {
            item_id: (int(columns), file)
            for item_id, fingerprint in self.existing.value.items()
            if item_id.startswith("pg_class:") and item_id in first
            for columns, colon, file in [fingerprint.partition(":")]
            if colon
        }

    def changed(self, first: Collection[str]) -> str | None:
        """Return a line about updated or deleted rows of what existed at first; None if none."""
        traces = self._end[-1][0].value
        rows = sum(answer.changed for answer in self._statements)
        tables = traces.written.intersection(first)
        names = sorted(traces.tables[i].name for i in tables if i in traces.tables)
        if not rows or not names:
            return None
        return f"{rows:,} {'row' if rows == 1 else 'rows'} updated or deleted in {', '.join(names)}"

    def _around(self) -> Mapping[str, list[_Around]]:
        """Return what was measured around the statements, in order, by table."""
        around: dict[str, list[_Around]] = {}
        for step, way, before, after in self._measures:
            later = {} if after is None else catalog.measured(after)
            for table, was in catalog.measured(before).items():
                around.setdefault(table, []).append(_Around(step, way, was, later.get(table)))
        return around


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for what was lost; adds to ``unmeasured`` and ``uncompared`` as it goes."""

    schema: str
    traces: Traces
    tables: Mapping[str, tuple[int, str]]
    around: Mapping[str, list[_Around]]
    begun: Mapping[str, Measured]
    ended: Mapping[str, Measured] | None
    unmeasured: set[str] = field(default_factory=set)
    uncompared: set[str] = field(default_factory=set)

    def dropped_tables(self) -> Iterator[Loss]:
        """Return the tables that are gone, and had rows."""
        for table in sorted(self.tables.keys() & self.traces.locked - self.traces.tables.keys()):
            was, step = self._first(table)
            if was is not None and was.rows:
                yield Loss(Lost("table", self._label(was), was.rows), table, step, table)

    def dropped_columns(self) -> Iterator[Loss]:
        """Return the columns that are gone from tables that stay, and had values."""
        for table, number in sorted(_columns(self.traces.locked)):
            known = self.tables.get(table)
            if known is None or number > known[0] or table not in self.traces.tables:
                continue
            was, step = self._first(table)
            column = None if was is None else was.columns.get(number)
            if was is not None and column is not None and column.filled:
                label = f"{self._label(was)}.{column.name}"
                lost = Lost("table column", label, column.filled)
                yield Loss(lost, table, step, f"{table}:{number}")

    def rewritten_tables(self) -> Iterator[Loss]:
        """Return what is lost of the tables that have another file now."""
        for table in sorted(self.tables.keys() & self.traces.tables.keys()):
            then, now = self.tables[table][1], self.traces.tables[table].file
            if now == then:
                continue
            if table in self.begun:
                if self.begun[table].rows and self.ended is None:
                    self.uncompared.add(table)
                    continue
                pairs = [_Around(None, "", self.begun[table], (self.ended or {}).get(table))]
            else:
                pairs = [each for each in self.around.get(table, ()) if each.way != "drop"]
                if not _explains(pairs, then, now):
                    self.unmeasured.add(table)
                    continue
            for pair in pairs:
                yield from (Loss(lost, table, pair.step) for lost in self._changes(pair))

    def retyped_tables(self, users: Collection[str]) -> Iterator[Loss]:
        """Return the tables with values that have lost a part, because their type has."""
        for table in sorted(self.tables.keys() & users):
            was = self.begun.get(table)
            if was is None:
                self.unmeasured.add(table)
            elif was.rows:
                yield Loss(Lost(CHANGED, self._label(was), was.rows, deleted=0), table, None)

    def _first(self, table: str) -> tuple[Measured | None, Step | None]:
        """Return a table as it was before the files, and the file that says what it loses."""
        if table in self.begun:
            return self.begun[table], None
        known = self.around.get(table)
        # Before that, something may have emptied it.
        if not known or known[0].before.file != self.tables[table][1]:
            self.unmeasured.add(table)
            return None, None
        return known[0].before, known[0].step

    def _changes(self, pair: _Around) -> Iterator[Lost]:
        """Return what a table has lost that stays."""
        was, now = pair.before, pair.after
        name = self._label(was)
        if not was.rows:
            return
        if now is None:
            yield Lost(CHANGED, name, was.rows, deleted=0)
        elif now.rows < was.rows:
            yield Lost(CHANGED, name, was.rows - now.rows, deleted=was.rows - now.rows)
        elif pair.way != "truncate":
            for number, column in was.columns.items():
                after = now.columns.get(number)
                if after is not None and column.filled and after.digest != column.digest:
                    yield Lost(CHANGED_COLUMN, f"{name}.{column.name}", column.filled)

    def _label(self, table: Measured) -> str:
        return table.name if table.schema == self.schema else f"{table.schema}.{table.name}"


def _explains(pairs: list[_Around], first: str, last: str | None) -> bool:
    """Return whether the measured statements are all that has given a table another file."""
    file: str | None = first
    for pair in pairs:
        if pair.before.file != file:
            return False
        # What could not be measured again was retyped by it.
        file = last if pair.after is None else pair.after.file
    return bool(pairs) and file == last


def _columns(ids: Collection[str]) -> Iterator[tuple[str, int]]:
    for item_id in ids:
        whole, _, number = item_id.rpartition(":")
        if ":" in whole:
            yield whole, int(number)


def _queue(
    flight: Flight,
    statement: Statement,
    names: Collection[str],
    *,
    digest: bool,
    again: bool = False,
) -> Answer[None]:
    settings, sql = catalog.measure(names=names, digest=digest, again=again)
    flight.set(settings)
    return flight.do(sql, about=statement)


def _qualified(name: Name) -> str:
    return ".".join(quote_name(part) for part in (name.schema, name.name) if part is not None)
