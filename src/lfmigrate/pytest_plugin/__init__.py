"""A pytest plugin: a migrated database for each test. docs/pytest.md explains the fixtures.

The template is migrated once per run, in whichever worker of xdist comes first, and each test gets
a copy of it, which the server makes in milliseconds. Every module that is more than pytest's own is
imported by the fixture that needs it, so that a project without such tests pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lfmigrate import Folder
    from lfmigrate.postgres.connection import Connection
    from lfmigrate.pytest_plugin.databases import TestDatabases

Migrate = Callable[["Connection"], None]
CreateDatabase = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini options."""
    parser.addini(
        "lfmigrate_sql_dir",
        "SQL directory that the databases of tests are migrated with, relative to this file"
        " (LFMIGRATE_SQL_DIR overrides it)",
        default="",
    )
    parser.addini(
        "lfmigrate_database_url",
        "any database of the server on which tests get databases of their own (default: a private"
        " PostgreSQL; LFMIGRATE_TEST_URL overrides it)",
        default="",
    )


@pytest.fixture(scope="session")
def lfmigrate_server_url(pytestconfig: pytest.Config) -> str:
    """Return the URL of the server on which tests get databases; may be overridden."""
    url = os.environ.get("LFMIGRATE_TEST_URL") or pytestconfig.getini("lfmigrate_database_url")
    if url:
        return _Url(url)
    from lfmigrate.pytest_plugin.server import private_server  # noqa: PLC0415 (see above)

    with _reported():
        return _Url(private_server(pytestconfig.rootpath))


@pytest.fixture(scope="session")
def lfmigrate_folder(pytestconfig: pytest.Config) -> Folder:
    """Return the SQL files that the template is migrated with; may be overridden."""
    from lfmigrate.pytest_plugin.project import project_folder  # noqa: PLC0415 (see above)

    home = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    name = pytestconfig.getini("lfmigrate_sql_dir")
    with _reported():
        return project_folder(pytestconfig.rootpath, home / name if name else None)


@pytest.fixture(scope="session")
def lfmigrate_migrate(lfmigrate_folder: Folder, pytestconfig: pytest.Config) -> Migrate:
    """Return what prepares the template, given a connection to it; may be overridden.

    It runs once per run.
    """
    import lfmigrate  # noqa: PLC0415 (see above)
    from lfmigrate.pytest_plugin.project import (  # noqa: PLC0415 (see above)
        create_schema,
        project_scope,
    )

    with _reported():
        scope = project_scope(pytestconfig.rootpath)

    def migrate(conn: Connection) -> None:
        create_schema(conn, scope)
        lfmigrate.up(conn, lfmigrate_folder, scope=scope)

    return migrate


@pytest.fixture(scope="session")
def _lfmigrate_databases(
    lfmigrate_server_url: str, pytestconfig: pytest.Config
) -> Iterator[TestDatabases]:
    """Yield the databases of this run."""
    from lfmigrate.pytest_plugin.databases import TestDatabases  # noqa: PLC0415 (see above)

    # What the workers of xdist have in common.
    worker = getattr(pytestconfig, "workerinput", {})
    with _reported():
        databases = TestDatabases(lfmigrate_server_url, worker.get("testrunuid"))
    with closing(databases):
        yield databases


@pytest.fixture(scope="session")
def lfmigrate_template(_lfmigrate_databases: TestDatabases, lfmigrate_migrate: Migrate) -> str:
    """Return the name of the migrated database of which each test gets a copy."""
    with _reported():
        return _lfmigrate_databases.template("template", lfmigrate_migrate)


@pytest.fixture
def lfmigrate_create_database(
    _lfmigrate_databases: TestDatabases, request: pytest.FixtureRequest
) -> Iterator[CreateDatabase]:
    """Return a function that creates a database for this test and returns its URL.

    It is a copy of the template, or with ``empty=True`` an empty one.
    """
    names: list[str] = []

    def create(*, empty: bool = False) -> str:
        with _reported():
            template = None if empty else request.getfixturevalue("lfmigrate_template")
            names.append(_lfmigrate_databases.create(template))
            return _Url(_lfmigrate_databases.url(names[-1]))

    yield create
    with _reported():
        _lfmigrate_databases.drop(*names)


@pytest.fixture
def lfmigrate_database(lfmigrate_create_database: CreateDatabase) -> str:
    """Return the URL of a migrated database of this test's own; it is dropped afterwards."""
    return lfmigrate_create_database()


@pytest.fixture
def lfmigrate_connection(lfmigrate_database: str) -> Iterator[Connection]:
    """Return an autocommit connection to the database of ``lfmigrate_database``."""
    import lfmigrate  # noqa: PLC0415 (see above)

    with _reported():
        conn = lfmigrate.connect(lfmigrate_database)
    with closing(conn):
        yield conn


class _Url(str):
    """A URL whose password pytest does not print with the arguments of a failed test."""

    __slots__ = ()

    def __repr__(self) -> str:
        from lfmigrate.redaction import redact  # noqa: PLC0415 (see above)

        return repr(redact(str(self), ()))


@contextmanager
def _reported() -> Iterator[None]:
    """Fail a test with lfmigrate's message, without a traceback, which would quote URLs."""
    from lfmigrate.errors import LfmigrateError  # noqa: PLC0415 (see above)

    try:
        yield
    except LfmigrateError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
