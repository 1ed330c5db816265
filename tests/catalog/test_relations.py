"""Relations as the catalogs describe them: those asked for, and those that a transaction wrote."""

from __future__ import annotations

import pytest

import lfmigrate
from lfmigrate import catalog
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.schema.relation import Key

# It is about how each version prints definitions.
pytestmark = pytest.mark.per_version

HISTORY = "public.history"


def test_a_transaction_finds_what_it_wrote_itself(database: str) -> None:
    """A table that this transaction has created is found unasked; the history table is left out."""
    with lfmigrate.connect(database) as conn:
        flight = Flight(conn)
        flight.do("CREATE TABLE old (id integer)")
        flight.go()
        flight = Flight(conn)
        flight.do("BEGIN")
        flight.do("CREATE TABLE new (id integer)")
        flight.do(f"CREATE TABLE {HISTORY} (id integer)")
        wanted = [Key("relation", "public", "old")]
        asked = flight.ask(catalog.snapshot(wanted, ledger=HISTORY))
        flight.do("ROLLBACK")
        flight.go()

    old, new = asked.value.found
    assert (old.relation.name, new.relation.name) == ("old", "new")
    assert not old.cids
    assert not old.written
    assert new.cids
    assert list(new.written) == ["column id"]
    assert not asked.value.committed


def test_only_what_is_asked_for_is_described_after_another_question(database: str) -> None:
    """What an earlier question of the same transaction has found does not come back."""
    with lfmigrate.connect(database) as conn:
        flight = Flight(conn)
        flight.do("BEGIN")
        flight.do("CREATE TABLE a (id integer)")
        flight.do("CREATE TABLE b (id integer)")
        everything = flight.ask(catalog.snapshot((), ledger=HISTORY))
        one = flight.ask(catalog.relations([Key("relation", "public", "a")]))
        flight.do("ROLLBACK")
        flight.go()

    assert [each.relation.name for each in everything.value.found] == ["a", "b"]
    assert [each.relation.name for each in one.value] == ["a"]
