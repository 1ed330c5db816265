"""A browser that looks at a real server of the dashboard, and fails on what a user must not meet.

A page may load from its own server only, write no error to the console and violate no content
security policy. Whether it did is asked when its test ends.
"""

from __future__ import annotations

import getpass
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    sync_playwright,
)
from psycopg.conninfo import make_conninfo

from lfmigrate.dashboard import create_app
from lfmigrate.settings import Serving
from tests.helpers import databases
from tests.helpers.faults import wait_until

CHROMIUM = Path("/usr/bin/chromium")
# No sandbox, because CI runs as root; the others keep the browser from calling its maker.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = "4.14.1"
# The console reports each answer of 400 and more, and each request that failed. What the page
# makes of them is what a test looks at.
_FAILED_REQUEST = re.compile(r"Failed to load resource: (the server responded|net::)")
_CSP_REPORT = """
    addEventListener('securitypolicyviolation', (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""

Open = Callable[..., Page]
Dashboard = Callable[..., str]


def unavailable(why: str) -> NoReturn:
    """Skip at a desk, fail in CI: there, a test that did not run would pass unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def _served(url: str, **serving: Any) -> Iterator[str]:
    """Serve the dashboard of a database from a thread, and give its address."""
    app = create_app(url, Serving(quiet=True, **{"changed_by": "tester", **serving}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), "the server started")
        listener = server.servers[0].sockets[0]
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    """Return a function that serves a database: ``dashboard(url, read_only=True)``."""
    with ExitStack() as stack:

        def start(url: str, **serving: Any) -> str:
            return stack.enter_context(_served(url, **serving))

        yield start


@pytest.fixture(scope="session")
def site(server_url: str, seeded_template: str) -> Iterator[str]:
    """Return the address of a dashboard with the shipped rows, for tests that change nothing."""
    # Not of the template itself, which cannot be cloned while a pool is connected to it.
    with (
        databases.new_database(server_url, seeded_template) as name,
        _served(make_conninfo(server_url, dbname=name)) as address,
    ):
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a browser without a window."""
    if not CHROMIUM.exists():
        unavailable(f"no browser to test with: {CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Return a function that opens an address and waits until its document is shown.

    ``open_page(address, ready="h2", viewport=…)``: `ready` selects what to wait for instead;
    `hosts` are others that the page may load from; all else goes to the browser's context.
    """
    faults: list[str] = []
    with ExitStack() as stack:

        def start(
            address: str, *, ready: str = "footer.foot", hosts: tuple[str, ...] = (), **options: Any
        ) -> Page:
            context = browser.new_context(
                locale="en-US", timezone_id="America/New_York", reduced_motion="reduce", **options
            )
            stack.callback(context.close)
            context.set_default_timeout(30_000)
            context.add_init_script(_CSP_REPORT)
            known = "|".join(map(re.escape, [urlsplit(address).netloc, *hosts]))

            def refuse(route: Route, request: Request) -> None:
                faults.append(f"a request to {request.url}")
                route.abort()

            def listen(message: ConsoleMessage) -> None:
                if message.type == "error" and not _FAILED_REQUEST.match(message.text):
                    faults.append(f"on the console: {message.text}")

            context.route(re.compile(rf"^(?!data:|https?://({known})/)"), refuse)
            page = context.new_page()
            page.on("console", listen)
            page.on("pageerror", lambda error: faults.append(f"an error: {error}"))
            page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
            page.goto(address)
            page.locator(ready).first.wait_for()
            return page

        yield start
    if faults:
        pytest.fail("\n".join(faults))


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the text of axe-core, from LFMIGRATE_TEST_AXE or from npm."""
    if named := os.environ.get("LFMIGRATE_TEST_AXE"):
        return Path(named).read_text(encoding="utf-8")
    kept = Path(tempfile.gettempdir()) / f"lfmigrate-axe-{_AXE}-{getpass.getuser()}.js"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            unavailable("no axe-core to test with: npm is missing")
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", "--silent", f"axe-core@{_AXE}"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                unavailable(f"no axe-core to test with: npm says {done.stderr.strip()}")
            archive = next(Path(folder).glob("*.tgz")).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(archive)) as package:
            member = package.extractfile("package/axe.min.js")
            assert member is not None
            text = member.read()
        # At once, because several workers may do this.
        written = kept.with_suffix(f".{os.getpid()}")
        written.write_bytes(text)
        written.replace(kept)
    return kept.read_text(encoding="utf-8")


def address_of(page: Page) -> str:
    """Return the path and the query of a page."""
    return re.sub(r"^\w+://[^/]+", "", page.url)


def press_until_focused(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Move the focus with the keyboard alone until it is where it is wanted."""
    for _ in range(150):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} does not lead to {wanted}")


def is_focused(wanted: Locator) -> bool:
    """Return whether an element has the focus."""
    return bool(wanted.evaluate("(element) => element === document.activeElement"))


def said(page: Page) -> Locator:
    """Return what is read aloud when it changes."""
    return page.locator(".page > [role=status]")


def row_of(page: Page, title: str) -> Locator:
    """Return one recommendation of the list."""
    return page.locator(".recommendations > li", has_text=title)
