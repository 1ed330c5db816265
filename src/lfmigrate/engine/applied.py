"""The files that make up the schema, with the texts that ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.history import ledger
from lfmigrate.history.events import Event, History
from lfmigrate.postgres.wire import Answer
from lfmigrate.source.repeatable import RepeatableFile, in_order
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.source.version import number


def applied_files(
    session: Session, state: DatabaseState, steps: Sequence[Step] = (), *, inside: bool = False
) -> list[SqlFile]:
    """Return the files that make up the schema: migrations by number, then repeatable files.

    Of a file that was edited, or is not in the folder, the recorded text is asked for: what another
    branch has applied is in the schema as well.

    Args:
        session: The command.
        state: The database as it was read.
        steps: What has run since, or runs in the open transaction.
        inside: Whether a transaction is open.
    """
    history, folder = state.history, session.folder
    running = {step.version: step for step in steps if step.version is not None}
    undone = {number(v) for v, step in running.items() if step.action == "rollback"}
    ran = {number(v): step.so_far or step.file for v, step in running.items()}
    migrations = {m.number: m.up for m in folder.migrations}
    repeatables = {each.name: each for each in folder.repeatables}
    again = {step.name for step in steps if step.version is None}
    texts = _texts(
        session,
        state,
        [
            *(
                event
                for number, event in history.applied.items()
                if number not in ran and not _is_same(event, migrations.get(number))
            ),
            *(
                event
                for name, event in history.repeatables.items()
                if name not in again
                and not _is_same(event, repeatables[name].file if name in repeatables else None)
            ),
        ],
        inside=inside,
    )

    def text_of(event: Event, file: SqlFile | None) -> SqlFile:
        if event.id in texts or file is None:
            return from_text(event.file, texts[event.id].value)
        return file

    files = {
        n: text_of(event, migrations.get(n)) for n, event in history.applied.items() if n not in ran
    }
    files |= {number: file for number, file in ran.items() if number not in undone}
    kept = {name: each for name, each in repeatables.items() if name in again}
    for name, event in history.repeatables.items():
        if name not in kept:
            file = repeatables[name].file if name in repeatables else None
            kept[name] = RepeatableFile(name, text_of(event, file))
    return [
        *(files[number] for number in sorted(files)),
        *(each.file for each in in_order(list(kept.values()))),
    ]


def _is_same(event: Event, file: SqlFile | None) -> bool:
    return file is not None and event.checksum == file.checksum


def _texts(
    session: Session, state: DatabaseState, events: Sequence[Event], *, inside: bool
) -> Mapping[int, Answer[str]]:
    """Ask for the recorded texts of events, by id."""
    if not events:
        return {}
    if not inside:
        with session.reading(state.schema) as flight:
            return {e.id: flight.ask(ledger.recorded_text(session.scope, e)) for e in events}
    flight = session.flight()
    texts = {event.id: flight.ask(ledger.recorded_text(session.scope, event)) for event in events}
    flight.go()
    return texts


def settings_found(
    history: History, files: Sequence[SqlFile], running: Sequence[SqlFile]
) -> Mapping[int, Mapping[str, str]]:
    """Return which settings decided what literals of times mean when files ran.

    Those of the database may have changed since.

    Args:
        history: What has run.
        files: Any.
        running: Those that run in the open transaction, with its settings.

    Returns:
        The settings, by the place of each file that has run.
    """
    events = (*history.applied.values(), *history.repeatables.values())
    found = {event.file: event.settings for event in events}
    for file in running:
        found.pop(file.name, None)
    return {at: found[file.name] for at, file in enumerate(files) if file.name in found}
