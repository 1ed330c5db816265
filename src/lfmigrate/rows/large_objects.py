"""Large objects between a database and an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from lfmigrate.catalog import LargeObject
from lfmigrate.catalog import large_object as objects
from lfmigrate.errors import Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.rows import archive
from lfmigrate.rows.archive import Writer
from lfmigrate.rows.saved import Archive, SavedLargeObject

# How many pieces are read or written in one flight.
_PIECES = 8


def save_large_object(conn: Connection, writer: Writer, found: LargeObject) -> None:
    """Write a large object to an archive, in the open transaction.

    Args:
        conn: A connection with an open transaction.
        writer: The archive.
        found: The large object, as it was found; the role may read it.

    Raises:
        Refused: It was changed since then.
    """
    digest = objects.Digest()
    content = _digested(_pieces(conn, found), digest)
    writer.add_large_object(found.number, content, found.owner, found.comment, found.grants)
    if digest.value != found.digest:
        raise Refused(
            f"large object {found.number} was changed while it was saved",
            hint="Another session writes to it; try again.",
        )


def differing(
    saved: Archive, existing: Mapping[int, LargeObject]
) -> tuple[list[SavedLargeObject], list[LargeObject]]:
    """Return what has to be restored, and what exists under the same numbers with other content.

    Args:
        saved: The archive.
        existing: What exists under these numbers.
    """
    left, others = [], []
    for each in saved.large_objects:
        found = existing.get(each.number)
        if found is not None:
            digest = objects.Digest()
            for _ in _digested(_blocks(saved, each), digest):
                pass
            if found.digest == digest.value:
                continue
            others.append(found)
        left.append(each)
    return left, others


def load_large_objects(
    conn: Connection,
    saved: Archive,
    chosen: Sequence[SavedLargeObject],
    overwritten: Sequence[LargeObject],
) -> tuple[str, ...]:
    """Create large objects under the numbers that they had, in the open transaction.

    Args:
        conn: A connection with an open transaction.
        saved: The archive.
        chosen: Those to restore.
        overwritten: Those of them that exist, and keep their owner and privileges.

    Returns:
        What is worth a note.

    Raises:
        ArchiveError: A file was changed since it was written.
        DatabaseError: The server refused.
    """
    existing = {each.number for each in overwritten}
    notes = []
    for each in chosen:
        flight = Flight(conn)
        if each.number in existing:
            objects.empty(flight, each.number)
        else:
            objects.create(flight, each.number)
        offset = 0
        blocks = _blocks(saved, each)
        while batch := list(islice(blocks, _PIECES)):
            for block in batch:
                objects.put(flight, each.number, offset, block)
                offset += len(block)
            flight.go()
        if each.number in existing:
            flight.go()
            continue
        properties = objects.restore_properties(
            flight, each.number, each.owner, each.comment, each.grants
        )
        flight.go()
        label = f"large object {each.number}"
        notes += [f"{label}, not restored: {what}" for what in objects.left(properties)]
    return tuple(notes)


def _pieces(conn: Connection, found: LargeObject) -> Iterator[bytes]:
    questions = objects.pieces(found)
    while batch := list(islice(questions, _PIECES)):
        flight = Flight(conn)
        answers = [flight.ask(question) for question in batch]
        flight.go()
        yield from (answer.value for answer in answers)


def _blocks(saved: Archive, each: SavedLargeObject) -> Iterator[bytes]:
    return archive.blocks(saved, each, objects.PIECE_BYTES)


def _digested(pieces: Iterator[bytes], digest: objects.Digest) -> Iterator[bytes]:
    for piece in pieces:
        digest.add(piece)
        yield piece
