"""Each report can be shown to people and printed as JSON."""

from __future__ import annotations

import pytest

import lfmigrate
from lfmigrate.output.dispatch import draw, face, question, to_json
from lfmigrate.output.page import Page

REPORTS = [getattr(lfmigrate, name) for name in lfmigrate.__all__ if name.endswith("Report")]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.__name__)
def test_every_report_has_a_page_and_a_document(report: type) -> None:
    """A new one without them would fail only when it is shown."""
    assert face(draw, report) is not draw.dispatch(object)
    assert face(to_json, report) is not to_json.dispatch(object)


def test_what_is_no_report_is_refused() -> None:
    """Rather than shown as nothing."""
    page = Page(width=80, elapsed_ms=0)

    with pytest.raises(TypeError, match="int has no face in draw"):
        draw(1, page)
    with pytest.raises(TypeError, match="int has no face in to_json"):
        to_json(1)
    with pytest.raises(TypeError, match="int has no face in question"):
        question(1)
