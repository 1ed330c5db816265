"""``str(error)``: what a program that uses lfmigrate as a library shows or logs."""

from __future__ import annotations

import inspect

import pytest

from lfmigrate import errors
from lfmigrate.errors import NOTHING_CHANGED, LfmigrateError, combine

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, LfmigrateError)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_text_of_an_error_says_all_that_it_knows(kind: type[LfmigrateError]) -> None:
    """Message, place, SQLSTATE, statement, blocking sessions, outcome, and the way out."""
    error = kind(
        'column "n" does not exist',
        detail=["2 | SELECT n FROM a", "           ^"],
        hint="Add it first.",
        outcome=NOTHING_CHANGED,
        sqlstate="42703",
        file="001_a.up.sql",
        line=2,
        column=8,
    )
    error.held_by = ("session 7 of role app",)

    assert str(error).splitlines() == [
        'column "n" does not exist',
        "  001_a.up.sql:2:8, SQLSTATE 42703",
        "  2 | SELECT n FROM a",
        "             ^",
        "  held by session 7 of role app",
        "  Nothing was changed.",
        "hint: Add it first.",
    ]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_text_of_a_short_error_is_its_message(kind: type[LfmigrateError]) -> None:
    """With what its class knows of the outcome, and no empty lines."""
    error = kind("no")

    outcome = [] if kind.outcome is None else [f"  {kind.outcome.text}"]
    assert str(error).splitlines() == ["no", *outcome]


def test_the_text_of_combined_errors_names_each_place() -> None:
    """One line per problem."""
    first = errors.SqlFileError("bad name", file="a.sql", hint="Rename it.")
    second = errors.SqlFileError("no statement", file="b.sql", line=3)

    assert str(combine([first, second], "2 problems")).splitlines() == [
        "2 problems",
        "  a.sql: bad name",
        "  b.sql:3: no statement",
        "  Nothing was changed.",
        "hint: Rename it.",
    ]
