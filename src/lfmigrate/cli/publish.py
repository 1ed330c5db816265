"""What a job of a CI gets besides the report: annotations and a summary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lfmigrate.errors import LfmigrateError
from lfmigrate.settings import Flags

if TYPE_CHECKING:
    from lfmigrate.output.screen import Screen


class Ended(Protocol):
    """A call that has ended, as far as it is published; `Call` is one."""

    command: str | None
    flags: Flags
    document: dict[str, Any]
    folder: Path | None
    seed: Path | None
    reports: list[object]
    source: str

    @property
    def screen(self) -> Screen:
        """Return where it prints."""

    @property
    def elapsed_ms(self) -> float:
        """Return how long it has taken."""


def is_wanted(call: Ended) -> bool:
    """Return whether there is anything to publish; other commands need not import how."""
    return call.flags.summary is not None or in_actions()


def publish(call: Ended, error: LfmigrateError | None) -> None:
    """Print annotations for GitHub Actions, and append to the summary.

    That the summary cannot be written is a warning: the command has done its work.

    Args:
        call: The call, which has ended.
        error: Why it failed; None if it did not.
    """
    if error is not None and in_actions():
        _annotate(call, error)
    named = os.environ.get("GITHUB_STEP_SUMMARY") if in_actions() else None
    path = call.flags.summary or (Path(named) if named else None)
    if path is not None:
        _append(call, path, error)


def in_actions() -> bool:
    """Return whether GitHub Actions runs the command."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _title(call: Ended) -> str:
    return f"lfmigrate {call.command}" if call.command else "lfmigrate"


def _annotate(call: Ended, error: LfmigrateError) -> None:
    from lfmigrate.output.annotations import annotation, places  # noqa: PLC0415 (slow, and rare)

    for place in places(error, call.reports[-1] if call.reports else None):
        path = None if place.file is None else _in_workspace(call, place.file)
        call.screen.annotate(annotation(place, _title(call), path, clean=call.screen.clean))


def _in_workspace(call: Ended, name: str) -> str | None:
    """Return the path of a file from the root of the workspace; None if it is outside.

    Args:
        call: The call.
        name: The file's name in messages, which is from the folder that it was read in.
    """
    found = next((path for path in _candidates(call, name) if path.is_file()), None)
    root = os.environ.get("GITHUB_WORKSPACE")
    if found is None or not root:
        return None
    try:
        return found.resolve().relative_to(Path(root).resolve()).as_posix()
    except ValueError:
        return None


def _candidates(call: Ended, name: str) -> Iterator[Path]:
    folders = [*([call.seed] if call.seed else []), *([call.folder] if call.folder else [])]
    for folder in folders:
        yield folder / name
        yield folder / "seed" / name
    yield Path(name)


def _append(call: Ended, path: Path, error: LfmigrateError | None) -> None:
    from lfmigrate.output.markdown import summary  # noqa: PLC0415 (as above)

    text = summary(
        _title(call),
        call.reports,
        error,
        elapsed_ms=call.elapsed_ms,
        clean=call.screen.clean,
        source=call.source,
    )
    try:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as failed:
        warning = f"the summary could not be written to {path}: {failed.strerror}"
        call.screen.warn(warning)
        call.document["notes"] = [*call.document.get("notes", ()), warning]
