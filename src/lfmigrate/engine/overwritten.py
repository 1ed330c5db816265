"""What was changed after the migrations by hand, and a rollback overwrites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lfmigrate import catalog
from lfmigrate.engine.previous import read_definitions
from lfmigrate.engine.step_effects import Replaced
from lfmigrate.engine.transaction import Transaction
from lfmigrate.history.events import Previous
from lfmigrate.schema.compare import compare
from lfmigrate.schema.relation import REPLACEABLE, Key
from lfmigrate.syntax.names import quote_name

# What is restored of a view or a routine besides its definition, apart from privileges.
_PROPERTIES = ("owner_role", "comment", "options")

# The same of a trigger or a rule.
_OF_A_PART = ("definition", "enabled", "comment")

# What makes a column of a view another one than it was.
_OF_A_COLUMN = ("comment", "default", "statistics", "options")

# What identifies a privilege; the oids of roles may be others' by now.
_OF_A_GRANT = ("privilege", "role", "grantable", "column")


@dataclass(frozen=True, slots=True)
class Overwritten:
    """Something that was changed after the migration, and that a rollback overwrites.

    Attributes:
        kind: Such as ``view`` or ``trigger``.
        name: Qualified; of a trigger, with its table.
        definition: The statements that create it as it is.
    """

    kind: str
    name: str
    definition: str | None


def overwritten(tx: Transaction, previous: Iterable[Previous]) -> tuple[Overwritten, ...]:
    """Return what was changed after the migrations, and is set back by their rollback.

    Args:
        tx: What is queued in it is sent.
        previous: What is restored; that of the newest migration first.
    """
    newest: dict[tuple[Key, str | None], Previous] = {}
    for each in previous:
        newest.setdefault((each.key, each.part), each)
    if not newest:
        return ()
    tx.flight.look_at(tx.state.schema)
    asked = tx.flight.ask(catalog.relations({each.key for each in newest.values()}))
    tx.flight.reset(tx.session.scope, tx.state.server.defaults)
    tx.send()
    live = {found.relation.key: found for found in asked.value}
    by_id = {
        Replaced(each.document["id"], key, each.document.get("what") or "table", part): each
        for (key, part), each in newest.items()
        if "id" in each.document and (part is not None or _stays(each))
    }
    definitions = dict(read_definitions(tx, by_id)) if by_id else {}
    # Whatever else has its name was created since; a trigger is then left alone.
    by_name = {
        Replaced(found.id, key, found.relation.kind, None): each
        for (key, part), each in newest.items()
        if part is None
        and not any((it.key, it.part) == (key, None) for it in definitions)
        and (found := live.get(key)) is not None
        and found.relation.kind in REPLACEABLE
    }
    definitions |= read_definitions(tx, by_name) if by_name else {}
    expected = tx.state.history.expected
    changed: list[Replaced] = []
    for it, was in {**by_id, **by_name}.items():
        if (now := definitions.get(it)) is None:
            continue
        known = [was.document, *([left] if (left := was.document.get("left")) else [])]
        as_expected = it.key in live and it.key in expected and it.part is None
        if as_expected and not compare(expected[it.key], live[it.key].relation):
            # A later migration may have defined it.
            known.append({"definition": now["definition"]})
        if _is_another(now, known):
            changed.append(it)
    if not changed:
        return ()
    tx.flight.look_at()
    items = tx.flight.ask(catalog.items({it.id for it in changed if it.part is None}))
    tx.flight.reset(tx.session.scope, tx.state.server.defaults)
    tx.send()
    return tuple(
        _whole(it, definitions[it], items.value[it.id].definition)
        if it.part is None
        else _part(definitions[it])
        for it in changed
    )


def _stays(previous: Previous) -> bool:
    """Return whether a migration has replaced something in place."""
    left = previous.document.get("left")
    return left is not None and left["id"] == previous.document["id"]


def _is_another(now: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether something is neither as it was nor as the migration has left it.

    Args:
        now: As it is.
        known: As it was, and as it may have been left; each with all of it or the definition alone.
    """
    if "properties" not in now:
        return any(now[name] not in [each[name] for each in known] for name in _OF_A_PART)
    if now["definition"] not in [each["definition"] for each in known]:
        return True
    was = [each["properties"] for each in known if "properties" in each]
    properties = now["properties"]
    if any(properties[name] not in [each[name] for each in was] for name in _PROPERTIES):
        return True
    if _grants(properties) not in [_grants(each) for each in was]:
        return True
    columns = [_named(each, "columns", _OF_A_COLUMN) for each in was]
    unset = (None,) * len(_OF_A_COLUMN)
    return any(
        column not in [each.get(name, unset) for each in columns]
        for name, column in _named(properties, "columns", _OF_A_COLUMN).items()
    )


def _grants(properties: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    return {tuple(grant[name] for name in _OF_A_GRANT) for grant in properties["grants"]}


def _named(
    properties: Mapping[str, Any], what: str, attributes: Sequence[str]
) -> Mapping[str, tuple[Any, ...]]:
    return {each["name"]: tuple(each[name] for name in attributes) for each in properties[what]}


def _whole(it: Replaced, now: Mapping[str, Any], definition: str | None) -> Overwritten:
    """Return a view or a routine, with the defaults of its columns."""
    view = now["properties"]["identity"]
    defaults = [
        f"ALTER VIEW {view} ALTER COLUMN {quote_name(each['name'])} SET DEFAULT {each['default']}"
        for each in now["properties"]["columns"]
        if each["default"] is not None
    ]
    statements = None if definition is None else ";\n".join([definition, *defaults])
    return Overwritten(it.kind, f"{it.key.schema}.{it.key.name}", statements)


def _part(now: Mapping[str, Any]) -> Overwritten:
    """Return a trigger or a rule, with its state and its comment."""
    kind, name, relation = now["kind"], quote_name(now["name"]), now["relation"]
    statements = [now["definition"].rstrip(";")]
    if now["enabled"] is not None:
        statements.append(f"ALTER TABLE ONLY {relation} {now['enabled']} {kind} {name}")
    if now["comment"] is not None:
        comment = now["comment"].replace("'", "''")
        statements.append(f"COMMENT ON {kind} {name} ON {relation} IS '{comment}'")
    return Overwritten(kind.lower(), f"{now['name']} on {relation}", ";\n".join(statements))
