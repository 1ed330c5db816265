"""From another tool to lfmigrate, and back, each step made by the real program."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from tests.conftest import Cli
from tests.tools.installed import OTHERS, TOOLS, Place, Tool, version_of

pytestmark = pytest.mark.tools


def _missing(why: str) -> NoReturn:
    # Set by the step of CI that installs them; nothing else in CI has to.
    if os.environ.get("LFMIGRATE_TEST_EXPECTS_TOOLS"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def prepare(
    database: str, tmp_path: Path, record_property: Callable[[str, str], None]
) -> Callable[[Tool], Place]:
    """Return a function that writes a tool's folder; without the tool, the test fails or skips."""

    def look(tool: Tool) -> Place:
        tools = os.environ.get("LFMIGRATE_TEST_TOOLS_DIR")
        if tools is None:
            _missing("no tools to test with: LFMIGRATE_TEST_TOOLS_DIR is not set; see .ci/tools.py")
        version = version_of(Path(tools), tool.version)
        if version is None:
            _missing(f"{tool.name} is not installed")
        record_property("tool", f"{tool.name} {version}")
        place = Place(Path(tools), database, tmp_path / "project")
        tool.write(place.folder)
        return place

    return look


class Lfmigrate:
    """The command line, on a database and a folder."""

    def __init__(self, cli: Cli, place: Place, tool: Tool) -> None:
        self._run = cli
        self._where = ("--database-url", place.url, "--sql-dir", place.folder / tool.path)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = self._run(*arguments, *self._where)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.mark.parametrize("name", TOOLS)
def test_a_database_moves_to_lfmigrate_and_back(
    prepare: Callable[[Tool], Place], cli: Cli, name: str
) -> None:
    """What the tool has created is what lfmigrate creates; then up goes on, and the tool again."""
    tool = TOOLS[name]
    place = prepare(tool)
    lfmigrate = Lfmigrate(cli, place, tool)
    tool.migrate(place)
    assert tool.has_applied(place.url) == list(tool.keys[:2])

    lfmigrate("adopt", "--yes")
    lfmigrate("verify")
    tool.write(place.folder, third=True)
    lfmigrate("up")

    lfmigrate("verify")
    lfmigrate("verify", "--replay")
    # The tool's table is as it was.
    assert tool.has_applied(place.url) == list(tool.keys[:2])
    if name == "dbmate":
        lfmigrate("export", "--to", name)
        assert tool.has_applied(place.url) == list(tool.keys)
        assert "Applying" not in tool.migrate(place)
        assert tool.has_applied(place.url) == list(tool.keys)
        lfmigrate("verify")


@pytest.mark.parametrize("name", TOOLS)
def test_what_the_tool_applies_later_is_seen(
    prepare: Callable[[Tool], Place], cli: Cli, name: str
) -> None:
    """By status, and adopted then; and it is rolled back like anything else."""
    tool = TOOLS[name]
    place = prepare(tool)
    lfmigrate = Lfmigrate(cli, place, tool)
    tool.migrate(place)
    lfmigrate("adopt", "--yes")
    assert "has applied more" not in lfmigrate("status")

    tool.write(place.folder, third=True)
    tool.migrate(place)

    assert tool.has_applied(place.url) == list(tool.keys)
    assert "has applied more since it was adopted" in lfmigrate("status")
    lfmigrate("adopt", "--yes")
    assert "has applied more" not in lfmigrate("status", "--exit-code")
    lfmigrate("verify")


@pytest.mark.parametrize("name", OTHERS)
def test_a_database_of_a_tool_without_a_format_is_adopted(
    prepare: Callable[[Tool], Place], cli: Cli, name: str
) -> None:
    """With files that do the same; the table says which, or else a person."""
    tool = OTHERS[name]
    place = prepare(tool)
    lfmigrate = Lfmigrate(cli, place, tool)
    tool.migrate(place)
    baseline = ["--to", "20240502120000"] if len(tool.keys) == 1 else []

    lfmigrate("adopt", "--yes", *baseline)
    lfmigrate("verify")
    tool.write(place.folder, third=True)
    lfmigrate("up")

    lfmigrate("verify")
    assert tool.has_applied(place.url) == list(tool.keys[:2])


def test_dbmate_goes_on_where_lfmigrate_began(
    prepare: Callable[[Tool], Place],
    create_database: Callable[..., str],
    cli: Cli,
    dump: Callable[..., str],
) -> None:
    """The table that export creates is the one that dbmate creates."""
    tool = TOOLS["dbmate"]
    place = prepare(tool)
    its_own = replace(place, url=create_database())
    tool.migrate(its_own)
    lfmigrate = Lfmigrate(cli, place, tool)
    lfmigrate("up")
    lfmigrate("export", "--to", "dbmate")
    exported = dump(place.url, rows=True)

    assert dump(place.url) == dump(its_own.url)
    assert tool.has_applied(place.url) == tool.has_applied(its_own.url)
    assert "Applying" not in tool.migrate(place)
    assert dump(place.url, rows=True) == exported
    tool.write(place.folder, third=True)
    assert "Applying: 20240503120000_player.sql" in tool.migrate(place)
    assert tool.has_applied(place.url) == list(tool.keys)
    # And back.
    lfmigrate("adopt", "--yes")
    lfmigrate("verify")
    assert "nothing to export" in lfmigrate("export", "--to", "dbmate")
