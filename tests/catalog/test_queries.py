"""What the server has to plan for the questions to its catalogs: the most of their cost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import lfmigrate
from lfmigrate import catalog
from lfmigrate.catalog import query_text
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.schema.relation import Key

TABLE = Key("relation", "public", "t")
HISTORY = "public.history"

# Which objects there are with one definition and no parts is cheap to ask; only what they look
# like needs this view.
IS_DESCRIBING_KINDS = Query(
    "SELECT to_jsonb(count(*) > 0) FROM pg_locks"
    " WHERE pid = pg_backend_pid() AND relation = 'pg_catalog.pg_user_mappings'::regclass",
    (),
    bool,
)


@pytest.fixture
def conn(database: str) -> Iterator[Connection]:
    """Yield a connection to an empty database."""
    with lfmigrate.connect(database) as conn:
        yield conn


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a node of a plan, and all below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def plan_of(conn: Connection, query: Query[Any]) -> list[dict[str, Any]]:
    """Return the nodes of a question's plan."""
    flight = Flight(conn)
    flight.do("BEGIN")
    asked = flight.ask(
        replace(query, sql=f"EXPLAIN (FORMAT JSON) {query.sql}", decode=lambda value: value[0])
    )
    flight.do("ROLLBACK")
    flight.go()
    return list(nodes(asked.value["Plan"]))


def test_each_kind_of_object_has_rows() -> None:
    """Without them, an object would be described, but neither found in a run nor in a database."""
    catalogs = re.compile(r"^ *(?:UNION ALL )?SELECT '(\w+)'::regclass", re.MULTILINE)

    assert set(catalogs.findall(query_text("kinds"))) == set(
        catalogs.findall(query_text("kind_rows"))
    )


@pytest.mark.parametrize(
    ("query", "most"),
    [
        (catalog.relations([TABLE]), 230),
        (catalog.relations([TABLE], grants=True), 270),
        (catalog.committed("1"), 65),
        (catalog.fingerprints(), 60),
        (catalog.inventory(), 45),
        (catalog.stamp(), 60),
    ],
    ids=["relations", "grants", "committed", "fingerprints", "inventory", "stamp"],
)
def test_a_question_has_a_small_plan(conn: Connection, query: Query[Any], most: int) -> None:
    """Each node costs time and memory in every command, before a single row is read."""
    assert len(plan_of(conn, query)) <= most


def test_few_users_of_a_row_type_are_expected(conn: Connection) -> None:
    """The server makes room for as many as it expects, and by itself it expects a million."""
    assert max(node["Plan Rows"] for node in plan_of(conn, catalog.type_users(None))) < 100_000


@pytest.mark.parametrize(
    ("statement", "wanted", "is_describing"),
    [
        ("CREATE TABLE t (id integer)", TABLE, False),
        ("CREATE CAST (text AS box) WITH INOUT", TABLE, True),
        ("CREATE TABLE t (id integer)", Key("cast", "", "text AS box"), True),
    ],
    ids=["nothing", "what was written", "what is wanted"],
)
def test_what_objects_without_parts_look_like_is_planned_only_if_there_is_one(
    conn: Connection, statement: str, wanted: Key, *, is_describing: bool
) -> None:
    """They are of a dozen kinds that most databases have none of."""
    flight = Flight(conn)
    flight.do("BEGIN")
    flight.do(statement)
    found = flight.ask(catalog.snapshot([wanted], ledger=HISTORY))
    asked = flight.ask(IS_DESCRIBING_KINDS)
    flight.do("ROLLBACK")
    flight.go()

    assert len(found.value.found) == 1
    assert asked.value is is_describing


@pytest.mark.parametrize("grants", [False, True])
def test_a_wanted_object_without_parts_is_described_without_a_block(
    conn: Connection, *, grants: bool
) -> None:
    """A role that only reads may lack the privilege to run one."""
    query = catalog.relations([TABLE, Key("foreign-data wrapper", "", "w")], grants=grants)
    flight = Flight(conn)
    flight.do("BEGIN")
    flight.do("CREATE FOREIGN DATA WRAPPER w")
    flight.do("GRANT USAGE ON FOREIGN DATA WRAPPER w TO PUBLIC")
    asked = flight.ask(query)
    flight.do("ROLLBACK")
    flight.go()

    (found,) = asked.value
    assert not any("DO $" in sql for sql, _ in query.first)
    assert found.relation.parts["definition"] == ""
    assert found.relation.parts.get("privileges of PUBLIC") == ("USAGE" if grants else None)
    assert ("owner" in found.relation.parts) is grants
