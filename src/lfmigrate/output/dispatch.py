"""The three faces of a report, chosen by its class: a page, a JSON document, a question.

The module of a report registers them. It is imported when one is shown, because it imports the
command that makes such reports.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lfmigrate.output.page import Page

# Where reports are made. The module here that shows one has the same name, without "_report".
_COMMANDS = "lfmigrate.commands."


@singledispatch
def draw(report: object, page: Page) -> None:
    """Write a report on a page, for people."""
    face(draw, type(report))(report, page)


@singledispatch
def to_json(report: object) -> dict[str, Any]:
    """Return a report as keys of the command's JSON document."""
    found: dict[str, Any] = face(to_json, type(report))(report)
    return found


@singledispatch
def question(preview: object) -> str:
    """Return the yes-or-no question to ask below a preview."""
    return str(face(question, type(preview))(preview))


def face(choose: Any, report: type) -> Callable[..., Any]:  # noqa: ANN401 (singledispatch's)
    """Import the module of a class of reports, and return a face that it registers.

    Args:
        choose: `draw`, `to_json` or `question`.
        report: The class.

    Raises:
        TypeError: It has no such face.
    """
    made_in = report.__module__
    if made_in.startswith(_COMMANDS):
        name = made_in.removeprefix(_COMMANDS).removesuffix("_report")
        import_module(f"{__package__}.{name}")
    found: Callable[..., Any] = choose.dispatch(report)
    if found is choose.dispatch(object):
        raise TypeError(f"{report.__name__} has no face in {choose.__name__}")
    return found
