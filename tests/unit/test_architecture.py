"""What the code promises to its readers; import-linter checks the imports, in `make lint`."""

from __future__ import annotations

from pathlib import Path

import typer

from lfmigrate.cli.app import app

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


def test_the_readme_knows_every_command_and_option() -> None:
    """Everything that --help lists is explained in the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    group = typer.main.get_group(app)
    offered = {f"lfmigrate {name}" for name in group.commands}
    for command in group.commands.values():
        offered |= {option for param in command.params for option in param.opts}
    # The README's table leaves these out; they mean the same for every command.
    offered -= {"name", "path", "--quiet", "--verbose", "--help"}

    assert sorted(word for word in offered if word not in readme) == []
