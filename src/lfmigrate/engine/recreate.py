"""What repeatable files create, dropped and re-created where a statement fails otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Recreated, Step
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.history.events import History
from lfmigrate.schema.object import Item
from lfmigrate.schema.relation import REPLACEABLE, ROUTINE_KINDS, Key
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import Creation, RepeatableFile, names_in
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import Cursor, Name
from lfmigrate.syntax.scanner import Statement

# CREATE OR REPLACE VIEW would remove or change a column.
_COLUMNS_CHANGED = "42P16"
# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"
# Among others: a column has a view on it, so its type cannot be changed.
_NOT_SUPPORTED = "0A000"
# A relation or a routine does not exist.
_UNDEFINED = frozenset({"42P01", "42883"})

_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


class RecreatedObjects:
    """The views and routines that a run drops and re-creates, because a statement failed otherwise.

    The server says which: CREATE OR REPLACE VIEW cannot change the columns that a view has, and a
    column that a view, a materialized view or the SQL body of a function reads can neither be
    dropped nor get another type. The run is rolled back then, and starts again with them dropped
    before the file that failed; their own files re-create them, and their properties are restored.
    A run without such an error asks nothing.

    Each is identified by schema and name. Which schema a file creates it in is known from the
    history; before the file has run, it is the one that the file names, or that of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._chosen: dict[Key, Recreated] = {}
        # The files that failed: the objects have to be gone before them.
        self._files: set[str] = set()
        self._cause: StatementFailed | None = None
        self._are_dropped = False

    def __contains__(self, file: RepeatableFile) -> bool:
        """Return whether something that a file creates is dropped, so that the file has to run."""
        return any(each.file == file.file.name for each in self._chosen.values())

    def prepare(self, steps: Sequence[Step]) -> list[Step]:
        """Let the objects be dropped before the first step that needs it.

        They are not, if they would not all be re-created in the same transaction: because a file
        that runs outside a transaction comes before that, or because migrations stay pending. Then
        the statement fails again.

        Args:
            steps: All steps of the run that a transaction may contain.
        """
        objects = [self._chosen[key] for key in sorted(self._chosen)]
        files = {each.file for each in objects}
        first = next(
            (i for i, step in enumerate(steps) if step.file.name in files | self._files), len(steps)
        )
        rest = steps[first:]
        self._are_dropped = (
            bool(objects)
            and files <= {step.file.name for step in rest}
            and not any(step.file.no_transaction or step.action == "repair" for step in rest)
        )
        if not self._are_dropped:
            return list(steps)
        return [*steps[:first], replace(rest[0], drops=tuple(objects)), *rest[1:]]

    def add(self, state: DatabaseState, error: StatementFailed) -> None:
        """Choose what to drop, so that the next attempt does not fail with the same error.

        Args:
            state: The database before the run.
            error: Why it failed; it is rolled back.

        Raises:
            StatementFailed: The error, if it has another reason.
            Refused: Objects depend on such a view that no repeatable file re-creates.
        """
        schema = state.schema
        if error.sqlstate in _UNDEFINED:
            self._refuse_missing(schema, error)
        cause = error if error.file is not None else self._cause
        if cause is None or error.sqlstate not in {_COLUMNS_CHANGED, _DEPENDED_ON, _NOT_SUPPORTED}:
            raise error
        objects = {each.key: each for each in _recreatable(self._session.folder, state)}
        ids = self._ids(schema, objects)
        chosen = self._in_the_way(state, error, objects, ids)
        if not chosen:
            _add_hint(error, state.history, schema)
            raise error
        self._refuse_dependents(schema, cause, {key: objects[key] for key in chosen}, ids)
        if chosen <= self._chosen.keys():
            if self._chosen and not self._are_dropped:
                found = [objects[key] for key in chosen]
                what = "the views" if _are_views(found) else "the objects"
                error.hint = (
                    f"Drop {_list(found, schema)} in an earlier migration; up re-creates {what} of"
                    " repeatable files after the last one."
                )
            raise error
        self._chosen |= {key: objects[key] for key in chosen}
        self._cause = cause
        if error.file is not None:
            self._files.add(error.file)

    def _refuse_missing(self, schema: str, error: StatementFailed) -> None:
        """Raise the first error, if a statement needs what was dropped because of it."""
        missing = _named_in(error.message, self._chosen.values(), [schema])
        if self._cause is None or not missing or not self._are_dropped:
            return
        found = [self._chosen[key] for key in missing]
        self._cause.detail = (
            *self._cause.detail,
            f"With {_list(found, schema)} dropped before it, {error.place} fails: {error.message}.",
        )
        self._cause.outcome = error.outcome
        what = "The views" if _are_views(self._chosen.values()) else "The objects"
        self._cause.hint = (
            f"{what} of repeatable files are re-created after the last migration; none may use"
            " them until then."
        )
        raise self._cause

    def _ids(self, schema: str, objects: Mapping[Key, Recreated]) -> Mapping[Key, str]:
        """Return the ids of those objects that exist and are of the kind that the files create."""
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.relations(objects))
        return {
            found.relation.key: found.id
            for found in asked.value
            if found.relation.key in objects
            and _is_of_kind(found.relation.kind, objects[found.relation.key].kind)
        }

    def _in_the_way(
        self,
        state: DatabaseState,
        error: StatementFailed,
        objects: Mapping[Key, Recreated],
        ids: Mapping[Key, str],
    ) -> set[Key]:
        """Return what has to be dropped, what is on top of others included."""
        existing = [objects[key] for key in ids]
        if error.file is None:
            roots: list[tuple[str, str | None]] = [(ids[k], None) for k in self._chosen if k in ids]
            return self._on_top_of(state.schema, roots, ids)
        statement, path = self._failed_statement(error, state.schema)
        if error.sqlstate == _COLUMNS_CHANGED:
            own = [e for e in existing if e.file == error.file and e.kind == "view"]
            # It may be in a DO block.
            views = [e for e in own if statement in e.creations] or own
            roots = [(ids[each.key], None) for each in views]
            return self._on_top_of(state.schema, roots, ids)
        # The first line of the detail shows the file.
        detail = error.detail[1:]
        named = _named_in("\n".join(detail), existing, path, self._chosen)
        roots = [(ids[key], None) for key in named]
        names = Cursor(statement).names()
        if error.sqlstate == _NOT_SUPPORTED and roots:
            # Only one of the views on the column is mentioned.
            with self._session.reading(state.schema) as flight:
                asked = flight.ask(catalog.relations(_keys_of(names, path, state)))
            columns = [name for line in detail for name in _QUOTED.findall(line)]
            roots += [(found.id, f"column {column}") for found in asked.value for column in columns]
        chosen = self._on_top_of(state.schema, roots, ids)
        if statement.head[:1] != ("DROP",):
            return chosen
        dropped = {(name.schema, name.name) for name in names}
        return {
            key
            for key in chosen
            if dropped.isdisjoint({(None, objects[key].name), (key.schema, objects[key].name)})
        }

    def _on_top_of(
        self, schema: str, roots: Iterable[tuple[str, str | None]], ids: Mapping[Key, str]
    ) -> set[Key]:
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.dependents(roots))
        return {key for key, item_id in ids.items() if item_id in asked.value}

    def _failed_statement(
        self, error: StatementFailed, schema: str
    ) -> tuple[Statement, Sequence[str]]:
        """Return the statement, and the schemas that unqualified names in it are looked up in."""
        folder = self._session.folder
        files: list[SqlFile] = [m.up for m in folder.migrations]
        files += [each.file for each in folder.repeatables]
        file = next(file for file in files if file.name == error.file)
        place = error.line or 0, error.column or 0
        statements = [s for s in file.statements if (s.line, s.column) <= place]
        paths = [path for path in map(_path_set_by, statements) if path]
        return statements[-1], paths[-1] if paths else [schema]

    def _refuse_dependents(
        self,
        schema: str,
        cause: StatementFailed,
        chosen: Mapping[Key, Recreated],
        ids: Mapping[Key, str],
    ) -> None:
        """Refuse to drop what other objects depend on, and list those."""
        roots = {ids[key] for key in chosen}
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.dependents((root, None) for root in roots))
        with self._session.reading(schema) as flight:
            named = flight.ask(catalog.items(asked.value - roots))
        # A part, such as the row type of a view, goes with the whole.
        dependents = [
            f"{item.kind} {item.name}"
            for item in named.value.values()
            if asked.value.isdisjoint(_wholes(item))
        ]
        if not dependents:
            return
        objects = list(chosen.values())
        first = next((e for e in objects if e.file == cause.file), None)
        it, them = ("is", "it") if len(objects) == 1 else ("are", "them")
        if cause.sqlstate == _COLUMNS_CHANGED and first is not None:
            message = (
                f"the columns of {_list([first], schema)} have changed, so it has to be dropped,"
                " but other objects depend on it"
            )
        else:
            message = (
                f"{cause.file}:{cause.line} cannot run until {_list(objects, schema)} {it} dropped,"
                f" but other objects depend on {them}"
            )
        raise Refused(
            message,
            detail=sorted(dependents),
            outcome=self._session.outcome,
            hint="Drop those first, and re-create them afterwards.",
        )


def _recreatable(folder: Folder, state: DatabaseState) -> Iterator[Recreated]:
    """Return what repeatable files create and would create again, identified."""
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
                # others it states from the ground up.
                kind == "materialized view" or not creations[0].drops_it_first,
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


def _is_of_kind(kind: str, created: str) -> bool:
    return kind == created or (kind in ROUTINE_KINDS and created in ROUTINE_KINDS)


def _path_set_by(statement: Statement) -> list[str]:
    """Return the schemas of SET search_path; none for any other statement."""
    found = Cursor(statement)
    if not found.accept("set"):
        return []
    found.skip({"local", "session"})
    if not (found.accept("search_path", "=") or found.accept("search_path", "to")):
        return []
    return [token.value for token in found if token.kind != "other"]


def _keys_of(names: Iterable[Name], path: Sequence[str], state: DatabaseState) -> Iterator[Key]:
    """Return the relations that names in a statement may mean: any schema's, if in doubt."""
    known = [key for key in state.history.expected if key.space == "relation"]
    for name in names:
        schemas = path if name.schema is None else [name.schema]
        keys = [Key("relation", schema, name.name) for schema in schemas]
        if name.schema is None and not any(key in keys for key in known):
            keys += [key for key in known if key.name == name.name]
        yield from keys


def _named_in(
    text: str, objects: Iterable[Recreated], path: Sequence[str], known: Collection[Key] = ()
) -> set[Key]:
    """Return which objects a message of the server names.

    A name without a schema is that of the first one in the search path. If that cannot be meant, a
    function may have set the path, and every object of that name is returned.

    Args:
        text: The message.
        objects: Any.
        path: The schemas that are searched.
        known: Those that were found in an earlier message, which cannot be meant again.
    """
    names = names_in(text)
    found: set[Key] = set()
    unqualified: dict[str, list[Key]] = {}
    for each in objects:
        if (each.key.schema, each.name) in names:
            found.add(each.key)
        elif (None, each.name) in names:
            unqualified.setdefault(each.name, []).append(each.key)
    for keys in unqualified.values():
        nearest = min((path.index(k.schema) for k in keys if k.schema in path), default=None)
        meant = {k for k in keys if nearest is not None and k.schema == path[nearest]}
        found |= meant if meant and not meant <= set(known) else set(keys)
    return found


def _wholes(item: Item) -> set[str | None]:
    """Return the objects that a part is dropped with; for a part of a column, also its table."""
    return {
        item.relation,
        *item.owners,
        *(":".join(owner.split(":")[:2]) for owner in item.owners),
    }


def _add_hint(error: StatementFailed, history: History, schema: str) -> None:
    """Say what to do, if the server names a view or routine that no statement re-creates."""
    names = names_in("\n".join(error.detail[1:]))
    found = [
        relation
        for key, relation in history.expected.items()
        if relation.kind in REPLACEABLE
        and not names.isdisjoint({(None, _base(key)), (key.schema, _base(key))})
    ]
    if not found or error.sqlstate == _COLUMNS_CHANGED:
        return
    listed = ", ".join(
        f'{each.kind} "{each.name if each.schema == schema else each.label}"' for each in found
    )
    them, by_file = ("it", "creates it") if len(found) == 1 else ("them", "creates them")
    files = {
        name
        for name, keys in history.made_by_repeatables.items()
        if any(each.key in keys for each in found)
    }
    after = (
        f"{', '.join(sorted(files))} {by_file} after the migrations"
        if files
        else f"re-create {them} after it"
    )
    error.hint = f"Drop {listed} before this statement; {after}."


def _base(key: Key) -> str:
    return key.name.partition("(")[0] if key.space == "routine" else key.name


def _are_views(objects: Iterable[Recreated]) -> bool:
    return all(each.kind == "view" for each in objects)


def _list(objects: Collection[Recreated], schema: str) -> str:
    """Return what messages call several objects, with their kinds."""
    ordered = sorted(objects, key=lambda each: each.label(schema))
    if _are_views(ordered):
        listed = ", ".join(each.label(schema) for each in ordered)
        return f"{'view' if len(ordered) == 1 else 'views'} {listed}"
    return ", ".join(f"{each.kind} {each.label(schema)}" for each in ordered)
