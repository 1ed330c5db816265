"""Combines the settings of all places, and reports everything that is wrong with them together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from lfmigrate.errors import UsageError, combine
from lfmigrate.redaction import has_password
from lfmigrate.settings.layers import Found, Layer, Layers, option, variable
from lfmigrate.settings.values import DEFAULT_WAIT_S, DatabaseUrl, Flags, Scope, Settings
from lfmigrate.settings.written import duration_ms, existing_file, seconds, switch, utf8

T = TypeVar("T")

# A command whose program is a path from a folder, with or without quotes.
_RELATIVE_PROGRAM = re.compile(r"""["']?\.{1,2}/""")

# The variables of libpq's that say where the database is; the others only add to that.
_PLACES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")

# Those that are paths.
_LIBPQ_PATHS = frozenset(
    {"PGPASSFILE", "PGSERVICEFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSSLCRL"}
)


class _Database(NamedTuple):
    """The database that is asked for.

    Attributes:
        url: Its URL; empty if libpq's variables say where it is; None for the embedded server.
        origin: Where that was said.
        is_near: Whether it was said on the command line or in the environment, so that libpq's
            variables of a ``.env`` belong to another database.
    """

    url: str | None
    origin: str
    is_near: bool


def load(flags: Flags, layers: Layers, *, read_url: Callable[[str], DatabaseUrl]) -> Settings:
    """Combine all places, and report everything that is wrong with them together.

    Args:
        flags: The command line.
        layers: All places, with the command line.
        read_url: Returns what a URL says, or raises `UsageError`.

    Returns:
        The settings, checked as far as that is possible without a connection.

    Raises:
        UsageError: A value is invalid, or no database is configured. Never quotes a URL.
    """
    reading = _Reading(layers)
    usual = Scope()
    schema = reading.read("schema", utf8, usual.schema)
    scope = Scope(
        history_schema=reading.read("history_schema", utf8, usual.history_schema),
        lock_timeout_ms=reading.read("lock_timeout", duration_ms, usual.lock_timeout_ms),
        statement_timeout_ms=reading.read(
            "statement_timeout", duration_ms, usual.statement_timeout_ms
        ),
        shadow_url=reading.read(
            "shadow_url", lambda text: read_url(utf8(text)).url, usual.shadow_url
        ),
        shadow_setup=reading.read("shadow_setup", existing_file, usual.shadow_setup),
    )
    wait_s = reading.read("wait", seconds, DEFAULT_WAIT_S)
    folder_format = reading.read("format", utf8, None)
    command = reading.read("password_command", lambda text: _trusted(utf8(text), layers), None)
    variables = reading.try_to(lambda: defined(flags, layers)) or {}
    chosen = reading.try_to(lambda: _choose_database(layers))
    found = reading.try_to(lambda: _understood(chosen, read_url))
    if reading.problems or chosen is None:
        raise combine(reading.problems, f"{len(reading.problems)} invalid settings")
    url = found or DatabaseUrl("")
    return Settings(
        None if found is None else url.url,
        sql_dir(layers),
        replace(scope, schema=schema or url.schema),
        wait_s,
        folder_format,
        variables,
        None if found is None or url.has_password else command,
        {} if found is None or chosen.is_near else _libpq(layers),
        _origins(layers, chosen),
        _notes(layers, url),
    )


class _Reading:
    """Reads settings, and collects what is wrong with them."""

    def __init__(self, layers: Layers) -> None:
        self.problems: list[UsageError] = []
        self._layers = layers

    def read(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """Return a setting, or its default after noting what is wrong with it."""
        found = self._layers.find(key)
        if found is None:
            return default
        if not found.text:
            self.problems.append(UsageError(f"{option(key)} is empty"))
            return default
        named = found.origin if found.kind == "key" else f"{option(key)} ({variable(key)})"
        try:
            return parse(_full(found, key, self._layers))
        except ValueError as error:
            self.problems.append(UsageError(f"{named}: {error}"))
        except UsageError as error:
            self.problems.append(UsageError(f"{named}: {error.message}", hint=error.hint))
        return default

    def try_to(self, work: Callable[[], T]) -> T | None:
        """Return what it returns; None after noting what is wrong."""
        try:
            return work()
        except UsageError as error:
            self.problems.append(error)
        return None


def _understood(
    chosen: _Database | None, read_url: Callable[[str], DatabaseUrl]
) -> DatabaseUrl | None:
    """Return what the URL of a database says; None for the embedded server."""
    if chosen is None or chosen.url is None:
        return None
    try:
        return read_url(utf8(chosen.url)) if chosen.url else DatabaseUrl("")
    except ValueError as error:
        raise UsageError(f"the database URL is {error}") from None


def _origins(layers: Layers, chosen: _Database) -> dict[str, str]:
    origins = {"database": chosen.origin}
    for key, name in (("sql_dir", "folder"), ("format", "format")):
        if (found := layers.find(key)) is not None:
            origins[name] = found.origin
    return origins


def _trusted(command: str, layers: Layers) -> str:
    """Return a command to run, unless another user may have written it.

    A program whose path is relative is next to the file that names it, as other paths are.

    Raises:
        UsageError: It is in a configuration file of another user's, such as one in ``/tmp``.
    """
    found = layers.find("password_command")
    if found is not None and found.kind == "key" and not (layers.config and layers.config.is_own):
        raise UsageError(
            "not run, because other users can write the file",
            hint="Set LFMIGRATE_PASSWORD_COMMAND instead.",
        )
    if found is not None and found.folder is not None and _RELATIVE_PROGRAM.match(command):
        return f"{shlex.quote(str(found.folder))}/{command}"
    return command


def _notes(layers: Layers, url: DatabaseUrl) -> tuple[str, ...]:
    notes = []
    if url.ignored:
        names = ", ".join(url.ignored)
        notes.append(f"ignored in the database URL, as meant for another program: {names}")
    if url.has_password and (command := layers.find("password_command")) is not None:
        notes.append(f"{command.origin} is not run: the database URL has a password")
    return tuple(notes)


def defined(flags: Flags, layers: Layers) -> dict[str, str]:
    """Return the values of placeholders.

    Raises:
        UsageError: One has no name or no value.
    """
    values: dict[str, str] = {}
    for section in reversed(layers.sections):
        values |= section.variables
    for given in flags.define or ():
        name, equals, value = given.partition("=")
        if not (name and equals):
            raise UsageError(f'invalid --define "{name}": use NAME=VALUE')
        values[name] = value
    return values


def sql_dir(layers: Layers) -> Path | None:
    """Return the folder of SQL files that is asked for; None if none is.

    Raises:
        UsageError: It is a database URL.
    """
    found = layers.find("sql_dir")
    if found is None:
        return None
    if has_password(found.text):
        raise UsageError("--sql-dir (LFMIGRATE_SQL_DIR) contains a password")
    return _path(found)


def _path(found: Found) -> Path:
    """Return a path, relative to the file that it is written in."""
    path = Path(found.text)
    if found.folder is None or found.folder == Path.cwd():
        return path
    return found.folder / path


def _full(found: Found, key: str, layers: Layers) -> str:
    """Return the text of a setting: a path from where it is written, and what a variable has.

    Raises:
        UsageError: The variable is not set.
    """
    if key == "shadow_setup":
        return str(_path(found))
    is_name = key in {"database_url", "shadow_url"} and found.kind == "key"
    if not (is_name and found.text.startswith("$")):
        return found.text
    name = found.text.removeprefix("$").removeprefix("{").removesuffix("}")
    if not name.isidentifier():
        raise UsageError(f"{found.origin} begins with a dollar and names no variable")
    value = layers.variable(name)
    if value is None:
        raise UsageError(
            f"{found.origin} names the variable {name}, which is not set",
            hint="Set it in the environment or a .env.",
        )
    return value


def _choose_database(layers: Layers) -> _Database:
    """Return the database to use."""
    first = layers.layers[0]
    if first.texts.get("database_url") == "":
        # Most likely "$UNSET" in a script, which must not fall back to another database.
        raise UsageError(
            "--database-url is empty",
            hint="Leave it out to use DATABASE_URL from the environment or a .env.",
        )
    declined, is_near = False, True
    for layer in layers.layers:
        is_near = is_near and not (layer.kind == "variable" and layer.folder is not None)
        url, embedded = layer.find("database_url"), _embedded(layer)
        wanted = embedded and not declined
        if url is not None and wanted:
            raise UsageError(_both(layer), hint="Remove one of them.")
        if wanted:
            return _Database(None, layer.origin("embedded"), is_near=True)
        if url is not None:
            return _Database(_full(url, "database_url", layers), url.origin, is_near=is_near)
        declined = declined or embedded is False
    if named := [name for name in _PLACES if layers.variable(name)]:
        places = [
            name
            if layers.environment.get(name) or layers.dotenv is None
            # Only a .env can have it otherwise.
            else f"{name} in {layers.dotenv.path}"
            for name in named
        ]
        return _Database("", ", ".join(places), is_near=False)
    raise UsageError(
        "no database URL is configured",
        detail=[
            "looked for --database-url, and for DATABASE_URL in the environment and in a .env",
            *_looked_at(layers),
        ],
        hint="Set one of them, or PGHOST or PGDATABASE; or add --embedded for a private PostgreSQL"
        " in this folder.",
    )


def _looked_at(layers: Layers) -> list[str]:
    """Say which files were read, and what was found there."""
    lines = []
    if layers.environment.get("DATABASE_URL") == "":
        lines.append("DATABASE_URL is empty in the environment")
    if (dotenv := layers.dotenv) is not None:
        empty = "DATABASE_URL" in dotenv.values
        state = "DATABASE_URL is empty in it" if empty else "it has no DATABASE_URL"
        lines.append(f"{dotenv.path} was read, and {state}")
    if (config := layers.config) is not None:
        lines.append(f"{config.path} was read, and it has no database_url")
    return lines


def _both(layer: Layer) -> str:
    if layer.kind == "option":
        return f"{layer.name} sets both a database URL and --embedded"
    names = ("database_url", "embedded")
    first, second = names if layer.kind == "key" else map(variable, names)
    return f"{layer.name} sets both {first} and {second}"


def _embedded(layer: Layer) -> bool | None:
    """Return whether the embedded server is asked for; None if nothing is said about it."""
    text = layer.texts.get("embedded")
    try:
        return switch(text)
    except ValueError as error:
        raise UsageError(f'invalid LFMIGRATE_EMBEDDED "{text}": {error}') from None


def _libpq(layers: Layers) -> dict[str, str]:
    """Return what a ``.env`` adds to libpq's variables of the environment."""
    if (dotenv := layers.dotenv) is None:
        return {}
    added = {}
    for name, text in dotenv.values.items():
        if text and name.startswith("PG") and not layers.environment.get(name):
            is_path = name in _LIBPQ_PATHS and text != "system"
            added[name] = str(dotenv.path.parent / text) if is_path else text
    return added
