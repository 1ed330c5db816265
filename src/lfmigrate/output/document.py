"""JSON documents: errors, and the head that every command's document has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lfmigrate.errors import LfmigrateError


def document(
    command: str | None, content: dict[str, Any], error: LfmigrateError | None, elapsed_ms: float
) -> dict[str, Any]:
    """Return the whole document of a command.

    Args:
        command: Its name; None where the command line named none.
        content: What is known of the database, and what its report says.
        error: Why it failed; None if it did not.
        elapsed_ms: How long it took.
    """
    head = {
        "command": command,
        "ok": error is None,
        "exit_code": 0 if error is None else error.exit_code,
        "database": None,
        "schema": None,
        "elapsed_ms": round(elapsed_ms),
    }
    return head | content | ({} if error is None else {"error": _error(error)})


def each_text(value: Any, clean: Callable[[str], str]) -> Any:  # noqa: ANN401 (JSON)
    """Return a JSON value with all its texts cleaned."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {key: each_text(item, clean) for key, item in value.items()}
        case list() | tuple():
            return [each_text(item, clean) for item in value]
    return value


def _error(error: LfmigrateError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "detail": list(error.facts),
        "hint": error.hint,
        "sqlstate": error.sqlstate,
        "file": error.file,
        "line": error.line,
        "column": error.column,
    }
