"""Requests that a program makes up from the OpenAPI document, against a running server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboard.conftest import Serve

pytestmark = [pytest.mark.any_version, pytest.mark.process]


def test_made_up_requests_are_answered_as_documented(
    serve: Serve, seeded: str, tmp_path: Path
) -> None:
    """Valid and not: each answer is in the document, and none is an error of the server's own."""
    address = serve(seeded, "-q").address
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            program,
            "run",
            f"{address}api/openapi.json",
            *("--checks", "all", "--max-examples", "50", "--seed", "1", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout
