"""The map in ARCHITECTURE.md is held against the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from lfmigrate.cli.app import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lfmigrate"
ROW = re.compile(r"^\| (?P<modules>`[^|]+) \| [^|]+ \| (?P<imports>[^|]+) \|$", re.MULTILINE)

# What may be imported anywhere: the version, and nothing else of the package's own face.
FACE = "lfmigrate"


def _map() -> dict[str, set[str]]:
    """Return the modules that each module may import, as the page says."""
    allowed: dict[str, set[str]] = {}
    for row in ROW.finditer((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")):
        modules = re.findall(r"`([a-z_.]+)`", row["modules"])
        words = {word.strip() for word in row["imports"].split(",")}
        above = set(allowed)
        if words == {"all"}:
            words = {"all"}
        elif words == {"all above"}:
            words = above
        for module in modules:
            allowed[module] = words - {"-"}
    return allowed


def _modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "__init__.py"
    }


def _imports(path: Path) -> set[str]:
    """Return the modules of the package that a file imports, at its top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module in {FACE, f"{FACE}.verbs"}:
                prefix = node.module.removeprefix(FACE).removeprefix(".")
                names = {alias.name for alias in node.names} - {"__version__"}
                found |= {f"{prefix}.{name}".lstrip(".") for name in names}
            elif node.module.startswith(f"{FACE}."):
                found.add(node.module.removeprefix(f"{FACE}."))
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix(f"{FACE}.")
                for alias in node.names
                if alias.name.startswith(f"{FACE}.")
            }
    return found


def test_every_module_is_on_the_map() -> None:
    """A new module is put on the map before it is written."""
    assert set(_modules()) == set(_map())


@pytest.mark.parametrize("module", sorted(_modules()))
def test_a_module_imports_only_what_the_map_allows(module: str) -> None:
    """An import that the map does not know changes the map first, or not at all."""
    allowed = _map()[module]
    used = _imports(_modules()[module])
    if "all" in allowed:
        used = set()
    if "verbs" in allowed:
        used = {name for name in used if not name.startswith("verbs.")}

    assert used <= allowed


@pytest.mark.parametrize(
    ("library", "home"),
    [("rich", {"report"}), ("typer", {"cli"})],
)
def test_a_library_has_one_home(library: str, home: set[str]) -> None:
    """What a library is used for stands in one module."""
    importing = re.compile(rf"^\s*(?:from|import) {library}\b", re.MULTILINE)
    users = {
        module
        for module, path in _modules().items()
        if importing.search(path.read_text(encoding="utf-8"))
    }

    assert users == home


def test_one_module_connects() -> None:
    """Every connection is made with the settings that poolers need."""
    users = {
        module
        for module, path in _modules().items()
        if re.search(r"Connection\.connect\(|psycopg\.connect\(", path.read_text(encoding="utf-8"))
    }

    assert users == {"database"}


def test_every_query_file_begins_with_the_question_it_answers() -> None:
    """Whoever opens a query file knows what it is for."""
    first_lines = {
        path.name: path.read_text(encoding="utf-8").splitlines()[0]
        for path in (PACKAGE / "catalog" / "queries").glob("*.sql")
    }

    assert first_lines
    assert [name for name, line in first_lines.items() if not line.startswith("-- ")] == []


def test_the_readme_knows_every_command_and_option() -> None:
    """What --help offers is explained where people look first."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    group = typer.main.get_group(app)
    offered = {f"lfmigrate {name}" for name in group.commands}
    for command in group.commands.values():
        offered |= {option for param in command.params for option in param.opts}
    # Each short one stands beside its long one, which the table leaves out.
    offered -= {"name", "path", "--quiet", "--verbose", "--help"}

    assert sorted(word for word in offered if word not in readme) == []
