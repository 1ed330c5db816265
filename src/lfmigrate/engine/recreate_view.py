"""Views of repeatable files that are dropped and re-created, where a statement fails otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.engine.step import Step
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.schema.relation import Key
from lfmigrate.source.repeatable import RepeatableFile, names_in
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.scanner import Statement, tokens

# CREATE OR REPLACE VIEW would remove or change a column.
_COLUMNS_CHANGED = "42P16"
# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"
# Among others: a column has a view on it, so its type cannot be changed.
_NOT_SUPPORTED = "0A000"
_UNDEFINED_TABLE = "42P01"

_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


class RecreatedViews:
    """The views that a run drops and re-creates, because a statement failed otherwise.

    The server says which: CREATE OR REPLACE VIEW cannot change the columns that a view has, and a
    column that a view reads can neither be dropped nor get another type. The run is rolled back
    then, and starts again with the views dropped before the file that failed; their own files
    re-create them, and their properties are restored. A run without such an error asks nothing.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._views = {
            view.name: view for each in session.folder.repeatables for view in each.views
        }
        self._names: set[str] = set()
        # The files that failed: the views have to be gone before them.
        self._files: set[str] = set()
        self._cause: StatementFailed | None = None
        self._are_dropped = False

    def __contains__(self, file: RepeatableFile) -> bool:
        """Return whether a view of a file is dropped, so that the file has to run."""
        return any(view.name in self._names for view in file.views)

    def prepare(self, steps: Sequence[Step]) -> list[Step]:
        """Let the views be dropped before the first step that needs it.

        They are not, if they would not all be re-created in the same transaction: because a file
        that runs outside a transaction comes before that, or because migrations stay pending. Then
        the statement fails again.

        Args:
            steps: All steps of the run that a transaction may contain.
        """
        views = [self._views[name] for name in sorted(self._names)]
        files = {view.file for view in views}
        first = next(
            (i for i, step in enumerate(steps) if step.file.name in files | self._files), len(steps)
        )
        rest = steps[first:]
        self._are_dropped = (
            bool(views)
            and files <= {step.file.name for step in rest}
            and not any(step.file.no_transaction or step.action == "repair" for step in rest)
        )
        if not self._are_dropped:
            return list(steps)
        return [*steps[:first], replace(rest[0], drops=tuple(views)), *rest[1:]]

    def add(self, schema: str, error: StatementFailed) -> None:
        """Choose the views to drop, so that the next attempt does not fail with the same error.

        Args:
            schema: The schema of the run.
            error: Why it failed; it is rolled back.

        Raises:
            StatementFailed: The error, if it has another reason.
            Refused: Other objects depend on such a view.
        """
        if error.sqlstate == _UNDEFINED_TABLE:
            self._refuse_missing(error)
        cause = error if error.file is not None else self._cause
        if cause is None or error.sqlstate not in {_COLUMNS_CHANGED, _DEPENDED_ON, _NOT_SUPPORTED}:
            raise error
        ids = self._ids_of_views(schema)
        chosen = self._views_in_the_way(schema, error, ids)
        if not chosen:
            raise error
        self._refuse_dependents(schema, cause, {ids[name] for name in chosen}, chosen)
        if chosen <= self._names:
            if self._names and not self._are_dropped:
                error.hint = (
                    f"Drop {_list(chosen)} in an earlier migration; up re-creates the views of"
                    " repeatable files after the last one."
                )
            raise error
        self._names |= chosen
        self._cause = cause
        if error.file is not None:
            self._files.add(error.file)

    def _refuse_missing(self, error: StatementFailed) -> None:
        """Raise the first error, if a statement needs a view that was dropped because of it."""
        missing = names_in(error.message) & self._names
        if self._cause is None or not missing or not self._are_dropped:
            return
        self._cause.detail = (
            *self._cause.detail,
            f"With {_list(missing)} dropped before it, {error.place} fails: {error.message}.",
        )
        self._cause.outcome = error.outcome
        self._cause.hint = (
            "The views of repeatable files are re-created after the last migration; none may use"
            " them until then."
        )
        raise self._cause

    def _ids_of_views(self, schema: str) -> Mapping[str, str]:
        """Return the ids of the repeatable files' views that exist, by name."""
        keys = {
            Key("relation", view.schema or schema, name): name for name, view in self._views.items()
        }
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.relations(keys))
        return {
            keys[found.relation.key]: found.id
            for found in asked.value
            if found.relation.kind == "view"
        }

    def _views_in_the_way(
        self, schema: str, error: StatementFailed, ids: Mapping[str, str]
    ) -> set[str]:
        """Return the views that have to be dropped, those on top of others included."""
        if error.file is None:
            roots: list[tuple[str, str | None]] = [(ids[n], None) for n in self._names if n in ids]
            return self._on_top_of(schema, roots, ids)
        if error.sqlstate == _COLUMNS_CHANGED:
            roots = [
                (ids[view.name], None)
                for view in self._views.values()
                if view.file == error.file and view.name in ids
            ]
            return self._on_top_of(schema, roots, ids)
        # The first line of the detail shows the file.
        detail = error.detail[1:]
        roots = [(ids[name], None) for name in names_in("\n".join(detail)) if name in ids]
        statement = self._failed_statement(error)
        words = {t.value for t in tokens(statement.text) if t.kind in {"word", "quoted"}}
        if error.sqlstate == _NOT_SUPPORTED and roots:
            # Only one of the views on the column is mentioned.
            tables = [Key("relation", schema, name) for name in words]
            with self._session.reading(schema) as flight:
                asked = flight.ask(catalog.relations(tables))
            columns = [name for line in detail for name in _QUOTED.findall(line)]
            roots += [(found.id, f"column {column}") for found in asked.value for column in columns]
        chosen = self._on_top_of(schema, roots, ids)
        return chosen - words if statement.head[:2] == ("DROP", "VIEW") else chosen

    def _on_top_of(
        self, schema: str, roots: Iterable[tuple[str, str | None]], ids: Mapping[str, str]
    ) -> set[str]:
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.dependents(roots))
        return {name for name, item_id in ids.items() if item_id in asked.value}

    def _failed_statement(self, error: StatementFailed) -> Statement:
        folder = self._session.folder
        files: list[SqlFile] = [m.up for m in folder.migrations]
        files += [each.file for each in folder.repeatables]
        file = next(file for file in files if file.name == error.file)
        place = error.line or 0, error.column or 0
        return [s for s in file.statements if (s.line, s.column) <= place][-1]

    def _refuse_dependents(
        self, schema: str, cause: StatementFailed, ids: Collection[str], names: Collection[str]
    ) -> None:
        """Refuse to drop views that other objects depend on, and list those."""
        with self._session.reading(schema) as flight:
            asked = flight.ask(catalog.dependents((root, None) for root in ids))
        with self._session.reading(schema) as flight:
            named = flight.ask(catalog.items(asked.value - {*ids}))
        # A part, such as the row type of a view, goes with the whole.
        dependents = [
            f"{item.kind} {item.name}"
            for item in named.value.values()
            if asked.value.isdisjoint({item.relation, *item.owners})
        ]
        if not dependents:
            return
        if cause.sqlstate == _COLUMNS_CHANGED:
            view = next(v for v in self._views.values() if v.file == cause.file and v.name in names)
            message = (
                f'the columns of view "{view.name}" have changed, so it has to be dropped, but'
                " other objects depend on it"
            )
        else:
            message = (
                f"{cause.file}:{cause.line} cannot run until {_list(names)}"
                f" {'is' if len(names) == 1 else 'are'} dropped, but other objects depend on"
                f" {'it' if len(names) == 1 else 'them'}"
            )
        raise Refused(
            message,
            detail=sorted(dependents),
            outcome=self._session.outcome,
            hint="Drop those first, and re-create them afterwards.",
        )


def _list(names: Collection[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in sorted(names))
    return f"{'view' if len(names) == 1 else 'views'} {listed}"
