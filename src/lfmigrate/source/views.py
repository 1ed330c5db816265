"""View files: one repeatable view per file, ordered by dependency."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import Cursor, Name
from lfmigrate.syntax.reads import relations_read
from lfmigrate.syntax.scanner import Statement, tokens

# PostgreSQL truncates longer names (NAMEDATALEN), so they would not match the file's name.
_NAME_BYTES = 63

_VIEW_MODIFIERS = frozenset(
    {"create", "or", "replace", "local", "global", "temp", "temporary", "recursive", "materialized"}
)

_REPEATABLE_VIEWS = frozenset({"CREATE OR REPLACE VIEW", "CREATE OR REPLACE RECURSIVE VIEW"})


@dataclass(frozen=True, slots=True)
class ViewFile:
    """A file that defines one view and runs again whenever its text has changed.

    Attributes:
        name: The view's name, unquoted.
        file: The file, named after the view.
    """

    name: str
    file: SqlFile

    @property
    def creation(self) -> Statement:
        """Return the statement that creates the view."""
        return self._creation[0]

    @property
    def schema(self) -> str | None:
        """Return the schema that the file creates it in; None for that of the run."""
        return self._creation[1].schema

    @property
    def drops_it_first(self) -> bool:
        """Return whether the file drops the view before it creates it."""
        return any(
            statement.head[:2] == ("DROP", "VIEW")
            and any(token.value == self.name for token in tokens(statement.text))
            for statement in takewhile(lambda s: s != self.creation, self.file.statements)
        )

    @property
    def _creation(self) -> tuple[Statement, Name]:
        return next(
            (statement, created[1])
            for statement in self.file.statements
            if (created := _created_view(statement)) and created[1].name == self.name
        )


def view_file(file: SqlFile) -> ViewFile:
    """Return a file as a view file, or refuse it."""
    file.refuse_no_transaction("view files run in one transaction")
    wanted = Path(file.name).stem
    others = []
    for statement in file.statements:
        created = _created_view(statement)
        if created is None:
            continue
        what, name = created[0], created[1].name
        # A file system may return a name in another normalization form than it was given.
        if unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", wanted):
            others.append(f'it creates "{name}"')
        elif what not in _REPEATABLE_VIEWS:
            raise file.refusal(
                f"{what} is not repeatable",
                statement.offset,
                "Write CREATE OR REPLACE VIEW; a temporary or materialized view belongs in a"
                " migration.",
            )
        elif len(name.encode()) > _NAME_BYTES:
            raise file.refusal(
                f"the view's name is longer than PostgreSQL's limit of {_NAME_BYTES} bytes",
                statement.offset,
                "Give the view and its file a shorter name.",
            )
        else:
            return ViewFile(name, file)
    missing = f'no CREATE OR REPLACE VIEW "{wanted}" in this file'
    raise SqlFileError(
        missing if file.statements else "this view file is empty",
        detail=others,
        hint="A view file creates one view and is named after it, capitals included.",
        file=file.name,
        line=1,
        column=1,
    )


def _created_view(statement: Statement) -> tuple[str, Name] | None:
    """Return the words before the name of a CREATE VIEW statement, and the view's name."""
    if statement.head[:1] != ("CREATE",):
        return None
    found = Cursor(statement)
    words = [*found.skip(_VIEW_MODIFIERS), "view"]
    if not found.accept("view"):
        return None
    found.accept("if", "not", "exists")
    name = found.name()
    return None if name is None else (" ".join(words).upper(), name)


def in_order(views: Mapping[str, ViewFile]) -> list[ViewFile]:
    """Sort views so that each follows those that it mentions, and by name otherwise.

    Where views mention each other, one of them only has a column or an alias of that name: then
    what counts is where nothing but a relation can be named.
    """
    needs = {name: _mentioned(views[name], views.keys()) for name in sorted(views)}
    ordered: list[ViewFile] = []
    while needs:
        name = next((n for n, others in needs.items() if not others), None)
        name = _first_in_a_cycle(needs, views) if name is None else name
        ordered.append(views[name])
        del needs[name]
        for others in needs.values():
            others.discard(name)
    return ordered


def _mentioned(view: ViewFile, names: Collection[str]) -> set[str]:
    """Return the names that occur in a view's statements as identifiers."""
    return {
        token.value
        for statement in view.file.statements
        for token in tokens(statement.text)
        if token.kind in {"word", "quoted"} and token.value in names and token.value != view.name
    }


def _first_in_a_cycle(needs: Mapping[str, set[str]], views: Mapping[str, ViewFile]) -> str:
    """Return the first name, in their order, of a cycle that needs nothing else.

    One that reads none of the others, if there is one; the server has the last word.
    """
    reached: dict[str, set[str]] = {}
    for name in needs:
        found: set[str] = set()
        to_visit = [name]
        while to_visit:
            new = needs[to_visit.pop()] - found
            found |= new
            to_visit += new
        reached[name] = found
    cycle = next(
        found for name, found in reached.items() if all(name in reached[other] for other in found)
    )
    return min(cycle, key=lambda name: (bool(_read(views[name]) & cycle - {name}), name))


def _read(view: ViewFile) -> set[str]:
    """Return the names in a view's statements that can only be those of relations."""
    return {name for statement in view.file.statements for name in relations_read(statement)}
