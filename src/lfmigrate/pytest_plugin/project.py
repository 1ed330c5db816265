"""What a project's configuration says of its migrations: which files, and into which schema."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lfmigrate.errors import UsageError
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.settings import Scope
from lfmigrate.settings.config import find_config
from lfmigrate.source.candidates import find_folder
from lfmigrate.source.folder import Folder, read_folder
from lfmigrate.syntax.names import quote_name


def project_folder(project: Path, ini: Path | None) -> Folder:
    """Read the SQL files that a project's tests are for.

    Args:
        project: The project's folder.
        ini: The folder that pytest's configuration names, or None.

    Raises:
        UsageError: None is configured, and there is none; or the files cannot be run.
    """
    path = _variable("sql_dir") or ini
    configured = _configured(project)
    path = path or configured.get("sql_dir") or find_folder(project)
    if path is None:
        raise UsageError(
            f"no SQL directory is configured for the tests, and there is none in {project}",
            hint="Set lfmigrate_sql_dir in pytest's configuration, or sql_dir in lfmigrate.toml.",
        )
    config = find_config(project)
    variables = config.section.variables if config is not None else {}
    return read_folder(path, format=configured.get("format"), variables=variables)


def project_scope(project: Path) -> Scope:
    """Return the schemas that a project's migrations are for.

    Raises:
        UsageError: The configuration file cannot be read.
    """
    configured, usual = _configured(project), Scope()
    return Scope(
        schema=configured.get("schema"),
        history_schema=configured.get("history_schema", usual.history_schema),
    )


def create_schema(conn: Connection, scope: Scope) -> None:
    """Create the schema of the migrations, which `up` expects to exist, in a new database."""
    if scope.schema is not None:
        flight = Flight(conn)
        flight.do(f"CREATE SCHEMA IF NOT EXISTS {quote_name(scope.schema)}")
        flight.go()


def _configured(project: Path) -> Mapping[str, str]:
    """Return what the environment says, or else the configuration file; never of a database."""
    found: dict[str, str] = {}
    if (config := find_config(project)) is not None:
        values = config.section.values
        found |= {k: values[k] for k in ("format", "schema", "history_schema") if k in values}
        if "sql_dir" in values:
            found["sql_dir"] = str(config.path.parent / values["sql_dir"])
    given = {key: _variable(key) for key in ("format", "schema", "history_schema")}
    return {**found, **{key: value for key, value in given.items() if value}}


def _variable(key: str) -> str | None:
    return os.environ.get(f"LFMIGRATE_{key.upper()}")
