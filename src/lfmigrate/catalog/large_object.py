"""Asks which large objects exist and what is in them, and reads and writes pieces of them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.wire import Answer

# The number of bytes that are read or written at once, and that a digest is made of.
PIECE_BYTES = 1 << 20

# The SQLSTATE of the notices about what could not be restored.
_LEFT = "LF007"

# To read, and to write, as lo_open knows them.
_READ_WRITE = 0x60000


@dataclass(frozen=True, slots=True)
class LargeObject:
    """A large object.

    Attributes:
        number: Its oid.
        owner: The name of its owner.
        size: The number of its bytes; None if the role may not read them.
        digest: That of its content, as `Digest` makes it; likewise.
        writable: Whether the role may change its content.
        comment: Its comment, if it has one.
        grants: The role, or "" for PUBLIC, the privilege, and whether it may be granted further.
    """

    number: int
    owner: str
    size: int | None
    digest: str | None
    writable: bool
    comment: str | None
    grants: tuple[tuple[str, str, bool], ...]


def large_objects(numbers: Iterable[int] | None) -> Query[Mapping[int, LargeObject]]:
    """Ask for large objects by number; for all, if that is None."""

    def decode(value: Any) -> Mapping[int, LargeObject]:  # noqa: ANN401 (parsed JSON)
        return {
            found["number"]: LargeObject(
                **{**found, "grants": tuple((g[0], g[1], g[2]) for g in found["grants"])}
            )
            for found in value
        }

    asked = None if numbers is None else json.dumps(sorted(numbers))
    return Query(query_text("large_objects"), (asked,), decode)


class Digest:
    """The digest of a content, as the query makes it; pieces of `PIECE_BYTES` are added to it."""

    def __init__(self) -> None:
        self._pieces = sha256()

    def add(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.update(sha256(piece).hexdigest().encode())

    @property
    def value(self) -> str:
        """Return the digest of all pieces so far."""
        return self._pieces.hexdigest()


def pieces(large_object: LargeObject) -> Iterator[Query[bytes]]:
    """Return the questions for the pieces of a large object, in order."""
    for offset in range(0, large_object.size or 0, PIECE_BYTES):
        yield Query(
            "SELECT to_jsonb(encode(lo_get($1::oid, $2::bigint, $3::int), 'base64'))",
            (str(large_object.number), str(offset), str(PIECE_BYTES)),
            b64decode,
        )


def create(flight: Flight, number: int) -> None:
    """Queue the creation of an empty large object."""
    flight.do("SELECT lo_create($1::oid)", str(number))


def empty(flight: Flight, number: int) -> None:
    """Queue the removal of a large object's content."""
    flight.do(f"SELECT lo_truncate(lo_open($1::oid, {_READ_WRITE}), 0)", str(number))


def put(flight: Flight, number: int, offset: int, piece: bytes) -> None:
    """Queue the writing of a piece of a large object."""
    flight.do(
        "SELECT lo_put($1::oid, $2::bigint, decode($3, 'base64'))",
        str(number),
        str(offset),
        b64encode(piece).decode(),
    )


def restore_properties(
    flight: Flight,
    number: int,
    owner: str,
    comment: str | None,
    grants: Iterable[tuple[str, str, bool]],
) -> Answer[None]:
    """Queue what gives a large object its owner, comment and privileges; see `left`."""
    document = {"number": number, "owner": owner, "comment": comment, "grants": list(grants)}
    flight.set({"lfmigrate.large_object": json.dumps(document)})
    return flight.do(query_text("restore_large_object"))


def left(answer: Answer[None]) -> tuple[str, ...]:
    """Return what `restore_properties` could not restore, and why."""
    return tuple(n.message for n in answer.notices if n.sqlstate == _LEFT)
