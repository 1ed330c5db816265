"""Which repeatable files run after some migrations, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lfmigrate.engine.recreate import RecreatedObjects
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.errors import LfmigrateError
from lfmigrate.history import states
from lfmigrate.history.events import REPEATABLE_ACTIONS, History
from lfmigrate.schema.relation import Key
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import (
    Mentioned,
    RepeatableFile,
    RunOrder,
    may_mean,
    mentioned_by,
)
from lfmigrate.source.version import number
from lfmigrate.syntax.names import Name
from lfmigrate.syntax.scanner import Statement


def repeatable_steps(
    folder: Folder,
    state: DatabaseState,
    steps: Sequence[Step],
    recreated: RecreatedObjects,
    order: RunOrder,
) -> list[Step]:
    """Choose the repeatable files to run; none while a migration stays pending.

    Args:
        folder: The files.
        state: The database before the run.
        steps: The migrations that run before, and the repeatable files that run between them.
        recreated: What is dropped, so that its files may have to run.
        order: The order.
    """
    applied = state.history.applied.keys() | {number(s.version) for s in steps if s.version}
    if any(m.number not in applied for m in folder.migrations):
        return []  # one may need what does not exist yet
    names = {each.name for each in _chosen(folder, state, steps)}
    chosen = [each for each in folder.repeatables if each.name in names or each in recreated]
    chosen.sort(key=lambda each: order.place(each.file.name))
    return [Step.of_repeatable(each) for each in chosen]


class NotRecreatedError(LfmigrateError):
    """A run would leave what a repeatable file creates missing; that file has to run, too."""


def refuse_to_lose(folder: Folder, state: DatabaseState, recreated: RecreatedObjects) -> None:
    """Let the run start again with a file, if something that it creates is missing afterwards.

    Which statements drop something is only known if they say so; a DO block does not.

    Args:
        folder: The files.
        state: The database as the run leaves it.
        recreated: What makes a file run.

    Raises:
        NotRecreatedError: There is such a file.
    """
    if any(m.number not in state.history.applied for m in folder.migrations):
        return
    left = [each.file.name for each in _chosen(folder, state, ())]
    if recreated.force(left):
        raise NotRecreatedError(f"{', '.join(left)} has to run")


def _chosen(
    folder: Folder, state: DatabaseState, steps: Sequence[Step]
) -> Iterator[RepeatableFile]:
    """Choose the files to run after some migrations.

    Those that are new, edited or miss something; those that mention what such a one creates; and
    those that may concern what has run. Running one once more does no harm, unless it drops what it
    creates, with the indexes and privileges that a migration has made there. For one that has run
    between the migrations, only what came after it counts.
    """
    missing = set(state.missing)
    incomplete = set(_incomplete(state))
    places = {step.file.name: i for i, step in enumerate(steps) if step.version is None}
    changed: set[Name] = set()
    # The same, without those that have run between the migrations.
    changed_since: set[Name] = set()
    for each in states.repeatable_states(folder, state.history):
        file = each.repeatable
        place = places.get(file.file.name)
        later = [s for s in steps[0 if place is None else place :] if s.version is not None]
        seen = changed if place is None else changed_since
        if (
            each.status != "applied"
            or not missing.isdisjoint(state.history.made_by_repeatables[file.name])
            or (
                not file.drops_its_own
                and not incomplete.isdisjoint(_touched_by(file.name, state.history))
            )
        ):
            changed |= file.created
            has_to_run = place is None
        else:
            has_to_run = False
        if has_to_run or _mentions_any(file.mentioned, seen):
            changed |= file.created
            changed_since |= file.created
        elif file.drops_its_own:
            if not any(
                _may_drop_some_of(file.created, statement) for statement in _dropping(later)
            ):
                continue
        elif not (any(_dropping(later)) if file.is_self_contained else later or seen):
            continue
        yield file


def _incomplete(state: DatabaseState) -> Iterator[Key]:
    """Return the relations of which a part is missing, such as a trigger."""
    for key, relation in state.history.expected.items():
        if key in state.live and relation.parts.keys() - state.live[key].parts.keys():
            yield key


def _touched_by(name: str, history: History) -> set[Key]:
    """Return what a repeatable file has created or changed, such as a table with a trigger."""
    events = (e for e in history.events if e.action in REPEATABLE_ACTIONS and e.name == name)
    return {relation.key for event in events for relation in event.expected}


def _dropping(steps: Sequence[Step]) -> Iterator[Statement]:
    """Return the statements that might drop what a repeatable file has created."""
    for step in steps:
        for statement in step.file.statements:
            if statement.head[:1] in {("DROP",), ("ALTER",)}:
                yield statement


def _may_drop_some_of(names: Iterable[Name], statement: Statement) -> bool:
    """Return whether such a statement names one of them, or drops whatever depends on something."""
    mentioned = mentioned_by([statement])
    return "cascade" in mentioned or _mentions_any(mentioned, names)


def _mentions_any(mentioned: Mentioned, names: Iterable[Name]) -> bool:
    return any(may_mean(mentioned, name) for name in names)
