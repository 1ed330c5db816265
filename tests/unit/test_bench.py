"""The figures of the benchmarks: medians, spread, ratios, goals, and how the page shows them."""

from __future__ import annotations

import pytest

from bench.__main__ import parse
from bench.measure import Run, Samples
from bench.report import Section, page
from bench.result import Goal, Table


def samples(*runs: tuple[float, int]) -> Samples:
    """Return samples of these times in seconds and numbers of flights."""
    return Samples([Run(elapsed_s, flights) for elapsed_s, flights in runs])


def test_the_figures_are_the_median_with_the_least_and_the_most() -> None:
    """One slow run neither moves the median nor disappears."""
    measured = samples((0.5, 4), (9.0, 4), (0.4, 4))

    assert measured.seconds(1) == "0.5 (0.4-9.0)"
    assert samples((0.5, 4)).seconds() == "0.500"
    assert measured.flights == "4"


def test_a_ratio_is_that_of_the_medians() -> None:
    """Not that of the sums or of the quickest runs."""
    assert samples((1, 0), (2, 0), (30, 0)).over(samples((3, 0), (4, 0), (5, 0))) == 0.5


def test_flights_that_vary_are_shown_as_a_range() -> None:
    """A goal is held to the most."""
    measured = samples((1, 5), (1, 4), (1, 4))

    assert measured.flights == "4-5"
    assert measured.most_flights == 5


@pytest.mark.parametrize(
    ("measured", "is_least", "expected"),
    [(0.75, False, True), (0.751, False, False), (0.75, True, True), (0.749, True, False)],
)
def test_a_goal_is_met_up_to_its_limit(measured: float, *, is_least: bool, expected: bool) -> None:
    """The limit itself keeps the goal, and what rounds to it does not."""
    assert Goal("x", 0.75, measured, is_least=is_least).is_met is expected


def test_without_a_name_all_benchmarks_run(capsys: pytest.CaptureFixture[str]) -> None:
    """And a name that is misspelt runs none of them."""
    assert parse(["--runs", "2"]).names == []
    assert parse(["flights", "many"]).names == ["flights", "many"]
    with pytest.raises(SystemExit):
        parse(["flights", "mony"])
    assert "no benchmark is named mony: startup, flights" in capsys.readouterr().err


def test_the_page_shows_missed_goals_tables_and_what_is_missing() -> None:
    """Nothing of a run is left out, whether it went well or not."""
    goals = [Goal("time of a", 0.9, 1.25), Goal("rate of b", 0.9, 1, is_least=True)]
    table = Table("Times", ("", "s"), [("lfmigrate", "1.2"), ("psql", "11")], ["A note."], goals)

    result = page(
        "the machine",
        "the versions",
        [
            Section("first", "what it measures", 3, [table]),
            Section("second", "something else", 1, problem="it needs psql"),
        ],
    )

    assert result.partition("the machine")[2] == (
        """

the versions

## Goals

|           |         goal | measured |    met |
|-----------|-------------:|---------:|-------:|
| time of a |  at most 0.9 |     1.25 | **no** |
| rate of b | at least 0.9 |        1 |    yes |

## first: what it measures (3 runs)

### Times

|           |   s |
|-----------|----:|
| lfmigrate | 1.2 |
| psql      |  11 |

- A note.

## second: something else (1 run)

Not measured: it needs psql
"""
    )
