"""View files: one repeatable view per file, ordered by dependency."""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import Name
from lfmigrate.syntax.reads import relations_read
from lfmigrate.syntax.scanner import Statement, Token, refusal, tokens, word

# PostgreSQL truncates longer names (NAMEDATALEN), so they would not match the file's name.
_NAME_BYTES = 63

_VIEW_MODIFIERS = frozenset(
    {"or", "replace", "local", "global", "temp", "temporary", "recursive", "materialized"}
)

_REPEATABLE_VIEWS = frozenset({"CREATE OR REPLACE VIEW", "CREATE OR REPLACE RECURSIVE VIEW"})

# CREATE, eight modifiers, IF NOT EXISTS and a name of three parts are no more tokens than this.
_VIEW_HEAD_TOKENS = 20


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


def view_name(file: SqlFile) -> str:
    """Return the name of the view that a view file creates, or refuse the file."""
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
            raise refusal(
                f"{what} is not repeatable",
                file.text,
                file.name,
                statement.offset,
                hint="Write CREATE OR REPLACE VIEW; a temporary or materialized view belongs in a"
                " migration.",
            )
        elif len(name.encode()) > _NAME_BYTES:
            raise refusal(
                f"the view's name is longer than PostgreSQL's limit of {_NAME_BYTES} bytes",
                file.text,
                file.name,
                statement.offset,
                hint="Give the view and its file a shorter name.",
            )
        else:
            return name
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
    found = list(islice(tokens(statement.text), _VIEW_HEAD_TOKENS))
    at = 1
    while at < len(found) and found[at].kind == "word" and found[at].value in _VIEW_MODIFIERS:
        at += 1
    if found[at : at + 1] != [word("view")]:
        return None
    what = " ".join(token.value.upper() for token in found[: at + 1])
    at += 1
    if found[at : at + 3] == [word("if"), word("not"), word("exists")]:
        at += 3
    schema = None
    while found[at + 1 : at + 2] == [Token("other", ".")]:
        schema = found[at].value
        at += 2
    if at >= len(found) or found[at].kind not in {"word", "quoted"}:
        return None
    return what, Name(schema, found[at].value)


def in_order(views: Mapping[str, ViewFile]) -> list[ViewFile]:
    """Sort views so that each follows those that it mentions, and by name otherwise.

    Where views mention each other, one of them only has a column or an alias of that name: then
    what counts is where nothing but a relation can be named.
    """
    needs = {name: _mentioned(views[name], views.keys()) for name in sorted(views)}
    needed_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, others in needs.items():
        for other in others:
            needed_by[other].append(name)
    ordered: list[ViewFile] = []
    ready = [name for name, others in needs.items() if not others]
    while needs:
        if not ready:
            ready.append(_first_in_a_cycle(needs, views))
        name = heapq.heappop(ready)
        ordered.append(views[name])
        del needs[name]
        for other in needed_by[name]:
            if other in needs:
                needs[other].discard(name)
                if not needs[other] and other not in ready:
                    heapq.heappush(ready, other)
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
