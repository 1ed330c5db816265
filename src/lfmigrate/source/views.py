"""View files: one repeatable view per file, ordered by dependency."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import NAME_BYTES, Cursor, stored_name
from lfmigrate.syntax.scanner import Statement, tokens

# PostgreSQL truncates longer names (NAMEDATALEN), so they would not match the file's name.

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


def view_file(file: SqlFile) -> ViewFile:
    """Return a file as a view file, or refuse it."""
    file.refuse_no_transaction("view files run in one transaction")
    wanted = Path(file.name).stem
    others = []
    for statement in file.statements:
        created = _created_view(statement)
        if created is None:
            continue
        what, name = created
        # A file system may return a name in another normalization form than it was given.
        if unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", stored_name(wanted)):
            others.append(f'it creates "{name}"')
        elif what not in _REPEATABLE_VIEWS:
            raise file.refusal(
                f"{what} is not repeatable",
                statement.offset,
                "Write CREATE OR REPLACE VIEW; a temporary or materialized view belongs in a"
                " migration.",
            )
        elif len(wanted.encode()) > NAME_BYTES:
            raise file.refusal(
                f"the view's name is longer than PostgreSQL's limit of {NAME_BYTES} bytes",
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


def _created_view(statement: Statement) -> tuple[str, str] | None:
    """Return the words before the name of a CREATE VIEW statement, and the view's unquoted name."""
    if statement.head[:1] != ("CREATE",):
        return None
    found = Cursor(statement)
    words = [*found.skip(_VIEW_MODIFIERS), "view"]
    if not found.accept("view"):
        return None
    found.accept("if", "not", "exists")
    name = found.name()
    return None if name is None else (" ".join(words).upper(), name.name)


def in_order(views: Mapping[str, ViewFile]) -> list[ViewFile]:
    """Sort views so that each follows those that it mentions, and by name otherwise."""
    needs = {name: _mentioned(views[name], views.keys()) for name in sorted(views)}
    ordered: list[ViewFile] = []
    while needs:
        name = next((n for n, others in needs.items() if not others), None)
        name = _first_in_a_cycle(needs) if name is None else name
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


def _first_in_a_cycle(needs: Mapping[str, set[str]]) -> str:
    """Return the first name, in their order, that is needed by everything that it needs."""
    reached: dict[str, set[str]] = {}
    for name in needs:
        found: set[str] = set()
        to_visit = [name]
        while to_visit:
            new = needs[to_visit.pop()] - found
            found |= new
            to_visit += new
        reached[name] = found
    return next(
        name for name, found in reached.items() if all(name in reached[other] for other in found)
    )
