"""What a rollback restores that migrations have replaced or dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lfmigrate import catalog
from lfmigrate.engine.owned import OwnedObjects
from lfmigrate.engine.previous import read_definitions
from lfmigrate.engine.step import Restores, Step
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.engine.transaction import Transaction
from lfmigrate.engine.trial import Trial, roll_back_trial, run_trial, with_cascade
from lfmigrate.errors import StatementFailed
from lfmigrate.history.events import Previous
from lfmigrate.history.ownership import Drops, split_by_owner
from lfmigrate.schema.relation import Key
from lfmigrate.source import down
from lfmigrate.source.sqlfile import SqlFile

# Among others: the type of a column cannot be changed, because a view reads it.
_NOT_SUPPORTED = "0A000"

# The classes of errors that come from what statements say, or from what depends on what.
_OF_THE_TEXT = frozenset({"0A", "2B", "3F", "42"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The files as they run, and what their trial has shown."""

    steps: Sequence[Step]
    trial: Trial
    drops: Drops

    @property
    def previous(self) -> tuple[Previous, ...]:
        """Return what is restored; that of the newest migration first."""
        failed = {each.label for each in self.trial.not_restored if not each.is_partial}
        return tuple(each for each in _previous(self.steps) if each.label not in failed)

    @property
    def restored(self) -> tuple[str, ...]:
        """Return what gets its previous definition back."""
        return tuple(dict.fromkeys(each.label for each in self.previous))

    @property
    def notes(self) -> Iterator[str]:
        """Return a line for each previous definition that cannot be restored."""
        own = {p.label for p in _previous(self.steps)}
        for each in self.trial.not_restored:
            if each.label in own and each.is_partial:
                yield f"not all previous privileges on {each.label} are restored: {each.message}"
            elif each.label in own:
                yield (
                    f"the previous definition of {each.label} cannot be restored: {each.message}"
                )

    @property
    def reasons(self) -> dict[str, str]:
        """Return why what others have created cannot stay, by its identity."""
        found = self.trial.not_restored
        return {each.identity: each.message for each in found if not each.is_partial}

    def forgotten(self, expected: Collection[Key]) -> set[tuple[Key, str | None]]:
        """Return what is not expected any more, because no file has created it.

        Args:
            expected: What was expected before. Of what is re-created, an earlier migration may have
                created some.
        """
        restores = [step.restores for step in self.steps if step.restores is not None]
        again = (p for each in restores for p in each.rebuilds if p.key not in expected)
        return {(p.key, p.part) for p in (*_previous(self.steps), *again)}


def _previous(steps: Sequence[Step]) -> Iterator[Previous]:
    for step in steps:
        if step.restores is not None:
            yield from step.restores.previous


def try_out(
    tx: Transaction, steps: Sequence[Step], owned: OwnedObjects, files: Mapping[str, SqlFile]
) -> Plan:
    """Try down files, and find out how what they replace can be restored with the least loss.

    Args:
        tx: Its lock is queued.
        steps: The down files.
        owned: What the migrations created.
        files: The down files as they are, by name; empty if they run with ``--cascade``.

    Returns:
        The best of the trials. If it has failed because something depends on what the files drop,
        it has all that they would drop with ``--cascade``.

    Raises:
        StatementFailed: They fail, and not because other objects depend on what they drop.
    """
    plan = _with_least_loss(tx, steps, owned)
    if plan.trial.failure is None or not files:
        return plan
    forced = {
        name: down.in_one_transaction(down.cascading(file))[0] for name, file in files.items()
    }
    tried = [replace(step, file=forced.get(step.file.name, step.file)) for step in plan.steps]
    trial = with_cascade(tx, tried, owned, plan.trial)
    return replace(plan, trial=trial, drops=_drops(trial, tried, owned))


def _with_least_loss(tx: Transaction, steps: Sequence[Step], owned: OwnedObjects) -> Plan:
    """Return the better one of two trials.

    If something depends on what is replaced or dropped, the files are tried once more: with the
    previous definitions restored before them, and what others have created on top dropped and
    re-created.
    """
    error: StatementFailed | None = None
    first: Plan | None = None
    try:
        first = _try(tx, steps, owned)
    except StatementFailed as failed:
        if failed.sqlstate != _NOT_SUPPORTED or not any(_previous(steps)):
            raise
        error = failed
        roll_back_trial(tx.flight)
        tx.send()
    if first is not None and (
        not any(_previous(steps)) or (first.trial.failure is None and not first.drops.outside)
    ):
        return first
    second = None
    try:
        second = _try(tx, _with_room(tx, steps, owned), owned)
    except StatementFailed as failed:
        if (failed.sqlstate or "")[:2] not in _OF_THE_TEXT:
            raise
        roll_back_trial(tx.flight)
        tx.send()
    if first is None:
        if second is None or second.trial.failure is not None:
            raise error or LookupError("no trial has run")
        return second
    if second is None or second.trial.failure is not None:
        return first
    is_better = first.trial.failure is not None or len(second.drops.outside) < len(
        first.drops.outside
    )
    if is_better:
        return second
    # The notes of the last trial are about other statements.
    return _try(tx, steps, owned)


def _try(tx: Transaction, steps: Sequence[Step], owned: OwnedObjects) -> Plan:
    trial = run_trial(tx, steps, owned)
    return Plan(steps, trial, _drops(trial, steps, owned))


def _drops(trial: Trial, steps: Sequence[Step], owned: OwnedObjects) -> Drops:
    drops = split_by_owner(
        trial.gone,
        owned.owned,
        owned.ids,
        again=(*trial.created, *(trial.items[item_id] for item_id in trial.restored)),
        by_name=not any(down.cascades(step.file) for step in steps),
    )
    own = tuple(role for role in trial.roles if role.name in owned.roles)
    others = tuple(role for role in trial.roles if role not in own)
    return Drops(drops.own + own, drops.outside + others)


def _with_room(tx: Transaction, steps: Sequence[Step], owned: OwnedObjects) -> list[Step]:
    """Return the steps with what depends on replaced definitions dropped and re-created."""
    restored = {p.key for p in _previous(steps) if p.part is None}
    tx.flight.look_at(tx.state.schema)
    asked = tx.flight.ask(
        catalog.dependents((owned.ids[key], None) for key in restored if key in owned.ids)
    )
    tx.send()
    found = tx.flight.ask(catalog.definable(asked.value))
    tx.flight.reset(tx.session.scope, tx.state.server.defaults)
    tx.send()
    known = restored.union(owned.owned.whole, *owned.repeatables.values())
    others = {
        Replaced(each.owner, each.key, each.kind, None)
        for each in found.value.values()
        if each.part is None and each.key not in known
    }
    definitions = read_definitions(tx, others) if others else {}
    cascades = any(step.restores.cascades for step in steps if step.restores is not None)
    if len(definitions) < len(others) and not cascades:
        # One cannot be re-created, and would have to be dropped with what it depends on.
        others = set()
    in_order = sorted(others, key=lambda each: int(each.id.partition(":")[2]))
    drops = tuple(each.key for each in in_order)
    rebuilds = tuple(
        Previous(each.key, None, definitions[each]) for each in in_order if each in definitions
    )
    places = [index for index, step in enumerate(steps) if step.restores is not None]
    result = list(steps)
    for index in places:
        restores = replace(
            steps[index].restores or Restores(),
            first=True,
            drops=drops if index == places[0] else (),
            rebuilds=rebuilds if index == places[-1] else (),
        )
        result[index] = replace(steps[index], restores=restores)
    return result
