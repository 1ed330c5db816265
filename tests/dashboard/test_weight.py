"""What the pages weigh: a page is there at once on a slow line, too."""

from __future__ import annotations

import gzip
import json
import re
import urllib.request
from pathlib import Path

import pytest

from tests.dashboard.browser import Open

DASHBOARD = Path(__file__).parents[2] / "src" / "lfmigrate" / "dashboard"
STATIC = DASHBOARD / "static"
VENDORED = {"lit-html.js"}
OWN = sorted(
    path
    for path in [*STATIC.glob("*.js"), *STATIC.glob("*.css"), *DASHBOARD.glob("pages/*.html")]
    if path.name not in VENDORED
)
MODULES = [path for path in OWN if path.suffix == ".js"]
PATHS = {
    "/": "performance-insights",
    "/deep-dive": "cost-categories",
    "/deep-dive/acute-rehab": "cost-categories/acute-rehab",
    "/recommendations": "recommendations?limit=500",
    "/recommendations/1": "recommendations/1",
}


def lines(path: Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def test_the_files_are_small() -> None:
    """All that is our own, compressed one by one."""
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in OWN) <= 40_000
    assert sum(len(lines(path)) for path in MODULES) <= 1_500
    assert len(lines(STATIC / "charts.js")) <= 250


def test_the_files_are_readable() -> None:
    """What is in the repository is what the browser runs: no line is longer than 100 columns."""
    assert [path.name for path in OWN if max(map(len, lines(path))) > 100] == []


def test_the_library_is_one_file_with_its_licence() -> None:
    """It imports nothing, and does not contain what would turn text into markup."""
    text = (STATIC / "lit-html.js").read_text(encoding="utf-8")
    assert not re.search(r"\bimport\b|unsafeHTML", text)
    assert "BSD 3-Clause" in (STATIC / "lit-html.LICENSE.txt").read_text(encoding="utf-8")
    assert "ISC License" in (STATIC / "icons.LICENSE.txt").read_text(encoding="utf-8")
    assert [path.name for path in MODULES if "unsafe" in path.read_text(encoding="utf-8")] == []


def test_nothing_is_inline() -> None:
    """No style or script in a page or a template: the content security policy forbids them."""
    inline = re.compile(r"\sstyle=|<style|<script(?! type=\"module\" src=)|\son\w+=")
    assert [path.name for path in OWN if inline.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.browser
@pytest.mark.any_version
@pytest.mark.parametrize(("path", "document"), PATHS.items())
def test_a_page_is_light(site: str, open_page: Open, path: str, document: str) -> None:
    """With its files and its document, as the server sends them."""
    page = open_page(site + path)
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(({name, encodedBodySize}) =>"
        " [name, encodedBodySize])"
    )
    shell = page.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize")
    # The browser has asked for each of them once.
    assert len({name for name, _ in loaded}) == len(loaded)
    asked = f"{site}/api/{document}"
    assert [name for name, _ in loaded if "/api/" in name] == [asked]
    assert shell + sum(size for _, size in loaded) <= 25_000
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 (the server of this test)
        text = answer.read()
    assert json.loads(text)
    assert len(text) <= 20_000
