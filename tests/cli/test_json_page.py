"""docs/json.md names every key of the JSON documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

# The keys of a document are chosen on this side of the connection.
pytestmark = pytest.mark.any_version

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")

# The heading of each command's section, where it is not the command's name.
SHARED = {"backup": "backup and restore", "restore": "backup and restore"}


def _section(heading: str) -> set[str]:
    """Return the words in backticks below a heading; those above the first, if it is empty."""
    text = PAGE.partition(f"\n## {heading}\n")[2] if heading else PAGE
    return set(re.findall(r"`([a-z0-9_]+)`", text.partition("\n## ")[0]))


def _keys(value: object) -> Iterator[str]:
    """Return the keys of all objects in a document, but not of rows, whose keys are columns."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "rows":
                yield from _keys(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def test_the_page_names_every_key(cli: Cli, database: str, tmp_path: Path) -> None:
    """What each command prints has only keys of its section; a failure has those of an error."""
    saved, server = tmp_path / "saved", ("--database-url", database)

    def document(*words: str | Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(cli(*words, "--json").stdout)
        return found

    def undescribed(document: dict[str, Any]) -> set[str]:
        command = document["command"]
        error = document.pop("error", {})
        described = _section("") | _section(SHARED.get(command, command))
        # The differences of verify are described with those of up.
        described |= _section("up") if command == "verify" else set()
        return (set(_keys(document)) - described) | (set(error) - _section("error"))

    documents = [
        document(*words)
        for words in [
            ("verify", *server),
            ("up", *server),
            ("seed", *server),
            ("seed", "--check", *server),
            ("status", *server),
            ("wait", "--timeout", "30s", *server),
            ("sql", *server),
            ("backup", "--out", saved, *server),
            ("restore", saved, *server),
            ("rollback", "--dry-run", *server),
            ("check", *server),
            ("new", "next", "--sql-dir", tmp_path / "sql"),
        ]
    ]

    assert {d["command"] for d in documents} == {
        "up", "verify", "status", "wait", "sql", "rollback", "seed", "backup", "restore", "check",
        "new",
    }  # fmt: skip
    assert [d["command"] for d in documents if "error" in d] == ["verify", "restore"]
    assert {d["command"]: found for d in documents if (found := undescribed(d))} == {}
