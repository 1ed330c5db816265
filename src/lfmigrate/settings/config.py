"""Finds and reads `lfmigrate.toml`, or `[tool.lfmigrate]` in a `pyproject.toml`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lfmigrate.errors import UsageError, combine
from lfmigrate.redaction import has_password, secrets
from lfmigrate.settings.trust import refuse_foreign

OWN_FILE = "lfmigrate.toml"
SHARED_FILE = "pyproject.toml"

_TEXTS = (
    "database_url",
    "password_command",
    "sql_dir",
    "format",
    "schema",
    "history_schema",
    "lock_timeout",
    "statement_timeout",
    "shadow_url",
    "shadow_setup",
)
_KEYS = (*_TEXTS, "embedded", "wait", "define")
_ENVIRONMENTS = "env"

# What a key has to be, for people who do not write Python.
_KINDS = {"embedded": "true or false", "wait": "a number of seconds", "define": "a table of texts"}


@dataclass(frozen=True, slots=True)
class Section:
    """The settings of a file, or of one environment in it.

    Attributes:
        name: What it is called, such as ``pyproject.toml`` or ``[env.test] in lfmigrate.toml``.
        values: The settings by their key, as the command line would have them.
        variables: The values of placeholders, by name.
    """

    name: str
    values: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration file.

    Attributes:
        path: Its path.
        section: What holds for all environments.
        environments: What holds for one, by its name.
    """

    path: Path
    section: Section
    environments: Mapping[str, Section] = field(default_factory=dict)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return all sections."""
        return (self.section, *self.environments.values())

    @property
    def is_own(self) -> bool:
        """Return whether only this user and the administrator can have written it."""
        if os.name == "nt":  # Windows has no such bits
            return True
        found = self.path.stat()
        return found.st_uid in {0, os.geteuid()} and not found.st_mode & 0o002

    @property
    def has_password(self) -> bool:
        """Return whether there is a password in it, to read for everyone who has the project."""
        urls = (s.values.get(key) for s in self.sections for key in ("database_url", "shadow_url"))
        return any(secrets(url, environment={}) or has_password(url or "") for url in urls)


def find_config(folder: Path) -> Config | None:
    """Read the configuration in a folder, or the nearest one above it.

    Raises:
        UsageError: It cannot be read, has an unknown key or a wrong type, or belongs to another
            user; or there are two.
    """
    for each in (folder, *folder.parents):
        found = [c for name in (OWN_FILE, SHARED_FILE) if (c := _read(each / name)) is not None]
        if len(found) > 1:
            raise UsageError(
                f"both {found[0].path} and {found[1].path} configure lfmigrate",
                hint=f"Move [tool.lfmigrate] to {OWN_FILE}, or remove that file.",
            )
        if found:
            refuse_foreign(found[0].path, folder)
            return found[0]
    return None


def _read(path: Path) -> Config | None:
    """Read a file; None if there is none, or it does not mention lfmigrate."""
    is_shared = path.name == SHARED_FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        if isinstance(error, PermissionError) and not is_shared and path.is_file():
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        return None
    # Most projects of Python's have one, without a word about lfmigrate; a parser is slow to load.
    if is_shared and b"lfmigrate" not in content:
        return None
    import tomllib  # noqa: PLC0415

    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        if is_shared and not re.search(rb"(?m)^\s*\[\s*tool\s*\.\s*['\"]?lfmigrate", content):
            return None
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeError) else _reason(str(error))
        raise UsageError(f"cannot read {path}: {reason}") from None
    if is_shared:
        tools = table.get("tool")
        if not isinstance(tools, dict) or "lfmigrate" not in tools:
            return None
        table = tools["lfmigrate"]
        if not isinstance(table, dict):
            raise UsageError(f"{path}: tool.lfmigrate has to be a table")
    return checked_config(path, table)


def checked_config(path: Path, table: Mapping[str, Any]) -> Config:
    """Return what the table of a configuration file says.

    Args:
        path: The file.
        table: Its own table, or ``tool.lfmigrate`` of a shared file.

    Raises:
        UsageError: A key is unknown, or the type of a value is wrong; all that are, at once.
    """
    return _Checked(path, "tool.lfmigrate." if path.name == SHARED_FILE else "").config(dict(table))


def _reason(words: str) -> str:
    """Return what the parser says; of a text that it quotes, which may be a password, nothing."""
    place = re.search(r"\(at .*\)$", words)
    return f"it is not valid TOML {place.group() if place else ''}".rstrip()


class _Checked:
    """Checks keys and types, and notes everything that is wrong."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        self._problems: list[UsageError] = []

    def config(self, table: dict[str, Any]) -> Config:
        sections = table.pop(_ENVIRONMENTS, {})
        section = self._section(str(self._path), table, "")
        environments = {}
        if not isinstance(sections, dict):
            self._wrong(_ENVIRONMENTS, "has to be a table of environments")
            sections = {}
        for name, inner in sections.items():
            key = f"{_ENVIRONMENTS}.{name}"
            if isinstance(inner, dict):
                label = f"[{self._prefix}{key}] in {self._path}"
                environments[name] = self._section(label, inner, f"{key}.")
            else:
                self._wrong(key, "has to be a table")
        if self._problems:
            raise combine(self._problems, f"{len(self._problems)} problems in {self._path}")
        return Config(self._path, section, environments)

    def _section(self, name: str, table: dict[str, Any], prefix: str) -> Section:
        values: dict[str, str] = {}
        variables: dict[str, str] = {}
        for key, value in table.items():
            if key not in _KEYS:
                self._unknown(prefix, key)
            elif key == "define" and _are_texts(value):
                variables = value
            elif (text := _text(key, value)) is None:
                self._wrong(f"{prefix}{key}", f"has to be {_KINDS.get(key, 'a text')}")
            elif not text:
                self._wrong(f"{prefix}{key}", "is empty")
            else:
                values[key] = text
        return Section(name, values, variables)

    def _unknown(self, prefix: str, key: str) -> None:
        import difflib  # noqa: PLC0415 (for a mistake only)

        meant = difflib.get_close_matches(key.replace("-", "_").lower(), _KEYS, 1)
        known = ", ".join((*_KEYS, _ENVIRONMENTS))
        hint = f'Did you mean "{meant[0]}"?' if meant else f"The keys are {known}."
        self._problems.append(
            UsageError(f'{self._path}: unknown key "{self._prefix}{prefix}{key}"', hint=hint)
        )

    def _wrong(self, key: str, what: str) -> None:
        self._problems.append(UsageError(f"{self._path}: {self._prefix}{key} {what}"))


def _text(key: str, value: object) -> str | None:
    """Return a value as the command line would have it; None if its type is wrong."""
    if key == "embedded":
        return str(int(value)) if isinstance(value, bool) else None
    if key == "wait":
        return str(value) if type(value) in {int, float} else None
    return value if key in _TEXTS and isinstance(value, str) else None


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
