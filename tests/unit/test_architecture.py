"""What the code promises to its readers; import-linter checks the imports, in `make lint`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lfmigrate"


def test_every_query_file_begins_with_the_question_it_answers() -> None:
    """The first line of a query file says what the query is for."""
    first_lines = {
        path.name: path.read_text(encoding="utf-8").splitlines()[0]
        for path in (PACKAGE / "catalog" / "queries").glob("*.sql")
    }

    assert first_lines
    assert [name for name, line in first_lines.items() if not line.startswith("-- ")] == []
