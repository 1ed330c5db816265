"""Relations as plain values: how two compare, what a run leaves expected, the way to JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfmigrate.schema.compare import Difference, advance, compare
from lfmigrate.schema.relation import Relation, Snapshot

# What jsonb can hold: no zero byte and no half of a surrogate pair.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
# Few names and few texts, so that two relations often share parts.
few_parts = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"), max_size=6)
kinds = st.sampled_from(["table", "view", "sequence", "function", "type", "schema", "extension"])
any_relation = st.builds(
    Relation, kinds, texts, texts, st.dictionaries(texts, texts, max_size=6), st.booleans()
)


def table(parts: dict[str, str] | None = None, *, complete: bool = True) -> Relation:
    return Relation("table", "public", "t", parts or {}, complete)


few_tables = st.builds(table, few_parts)


# --------------------------------------------------------------------------------------------------
# compare
# --------------------------------------------------------------------------------------------------


@given(any_relation)
def test_a_relation_does_not_differ_from_itself(relation: Relation) -> None:
    """Nothing is reported where nothing changed."""
    assert compare(relation, relation) == ()


@given(few_parts, st.randoms())
def test_the_order_of_parts_is_no_difference(parts: dict[str, str], random: object) -> None:
    """A column that was added later stands last."""
    shuffled = list(parts.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as an object

    assert compare(table(parts), table(dict(shuffled))) == ()


@given(few_tables, few_tables)
def test_every_part_that_differs_is_reported_once(expected: Relation, live: Relation) -> None:
    """Applied to what is live, the differences give what is expected."""
    differences = compare(expected, live)

    repaired = dict(live.parts)
    for difference in differences:
        assert difference.live == repaired.pop(difference.part, None)
        assert difference.expected != difference.live
        if difference.expected is not None:
            repaired[difference.part] = difference.expected
    assert repaired == expected.parts
    assert len({difference.part for difference in differences}) == len(differences)


@given(few_tables, few_tables)
def test_the_differences_of_the_reverse_are_the_reverse(a: Relation, b: Relation) -> None:
    """What is missing from one side is extra on the other."""
    there = {(d.part, d.expected, d.live) for d in compare(a, b)}
    back = {(d.part, d.live, d.expected) for d in compare(b, a)}

    assert there == back


@given(few_parts, few_tables)
def test_what_else_a_table_of_another_owner_has_is_not_compared(
    parts: dict[str, str], live: Relation
) -> None:
    """An incomplete relation is one that we only added parts to."""
    differences = compare(table(parts, complete=False), live)

    assert {d.part for d in differences} == {p for p in parts if live.parts.get(p) != parts[p]}
    assert not any(difference.is_extra for difference in differences)


def test_differences_stand_in_the_order_of_the_expected_parts_and_extra_ones_last() -> None:
    """A reader goes through a table from its first column to its last trigger."""
    expected = table({"column b": "integer", "column a": "text", "index i": "x"})
    live = table({"column z": "text", "column a": "integer", "column y": "text"})

    differences = compare(expected, live)

    assert differences == (
        Difference("column b", "integer", None),
        Difference("column a", "text", "integer"),
        Difference("index i", "x", None),
        Difference("column z", None, "text"),
        Difference("column y", None, "text"),
    )
    assert [d.is_extra for d in differences] == [False, False, False, True, True]


def test_another_kind_of_relation_is_the_first_difference() -> None:
    """A view that was replaced by a table of its name is not that view, whatever its columns."""
    view = Relation("view", "public", "v", {"definition": "SELECT 1", "column a": "integer"})
    stored = Relation("table", "public", "v", {"column a": "integer"})

    assert compare(view, stored) == (
        Difference("kind", "view", "table"),
        Difference("definition", "SELECT 1", None),
    )


def test_an_empty_text_is_not_a_missing_part() -> None:
    """None says that something is not there; a text may be empty."""
    assert compare(table({"a": ""}), table({})) == (Difference("a", "", None),)
    assert compare(table({}), table({"a": ""})) == (Difference("a", None, ""),)


# --------------------------------------------------------------------------------------------------
# advance
# --------------------------------------------------------------------------------------------------


few_names = st.sets(st.sampled_from("abcdef"))


@given(few_tables, few_tables)
def test_without_doubt_a_relation_is_expected_as_it_is_now(
    expected: Relation, after: Relation
) -> None:
    """Whatever the run did to it was wanted."""
    assert advance(expected, after).parts == after.parts


@given(few_tables, few_tables, few_names, st.one_of(st.none(), few_tables))
def test_a_doubtful_part_is_expected_as_the_files_say_or_else_as_before(
    expected: Relation, after: Relation, doubtful: set[str], replayed: Relation | None
) -> None:
    """The live relation does not decide about it."""
    advanced = advance(expected, after, doubtful=doubtful, replayed=replayed)

    for part in "abcdef":
        wanted = after if part not in doubtful else replayed or expected
        assert advanced.parts.get(part) == wanted.parts.get(part), part


@given(few_parts, few_tables, few_names, few_names)
def test_of_a_table_of_another_owner_only_known_and_created_parts_are_tracked(
    parts: dict[str, str], after: Relation, doubtful: set[str], created: set[str]
) -> None:
    """To change a part of it does not make the rest ours."""
    ours = table(parts, complete=False)

    advanced = advance(ours, after, doubtful=doubtful & parts.keys(), created=created)

    assert not advanced.complete
    assert advanced.parts.keys() <= parts.keys() | created


# --------------------------------------------------------------------------------------------------
# JSON, keys and counts
# --------------------------------------------------------------------------------------------------


@given(any_relation)
def test_a_relation_comes_back_from_the_history_as_it_was(relation: Relation) -> None:
    """To JSON text and back, the order of the parts included."""
    back = Relation.from_json(json.loads(json.dumps(relation.to_json())))

    assert back == relation
    assert list(back.parts) == list(relation.parts)


def test_a_relation_without_the_newer_keys_is_complete() -> None:
    """An entry of an older history, and an answer of the server with a third value per part."""
    document = {"kind": "table", "schema": "s", "name": "t", "parts": [["column a", "text", True]]}

    assert Relation.from_json(document) == Relation("table", "s", "t", {"column a": "text"})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("table", "view", True),
        ("table", "sequence", True),
        ("materialized view", "foreign table", True),
        ("function", "procedure", True),
        ("function", "aggregate", True),
        ("table", "function", False),
        ("table", "type", False),
        ("schema", "extension", False),
    ],
)
def test_kinds_that_share_their_names_share_their_keys(
    one: str,
    other: str,
    same: bool,  # noqa: FBT001
) -> None:
    """As in the server, where a table and a view cannot have the same name."""
    assert (Relation(one, "s", "n").key == Relation(other, "s", "n").key) is same


def test_a_snapshot_finds_relations_by_key_in_the_order_given() -> None:
    """The same name in another schema is another relation."""
    relations = [
        Relation("table", "b", "t"),
        Relation("view", "a", "t"),
        Relation("type", "a", "t"),
    ]
    snapshot = Snapshot(relations)

    assert list(snapshot.values()) == relations
    assert snapshot[relations[1].key] is relations[1]
    assert Relation("table", "c", "t").key not in snapshot
    assert len(snapshot) == 3


def test_the_indexes_of_keys_are_counted_and_those_of_other_constraints_are_not() -> None:
    """A primary key, a unique constraint and an exclusion each have an index."""
    relation = table(
        {
            "column a": "integer",
            "column b": "integer",
            "constraint a_pkey": "PRIMARY KEY (a)",
            "constraint b_key": "UNIQUE (b)",
            "constraint b_excl": "EXCLUDE USING gist (b WITH =)",
            "constraint b_check": "CHECK (b > 0)",
            "constraint b_fkey": "FOREIGN KEY (b) REFERENCES u (id)",
            "index b_idx": "CREATE INDEX b_idx ON t USING btree (b)",
            "indexed": "is no index",
        }
    )

    assert relation.count("column") == 2
    assert relation.count("constraint") == 5
    assert relation.count("index") == 1
    assert relation.index_count == 4
