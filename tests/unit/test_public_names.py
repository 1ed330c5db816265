"""The library's public names, for people and for type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lfmigrate
import lfmigrate.commands
from lfmigrate import errors


def test_every_listed_name_exists_and_no_other_does() -> None:
    """``__all__`` and ``dir()`` are the same list."""
    for name in lfmigrate.__all__:
        assert getattr(lfmigrate, name) is not None

    assert sorted(lfmigrate.__all__) == dir(lfmigrate)
    with pytest.raises(AttributeError, match="has no attribute 'updte'"):
        lfmigrate.updte  # type: ignore[attr-defined]  # noqa: B018 (what is tested)


def test_type_checkers_see_the_listed_names_and_no_other() -> None:
    """The imports that only they read are the list, too."""
    tree = ast.parse(inspect.getsource(lfmigrate))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lfmigrate.")
        for alias in node.names
    }

    assert imported == set(lfmigrate.__all__)


def test_all_reports_and_exceptions_are_public() -> None:
    """Those who call a command can name what it returns and raises."""
    raised = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    modules = [
        importlib.import_module(f"lfmigrate.commands.{module.name}")
        for module in pkgutil.iter_modules(lfmigrate.commands.__path__)
    ]
    reports = {name for m in modules for name in vars(m) if name.endswith("Report")}

    assert raised | reports <= set(lfmigrate.__all__)


def test_nothing_slow_is_imported_before_it_is_used() -> None:
    """``import lfmigrate`` costs next to nothing."""
    script = (
        "import sys, lfmigrate; lfmigrate.LfmigrateError\n"
        "print(sorted({'psycopg', 'rich', 'typer'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_mypy_knows_every_name_and_refuses_a_misspelt_one(tmp_path: Path) -> None:
    """A module-level ``__getattr__`` would let any name pass."""
    (tmp_path / "right.py").write_text(
        "import lfmigrate\nfrom lfmigrate import Folder, UpReport, up\n\n\n"
        "def migrate(url: str, folder: Folder) -> UpReport:\n"
        "    with lfmigrate.connect(url) as conn:\n"
        "        return up(conn, folder, dry_run=True)\n",
        encoding="utf-8",
    )
    (tmp_path / "wrong.py").write_text("import lfmigrate\n\nlfmigrate.updte(1)\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "right.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines()[0].startswith(
        'wrong.py:3: error: Module has no attribute "updte"'
    )
    assert "Found 1 error in 1 file (checked 2 source files)" in done.stdout
