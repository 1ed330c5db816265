"""README and the pages in docs/ cover every command and option, and their links work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lfmigrate.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# The options of each command, in their long form.
OPTIONS = {
    name: {p.opts[-1] for p in entry.load().params if p.param_type_name == "option"}
    for name, entry in COMMANDS.items()
}

# What stands in a cell of the comparison for which no source was found.
NOT_DOCUMENTED = "\N{EN DASH}"

PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "sql" / "README.md"]


def _explained(page: str) -> set[str]:
    """Return the options in the first column of a page's tables, in their long form."""
    text = (DOCS / page).read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`-[^|]*) \|", text, re.MULTILINE)
    return {re.findall(r"--[a-z-]+", cell)[-1] for cell in cells}


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_lists_every_command() -> None:
    """Each command has a row in the table of commands, with a link to its page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"^\| \[`([a-z]+)`\]\(docs/commands/\1\.md\)", readme, re.MULTILINE)

    assert sorted(linked) == sorted(OPTIONS)
    assert sorted(linked) == sorted(page.stem for page in (DOCS / "commands").iterdir())


@pytest.mark.parametrize("command", sorted(OPTIONS))
def test_the_page_of_a_command_explains_its_own_options(command: str) -> None:
    """The common options are explained once, in configuration.md."""
    common = _explained("configuration.md")

    assert _explained(f"commands/{command}.md") == OPTIONS[command] - common


def test_the_common_options_are_those_of_several_commands() -> None:
    """configuration.md explains no option that does not exist."""
    for option in _explained("configuration.md"):
        assert sum(option in options for options in OPTIONS.values()) > 1, option


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_to_another_page_works(page: Path) -> None:
    """The file exists, and so does the heading in it."""
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    broken = []
    for path, anchor in links:
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(f"{path}#{anchor}")

    assert broken == []


def _rows(text: str) -> list[list[str]]:
    """Return the cells of the tables of a text, without headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_cell_of_the_comparison_has_its_source() -> None:
    """README says what docs/comparison.md says, where each answer that is one has a link."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (table,) = re.findall(
        r"^## Compared with other tools\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL
    )
    (_, *tools), *rows = _rows(table)
    comparison = (DOCS / "comparison.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", comparison, re.MULTILINE | re.DOTALL)

    assert [re.findall(r"\[(.+?)\]", row[0])[0] for row in rows] == [name for name, _ in sections]
    for row, (name, text) in zip(rows, sections, strict=True):
        answers = _rows(text)[1:]
        assert [tool for tool, _, _ in answers] == tools, name
        assert [short for _, short, _ in answers] == row[1:], name
        for tool, short, source in answers:
            assert ("](" in source) == (short != NOT_DOCUMENTED), (name, tool)
            assert (source == "not documented") == (short == NOT_DOCUMENTED), (name, tool)
