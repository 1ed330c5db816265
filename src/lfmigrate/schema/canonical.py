"""One text for definitions that PostgreSQL prints in two ways. Pure."""

from __future__ import annotations

import re

_LITERAL = r"'(?:[^']|'')*'::[a-z][a-z ]*(?:\(\d+\))?"

_LIST = rf"ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]"

# x IN ('a', 'b') of a varchar column: one cast of the array, or, once that text was read again, as
# after a dump and a restore, a cast of each element. With all parentheses, or without.
_FULL = re.compile(rf"\({_LIST}\)::([a-z][a-z ]*)\[\]")
_PRETTY = re.compile(rf"{_LIST}::([a-z][a-z ]*)\[\]")


def canonical(text: str) -> str:
    """Return the text that PostgreSQL prints of a definition after it was dumped and restored.

    Args:
        text: What one of the functions such as ``pg_get_constraintdef`` has returned.

    Source:
        Found by dumping and restoring, on 14 to 18; the two mean the same.
    """
    if "ARRAY[" not in text:
        return text
    text = _FULL.sub(lambda found: _with_casts(found, "({})::{}"), text)
    return _PRETTY.sub(lambda found: _with_casts(found, "{}::{}"), text)


def _with_casts(found: re.Match[str], form: str) -> str:
    elements = re.findall(_LITERAL, found[1])
    return f"ARRAY[{', '.join(form.format(each, found[2]) for each in elements)}]"
