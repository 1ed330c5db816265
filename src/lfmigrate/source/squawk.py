"""Runs squawk, a linter for migrations, if it is installed. Nothing leaves this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lfmigrate.errors import UsageError

# lfmigrate sets lock_timeout itself, and statement_timeout is one of its options.
_EXCLUDED = "require-lock-timeout,require-statement-timeout"

# A folder of thousands of files takes seconds.
_TIMEOUT_S = 120


def installed() -> str | None:
    """Return the path of squawk: next to this Python or on PATH; None if it is not installed."""
    here = str(Path(sys.executable).parent)
    return shutil.which("squawk", path=os.pathsep.join([here, os.environ.get("PATH", "")]))


def findings(program: str, files: Sequence[Path], *, in_transaction: bool) -> tuple[str, ...]:
    """Run squawk over files, and return a line per finding.

    Args:
        program: What `installed` returned.
        files: The files to check; may be none.
        in_transaction: Whether the files run in a transaction.

    Raises:
        UsageError: squawk could not be run.

    Source:
        squawk, "squawk --help" (its lines and columns count from 0).
    """
    if not files:
        return ()
    wrapped = "--assume-in-transaction" if in_transaction else "--no-assume-in-transaction"
    command = [program, "--reporter=json", wrapped, f"--exclude={_EXCLUDED}"]
    try:
        done = subprocess.run(  # noqa: S603 (the program that the user has installed)
            [*command, *map(str, files)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
        found = json.loads(done.stdout)
        return tuple(
            f"{Path(one['file']).name}:{one['line'] + 1}:{one['column'] + 1}:"
            f" {one['message']} ({one['rule_name']})"
            for one in found
        )
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            "squawk could not be run", detail=[str(error)], hint="Update it, or uninstall it."
        ) from None
