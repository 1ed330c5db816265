"""Reads settings that are written as text."""

from __future__ import annotations

import re
from pathlib import Path

_MS_PER_UNIT = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}

_ON = frozenset({"1", "true", "yes", "on"})

_OFF = frozenset({"", "0", "false", "no", "off"})


def utf8(text: str) -> str:
    """Return a text unchanged.

    Raises:
        ValueError: It has a byte that is not UTF-8; Python holds it as a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    return text


def duration_ms(text: str) -> int:
    """Read a duration such as ``5s``, ``500ms``, ``2min`` or ``0``, in milliseconds.

    Raises:
        ValueError: It is not a duration; the message says what one looks like.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)", text.strip())
    if text.strip() == "0":
        return 0
    if match is None:
        raise ValueError(f'invalid duration "{text}": use 500ms, 5s, 2min, 1h, or 0 for no limit')
    milliseconds = float(match[1]) * _MS_PER_UNIT[match[2]]
    # PostgreSQL counts its timeouts in a 32-bit number of milliseconds.
    if milliseconds > 2**31 - 1:
        raise ValueError(f'duration "{text}" is too long; the maximum is 596h')
    # Rounded up: a limit that was asked for must not become 0, which is none.
    return max(1, round(milliseconds)) if milliseconds else 0


def seconds(text: str) -> float:
    """Read a number of seconds, up to a day.

    Raises:
        ValueError: It is not one.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1
    # The comparison is false for "nan", too.
    if not 0 <= number < 86_400:  # noqa: PLR2004 (a day is long enough)
        raise ValueError(f'invalid number of seconds "{text}": use a number such as 0, 15 or 90')
    return number


def existing_file(text: str) -> Path:
    """Return the path of a file.

    Raises:
        ValueError: There is none.
    """
    path = Path(utf8(text))
    if not path.is_file():
        raise ValueError(f'there is no file "{text}"')
    return path


def switch(text: str | None) -> bool | None:
    """Read ``1`` or ``0``, as a variable has it; None if it is not set.

    Raises:
        ValueError: It is neither.
    """
    if text is None or text == "":
        return None
    if text.lower() not in _ON | _OFF:
        raise ValueError("use 1 or 0")
    return text.lower() in _ON
