"""What repeatable files create, and so can create again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Recreated
from lfmigrate.schema.relation import ROUTINE_KINDS, Key
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import Creation, words_of
from lfmigrate.syntax.scanner import Statement


def recreatable(folder: Folder, state: DatabaseState) -> Iterator[Recreated]:
    """Return what repeatable files create and would create again, identified.

    Args:
        folder: The files.
        state: The database before the run.
    """
    history = state.history
    for file in folder.repeatables:
        made = [k for k in history.made_by_repeatables.get(file.name, ()) if k.space in _SPACES]
        by_key: dict[Key, list[Creation]] = {}
        for creation in file.creations:
            for key in _keys_created(creation, file.creations, made, state.schema):
                by_key.setdefault(key, []).append(creation)
        event = history.repeatables.get(file.name)
        is_edited = event is None or event.checksum != file.file.checksum
        for key, creations in by_key.items():
            kind = creations[0].kind
            parts = history.parts_by_repeatables.get(key, ()) if is_edited else ()
            yield Recreated(
                key,
                kind,
                file.file.name,
                tuple(creation.statement for creation in creations),
                # A file drops a materialized view only because there is no CREATE OR REPLACE;
                # others it states from the ground up, when it runs because it was edited.
                kind == "materialized view" or not (creations[0].drops_it_first and is_edited),
                creations[0].drops_it_first,
                any(_states_owner(each, creations[0].name) for each in file.file.statements),
                frozenset(part.partition(" ")[2] for part in parts),
            )


_SPACES = frozenset({"relation", "routine"})


def _keys_created(
    creation: Creation, siblings: Sequence[Creation], made: Sequence[Key], schema: str
) -> list[Key]:
    """Return what a statement of a repeatable file creates; all routines of its name.

    Args:
        creation: The statement.
        siblings: All of the file.
        made: What the file has created so far, by the history.
        schema: That of the run.
    """
    is_routine = creation.kind in ROUTINE_KINDS
    found = [
        key
        for key in made
        if (key.space == "routine") == is_routine
        and (key.name.startswith(f"{creation.name}(") if is_routine else key.name == creation.name)
        and creation.schema in {None, key.schema}
    ]
    if is_routine:
        return found
    if creation.schema is not None:
        return [Key("relation", creation.schema, creation.name)]
    named = {each.schema for each in siblings if each.name == creation.name}
    schemas = [key.schema for key in found if key.schema not in named]
    own = schema if schema in schemas or not schemas else schemas[-1]
    return [Key("relation", own, creation.name)]


def _states_owner(statement: Statement, name: str) -> bool:
    return statement.head[:1] == ("ALTER",) and {"owner", name} <= words_of(statement)


def is_of_kind(kind: str, created: str) -> bool:
    """Return whether an object is of the kind that a file creates."""
    return kind == created or (kind in ROUTINE_KINDS and created in ROUTINE_KINDS)
