"""Finds and reads a `.env` file."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate.errors import UsageError
from lfmigrate.settings.trust import refuse_foreign

# What lfmigrate would read in a line.
_OURS = re.compile(r"DATABASE_URL|LFMIGRATE_|\bPG[A-Z]")


@dataclass(frozen=True, slots=True)
class DotEnv:
    """A ``.env`` file.

    Attributes:
        path: Its path.
        values: Its variables; None for a name without a value.
        ignored_lines: The numbers of lines that cannot be read and do not concern lfmigrate.
    """

    path: Path
    values: Mapping[str, str | None] = field(repr=False)
    ignored_lines: tuple[int, ...] = ()


def find_dotenv(folder: Path) -> Path | None:
    """Return the path of the ``.env`` in a folder or the nearest one above it.

    Raises:
        UsageError: It belongs to another user.
    """
    for each in (folder, *folder.parents):
        try:
            is_there = (each / ".env").is_file()
        except OSError:  # a folder that may not be entered
            continue
        if is_there:
            refuse_foreign(each / ".env", folder)
            return each / ".env"
    return None


def read_dotenv(path: Path) -> DotEnv:
    """Read a ``.env`` file.

    Raises:
        UsageError: It cannot be read; or a line cannot that has one of lfmigrate's variables.
    """
    # Slow: it builds a parser out of two dozen patterns.
    from dotenv import dotenv_values  # noqa: PLC0415
    from dotenv.parser import parse_stream  # noqa: PLC0415

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"cannot read the .env file: {reason}", detail=[str(path)]) from None
    lines = list(parse_stream(io.StringIO(text)))
    unreadable = []
    for _, _, (line, number), is_unreadable in lines:
        if not is_unreadable:
            continue
        # Blank lines before one belong to it.
        blank = line[: len(line) - len(line.lstrip())].count("\n")
        unreadable.append(number + blank)
        if _OURS.search(line):
            raise UsageError(
                f"line {number + blank} of {path} cannot be read",
                hint="Write NAME=VALUE; a value with a quote, a # or a line break in it belongs in"
                " quotes.",
            )
    # Without them, because it would print them itself.
    readable = "".join(line.original.string for line in lines if not line.error)
    values = dotenv_values(stream=io.StringIO(readable))
    return DotEnv(path, values, tuple(unreadable))
