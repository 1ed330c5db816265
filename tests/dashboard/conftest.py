"""What the tests of the dashboard share: a seeded database, and the application on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo
from starlette.testclient import TestClient

from lfmigrate.dashboard import create_app
from lfmigrate.settings import Serving

# Fixtures, which pytest finds here.
from tests.dashboard.browser import axe, browser, dashboard, open_page, site  # noqa: F401
from tests.helpers import databases

Api = Callable[..., TestClient]
Serve = Callable[..., "Server"]


@pytest.fixture(scope="session")
def seeded_to_read(server_url: str, seeded_template: str) -> Iterator[str]:
    """Return the URL of a seeded database that no test changes."""
    # Not the template: it could not be cloned as long as a session is in it.
    with databases.new_database(server_url, seeded_template) as name:
        yield make_conninfo(server_url, dbname=name)


@pytest.fixture
def api() -> Iterator[Api]:
    """Return a function that starts the application: ``api(url, read_only=True)``."""
    with ExitStack() as stack:

        def start(url: str, **serving: Any) -> TestClient:
            app = create_app(url, Serving(quiet=True, changed_by="tester", **serving))
            return stack.enter_context(TestClient(app, base_url="http://localhost:8002"))

        yield start


@dataclass
class Server:
    """A running ``lfmigrate serve``.

    Attributes:
        process: The process.
        address: Where its first page is.
    """

    process: subprocess.Popen[str]
    address: str

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Stop it, and return its exit code and what it said on standard error."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that runs ``lfmigrate serve`` on a free port: ``serve(url, "-q")``."""
    with ExitStack() as stack:

        def start(url: str, *arguments: str, **environment: str) -> Server:
            inherited = {k: v for k, v in os.environ.items() if not k.startswith("LFMIGRATE_")}
            process = subprocess.Popen(
                [sys.executable, "-m", "lfmigrate", "serve", "--port", "0", *arguments],
                cwd=tmp_path,
                env=inherited | {"DATABASE_URL": url} | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            return Server(process, process.stdout.readline().strip())

        yield start
