"""What the server's messages call the objects of repeatable files, and what lfmigrate's do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from lfmigrate.engine.step import Recreated
from lfmigrate.schema.relation import Key, Relation
from lfmigrate.source.repeatable import names_in


def named_in(
    text: str, objects: Iterable[Recreated], path: Sequence[str], known: Collection[Key] = ()
) -> set[Key]:
    """Return which objects a message of the server names.

    A name without a schema is that of the first one in the search path. If that cannot be meant, a
    function may have set the path, and every object of that name is returned. Of routines with one
    name, those are that it names with their arguments, if any.

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
    exact = {key for key in found if key.space == "routine" and _is_signature_in(text, key)}
    names_of_exact = {(key.schema, _base(key)) for key in exact}
    return {
        key
        for key in found
        if key in exact or key.space != "routine" or (key.schema, _base(key)) not in names_of_exact
    }


def with_part_in(text: str, objects: Iterable[Recreated], live: Mapping[Key, Relation]) -> set[Key]:
    """Return which objects have an index or statistics that a message of the server names.

    Args:
        text: The message.
        objects: Any.
        live: What is there of them.
    """
    names = {name for _, name in names_in(text)}
    parts = {f"{kind} {name}" for kind in ("index", "statistics") for name in names}
    return {e.key for e in objects if e.key in live and not parts.isdisjoint(live[e.key].parts)}


def _base(key: Key) -> str:
    return key.name.partition("(")[0]


def _is_signature_in(text: str, routine: Key) -> bool:
    """Return whether a message names a routine with the types of its arguments."""
    name, _, arguments = routine.name.partition("(")
    quoted = name.replace('"', '""')
    signature = f"({arguments.replace(', ', ',')}"
    return f"{name}{signature}" in text or f'"{quoted}"{signature}' in text


def are_views(objects: Iterable[Recreated]) -> bool:
    """Return whether all of them are views, and none a materialized one."""
    return all(each.kind == "view" for each in objects)


def listed(objects: Collection[Recreated], schema: str) -> str:
    """Return what messages call several objects, with their kinds."""
    ordered = sorted(objects, key=lambda each: each.label(schema))
    if are_views(ordered):
        labels = ", ".join(each.label(schema) for each in ordered)
        return f"{'view' if len(ordered) == 1 else 'views'} {labels}"
    return ", ".join(f"{each.kind} {each.label(schema)}" for each in ordered)
