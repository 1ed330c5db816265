"""Owners and privileges, which are compared on request. Pure."""

from __future__ import annotations

from dataclasses import replace

from lfmigrate.schema.relation import Relation


def is_grant(part: str) -> bool:
    """Return whether a part is an owner or what a role may do."""
    return part == "owner" or part.startswith("privileges of ")


def without_grants(relation: Relation) -> Relation:
    """Return a relation without its owner and privileges."""
    parts = {part: text for part, text in relation.parts.items() if not is_grant(part)}
    return replace(relation, parts=parts)


def with_grants_of(relation: Relation, other: Relation, owner: tuple[str, str]) -> Relation:
    """Return a relation with another's owner and privileges instead of its own.

    Args:
        relation: A relation.
        other: The same, as it was read with its grants.
        owner: A role, and the one that stands for it if it is the owner.
    """
    was, becomes = owner
    parts = dict(without_grants(relation).parts)
    for part, text in other.parts.items():
        if is_grant(part):
            parts[part] = becomes if part == "owner" and text == was else text
    return replace(relation, parts=parts)
