"""What is handed to libpq, and when."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field

import lfmigrate
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import Answer, Wire

_MB = 1024 * 1024
_LOCK = "SELECT pg_advisory_xact_lock(1)"


@dataclass
class Looks:
    """Notes how much was queued while the server waits, and lets it go on."""

    holder: Connection
    wire: Wire
    after_s: float = 0.0
    held_by: tuple[str, ...] = ()
    queued: list[int] = field(default_factory=list)

    def ask(self) -> None:
        self.queued.append(self.wire.queued)
        self.holder.rollback()


def test_libpq_is_handed_no_more_than_the_network_takes(database: str) -> None:
    """It moves all that it holds with each packet: of 50 MB, that takes minutes."""
    with (
        closing(lfmigrate.connect(database)) as holder,
        closing(lfmigrate.connect(database)) as conn,
    ):
        holder.autocommit = False
        holder.execute(_LOCK)
        answers = [
            Answer(_LOCK),
            *(Answer("SELECT to_jsonb(length($1))", ("x" * _MB,), int) for _ in range(50)),
        ]
        wire = Wire(conn)
        looks = Looks(holder, wire)

        wire.exchange([answers], None, looks)

    assert looks.queued
    assert looks.queued[0] < len(answers) / 2
    assert [answer.value for answer in answers[1:]] == [_MB] * 50
