"""Views whose file removes or changes a column: dropped and re-created instead of replaced."""

from __future__ import annotations

from collections.abc import Collection

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.schema.relation import Key

# CREATE OR REPLACE VIEW would remove or change a column.
_COLUMNS_CHANGED = "42P16"
# Other objects depend on what a statement would drop.
_DEPENDED_ON = "2BP01"


def file_to_recreate(
    session: Session, schema: str, error: StatementFailed, recreated: Collection[str]
) -> str:
    """Return the view file that failed, if its view has to be dropped first.

    Args:
        session: The command.
        schema: The schema of the views.
        error: Why a run failed; it is rolled back.
        recreated: The names of the view files that were tried so already.

    Raises:
        StatementFailed: The error, if it has another reason.
        Refused: Other objects depend on such a view.
    """
    if error.sqlstate == _DEPENDED_ON and error.file is None and recreated:
        _refuse_dependents(session, schema, recreated)
    files = {view.file.name for view in session.folder.views}
    failed = error.file
    if error.sqlstate != _COLUMNS_CHANGED or failed is None or failed not in files - {*recreated}:
        raise error
    return failed


def _refuse_dependents(session: Session, schema: str, files: Collection[str]) -> None:
    """Refuse to drop views that other objects depend on, and list those."""
    names = sorted(view.name for view in session.folder.views if view.file.name in files)
    keys = [Key("relation", schema, name) for name in names]
    with session.reading(schema) as flight:
        found = flight.ask(catalog.relations(keys))
    roots = {item.id for item in found.value}
    with session.reading(schema) as flight:
        asked = flight.ask(catalog.dependents((root, None) for root in roots))
    with session.reading(schema) as flight:
        named = flight.ask(catalog.items(asked.value - roots))
    # A part, such as the row type of a view, goes with the whole.
    all_ids = asked.value | roots
    dependents = sorted(
        f"{item.kind} {item.name}"
        for item in named.value.values()
        if not all_ids & {item.relation, *item.owners}
    )
    if dependents:
        views = ", ".join(f'"{name}"' for name in names)
        raise Refused(
            f"the columns of view {views} have changed, so it has to be dropped, but other objects"
            " depend on it",
            detail=dependents,
            outcome=session.outcome,
            hint="Drop those first, and re-create them afterwards.",
        )
