"""Reports and errors as lines on a screen, without a server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from lfmigrate.catalog.sessions import Server
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import LfmigrateError, StatementFailed, UsageError
from lfmigrate.output.page import STYLES
from lfmigrate.output.progress import progress_line
from lfmigrate.output.relations import _ORDER
from lfmigrate.output.screen import Screen
from lfmigrate.output.tables import broken
from lfmigrate.rows.dump import CopyProgress
from lfmigrate.schema.compare import Difference, Verdict
from lfmigrate.schema.relation import Relation

Make = Callable[..., Screen]

LONG = (
    "CHECK (sign(spending_variance_amount) = sign(spending_pmpm_actual - spending_pmpm_benchmark))"
)


class Stream(io.StringIO):
    encoding = "utf-8"


@pytest.fixture
def out() -> Stream:
    return Stream()


@pytest.fixture
def err() -> Stream:
    return Stream()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, out: Stream, err: Stream) -> Make:
    """Return a function that makes a screen of so many columns, without colours."""

    def make(columns: int = 80, **options: Any) -> Screen:
        monkeypatch.setenv("COLUMNS", str(columns))
        return Screen(out=out, err=err, **options)

    return make


def report(*verdicts: Verdict) -> VerifyReport:
    server = Server(
        version=180004,
        database="shop",
        role="me",
        schema="public",
        search_path="public",
        role_setting="none",
        jit="on",
        session_settings={},
        standby=False,
        read_only=False,
    )
    return VerifyReport(
        server=server,
        schema="public",
        relations=verdicts,
        source="history",
        edited=(),
        notes=(),
    )


def table(name: str, status: str, *differences: Difference, schema: str = "public") -> Verdict:
    return Verdict(Relation("table", schema, name, {"column id": "integer"}), status, differences)


def test_differences_are_broken_between_words_and_stay_below_each_other(
    screen: Make, out: Stream
) -> None:
    """What was expected and what was found can be compared by eye."""
    changed = Difference("constraint amount_check", LONG, LONG.replace("sign", "sgn"))

    screen(80).show(report(table("costs", "drifted", changed)), elapsed_ms=1)

    lines = out.getvalue().splitlines()
    at = lines.index("drifted table costs")
    assert lines[at + 1 : at + 6] == [
        "  ~ constraint amount_check",
        "    expected  CHECK (sign(spending_variance_amount) = sign(spending_pmpm_actual",
        "              - spending_pmpm_benchmark))",
        "    found     CHECK (sgn(spending_variance_amount) = sgn(spending_pmpm_actual -",
        "              spending_pmpm_benchmark))",
    ]


def test_a_changed_definition_is_reported_by_the_lines_that_differ(
    screen: Make, out: Stream
) -> None:
    """A view of eighty lines is not printed twice."""
    lines = [f"line {n}" for n in range(80)]
    expected, live = "\n".join(lines), "\n".join([*lines[:40], "other", *lines[41:]])
    view = Relation("view", "public", "v", {"definition": live})
    drifted = Verdict(view, "drifted", (Difference("definition", expected, live),))

    screen(80).show(report(drifted), elapsed_ms=1)

    said = out.getvalue()
    assert "-line 40\n" in said
    assert "+other\n" in said
    assert "line 20" not in said


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 140])
def test_no_line_of_a_table_is_longer_than_the_terminal(
    screen: Make, out: Stream, columns: int
) -> None:
    """Not even with unusual names, as long as each of their words has room."""
    names = [
        "a",
        "a_name_of_more_than_forty_characters_in_all_of_it",
        "日本語の_とても_長い_名前_" * 3,
    ]
    verdicts = [table(name, "ok") for name in names]

    screen(columns).show(report(*verdicts), elapsed_ms=1)

    rows = out.getvalue().split("\n\n")[1].splitlines()
    assert max(map(cell_len, rows)) <= columns


def test_a_name_is_broken_after_a_word_only() -> None:
    """And only where it does not fit; a word that is too wide stays whole."""
    name = "cost_category_discharging_hospitals(integer, text)"

    assert broken(name, 20) == ["cost_category_", "discharging_", "hospitals(integer,", "text)"]
    assert broken(name, 60) == [name]
    assert broken("a_characteristically_b", 8) == ["a_", "characteristically_", "b"]


def test_a_relation_of_another_schema_is_named_with_it(screen: Make, out: Stream) -> None:
    """The usual schema is not repeated in every row."""
    screen(80).show(report(table("here", "ok"), table("there", "ok", schema="other")), elapsed_ms=1)

    assert "table  here " in out.getvalue()
    assert "table  other.there " in out.getvalue()


def test_the_summary_counts_each_status(screen: Make, out: Stream) -> None:
    """In the order of the vocabulary, with the time it took."""
    verdicts = [table(str(n), s) for n, s in enumerate(["missing", "ok", "ok", "drifted"])]

    screen(80).show(report(*verdicts), elapsed_ms=1234)

    assert out.getvalue().splitlines()[-1] == "4 objects: 2 ok, 1 drifted, 1 missing; 1.23 s"


def test_every_status_has_a_style_that_is_readable_on_light_and_dark_ground() -> None:
    """Yellow, cyan and white vanish on one of the two, blue and black on the other."""
    colours = {word for style in STYLES.values() for word in style.split()}

    assert colours <= {"green", "red", "magenta", "bold", "dim"}
    assert set(_ORDER) <= set(STYLES)


def test_a_failed_statement_is_reported_from_message_to_hint(screen: Make, err: Stream) -> None:
    """Place and SQLSTATE on a line, details as they are, the hint last."""
    error = StatementFailed(
        'column "period_id" does not exist',
        detail=["177 | CREATE INDEX ...;", "Nothing was changed."],
        hint='Run "lfmigrate verify --replay" to see how it differs.',
        sqlstate="42703",
        file="002_a.up.sql",
        line=177,
        column=1,
    )

    screen(80).fail(error)

    assert err.getvalue().splitlines() == [
        'error: column "period_id" does not exist',
        "  002_a.up.sql:177:1, SQLSTATE 42703",
        "  177 | CREATE INDEX ...;",
        "  Nothing was changed.",
        'hint: Run "lfmigrate verify --replay" to see how it differs.',
    ]


@pytest.mark.parametrize("columns", [*range(30, 50), 80, 120])
def test_a_message_is_broken_between_words_and_what_is_to_be_copied_is_not(
    columns: int, screen: Make, err: Stream
) -> None:
    """An option or a directive that is broken could not be copied."""
    hint = 'Empty them first, or let "--replace --yes" do it; --into loads it into another one.'
    error = LfmigrateError("2 tables are not empty", detail=["table public.a, rows: 2"], hint=hint)

    screen(columns).fail(error)

    lines = err.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert " ".join(err.getvalue().partition("hint: ")[2].split()) == hint
    assert '"--replace --yes"' in err.getvalue()


def test_a_pipe_gets_each_message_on_one_line(
    monkeypatch: pytest.MonkeyPatch, err: Stream, out: Stream
) -> None:
    """A program may read it."""
    monkeypatch.delenv("COLUMNS", raising=False)

    Screen(out=out, err=err).fail(LfmigrateError("a " * 200 + "b", hint="c " * 200 + "d"))

    assert len(err.getvalue().splitlines()) == 2


def test_a_word_that_is_wider_than_the_terminal_stays_whole(screen: Make, err: Stream) -> None:
    """A path or an address, to be copied."""
    path = "/very/" * 20

    screen(40).fail(LfmigrateError("cannot write the file", detail=[path]))

    assert path in err.getvalue()


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("before", ["x" * 60 + " ", "\t" * 6, "\u5b57" * 40 + " ", ""])
def test_a_caret_stands_below_its_character_at_any_width(
    columns: int, before: str, screen: Make, err: Stream
) -> None:
    """The line is cut around it, not broken by the terminal."""
    source = f"{before}WRONG, and so much more that it does not fit into any line of a terminal"
    padding = "".join(c if c == "\t" else " " for c in before)
    detail = [f"17 | {source}", f"     {padding}^"]

    screen(columns).fail(StatementFailed("no", detail=detail))

    _, line, caret, _ = err.getvalue().split("\n")
    assert cell_len(line.expandtabs()) <= columns
    at = cell_len(caret.expandtabs()) - 1
    assert next(i for i, c in enumerate(line) if cell_len(line[:i]) == at) == line.index("WRONG")


def test_brackets_are_text_and_not_markup(screen: Make, err: Stream) -> None:
    """Arrays and character classes are full of them."""
    screen(80).fail(LfmigrateError("integer[] is not [bold]text[/bold] :smile:"))

    assert err.getvalue() == "error: integer[] is not [bold]text[/bold] :smile:\n"


def test_a_secret_is_hidden_before_a_table_breaks_it(screen: Make, out: Stream) -> None:
    """Half a password on each of two lines would pass as two words."""
    secret = "Zebra Giraffe Elephant"  # noqa: S105 (it is none)
    difference = Difference("column a", None, f"text DEFAULT 'x x x x x x {secret}'")

    screen(50, clean=lambda text: text.replace(secret, "***")).show(
        report(table("a", "drifted", difference)), elapsed_ms=1
    )

    assert "***" in out.getvalue()
    assert not {"Zebra", "Giraffe", "Elephant"} & set(out.getvalue().split())


def test_a_secret_is_hidden_in_json_before_it_is_escaped(screen: Make, out: Stream) -> None:
    """An escaped line break in front of it would look like a letter of its own word."""
    screen(
        as_json=True, clean=lambda text: text.replace("\n", "|").replace("zebra", "***")
    ).document({"a": [{"b": "x\nzebra"}], "zebra": 1, "c": None})

    assert json.loads(out.getvalue()) == {"a": [{"b": "x|***"}], "zebra": 1, "c": None}


def test_json_leaves_nothing_else_on_either_stream(screen: Make, out: Stream, err: Stream) -> None:
    """Neither tables nor progress nor errors."""
    quiet = screen(as_json=True)

    quiet.show(report(table("a", "ok")), elapsed_ms=1)
    quiet.say("working")
    quiet.fail(UsageError("no"))
    with quiet.progress() as working:
        pass

    assert (working.statement, working.rows) == (None, None)
    assert (out.getvalue(), err.getvalue()) == ("", "")


@pytest.mark.parametrize("width", [12, 20, 60])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_is_too_long_for_the_progress_line_is_cut(encoding: str, width: int) -> None:
    """Without the character of an ellipsis, where only ASCII can be shown."""
    stream = Stream()
    stream.encoding = encoding
    console = Console(file=stream, force_terminal=True, color_system=None, width=width)

    with progress_line(console, str) as working:
        assert working.rows is not None
        working.rows(CopyProgress("cost_category_discharging_hospitals", 15, 1_200, 1_200))

    shown = stream.getvalue()
    assert shown.isascii() is (encoding == "ascii")
    if width == 60:
        assert " 0:00:00 cost_category" in shown  # the time is complete
        assert ("\N{HORIZONTAL ELLIPSIS}" in shown) is (encoding == "utf-8")
