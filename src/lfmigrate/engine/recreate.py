"""What repeatable files create, dropped and re-created where a statement fails otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from lfmigrate import catalog
from lfmigrate.engine.object_names import are_views, listed, named_in, with_part_in
from lfmigrate.engine.recreatable import is_of_kind, recreatable
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Recreated, Step
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.history.events import History
from lfmigrate.schema.object import Item
from lfmigrate.schema.relation import REPLACEABLE, Key
from lfmigrate.source.repeatable import RepeatableFile, RunOrder, names_in
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import Cursor, Name
from lfmigrate.syntax.scanner import Statement

# CREATE OR REPLACE VIEW would remove or change a column.
_COLUMNS_CHANGED = "42P16"
# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"
# Among others: a column has a view on it, so its type cannot be changed.
_NOT_SUPPORTED = "0A000"
# A relation or a routine does not exist; an index or statistics.
_UNDEFINED = frozenset({"42P01", "42883", "42704"})

_QUOTED = re.compile(r'"((?:[^"]|"")+)"')

# The classes of errors that come from what a statement says, and not from the data or the server.
_OF_THE_TEXT = frozenset({"0A", "2B", "3F", "42"})


@dataclass(slots=True)
class _Site:
    """A file that failed, and what is dropped before it, so that it does not fail again.

    Attributes:
        cause: Why it failed.
        objects: What is dropped.
        is_dropped: Whether it is, in this attempt.
    """

    cause: StatementFailed
    objects: dict[Key, Recreated]
    is_dropped: bool = False

    @property
    def files(self) -> set[str]:
        """Return the names of the files that create the objects."""
        return {each.file for each in self.objects.values()}


class RecreatedObjects:
    """The views and routines that a run drops and re-creates, because a statement failed otherwise.

    The server says which: CREATE OR REPLACE VIEW cannot change the columns that a view has, and a
    column that a view, a materialized view or the SQL body of a function reads can neither be
    dropped nor get another type. The run is rolled back then, and starts again with them dropped
    before the file that failed. A run without such an error asks nothing.

    Their own files re-create them right after a migration that failed, so that the next one finds
    them; their properties are restored. A file that fails there, because its text needs a later
    migration, waits until after the last one.

    Each is identified by schema and name. Which schema a file creates it in is known from the
    history; before the file has run, it is the one that the file names, or that of the run.
    """

    def __init__(self, session: Session, order: RunOrder) -> None:
        self._session = session
        self._order = order
        # By the file that failed.
        self._sites: dict[str, _Site] = {}
        # The files that run right after each such migration, and those that cannot.
        self._places: list[list[str]] = []
        self._waiting: set[str] = set()
        # How many steps that is, with the migrations.
        self._end = 0
        self._steps: Sequence[Step] = ()
        self._owed: set[str] = set()
        # What runs, and the files that have to, because a run without them has lost something.
        self._planned: set[str] = set()
        self._forced: set[str] = set()

    def __contains__(self, file: RepeatableFile) -> bool:
        """Return whether something of a file is dropped and not re-created by the last migration.

        Then it has to run with the others.
        """
        return file.file.name in self._owed | self._forced

    def force(self, files: Collection[str]) -> bool:
        """Let files run in the next attempt; return whether one of them does not run in this."""
        new = set(files) - self._planned - self._forced
        self._forced |= new
        return bool(new)

    def after_migrations(self, steps: Sequence[Step]) -> list[Step]:
        """Let files run right after the migrations before which what they create is dropped.

        Args:
            steps: The migrations that run, or the down files.
        """
        self._steps = steps
        self._places = []
        own = [site for name, site in self._sites.items() if name in self._repeatables]
        self._owed = {file for site in own for file in site.files}
        result: list[Step] = []
        for step in steps:
            result.append(step)
            site = self._sites.get(step.file.name)
            if site is None or step.action == "repair" or step.file.no_transaction:
                continue
            self._owed |= site.files & self._waiting
            files = [
                each
                for each in self._session.folder.repeatables
                if each.file.name in site.files - self._waiting
            ]
            files.sort(key=lambda each: self._order.place(each.file.name))
            self._places.append([each.file.name for each in files])
            result += [Step.of_repeatable(each) for each in files]
        self._end = len(result)
        return result

    def prepare(self, steps: Sequence[Step]) -> list[Step]:
        """Let the objects be dropped before the step that needs it.

        They are not, if they would not all be re-created in the same transaction: because a file
        has to wait, and one that runs outside a transaction comes before that, or migrations stay
        pending. Then the statement fails again.

        Args:
            steps: All steps of the run that a transaction may contain.
        """
        result = list(steps)
        self._planned = {step.file.name for step in steps}
        for name, site in self._sites.items():
            # Of a repeatable file's, one may be re-created before it.
            names = site.files | {name} if name in self._repeatables else {name}
            place = next(
                (
                    i
                    for i, step in enumerate(steps)
                    if step.file.name in names and (step.version is not None or i >= self._end)
                ),
                len(steps),
            )
            rest = list(takewhile(_is_in_transaction, steps[place:]))
            site.is_dropped = bool(rest) and site.files <= {step.file.name for step in rest}
            if site.is_dropped:
                objects = tuple(site.objects[key] for key in sorted(site.objects))
                drops = {each.key: each for each in (*result[place].drops, *objects)}
                result[place] = replace(result[place], drops=tuple(drops.values()))
        return result

    @property
    def _repeatables(self) -> set[str]:
        return {each.file.name for each in self._session.folder.repeatables}

    def wait(self, error: StatementFailed) -> bool:
        """Let a file wait that failed right after a migration, and what comes after it there.

        Returns:
            Whether it is one, and the failure may be due to what a later migration does.
        """
        if error.file is None or (error.sqlstate or "")[:2] not in _OF_THE_TEXT:
            return False
        files = {
            name
            for place in self._places
            if error.file in place
            for name in place[place.index(error.file) :]
        }
        self._waiting |= files
        return bool(files)

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
            self._refuse_missing(state, error)
        is_own = error.file is None and not self._sites
        if is_own or error.sqlstate not in {_COLUMNS_CHANGED, _DEPENDED_ON, _NOT_SUPPORTED}:
            raise error
        objects = {each.key: each for each in recreatable(self._session.folder, state)}
        ids = self._ids(schema, objects)
        if error.file is not None:
            found = {error.file: self._in_the_way(state, error, objects, ids)}
        else:
            # Something was made on top of what is dropped.
            found = {file: set(site.objects) for file, site in self._sites.items()}
        found = {f: self._with_others(schema, keys, objects, ids) for f, keys in found.items()}
        if not any(found.values()):
            _add_hint(error, state.history, schema)
            raise error
        known = {file: set(site.objects) for file, site in self._sites.items()}
        for file, keys in found.items():
            site = self._sites.setdefault(file, _Site(error, {}))
            self._refuse_dependents(schema, site.cause, {key: objects[key] for key in keys}, ids)
            site.objects |= {key: objects[key] for key in keys}
        if any(not keys <= known.get(file, set()) for file, keys in found.items()):
            return
        if error.file is not None and not self._sites[error.file].is_dropped:
            named = [objects[key] for key in found[error.file]]
            what = "the views" if are_views(named) else "the objects"
            error.hint = (
                f"Drop {listed(named, schema)} {self._place_for_drop(error)}; up re-creates {what}"
                " of repeatable files after the last migration."
            )
        raise error

    def _place_for_drop(self, error: StatementFailed) -> str:
        """Return where a person can drop what a statement fails because of."""
        step = next((each for each in self._steps if each.file.name == error.file), None)
        if step is not None and (step.action == "rollback" or step.file.no_transaction):
            # Nothing can come before a file that has begun.
            return f"in {error.file}, before the statement in line {error.line}"
        return "in an earlier migration"

    def _refuse_missing(self, state: DatabaseState, error: StatementFailed) -> None:
        """Raise the first error, if a statement needs what was dropped because of it."""
        schema = state.schema
        for file, site in self._sites.items():
            gone = [
                each
                for each in site.objects.values()
                if error.file == file or each.file in self._waiting
            ]
            missing = named_in(error.message, gone, [schema]) | with_part_in(
                error.message, gone, state.live
            )
            if error.file is None or not missing or not site.is_dropped:
                continue
            found = [site.objects[key] for key in missing]
            named = listed(found, schema)
            place = error.place or "what is restored of the others"
            fact = f"With {named} dropped before it, {place} fails: {error.message}."
            site.cause.detail = (*site.cause.detail, fact)
            site.cause.outcome = error.outcome
            what = "The views" if are_views(gone) else "The objects"
            site.cause.hint = (
                f"{what} of repeatable files are re-created after that file; it may not use them"
                " itself."
                if error.file == file
                else f"{what} of {', '.join(sorted({each.file for each in found}))} are re-created"
                " after the last migration, because the text needs it; none may use them until"
                " then."
            )
            raise site.cause

    def _with_others(
        self,
        schema: str,
        keys: Collection[Key],
        objects: Mapping[Key, Recreated],
        ids: Mapping[Key, str],
    ) -> set[Key]:
        """Return objects with what is on top of them, and what their files would drop.

        A file runs because of one of its objects, and another one is not to lose anything by that.
        """
        chosen, more = set[Key](), set(keys)
        while not more <= chosen:
            chosen |= more
            files = {objects[key].file for key in chosen}
            chosen |= {
                key
                for key in ids
                if objects[key].file in files
                and objects[key].is_dropped_by_file
                and objects[key].keeps_properties
            }
            roots = [(ids[key], None) for key in sorted(chosen) if key in ids]
            more = self._on_top_of(schema, roots, ids) if roots else set()
        return chosen

    def _ids(self, schema: str, objects: Mapping[Key, Recreated]) -> Mapping[Key, str]:
        """Return the ids of those objects that exist and are of the kind that the files create."""
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.relations(objects))
        return {
            found.relation.key: found.id
            for found in asked.value
            if found.relation.key in objects
            and is_of_kind(found.relation.kind, objects[found.relation.key].kind)
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
        site = self._sites.get(error.file or "")
        # What such a file has created since is not known to the database before the run.
        placed = {name for place in self._places for name in place}
        existing += [e for key, e in objects.items() if key not in ids and e.file in placed]
        statement, path = self._failed_statement(error, state.schema)
        if error.sqlstate == _COLUMNS_CHANGED:
            own = [e for e in existing if e.file == error.file and e.kind == "view"]
            # It may be in a DO block.
            views = [e for e in own if statement in e.creations] or own
            roots: list[tuple[str, str | None]] = [
                (ids[each.key], None) for each in views if each.key in ids
            ]
            return self._on_top_of(state.schema, roots, ids)
        # The first line of the detail shows the file.
        detail = error.detail[1:]
        known = site.objects if site is not None else ()
        named = named_in("\n".join(detail), existing, path, known)
        roots = [(ids[key], None) for key in named if key in ids]
        names = Cursor(statement).names()
        if error.sqlstate == _NOT_SUPPORTED and roots:
            # Only one of the views on the column is mentioned.
            with self._session.reading(state.schema) as flight:
                asked = flight.ask(catalog.relations(_keys_of(names, path, state)))
            columns = [name for line in detail for name in _QUOTED.findall(line)]
            roots += [(found.id, f"column {column}") for found in asked.value for column in columns]
        chosen = self._on_top_of(state.schema, roots, ids) | named
        if statement.head[:1] != ("DROP",):
            return chosen
        dropped = {(name.schema, name.name) for name in names}
        return {
            key
            for key in chosen
            if dropped.isdisjoint({(None, objects[key].name), (key.schema, objects[key].name)})
        }

    def _on_top_of(
        self, schema: str, roots: Sequence[tuple[str, str | None]], ids: Mapping[Key, str]
    ) -> set[Key]:
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.dependents(roots))
        return {key for key, item_id in ids.items() if item_id in asked.value}

    def _failed_statement(
        self, error: StatementFailed, schema: str
    ) -> tuple[Statement, Sequence[str]]:
        """Return the statement, and the schemas that unqualified names in it are looked up in."""
        folder = self._session.folder
        files: list[SqlFile] = [step.file for step in self._steps]
        files += [m.up for m in folder.migrations]
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
        roots = {ids[key] for key in chosen if key in ids}
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
                f"the columns of {listed([first], schema)} have changed, so it has to be dropped,"
                " but other objects depend on it"
            )
        else:
            message = (
                f"{cause.file}:{cause.line} cannot run until {listed(objects, schema)} {it}"
                f" dropped, but other objects depend on {them}"
            )
        raise Refused(
            message,
            detail=sorted(dependents),
            outcome=self._session.outcome,
            hint="Drop those first, and re-create them afterwards.",
        )


def _is_in_transaction(step: Step) -> bool:
    return not step.file.no_transaction and step.action != "repair"


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
