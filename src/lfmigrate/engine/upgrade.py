"""What is expected after an upgrade of the server, in the new version's words.

Major versions describe the same definition differently, so a text that another one has recorded is
never compared.
"""

from __future__ import annotations

from dataclasses import replace

from lfmigrate.engine.applied import applied_files
from lfmigrate.engine.replay import replay
from lfmigrate.engine.session import Session
from lfmigrate.engine.shadow import NoShadowDatabase
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.errors import DifferenceFound, StatementFailed
from lfmigrate.history.events import Event
from lfmigrate.schema.relation import Relation, Snapshot
from lfmigrate.source.sqlfile import from_text


def after_upgrade(
    session: Session, state: DatabaseState, *, strict: bool
) -> tuple[DatabaseState, Step | None]:
    """Describe again what a server of another major version has described.

    The recorded texts of the applied files are replayed. What they do not create there is expected
    as it is, because nothing shows how it was.

    Args:
        session: The command.
        state: The database as it was read.
        strict: Refuse, if something cannot be compared.

    Returns:
        The database, with what is expected in the server's own words; and the step that records
        that, None if there is no need.

    Raises:
        DifferenceFound: Something cannot be compared, and that is refused.
    """
    history = state.history
    major = state.server.major
    foreign = {key for key, by in history.described_by.items() if by != major}
    if not foreign:
        return state, None
    made, reason = _replayed(session, state)
    relations, unknown = [], []
    for key in foreign:
        relation = _described(history.expected[key], made.get(key))
        if relation is None and key in state.live:
            relation = state.live[key]
            unknown.append(f"{relation.kind} {relation.label}")
        if relation is not None:
            relations.append(relation)
    if unknown:
        _report(session, state, sorted(unknown), reason, strict=strict)
    step = Step(
        "upgrade",
        None,
        f"PostgreSQL {major}",
        from_text(f"PostgreSQL {major}", ""),
        described=tuple(relations),
    )
    event = Event(
        id=history.position,
        action=step.action,
        version=None,
        name=step.name,
        file=step.file.name,
        checksum=step.file.checksum,
        expected=step.described,
        gone=(),
        server_version=state.server.version,
        executed_at="",
        executed_by=state.server.role,
        elapsed_ms=0,
    )
    known = replace(history, events=(*history.events, event))
    return replace(state, history=known), step


def _replayed(session: Session, state: DatabaseState) -> tuple[Snapshot, str]:
    """Return what the applied files create, and why that is not known."""
    try:
        made = replay(session, state, applied_files(session, state)).made
    except (NoShadowDatabase, StatementFailed) as error:
        place = f"{error.place}: " if error.place else ""
        return Snapshot(), f"the files cannot be replayed ({place}{error.message})"
    return Snapshot(
        item.relation for item in made
    ), "the files do not create it in an empty database"


def _described(expected: Relation, made: Relation | None) -> Relation | None:
    """Return a relation in new words; only those parts that are expected of another owner's."""
    if made is None or expected.complete:
        return made
    parts = {part: text for part, text in made.parts.items() if part in expected.parts}
    return replace(made, parts=parts, complete=False)


def _report(
    session: Session, state: DatabaseState, unknown: list[str], reason: str, *, strict: bool
) -> None:
    former = " and ".join(str(m) for m in sorted(state.history.majors - {state.server.major}))
    if strict:
        raise DifferenceFound(
            f"what PostgreSQL {former} has described cannot be compared: {reason}",
            detail=unknown,
            outcome=session.outcome,
            hint="Without --strict it is expected as it is now.",
        )
    session.notes.append(
        f"not compared, and expected as it is now: {', '.join(unknown)}; only PostgreSQL {former}"
        f" has described it, and {reason}"
    )
