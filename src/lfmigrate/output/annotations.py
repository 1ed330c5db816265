"""Which file a failure is about, and annotations that GitHub Actions shows at its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatch

from lfmigrate.commands.check import FolderReport
from lfmigrate.commands.status import StatusReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import LfmigrateError
from lfmigrate.history.states import FileStates
from lfmigrate.output.page import printable


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, and what is wrong there.

    Attributes:
        message: What is wrong.
        file: The file's name as in messages; None if no file is known.
        line: The line, from 1; None if it is not known.
        column: The column in characters, from 1; None if it is not known.
    """

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None


def places(error: LfmigrateError, report: object) -> list[Place]:
    """Return what is wrong where; at least one place, if need be without a file.

    Args:
        error: Why a command failed.
        report: What it had reported; None if nothing.
    """
    if error.file is None and (differing := list(differences(report))):
        return differing
    return list(_places(error))


def _places(error: LfmigrateError) -> Iterator[Place]:
    for each in error.parts or [error]:
        yield Place("\n".join(_lines(each)), each.file, each.line, each.column)


def _lines(error: LfmigrateError) -> Iterator[str]:
    yield error.message
    yield from error.facts
    if error.hint:
        yield f"hint: {error.hint}"


@singledispatch
def differences(_report: object) -> Iterator[Place]:
    """Return the differences in a report of which a file is known."""
    yield from ()


@differences.register
def _(report: VerifyReport) -> Iterator[Place]:
    for verdict in report.relations:
        if verdict.status == "ok":
            continue
        parts = [
            f"{each.part}: expected {each.expected or 'nothing'}, found {each.live or 'nothing'}"
            for each in verdict.differences
        ]
        relation = verdict.relation
        yield Place(
            "\n".join([f"{verdict.status} {relation.kind} {relation.label}", *parts]),
            report.made_by.get(relation.key),
        )
    if report.files is not None:
        yield from _edited(report.files)


@differences.register
def _(report: StatusReport) -> Iterator[Place]:
    yield from _edited(report.files)


@differences.register
def _(report: FolderReport) -> Iterator[Place]:
    for proof in report.proofs:
        if proof.error is not None:
            yield from _places(proof.error)


def _edited(files: FileStates) -> Iterator[Place]:
    """Return the migrations of a folder that are not what was applied."""
    for state in files.migrations:
        if state.migration is None:
            continue
        if state.status == "edited":
            yield Place(f"{state.label} was edited after it was applied", state.migration.up.name)
        if state.status == "conflict":
            yield Place(
                f"version {state.version} is that of another migration in the history",
                state.migration.up.name,
            )


def annotation(
    place: Place, title: str, path: str | None, *, clean: Callable[[str], str] = str
) -> str:
    """Return the line that makes GitHub Actions show an error at a place.

    Args:
        place: The place.
        title: What to call it, such as ``lfmigrate up``.
        path: The file's path from the root of the workspace; None if it is not in there.
        clean: Removes passwords.

    Source:
        GitHub Actions, "Workflow commands"; what is escaped: actions/toolkit, command.ts.
    """
    properties = {"title": title}
    if path is not None:
        line = str(place.line) if place.line is not None else "1"
        column = {"col": str(place.column)} if place.column is not None else {}
        properties = {"file": path, "line": line, **column, **properties}
    given = ",".join(f"{name}={_property(clean(value))}" for name, value in properties.items())
    return f"::error {given}::{_data(clean(place.message))}"


def _data(text: str) -> str:
    # Before control characters are escaped: these are the ones that have another way.
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(escaped)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
