"""`new` creates what the folder's tool would read as its next migration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.commands.new import new
from lfmigrate.errors import UsageError
from lfmigrate.source.folder import read_folder
from lfmigrate.source.formats.detect import FORMATS
from tests.unit.formats.folders import CASES

Write = Callable[[Mapping[str, str | bytes]], Path]

LISTED = {"drizzle", "graphile-migrate"}
# Their last file has no number, or is sorted by the time that it stands for.
AFTER = {"sql-migrate": -2, "node-pg-migrate": -1}


@pytest.mark.parametrize("name", [name for name in CASES if name not in LISTED])
def test_a_new_migration_is_the_newest_of_the_folder(folder: Write, name: str) -> None:
    """It can be read, and runs last."""
    case = CASES[name]
    path = folder({f"{case.path}/{file}".lstrip("/"): text for file, text in case.files.items()})
    path = path / case.path
    before = read_folder(path, format=name, variables=case.variables)

    report = new(path, "Add scores", format=name, variables=case.variables)

    after = read_folder(path, format=name, variables=case.variables)
    (added,) = {m.version for m in after.migrations} - {m.version for m in before.migrations}
    assert added == after.migrations[AFTER.get(name, -1)].version
    assert report.up.is_file()
    assert report.down is None or report.down.is_file()
    assert "add_scores" in str(report.up.relative_to(path))


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_listed_migration_is_created_by_its_tool(folder: Write, name: str) -> None:
    """Lfmigrate does not write the list."""
    case = CASES[name]

    with pytest.raises(UsageError, match="has to be created by it") as caught:
        new(folder(case.files), "a", variables=case.variables)

    assert caught.value.hint


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in LISTED])
def test_the_first_migration_of_a_folder_has_its_format(folder: Write, name: str) -> None:
    """The option says which."""
    path = folder({})

    new(path, "first", format=name)
    new(path, "second", format=name)

    assert len(read_folder(path, format=name).migrations) == 2
