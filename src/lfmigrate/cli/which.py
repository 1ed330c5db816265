"""Which folder and which database a call is about: reads the files that say so."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lfmigrate import redaction
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags, Settings
from lfmigrate.settings.config import Config, find_config
from lfmigrate.settings.dotenv import DotEnv, find_dotenv, read_dotenv
from lfmigrate.settings.layers import Layers, layers_of
from lfmigrate.settings.merge import defined, load, sql_dir

if TYPE_CHECKING:
    from lfmigrate.source.folder import Folder

SHIPPED = "the shipped leadership feedback tables"

_URLS = ("DATABASE_URL", "LFMIGRATE_SHADOW_URL")

_LOCAL = re.compile(r"(?:localhost|127\.[\d.]+|::1|/.*|@.*|)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The folder of SQL files, and where it was configured.

    Attributes:
        path: The folder.
        origin: Where it was configured or found.
        is_shipped: Whether it is the one that ships with lfmigrate.
        is_asked_for: Whether it was configured, or found in the project.
        format: Whose folder it is, if that was configured.
        variables: The values of placeholders in its files, by name.
    """

    path: Path
    origin: str
    is_shipped: bool = False
    is_asked_for: bool = True
    format: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Files:
    """The files that were read, for the passwords in them; a process reads each once."""

    dotenv: DotEnv | None = None
    config: Config | None = None
    warned: set[str] = field(default_factory=set)


_files = _Files()


def forget() -> None:
    """Forget what was read: a call in another folder begins, as in tests."""
    global _files  # noqa: PLW0603 (a process has one command line)
    _files = _Files()
    _dotenv.cache_clear()
    _config.cache_clear()
    redaction.forget()


def read_layers(flags: Flags) -> Layers:
    """Return all places that settings come from.

    Raises:
        UsageError: A file cannot be read, or is not as it should be.
    """
    dotenv = _dotenv(flags.env_file)
    return layers_of(flags, os.environ, dotenv, _config())


def read_settings(flags: Flags) -> tuple[Settings, list[str]]:
    """Return the settings, and warnings, each of them once in a process.

    Variables of libpq's that a ``.env`` adds become part of the environment.

    Raises:
        UsageError: Some of them are not valid.
    """
    from lfmigrate.postgres.url import read  # noqa: PLC0415 (slow; --help needs none)

    layers = read_layers(flags)
    settings = load(flags, layers, read_url=read)
    # libpq has no other way to read some of them.
    os.environ.update(settings.libpq)
    return settings, _new_warnings(layers)


def read_variable(flags: Flags, name: str) -> str | None:
    """Return a variable of the environment or the ``.env``; None if neither has it.

    Raises:
        UsageError: The ``.env`` cannot be read.
    """
    return read_layers(flags).variable(name)


def own_folder(flags: Flags) -> Chosen | None:
    """Return the folder that is configured, or else found in the project.

    Raises:
        UsageError: There are several; or a file cannot be read.
    """
    layers = read_layers(flags)
    found, wanted = layers.find("sql_dir"), layers.find("format")
    chosen = _own_folder(sql_dir(layers), found.origin if found else "")
    return chosen and replace(
        chosen, format=wanted.text if wanted else None, variables=defined(flags, layers)
    )


def for_new(flags: Flags) -> Chosen:
    """Return the folder for a new migration: the one configured, or found here.

    Raises:
        UsageError: There is none, or there are several; or a file cannot be read.
    """
    chosen = own_folder(flags)
    if chosen is None:
        raise UsageError(
            "no directory is configured in which to create the migration",
            hint="Name it with --sql-dir, or set LFMIGRATE_SQL_DIR.",
        )
    return chosen


def choose_folder(settings: Settings) -> Chosen:
    """Return the folder to use; the shipped one if there is no other.

    Raises:
        SqlFileError: There are several folders in the project.
    """
    from lfmigrate.source.folder import shipped_folder  # noqa: PLC0415 (as above)

    shipped = shipped_folder()
    chosen = _own_folder(settings.sql_dir, settings.origins.get("folder", ""))
    if chosen is None:
        return Chosen(shipped, "shipped with lfmigrate", is_shipped=True, is_asked_for=False)
    if chosen.path.is_dir() and chosen.path.samefile(shipped):
        return Chosen(chosen.path, chosen.origin, is_shipped=True)
    return chosen


def _own_folder(configured: Path | None, origin: str) -> Chosen | None:
    if configured is not None:
        return Chosen(configured, origin)
    from lfmigrate.source.candidates import find_folder  # noqa: PLC0415 (as above)

    # Relative, as it would have been written.
    if (found := find_folder(Path())) is not None:
        return Chosen(found, "found in the working directory")
    for home in _homes():
        if (found := find_folder(home)) is not None:
            return Chosen(found, f"found in {home}")
    return None


def _homes() -> list[Path]:
    """Return the folders above, the nearest first, from which settings were read.

    The database is that of the project there.
    """
    read = [each.path.parent for each in (_files.dotenv, _files.config) if each is not None]
    return [each for each in _working_directory().parents if each in read]


def describe(chosen: Chosen, folder: Folder) -> str:
    """Return what a report's first line says of the folder."""
    if not chosen.is_shipped:
        return f"{folder.format} files in {chosen.path}"
    return SHIPPED if chosen.is_asked_for else f"{SHIPPED} (--sql-dir chooses another folder)"


def hidden_words() -> tuple[str, ...]:
    """Collect the passwords that must not be printed, from wherever they were given."""
    try:
        dotenv, config = _dotenv(_env_file()), _config()
    except UsageError:  # reported where it is needed
        dotenv, config = _files.dotenv, _files.config
    # A URL in the wrong place on the command line is quoted in the error about that.
    words = [w for w in sys.argv[1:] if "@" in w or "password" in w.lower()]
    variables = {} if dotenv is None else dotenv.values
    sections = () if config is None else config.sections
    # A URL may be in any variable, which a configuration file names.
    named = [
        value.lstrip("${").rstrip("}")
        for section in sections
        for value in section.values.values()
        if value.startswith("$")
    ]
    return redaction.secrets(
        *(re.sub(r"^-[\w-]*=", "", word) for word in words),
        *(values.get(name) for values in (os.environ, variables) for name in (*_URLS, *named)),
        *(s.values.get(key) for s in sections for key in ("database_url", "shadow_url")),
        environment=os.environ,
    ) + redaction.secrets(
        environment={name: text for name, text in variables.items() if text is not None}
    )


def _env_file() -> Path | None:
    """Return the file that ``--env-file`` names, before the command line has been parsed."""
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == "--env-file" and (equals or following):
            return Path(value if equals else following)
    return None


@functools.cache
def _dotenv(named: Path | None) -> DotEnv | None:
    if named is not None and not named.is_file():
        raise UsageError(
            f"there is no file {named}" if str(named) not in {"", "."} else "--env-file is empty",
            hint="Correct --env-file, or leave it out to use the .env here or in a folder above.",
        )
    here = _working_directory()
    path = find_dotenv(here) if named is None else here / named
    _files.dotenv = None if path is None else read_dotenv(path)
    return _files.dotenv


@functools.cache
def _config() -> Config | None:
    _files.config = find_config(_working_directory())
    return _files.config


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(f"the working directory cannot be read: {error.strerror}") from None


def _new_warnings(layers: Layers) -> list[str]:
    """Return the warnings about the files that were read, unless they were returned before."""
    warnings = []
    if (dotenv := layers.dotenv) is not None:
        warnings += [
            f"line {number} of {dotenv.path} cannot be read and is ignored"
            for number in dotenv.ignored_lines
        ]
        warnings += _readable_by_others(dotenv)
    if layers.config is not None and layers.config.has_password:
        warnings.append(
            f"{layers.config.path} contains a password, which all who have the project can read:"
            ' name a variable instead, as in database_url = "$DATABASE_URL"'
        )
    new = [each for each in warnings if each not in _files.warned]
    _files.warned.update(new)
    return new


def _readable_by_others(dotenv: DotEnv) -> list[str]:
    """Return a warning if other users can read a password of another server in a ``.env``."""
    if os.name == "nt":  # Windows has no such bits
        return []
    mode = dotenv.path.stat().st_mode & 0o777
    urls = [url for name in _URLS if (url := dotenv.values.get(name))]
    passwords = [url for url in urls if redaction.secrets(url, environment={})]
    is_remote = any(not _is_local(url) for url in passwords)
    if dotenv.values.get("PGPASSWORD"):
        host = dotenv.values.get("PGHOST") or os.environ.get("PGHOST") or ""
        is_remote = is_remote or not _LOCAL.fullmatch(host)
    if not (mode & 0o077 and is_remote):
        return []
    reason = f"{dotenv.path} contains a password and is readable by other users (mode {mode:o})"
    return [f"{reason}: run chmod 600 {dotenv.path}"]


def _is_local(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    from lfmigrate.postgres.url import address, read  # noqa: PLC0415 (as above)

    try:
        host = address(read(url).url)["host"]
    except UsageError:
        return False
    return all(_LOCAL.fullmatch(each) for each in str(host or "").split(","))
