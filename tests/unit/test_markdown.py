"""Markdown for the summary of a job, and annotations: nothing in them is read as markup."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lfmigrate.errors import DifferenceFound, StatementFailed, UsageError, combine
from lfmigrate.output.annotations import Place, annotation, places
from lfmigrate.output.markdown import MarkdownPage, summary
from lfmigrate.output.page import printable
from lfmigrate.output.tables import Column

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

# Whatever Markdown, HTML and GitHub could take for their own.
HOSTILE = st.text(
    st.sampled_from("ab1 _*`[]()<>|~$&@:/\\#+-.!=\"'{}^\t é漢") | st.characters(codec="utf-8"),
    max_size=40,
)


def squeezed(text: str) -> str:
    return " ".join(text.replace("\u200b", "").split())


@given(HOSTILE, HOSTILE)
@example("", "__0__")
def test_a_cell_is_shown_as_it_is(name: str, status: str) -> None:
    """No name adds a column, a link, an image or a tag."""
    page = MarkdownPage(width=0, elapsed_ms=0)
    page.table([Column("Name", wraps=True), Column("Status")], [(name, (status, "bold red"))])

    tokens = READER.parse("\n".join(page.text))
    cells = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]

    assert [token.type for token in tokens if token.type.endswith("_open")] == [
        *("table_open", "thead_open", "tr_open", "th_open", "th_open"),
        *("tbody_open", "tr_open", "td_open", "td_open"),
    ]
    allowed = {"text", "text_special", "html_inline", "strong_open", "strong_close"}
    for cell, words in zip(cells, (name, status), strict=True):
        children = cell.children or []
        assert {token.type for token in children} <= allowed
        assert {t.content for t in children if t.type == "html_inline"} <= {"<br>"}
        seen = "".join(
            "\n" if t.type == "html_inline" else t.content
            for t in children
            if not t.type.startswith("strong")
        )
        assert squeezed(seen) == squeezed(printable(words))


@given(st.lists(HOSTILE, max_size=4))
@example(["\n"])
def test_lines_stay_paragraphs(lines: list[str]) -> None:
    """None becomes a heading, a list, a quotation, code or HTML."""
    page = MarkdownPage(width=0, elapsed_ms=0)
    for line in lines:
        page.line(line)

    tokens = READER.parse("\n".join(page.text))

    assert {t.type for t in tokens} <= {"paragraph_open", "inline", "paragraph_close"}


@given(st.lists(HOSTILE, min_size=1, max_size=4))
@example(["```"])
@example(["+a", "````", "# b"])
def test_a_diff_is_one_block(lines: list[str]) -> None:
    """Whatever runs of backticks it has."""
    page = MarkdownPage(width=0, elapsed_ms=0)
    page.diff(lines)

    (block,) = READER.parse("\n".join(page.text))

    assert (block.type, block.info) == ("fence", "diff")


def test_an_error_is_whole_and_without_the_password() -> None:
    """The caret stands below its character."""
    error = StatementFailed(
        "division by s3cret",
        detail=["2 | SELECT 1/0", "           ^"],
        hint="Divide by something else.",
        file="001_x.up.sql",
        line=2,
        column=8,
    )

    text = summary(
        "lfmigrate up", [], error, elapsed_ms=1, clean=lambda words: words.replace("s3cret", "***")
    )

    assert text.startswith("## lfmigrate up failed (exit code 4)\n")
    assert "division by \\*\\*\\*" in text
    assert "```text\n001_x.up.sql:2:8\n2 | SELECT 1/0\n           ^\n```" in text
    assert "s3cret" not in text


def test_a_summary_is_cut_where_it_would_be_refused() -> None:
    """GitHub shows nothing of one that is too long."""
    error = UsageError("many", detail=[f"{n} {'x' * 100}" for n in range(20_000)])

    text = summary("lfmigrate up", [], error, elapsed_ms=1, clean=str)

    assert len(text.encode()) < 2**20
    assert "the log has all of it" in text


# --------------------------------------------------------------------------------------------------
# Annotations
# --------------------------------------------------------------------------------------------------


def read(line: str) -> tuple[dict[str, str], str]:
    """Read a workflow command as GitHub's runner does."""
    head, _, data = line.removeprefix("::error ").partition("::")

    def plain(text: str) -> str:
        for code, letter in {"%3A": ":", "%2C": ",", "%0D": "\r", "%0A": "\n"}.items():
            text = text.replace(code, letter)
        return text.replace("%25", "%")

    properties = dict(each.split("=", 1) for each in head.split(","))
    return {name: plain(value) for name, value in properties.items()}, plain(data)


@given(HOSTILE, HOSTILE)
@example("100%\n::error ::b", "a::b,c=d%3A")
def test_an_annotation_is_one_line_that_says_what_was_meant(message: str, path: str) -> None:
    """No message ends it, or begins another command."""
    line = annotation(Place(message, "x", 3, 7), "lfmigrate up", path)

    properties, data = read(line)

    assert not {"\n", "\r"} & set(line)
    assert line.startswith("::error file=")
    for sent, meant in ((data, message), (properties["file"], path)):
        assert sent.replace("\r", "\n") == printable(meant.replace("\r", "\n"))
    assert properties["line"] == "3"
    assert properties["col"] == "7"
    assert properties["title"] == "lfmigrate up"


def test_a_password_is_removed_before_it_is_escaped() -> None:
    """Escapes would hide it."""
    line = annotation(
        Place("wrong: s3%cret"), "x", None, clean=lambda words: words.replace("s3%cret", "***")
    )

    assert line == "::error title=x::wrong: ***"


def test_each_of_several_problems_has_a_place() -> None:
    """A folder is refused with all that is wrong."""
    error = combine(
        [UsageError("first", file="a.sql", line=1), UsageError("second", file="b.sql", line=2)],
        "2 problems",
    )

    assert [(p.file, p.line) for p in places(error, None)] == [("a.sql", 1), ("b.sql", 2)]


def test_an_error_without_a_file_is_annotated_all_the_same() -> None:
    """The list of annotations is what people see first."""
    (place,) = places(DifferenceFound("not up to date", hint="Wait."), None)

    assert place == Place("not up to date\nhint: Wait.")


def test_the_reader_of_these_tests_reads_markup() -> None:
    """Otherwise they would prove nothing."""
    tokens = READER.parse("<html>\n\n# heading\n\n| a |\n| --- |\n| b |")

    assert {"html_block", "heading_open", "table_open"} <= {t.type for t in tokens}
