"""Asks for relations as the catalogs describe them, and for fingerprints of definitions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.relation import Fingerprints, Found, Key, Reading, Relation, WrittenParts
from lfmigrate.syntax.reach import Reach

T = TypeVar("T")

# What relations.sql finds by itself: the namespaces, and the catalogs. All others are those of
# kinds.sql.
_SPACES = frozenset({"relation", "routine", "type", "schema", "extension"})
_CATALOGS = frozenset({"pg_class", "pg_proc", "pg_type", "pg_namespace", "pg_extension"})


def relations(
    wanted: Iterable[Key], ids: Iterable[str] = (), *, grants: bool = False
) -> Query[tuple[Found, ...]]:
    """Ask what some relations look like.

    The definitions depend on ``search_path``: set it to the schema of interest first.

    Args:
        wanted: The relations to describe; those that do not exist are left out.
        ids: Values of `Found.id`: described too, whatever they are called.
        grants: Whether their owners and privileges are parts, too.

    Returns:
        What was found, by schema and name.
    """
    return _described(wanted, ids, _found, grants=grants)


def snapshot(
    wanted: Iterable[Key],
    *,
    ledger: str,
    ids: Iterable[str] = (),
    since: str | None = None,
    grants: bool = False,
) -> Query[Reading]:
    """Ask the same, and for everything else that this transaction has written.

    Args:
        wanted: As in `relations`.
        ledger: The qualified and quoted name of the history table, which is left out.
        ids: Values of `Found.id`: described too, whatever they are called now.
        since: The transaction from which on others are asked about; None for none.
        grants: As in `relations`.

    Returns:
        What was found: first what this transaction did not write, then the rest in the order in
        which it was written.

    Source:
        PostgreSQL documentation, "System Columns" (xmin, cmin) and "pg_xact_status".
    """

    def decode(value: Any) -> Reading:  # noqa: ANN401 (parsed JSON)
        return Reading(
            found=_found(value),
            locked=frozenset(value["locked"]),
            committed=frozenset(value["committed"]),
            own=frozenset(value["writers"]),
        )

    written = query_text("written"), (since, ledger)
    return _described(wanted, ids, decode, grants=grants, written=written)


def committed(since: str) -> Query[frozenset[str]]:
    """Ask which transactions that wrote a catalog have committed.

    Args:
        since: The id of the first one to ask about.
    """
    return Query(query_text("committed"), (since,), frozenset)


def stamp() -> Query[str]:
    """Ask what the catalogs consist of, in short: equal while no other session has changed them."""
    return Query(query_text("stamp"), (), str)


def fingerprints() -> Query[Fingerprints]:
    """Ask what exists, with a short text each; see `Fingerprints`."""
    return Query(query_text("fingerprints"), (), dict)


def written_parts(
    ledger: str, run_id: str | None = None, *, reach: Reach | None
) -> Query[WrittenParts]:
    """Ask which parts of relations this transaction has written since its last entry.

    Args:
        ledger: The qualified and quoted name of the history table, or of a table that has nothing
            but entries of this transaction, and the higher ids the later they are.
        run_id: That of the transaction's entries in the history.
        reach: What may have been written since; None for anything, which reads the catalogs as a
            whole.
    """

    def decode(value: Any) -> WrittenParts:  # noqa: ANN401 (parsed JSON)
        names: dict[str, dict[tuple[str, int], str]] = {}
        for relation, part, number in value:
            names.setdefault(relation, {})[part.partition(" ")[0], number] = part
        return names

    params: list[str] = []
    sql = query_text("written_parts")
    if reach is not None:
        params += [json.dumps(sorted(names)) for names in reach]
        sql += f" AND p.owner = ANY (ARRAY({query_text('named')}))"
    # While the transaction holds lfmigrate's lock, the last entry is its own, if it has any.
    entry = f"SELECT h.cmin::text::int FROM {ledger} AS h"
    entry += f" WHERE h.id = (SELECT max(id) FROM {ledger})"
    if run_id is not None:
        params.append(run_id)
        entry += f" AND h.run_id = ${len(params)}::uuid AND h.xmin = pg_current_xact_id()::xid"
    sql += f" AND p.cmin::text::int > coalesce(({entry}), -1)"
    return Query(sql, tuple(params), decode)


def existing_parts(
    parts: Mapping[str, Mapping[str, int]],
) -> Query[Mapping[str, Collection[str]]]:
    """Ask which parts of relations exist, under their name or another.

    Args:
        parts: By the relation's id and the part, the part's oid.

    Returns:
        The parts that exist, by the relation's id.
    """
    document = [
        {"id": item_id, "part": part, "kind": kind, "name": name, "number": number}
        for item_id, numbers in parts.items()
        for part, number in numbers.items()
        for kind, _, name in [part.partition(" ")]
    ]
    return Query(query_text("existing_parts"), (json.dumps(document),), dict)


def recreated_properties() -> Query[Mapping[Key, Mapping[str, Any]]]:
    """Ask which properties objects have that their CREATE does not state.

    They are those that queries/recreated.sql has found in this transaction.

    The definitions in it hold under any ``search_path`` only if it is set to no schema first.

    Returns:
        By key, what queries/restore_properties.sql and queries/restore_contents.sql restore.
    """

    def decode(value: Any) -> Mapping[Key, Mapping[str, Any]]:  # noqa: ANN401 (parsed JSON)
        return {Key(each["space"], each["schema"], each["name"]): each for each in value}

    return Query(query_text("recreated_properties"), (), decode)


def part_definitions(
    parts: Iterable[Mapping[str, str | None]],
) -> Query[tuple[Mapping[str, Any], ...]]:
    """Ask how triggers, rules, views and routines are defined; see the query."""
    return Query(query_text("part_definitions"), (json.dumps(list(parts)),), tuple)


@dataclass(frozen=True, slots=True)
class Definable:
    """Something whose definition can be kept; see queries/definable.sql.

    Attributes:
        owner: The id of the relation of a trigger or a rule; of anything else, its own.
        key: That of ``owner``.
        kind: Its kind, such as ``view``, ``procedure`` or ``trigger``.
        part: The trigger or rule, such as ``trigger audit``; None for anything else.
    """

    owner: str
    key: Key
    kind: str
    part: str | None


def definable(ids: Iterable[str]) -> Query[Mapping[str, Definable]]:
    """Ask which objects exist and are views, routines, triggers or rules.

    Args:
        ids: As in `catalog.inventory`.

    Returns:
        Those, by id; their names depend on ``search_path``.
    """

    def decode(value: Any) -> Mapping[str, Definable]:  # noqa: ANN401 (parsed JSON)
        return {
            each["id"]: Definable(
                each["owner"],
                Key(each["space"], each["schema"], each["name"]),
                each["kind"],
                each["part"],
            )
            for each in value
        }

    return Query(query_text("definable"), (json.dumps(sorted(ids)),), decode)


def _described(
    wanted: Iterable[Key],
    ids: Iterable[str],
    decode: Callable[[Any], T],
    *,
    grants: bool,
    written: tuple[str, tuple[str | None, ...]] | None = None,
) -> Query[T]:
    """Ask what relations look like, planning as little as possible.

    Most of the time of such a question is planning. So those about objects of kinds.sql, of which
    there are none in most databases, are asked only if there may be one.

    Args:
        wanted: As in `relations`.
        ids: As in `relations`.
        decode: As in `Query`.
        grants: As in `relations`.
        written: written.sql and its parameters, to describe what it finds, too.
    """
    wanted, ids = list(wanted), list(ids)
    first = [] if written is None else [written]
    names = sorted({key.name for key in wanted if key.space not in _SPACES})
    parsed = [id_.split(":") for id_ in ids]
    oids = sorted({oid for catalog, oid in parsed if catalog not in _CATALOGS})
    has_kinds = bool(written or names or oids)
    if has_kinds:
        asked = json.dumps({"names": names, "oids": oids})
        find = query_text("find_kinds" if written is None else "find_written_kinds")
        first += [("SELECT set_config('lfmigrate.asked_kinds', $1, true)", (asked,)), (find, ())]
    return Query(
        query_text("relations", *(["grants"] if grants else [])),
        (
            json.dumps(_names(wanted)),
            json.dumps(ids),
            str(written is not None).lower(),
            str(has_kinds).lower(),
        ),
        decode,
        first=tuple(first),
    )


def _names(wanted: Iterable[Key]) -> list[dict[str, str]]:
    return [
        {"space": key.space, "schema": key.schema, "name": key.name, "base": base}
        for key in wanted
        for base in _bases(key.name)
    ]


def _found(value: Any) -> tuple[Found, ...]:  # noqa: ANN401 (parsed JSON)
    return tuple(
        Found(
            id=found["id"],
            relation=Relation.from_json(found),
            cids=tuple(found["cids"]),
            written={part: cid for part, _, cid, _ in found["parts"] if cid is not None},
            numbers={part: number for part, _, _, number in found["parts"] if number},
        )
        for found in value["relations"]
    )


def _bases(name: str) -> list[str]:
    """Return what a routine's name may be without its arguments.

    Its own name may contain parentheses, and so may those of the arguments and their types.
    """
    return [name[:place] for place, char in enumerate(name) if char == "("] or [name]
