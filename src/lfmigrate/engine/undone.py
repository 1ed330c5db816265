"""What a migration has changed and a repeatable file, which runs after it, has set back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.history.events import REPEATABLE_ACTIONS
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Found, Key, Snapshot
from lfmigrate.source.repeatable import may_mean, mentioned_by
from lfmigrate.syntax.names import Name
from lfmigrate.syntax.scanner import Statement

# CREATE OR REPLACE also changes a view or function.
_CHANGES = frozenset({"ALTER", "CREATE", "DO"})


@dataclass(frozen=True, slots=True)
class Between:
    """What repeatable files might set back, as the migrations have left it.

    CREATE OR REPLACE clears the options of a view and the settings of a function, and enables a
    trigger.

    Attributes:
        writers: The migration that mentions each relation, and the file that has written it before.
        found: What they are like between the two.
    """

    writers: Mapping[Key, tuple[Step, Step]]
    found: Answer[tuple[Found, ...]]

    def notes(self, before: Snapshot, after: Snapshot) -> Iterator[str]:
        """Return a line for each change of a migration that is not there any more.

        Args:
            before: The relations before the run.
            after: The relations after it.
        """
        for found in self.found.value:
            key = found.relation.key
            if key not in before or key not in after:
                continue
            was, changed, is_now = before[key].parts, found.relation.parts, after[key].parts
            parts = [
                part
                for part in dict.fromkeys([*was, *changed])
                if changed.get(part) != was.get(part) == is_now.get(part)
            ]
            if parts:
                migration, file = self.writers[key]
                yield (
                    f"{migration.label} has changed {', '.join(parts)} of {found.relation.kind}"
                    f" {found.relation.label}, and {file.label} has set that back; state it in that"
                    " file instead"
                )


def may_be_set_back(
    state: DatabaseState, steps: Sequence[Step]
) -> tuple[int, Mapping[Key, tuple[Step, Step]]]:
    """Return what a migration may change and a repeatable file after the last one set back.

    Args:
        state: The database before the run.
        steps: Those of the run.

    Returns:
        The index of the first such file, and as `Between.writers`.
    """
    last = max((i for i, step in enumerate(steps) if step.version is not None), default=-1)
    files = {step.name: step for step in steps[last + 1 :] if step.action in REPEATABLE_ACTIONS}
    written = {
        relation.key: files[event.name]
        for event in state.history.events
        if event.action in REPEATABLE_ACTIONS and event.name in files
        for relation in event.expected
    }
    writers: dict[Key, tuple[Step, Step]] = {}
    for step in steps[: last + 1] if written else ():
        if step.action in {"up", "repair"}:
            mentioned = mentioned_by(s for s in step.file.statements if _may_change(s))
            writers |= {
                key: (step, file)
                for key, file in written.items()
                if may_mean(mentioned, Name(key.schema, key.name.partition("(")[0]))
            }
    return last + 1, writers


def _may_change(statement: Statement) -> bool:
    return not _CHANGES.isdisjoint(statement.head[:1])
