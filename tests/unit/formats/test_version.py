"""Versions are compared as the tools compare them, and plain numbers as before."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lfmigrate.source.version import label, number


@pytest.mark.parametrize(
    "versions",
    [
        ["0", "002", "3", "10", "20240101120000", "20240101120000000"],
        ["1", "1.0.0.3", "1.0.0.3.1", "1.0.1", "1.9", "1.10", "2", "20240101.1"],
        ["00000000000000", "2024-05-01-120000", "2024-05-01-120000-0000", "20240501120001"],
        ["0_init", "20240501120000_a", "20240501120000_b", "20240501120001_a"],
        ["1.sql", "1_a.sql", "2_a.sql", "10_a.sql", "a.sql", "b.sql"],
        ["01_b.sql", "1_a.sql"],
    ],
)
def test_versions_are_in_order(versions: list[str]) -> None:
    """In both directions, and no two of them are the same."""
    numbers = [number(version) for version in versions]

    assert sorted(numbers, reverse=True) == numbers[::-1]
    assert len({*numbers}) == len(numbers)
    for low, high in pairwise(numbers):
        assert low < high
        assert high > low
        assert low <= high
        assert high >= low
        assert low != high
        assert not low == high  # noqa: SIM201 (both operators are defined)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("002", "2"),
        ("1.0", "1"),
        ("1.0.0", "01"),
        ("1.1.0", "1.01"),
        ("2024-05-01-120000", "20240501120000"),
        ("1_a", "1_a"),
    ],
)
def test_versions_that_differ_in_writing_only_are_the_same(one: str, other: str) -> None:
    """Also as a key."""
    assert number(one) == number(other)
    assert {number(one): "x"}[number(other)] == "x"


def test_a_number_stays_a_plain_number() -> None:
    """Histories are read as they were."""
    assert type(number("002")) is int


def test_an_id_is_its_own_label() -> None:
    """There is no name behind it."""
    assert (label("002", "a"), label("2024_a", "")) == ("002_a", "2024_a")
