"""Versions: the number by which migrations are identified and ordered. Pure."""

from __future__ import annotations

import re
from typing import Self

# How diesel writes a time with more digits than seconds have.
_DASHED = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})-([0-9]{6})(?:-([0-9]+))?")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_TYPED = re.compile(r"[0-9][0-9.-]{0,99}")
_DIGITS = re.compile(r"[0-9]*")

# Ids without a number at their beginning come after all that have one.
_LAST = 1 << 256


class _Between(int):
    """A number with something behind it: between that number and the next one.

    It is an `int`, so that code which compares numbers and looks them up need not know of it.
    """

    rest: tuple[int, ...]

    def __new__(cls, number: int, rest: tuple[int, ...]) -> Self:
        """Return a number that is followed by `rest`, which is compared item by item."""
        found = super().__new__(cls, number)
        found.rest = rest
        return found

    @property
    def _place(self) -> tuple[int, tuple[int, ...]]:
        return int(self), self.rest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and self._place == _place(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._place)

    def __lt__(self, other: int) -> bool:
        return self._place < _place(other)

    def __le__(self, other: int) -> bool:
        return self._place <= _place(other)

    def __gt__(self, other: int) -> bool:
        return self._place > _place(other)

    def __ge__(self, other: int) -> bool:
        return self._place >= _place(other)


def _place(number: int) -> tuple[int, tuple[int, ...]]:
    return int(number), number.rest if isinstance(number, _Between) else ()


def number(version: str) -> int:
    """Return what identifies a migration and orders it among others.

    How a version is compared follows from how it is written:

    - digits are a number: ``002`` equals ``2``;
    - parts with dots are compared one by one, as numbers (Flyway): ``1.9`` < ``1.10``, and ``1.0``
      equals ``1``;
    - a time with dashes is the number of its first 14 digits; what follows is compared as text
      (diesel): ``2024-05-01-120000`` equals ``20240501120000``;
    - anything else is an id, compared by the number that it begins with, and then as text (Prisma,
      sql-migrate).

    Args:
        version: As the history and the file name have it.
    """
    if version.isascii() and version.isdigit():
        return int(version)
    if _DOTTED.fullmatch(version):
        first, *others = map(int, version.split("."))
        while others and not others[-1]:
            del others[-1]
        return _Between(first, tuple(others)) if others else first
    if dashed := _DASHED.fullmatch(version):
        seconds = int("".join(dashed.group(1, 2, 3, 4)))
        return _Between(seconds, tuple(dashed[5].encode())) if dashed[5] else seconds
    match = _DIGITS.match(version)
    digits = match.group() if match else ""
    return _Between(int(digits) if digits else _LAST, tuple(version.encode()))


def is_named_by(version: str, text: str) -> bool:
    """Return whether a text that a person has typed names a version.

    Zeros in front do not matter, nor does how a version is written that is more than a number.
    """
    # Compared as text, because int() refuses very long numbers.
    if version.lstrip("0") == text.lstrip("0"):
        return True
    more = _DOTTED.fullmatch(version) or _DASHED.fullmatch(version)
    return bool(more and _TYPED.fullmatch(text)) and number(version) == number(text)


def label(version: str, name: str) -> str:
    """Return what messages call a migration; its version alone if that is all of its name."""
    return f"{version}_{name}" if name else version
