"""The examples of docs/library.md and docs/pytest.md run as they stand there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.helpers.databases import fetch

# They are about the library.
pytestmark = pytest.mark.any_version

DOCS = Path(__file__).parents[2] / "docs"

FILES: Mapping[str, str | bytes] = {
    "001_accounts.up.sql": "CREATE TABLE accounts (id integer GENERATED ALWAYS AS IDENTITY"
    " PRIMARY KEY, name text NOT NULL);",
    "001_accounts.down.sql": "DROP TABLE accounts;",
    "002_currencies.up.sql": "CREATE TABLE currencies (code text PRIMARY KEY);",
    "002_currencies.down.sql": "DROP TABLE currencies;",
}


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def migrations(folder: Callable[[Mapping[str, str | bytes]], Path]) -> Path:
    """Return a directory that has ``migrations``."""
    return folder({f"migrations/{name}": text for name, text in FILES.items()})


@pytest.fixture
def unconfigured_logging() -> Iterator[None]:
    """Undo an example's ``logging.basicConfig``."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("unconfigured_logging")
def test_the_examples_of_the_library_run_one_after_another(
    database: str,
    migrations: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is a program of its own, on the database that the one before it has left."""
    monkeypatch.chdir(migrations)
    monkeypatch.setenv("DATABASE_URL", database)
    examples = blocks("library.md", "python")

    for number, example in enumerate(examples, 1):
        code = compile(example, f"docs/library.md, example {number}", "exec")
        exec(code, {"__name__": "__main__"})  # noqa: S102 (a page of our own)

    assert len(examples) > 5
    assert fetch(database, "SELECT to_regclass('currencies') IS NOT NULL") == [True]
    assert "undone: ['002']" in capsys.readouterr().out


def test_the_examples_of_the_plugin_pass(
    migrations: Path, server_url: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the page, next to each other, are a project whose tests pass."""
    monkeypatch.setenv("LFMIGRATE_TEST_URL", server_url)
    # What else is installed takes seconds to import.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "lfmigrate.pytest_plugin")
    for block in blocks("pytest.md", "(?:python|toml)"):
        name = re.match(r"# (\S+)\n", block)
        assert name is not None, block
        (pytester.path / name[1]).write_text(block, encoding="utf-8")
    (migrations / "migrations").rename(pytester.path / "migrations")

    done = pytester.runpytest_inprocess()

    done.assert_outcomes(passed=6)
