"""Names in SQL text, quoted and unquoted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from lfmigrate.syntax.scanner import Statement, Token, tokens
from lfmigrate.syntax.transaction_block import CONCURRENT_HEADS, is_concurrent

# NAMEDATALEN - 1.
NAME_BYTES = 63


def quote_name(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return a text as a string constant, whatever standard_conforming_strings is."""
    quoted = "'" + text.replace("'", "''") + "'"
    return quoted if "\\" not in quoted else "E" + quoted.replace("\\", "\\\\")


def stored_name(name: str) -> str:
    """Return a name as the server stores it: no more than 63 bytes, whole characters."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a statement, unquoted; ``schema`` is None if the name is unqualified."""

    schema: str | None
    name: str


class Cursor:
    """Reads the tokens of a statement from left to right, and no more of them than it needs."""

    def __init__(self, statement: Statement) -> None:
        self._ahead: list[Token] = []
        self._rest = tokens(statement.text)

    def __iter__(self) -> Iterator[Token]:
        while (token := self.take()) is not None:
            yield token

    def peek(self) -> Token | None:
        """Return the next token without reading it; None at the end."""
        if not self._ahead:
            self._ahead += islice(self._rest, 1)
        return self._ahead[0] if self._ahead else None

    def take(self) -> Token | None:
        """Read a token; None at the end."""
        return self._ahead.pop(0) if self._ahead else next(self._rest, None)

    def accept(self, *words: str) -> bool:
        """Read these keywords, in lower case, or characters, if they come next."""
        self._ahead += islice(self._rest, max(len(words) - len(self._ahead), 0))
        found = self._ahead[: len(words)]
        if [t.value for t in found if t.kind in {"word", "other"}] != list(words):
            return False
        del self._ahead[: len(words)]
        return True

    def skip(self, words: Collection[str]) -> list[str]:
        """Read keywords as long as they are among these, and return them."""
        found: list[str] = []
        while (token := self.peek()) is not None and token.kind == "word" and token.value in words:
            found.append(token.value)
            self.take()
        return found

    def name(self) -> Name | None:
        """Read a name, and its schema if it is qualified; None if none comes next."""
        parts: list[str] = []
        while (token := self.peek()) is not None and token.kind in {"word", "quoted"}:
            parts.append(stored_name(token.value))
            self.take()
            if token.kind == "quoted" and self.accept("uescape"):
                self.take()
            if not self.accept("."):
                break
        return Name(parts[-2] if len(parts) > 1 else None, parts[-1]) if parts else None

    def names(self) -> list[Name]:
        """Read all names that are left, and what is between them."""
        found: list[Name] = []
        while True:
            if (name := self.name()) is not None:
                found.append(name)
            elif self.take() is None:
                return found


@dataclass(frozen=True, slots=True)
class Indexing:
    """What CREATE INDEX, DROP INDEX or REINDEX does CONCURRENTLY.

    Attributes:
        way: ``create``, ``drop`` or ``rebuild``.
        indexes: Their names; empty if the server chooses one, or if they are rebuilt.
        table: The table that is indexed; None for a drop or a rebuild.
    """

    way: Literal["create", "drop", "rebuild"]
    indexes: tuple[Name, ...]
    table: Name | None


def indexing(statement: Statement) -> Indexing | None:
    """Return what a statement does to indexes CONCURRENTLY; None for any other statement."""
    if statement.head[:1] == ("REINDEX",) and is_concurrent(statement):
        return Indexing("rebuild", (), None)
    if not any(statement.head[: len(begin)] == begin for begin in CONCURRENT_HEADS):
        return None
    found = Cursor(statement)
    found.take()
    found.accept("unique")
    found.accept("index", "concurrently")
    if statement.head[0] == "DROP":
        found.accept("if", "exists")
        return Indexing("drop", tuple(found.names()), None)
    found.accept("if", "not", "exists")
    index = None if found.accept("on") else found.name()
    found.skip({"on", "only"})
    return Indexing("create", () if index is None else (index,), found.name())
