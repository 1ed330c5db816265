"""What of files is replayed, piece by piece, and where each statement is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.replayable import for_replay
from lfmigrate.syntax.scanner import Statement


def place_of(statement: Statement) -> str:
    """Return where a statement is, as a report has it; no two are in the same place."""
    place = f"{statement.file}:{statement.line}"
    return place if statement.column == 1 else f"{place}:{statement.column}"


@dataclass(slots=True)
class Piece:
    """Statements that run together: a file, or a statement of one that is marked no-transaction.

    Attributes:
        file_index: The place of the file.
        statements: What runs.
        left_out: What does not, and why.
    """

    file_index: int
    statements: list[Statement]
    left_out: list[tuple[Statement, str]]

    def leave_out(self, statement: Statement, why: str) -> None:
        self.statements.remove(statement)
        self.left_out.append((statement, why))


def pieces_of(files: Sequence[SqlFile], places: Iterable[int]) -> list[Piece]:
    """Return what to run of files, in the order of their places."""
    units = [
        (index, unit.statements)
        for index in places
        for unit in (files[index].units() if files[index].no_transaction else (files[index],))
    ]
    judged = iter(for_replay(s for _, statements in units for s in statements))
    pieces = []
    for index, statements in units:
        own = list(islice(judged, len(statements)))
        pieces.append(
            Piece(
                index,
                [each.statement for each in own if each.left_out is None],
                [(each.statement, each.left_out) for each in own if each.left_out is not None],
            )
        )
    return pieces
