"""What files do to existing rows: measured around statements, and checked by locks in the end.

The text of a statement names the tables that it drops, empties or rewrites, so these are measured
around it. Whatever else has changed a table shows in the end: its file or its columns are not those
that the last measured statement has left. The files are then rolled back and run again, and the
table is looked at around every statement, and measured around those that change it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lfmigrate import catalog
from lfmigrate.catalog import Measured, MeasuredColumn, Mode, Traces, TypeUser
from lfmigrate.engine.losses import CHANGED, Lost
from lfmigrate.engine.step import Step
from lfmigrate.postgres.pipeline import Flight, Guard
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.object import TableName
from lfmigrate.schema.relation import Fingerprints
from lfmigrate.syntax.actions import endangered, runs_other_statements
from lfmigrate.syntax.names import Name, quote_name
from lfmigrate.syntax.scanner import Statement

# The kind of a column that stays, and whose values its new type does not keep.
CHANGED_COLUMN = "changed column"

_MODES: Mapping[str, Mode] = {
    "drop": "count",
    "truncate": "count",
    "retype": "digest",
    "rewrite": "look",
}

# The server empties a table in place if the same subtransaction has rewritten it before, so that
# its file does not tell. A new subtransaction after each rewriting statement makes it tell.
_SAVE = "lfmigrate_rewritten"


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that is lost.

    Attributes:
        what: What it is, for reports.
        table: The id of the table that it was in; None if it was in none.
        step: The file whose statement does it; None if that is not known.
        dropped: The id of the table or column that is dropped; None if none is.
    """

    what: Lost
    table: str | None
    step: Step | None
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """What an earlier run of the same files has left to find out.

    Attributes:
        tables: The ids of the tables to look at around every statement.
        statements: The statements to measure them around.
        begun: What they were like before the files, by id.
    """

    tables: set[str] = field(default_factory=set)
    statements: set[Statement] = field(default_factory=set)
    begun: dict[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What some files have lost, as far as it was measured.

    Attributes:
        losses: What is lost.
        tables: The ids of the tables that may have lost rows which were not measured in time.
        statements: The statements that may have done it, as far as they are known.
        unknown: The ids of what was dropped and may have been another session's.
    """

    losses: tuple[Loss, ...]
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
class _Link:
    """A table around one statement; ``after`` is None if it does not exist any more."""

    step: Step
    statement: Statement
    way: str
    before: Measured
    after: Measured | None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that existed before the files: how many columns it ever had, and its file."""

    columns: int
    file: str


@dataclass(slots=True)
class Danger:
    """What some files do to rows that existed before them; for one transaction.

    Attributes:
        schema: The schema whose name is left out of reports.
        existing: What existed, with the number of columns and the file of each table.
        watch: What an earlier run has left to find out.
    """

    schema: str
    existing: Answer[Fingerprints]
    watch: Watch
    _around: list[_Around] = field(default_factory=list)
    _statements: list[tuple[Step, Statement]] = field(default_factory=list)
    _answers: list[Answer[None]] = field(default_factory=list)
    _end: tuple[Answer[Traces], Answer[tuple[TypeUser, ...]]] | None = None
    _has_savepoint: bool = False

    def of(self, step: Step) -> Guard:
        """Return what measures the tables that the statements of a step name."""

        @contextmanager
        def guard(flight: Flight, statement: Statement) -> Iterator[None]:
            self._statements.append((step, statement))
            found = endangered(statement)
            if found is None and not self.watch.tables:
                yield
                return
            way = "other" if found is None else found.way
            before = _queue(
                flight,
                statement,
                names=[] if found is None else [_qualified(name) for name in found.tables],
                mode=_MODES.get(way, "look"),
                ids=self.watch.tables,
                ids_mode="digest" if statement in self.watch.statements else "look",
            )
            yield
            after = _queue(flight, statement, again=True)
            self._around.append(_Around(step, statement, way, before, after))
            if way not in {"drop", "truncate"}:
                self.end_file(flight)
                flight.do(f"SAVEPOINT {_SAVE}")
                self._has_savepoint = True

        return guard

    def end_file(self, flight: Flight) -> None:
        """Queue the end of the subtransaction in which the last statements have run."""
        if self._has_savepoint:
            flight.do(f"RELEASE SAVEPOINT {_SAVE}")
        self._has_savepoint = False

    def queue_end(self, flight: Flight, answers: Sequence[Answer[None]], ledger: str) -> None:
        """Queue what tells in the end what the statements dropped and rewrote.

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
        search = _Search(
            schema=self.schema,
            traces=self.traces,
            users=() if self._end is None else self._end[1].value,
            existing=self._tables(created),
            begun=self.watch.begun,
            links=links,
            dropped=self._dropped_columns(),
        )
        losses = [loss for table in search.existing for loss in search.losses(table)]
        losses += search.retyped(self._steps_that_retype())
        known = search.known_parts()
        gone = self.traces.gone - search.existing.keys() - self.existing.value.keys() - known
        runs_others = any(runs_other_statements(each) for _, each in self._statements)
        unknown = (gone if runs_others else frozenset()) | search.new_columns()
        return Found(
            tuple(losses),
            frozenset(search.unmeasured),
            frozenset(search.statements),
            unknown,
        )

    def changed(self, created: Collection[str]) -> str | None:
        """Return a line about updated or deleted rows of what existed at first; None if none.

        Args:
            created: As in `found`.
        """
        rows: dict[str, int | None] = {}
        links = self._links()
        for item_id in self._tables(created):
            table = self.traces.tables.get(item_id)
            if table is not None and item_id in self.traces.written | links.keys():
                rows[_label(table, self.schema)] = table.changed
            elif table is None and item_id in links:
                last = links[item_id][-1].before
                rows[_label(last, self.schema)] = last.changed
        names = sorted(name for name, number in rows.items() if number != 0)
        if not names:
            return None
        if None not in rows.values():
            total = sum(number or 0 for number in rows.values())
            counted = f"{total:,} {'row' if total == 1 else 'rows'}"
            return f"{counted} updated or deleted in {', '.join(names)}"
        # The server keeps no statistics; rows that were only inserted are worth no line.
        tagged = any(answer.changed for answer in self._answers)
        return f"rows may have been updated or deleted in {', '.join(names)}" if tagged else None

    def _steps_that_retype(self) -> list[Step]:
        """Return the files with a statement that drops an attribute of a type."""
        return [
            step
            for step, statement in self._statements
            if statement.head[:2] == ("ALTER", "TYPE") and "drop" in statement.text.lower()
        ]

    def _tables(self, created: Collection[str]) -> Mapping[str, _Table]:
        """Return the tables that are not the command's own, as they were before the files."""
        tables = {
            item_id: _Table(int(columns), file)
            for item_id, fingerprint in self.existing.value.items()
            if item_id.startswith("pg_class:") and item_id not in created
            for columns, colon, file in [fingerprint.partition(":")]
            if colon
        }
        for item_id, links in self._links().items():
            first = links[0].before
            if item_id not in tables and not first.created and item_id not in created:
                # Another session has created it meanwhile.
                tables[item_id] = _Table(max(first.columns, default=0), first.file)
        return tables

    def _links(self) -> Mapping[str, list[_Link]]:
        """Return what was measured, in order, by table."""
        links: dict[str, list[_Link]] = {}
        for each in self._around:
            later = catalog.measured(each.after)
            for item_id, was in catalog.measured(each.before).items():
                now = later.get(item_id)
                way = each.way if was.named else "other"
                link = _Link(each.step, each.statement, way, was, now)
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


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for what was lost; collects what was not measured as it goes."""

    schema: str
    traces: Traces
    users: Collection[TypeUser]
    existing: Mapping[str, _Table]
    begun: Mapping[str, Measured]
    links: Mapping[str, list[_Link]]
    dropped: Mapping[str, set[int]]
    unmeasured: set[str] = field(default_factory=set)
    statements: set[Statement] = field(default_factory=set)

    def losses(self, item_id: str) -> Iterator[Loss]:
        """Return what a table has lost, or add it to what was not measured."""
        links = self.links.get(item_id, [])
        begun = self.begun.get(item_id)
        if not links and item_id not in self.traces.locked:
            return
        if begun is not None and begun.rows == 0:
            return
        table = self.existing[item_id]
        file: str | None = table.file
        left: int | None = None if begun is None else begun.rows
        columns: set[int] = set()
        is_explained = True
        for link in links:
            is_explained &= link.before.file == file
            file = None if link.after is None else link.after.file
            if not _changes(link):
                continue
            columns |= link.before.columns.keys() - _columns(link.after)
            if link.before.mode != "look":
                left = _left(link.before, left, is_first=link.before.file == table.file)
                yield from self._lost(item_id, table, link, left)
            elif link.way == "other":
                is_explained = False
                self.statements.add(link.statement)
        now = self.traces.tables.get(item_id)
        is_explained &= file == (None if now is None else now.file)
        if now is not None:
            dropped = {n for n in self.dropped.get(item_id, ()) if n <= table.columns}
            generated = {number for link in links for number in link.before.generated}
            is_explained &= dropped - generated <= columns
        if is_explained:
            return
        if begun is None or any(link.statement in self.statements for link in links):
            self.unmeasured.add(item_id)
        else:
            # Not even around all statements: what the end of the files has done.
            kind = CHANGED if now is not None else "table"
            lost = Lost(kind, _label(begun, self.schema), begun.rows, deleted=begun.rows)
            yield Loss(lost, item_id, None, None if now is not None else item_id)

    def retyped(self, steps: Sequence[Step]) -> Iterator[Loss]:
        """Return the tables with values that have lost a part, because their type has.

        Args:
            steps: The files that may have done it.
        """
        step = steps[0] if len({id(each) for each in steps}) == 1 else None
        # Values lose nothing by a column that the files have added themselves.
        cut = {
            item_id
            for item_id, numbers in self.dropped.items()
            if item_id not in self.existing or min(numbers) <= self.existing[item_id].columns
        }
        for user in self.users if cut else ():
            item_id = user.id
            if item_id not in self.existing:
                continue
            was = self.begun.get(item_id)
            if was is None:
                self.unmeasured.add(item_id)
                continue
            rows = _most(was.columns[n].filled for n in user.columns if n in was.columns)
            if rows != 0:
                lost = Lost(CHANGED, _label(was, self.schema), rows, deleted=0)
                yield Loss(lost, item_id, step)

    def known_parts(self) -> set[str]:
        """Return the ids of the measured tables that the files have created, and of all parts."""
        known = set[str]()
        for item_id, links in self.links.items():
            known.add(item_id)
            for link in links:
                known.update(link.before.parts)
        return known

    def new_columns(self) -> set[str]:
        """Return the ids of dropped columns that are new, and that the files may not have added."""
        found = set[str]()
        for item_id, numbers in self.dropped.items():
            table = self.existing.get(item_id)
            links = self.links.get(item_id)
            for number in numbers:
                if table is None or number <= table.columns:
                    continue
                if not links or number in links[0].before.columns:
                    found.add(f"{item_id}:{number}")
        return found

    def _lost(self, item_id: str, table: _Table, link: _Link, left: int | None) -> Iterator[Loss]:
        """Return what a table has lost by one statement, of the rows that were left until then."""
        was, now, step = link.before, link.after, link.step
        name = _label(was, self.schema)
        if left == 0:
            return
        if now is None:
            yield Loss(Lost("table", name, left), item_id, step, item_id)
            return
        filled = {
            number: _filled(column, left, is_first=was.file == table.file)
            for number, column in sorted(was.columns.items())
            if number <= table.columns
        }
        for number, values in filled.items():
            if number not in now.columns and values != 0:
                lost = Lost("table column", f"{name}.{was.columns[number].name}", values)
                yield Loss(lost, item_id, step, f"{item_id}:{number}")
        # What is deleted or updated is no loss.
        if now.file != was.file or link.way == "truncate":
            changed = _rewritten(name, link, now, left, filled)
            yield from (Loss(lost, item_id, step) for lost in changed)


def _rewritten(
    name: str, link: _Link, now: Measured, left: int | None, filled: Mapping[int, int | None]
) -> Iterator[Lost]:
    """Return what was lost of a table that was emptied or rewritten.

    Args:
        name: What it is called in reports.
        link: The statement.
        now: The table after it.
        left: How many of the rows that existed at first it had before it; None if unknown.
        filled: In how many of these each column had a value.
    """
    was = link.before
    if was.rows is None or now.rows is None:
        yield Lost(CHANGED, name, left, deleted=None if link.way == "truncate" else 0)
    elif now.rows < was.rows:
        deleted = left if link.way == "other" else min(was.rows - now.rows, left or 0)
        yield Lost(CHANGED, name, deleted, deleted=deleted)
    elif link.way != "truncate":
        for number, column in was.columns.items():
            after = now.columns.get(number)
            if filled.get(number, 0) != 0 and after is not None and after.digest != column.digest:
                yield Lost(CHANGED_COLUMN, f"{name}.{column.name}", filled[number])


def _changes(link: _Link) -> bool:
    """Return whether a statement has dropped, emptied or rewritten a table, or cut its columns."""
    was, now = link.before, link.after
    return (
        now is None
        or now.file != was.file
        or link.way == "truncate"
        or bool(was.columns.keys() - now.columns.keys())
    )


def _columns(table: Measured | None) -> Collection[int]:
    return () if table is None else table.columns.keys()


def _most(numbers: Iterable[int | None]) -> int | None:
    """Return the largest number; None if one is unknown."""
    known = list(numbers)
    return None if None in known else max((n for n in known if n is not None), default=0)


def _left(was: Measured, left: int | None, *, is_first: bool) -> int | None:
    """Return how many of the rows that existed at first a table still has; None if unknown."""
    if was.rows is None or was.old is None:
        return None
    # Rewriting a table makes all rows the transaction's own.
    now = was.old if is_first else was.rows
    return now if left is None else min(now, left)


def _filled(column: MeasuredColumn, left: int | None, *, is_first: bool) -> int | None:
    """Return how many of these rows have a value in a column; None if unknown."""
    if left is None or column.filled is None or column.old is None:
        return None
    return column.old if is_first else min(column.filled, left)


def _label(table: TableName, schema: str) -> str:
    return table.name if table.schema == schema else f"{table.schema}.{table.name}"


def _queue(
    flight: Flight,
    statement: Statement,
    *,
    names: Collection[str] = (),
    mode: Mode = "look",
    ids: Collection[str] = (),
    ids_mode: Mode = "look",
    again: bool = False,
) -> Answer[None]:
    settings, sql = catalog.measure(names=names, mode=mode, ids=ids, ids_mode=ids_mode, again=again)
    flight.set(settings)
    return flight.do(sql, about=statement)


def _qualified(name: Name) -> str:
    return ".".join(quote_name(part) for part in (name.schema, name.name) if part is not None)
