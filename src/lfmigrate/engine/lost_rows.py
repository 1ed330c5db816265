"""What tables have lost: read from what was measured around statements, and from the locks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lfmigrate.catalog import Measured, MeasuredColumn, Traces, TypeUser
from lfmigrate.engine.losses import CHANGED, Lost
from lfmigrate.engine.step import Step
from lfmigrate.schema.object import TableName
from lfmigrate.syntax.scanner import Statement

# The kind of a column that stays, and whose values its new type does not keep.
CHANGED_COLUMN = "changed column"


@dataclass(frozen=True, slots=True)
class RowLoss:
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
class Link:
    """A table around one statement; ``after`` is None if it does not exist any more."""

    step: Step
    statement: Statement
    way: str
    before: Measured
    after: Measured | None


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table that existed before the files: how many columns it ever had, and its file."""

    columns: int
    file: str


def label_of(table: TableName, schema: str) -> str:
    return table.name if table.schema == schema else f"{table.schema}.{table.name}"


@dataclass(frozen=True, slots=True)
class Search:
    """The search for what was lost; collects what was not measured as it goes."""

    schema: str
    traces: Traces
    users: Collection[TypeUser]
    existing: Mapping[str, KnownTable]
    begun: Mapping[str, Measured]
    updated: Mapping[str, int]
    links: Mapping[str, list[Link]]
    dropped: Mapping[str, set[int]]
    unmeasured: set[str] = field(default_factory=set)
    statements: set[Statement] = field(default_factory=set)

    def losses(self, item_id: str) -> Iterator[RowLoss]:
        """Return what a table has lost, or add it to what was not measured."""
        links = self.links.get(item_id, [])
        begun = self.begun.get(item_id)
        if not links and item_id not in self.traces.locked:
            return
        if begun is not None and begun.rows == 0:
            return
        table = self.existing[item_id]
        file: str | None = table.file
        left = _Left(begun, self.updated.get(item_id, 0))
        columns: set[int] = set()
        is_explained = True
        for link in links:
            is_explained &= link.before.file == file
            file = None if link.after is None else link.after.file
            if not _changes(link):
                continue
            columns |= link.before.columns.keys() - _columns(link.after)
            if link.before.mode != "look":
                left.count(link.before, is_first=link.before.file == table.file)
                # It takes another run to know which of the rows existed at first.
                is_explained &= left.is_certain
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
            lost = Lost(kind, label_of(begun, self.schema), begun.rows, deleted=begun.rows)
            yield RowLoss(lost, item_id, None, None if now is not None else item_id)

    def retyped(self, steps: Sequence[Step]) -> Iterator[RowLoss]:
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
                lost = Lost(CHANGED, label_of(was, self.schema), rows, deleted=0)
                yield RowLoss(lost, item_id, step)

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

    def _lost(self, item_id: str, table: KnownTable, link: Link, left: _Left) -> Iterator[RowLoss]:
        """Return what a table has lost by one statement, of the rows that were left until then."""
        was, now, step = link.before, link.after, link.step
        name = label_of(was, self.schema)
        if left.rows == 0:
            return
        if now is None:
            yield RowLoss(Lost("table", name, left.rows), item_id, step, item_id)
            return
        filled = {
            number: left.filled(number, column)
            for number, column in sorted(was.columns.items())
            if number <= table.columns
        }
        for number, values in filled.items():
            if number not in now.columns and values != 0:
                lost = Lost("table column", f"{name}.{was.columns[number].name}", values)
                yield RowLoss(lost, item_id, step, f"{item_id}:{number}")
        # What is deleted or updated is no loss.
        if now.file != was.file or link.way == "truncate":
            changed = _rewritten(name, link, now, left.rows, filled)
            yield from (RowLoss(lost, item_id, step) for lost in changed)


@dataclass(slots=True)
class _Left:
    """How many of the rows that existed at first a table still has, as statements follow.

    A row that the transaction has written itself is either a new one or one that it has updated.

    Attributes:
        begun: The table before the files; None if it was not measured.
        earlier: How many updated rows the statistics had counted before.
        rows: The number of rows, or more if that is not certain; None if they cannot be read.
        is_certain: Whether none of them may be new.
    """

    begun: Measured | None
    earlier: int
    rows: int | None = None
    is_certain: bool = True
    _is_exact: bool = False
    _is_known: bool = False

    def count(self, was: Measured, *, is_first: bool) -> None:
        """Count a table.

        Args:
            was: The table.
            is_first: Whether it still has its first file; after that, all rows are own ones.
        """
        if was.rows is None or was.old is None:
            self.rows, self._is_known = None, True
            return
        own = was.rows - was.old
        updated = own if was.updated is None else min(own, was.updated - self.earlier)
        now = was.old + updated if is_first else was.rows
        self._is_exact = is_first and updated == 0
        bounds = [now, *([self.rows] if self._is_known and self.rows is not None else [])]
        if self.begun is not None and self.begun.rows is not None:
            bounds.append(self.begun.rows)
        self.is_certain = self._is_exact or len(bounds) > 1 or now == 0
        self.rows, self._is_known = min(bounds), True

    def filled(self, number: int, column: MeasuredColumn) -> int | None:
        """Return how many of the rows had a value in a column."""
        if self.rows is None or column.filled is None or column.old is None:
            return None
        if self._is_exact:
            return column.old
        first = None if self.begun is None else self.begun.columns.get(number)
        known = column.filled if first is None or first.filled is None else first.filled
        return min(column.filled, self.rows, known)


def _rewritten(
    name: str, link: Link, now: Measured, left: int | None, filled: Mapping[int, int | None]
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
    elif link.way != "truncate" and (was.whole is None or was.whole != now.whole):
        for number, column in was.columns.items():
            after = now.columns.get(number)
            if filled.get(number, 0) == 0 or after is None or column.digest is None:
                continue
            if after.digest != column.digest:
                yield Lost(CHANGED_COLUMN, f"{name}.{column.name}", filled[number])


def _changes(link: Link) -> bool:
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
