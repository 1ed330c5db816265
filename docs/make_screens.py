"""Take the README's pictures of the dashboard from a real run on the private PostgreSQL.

Needs the extra `dev` and Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = ViewportSize(width=1280, height=900)
# File, path of the page, colours.
PICTURES: tuple[tuple[str, str, Literal["light", "dark"]], ...] = (
    ("dashboard.png", "/", "light"),
    ("dashboard-dark.png", "/deep-dive/acute-rehab", "dark"),
)
MOST_BYTES = 200_000


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory(prefix="lf") as folder:
        Path(folder).chmod(0o755)  # as root, the server's user has to reach it
        lfmigrate = [sys.executable, "-m", "lfmigrate"]
        for command in ("up", "seed"):
            subprocess.run([*lfmigrate, command, "--embedded"], cwd=folder, check=True)
        serve = [*lfmigrate, "serve", "--embedded", "--port", "0", "--quiet"]
        with subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            try:
                take(next(iter(server.stdout or ())).strip().rstrip("/"))
            finally:
                server.terminate()


def take(address: str) -> None:
    """Take each picture of a running dashboard."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, path, scheme in PICTURES:
            page = browser.new_page(
                viewport=SIZE, color_scheme=scheme, locale="en-US", reduced_motion="reduce"
            )
            page.goto(address + path)
            page.locator('[aria-busy="false"] footer.foot').wait_for()
            taken = page.screenshot(path=HERE / name)
            if len(taken) > MOST_BYTES:
                raise SystemExit(f"{name} has {len(taken)} bytes, more than {MOST_BYTES}")
        browser.close()


if __name__ == "__main__":
    main()
