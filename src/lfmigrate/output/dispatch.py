"""The three faces of a report, chosen by its class: a page, a JSON document, a question."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from lfmigrate.output.page import Page


@singledispatch
def draw(report: object, page: Page) -> None:
    """Write a report on a page, for people."""
    raise TypeError(f"{type(report).__name__} has no page ({page.width} columns wide)")


@singledispatch
def to_json(report: object) -> dict[str, Any]:
    """Return a report as keys of the command's JSON document."""
    raise TypeError(f"{type(report).__name__} has no JSON")


@singledispatch
def question(preview: object) -> str:
    """Return the yes-or-no question to ask below a preview."""
    raise TypeError(f"{type(preview).__name__} has no question")
