"""Turns parsed JSON into dataclasses, and refuses what does not fit their types. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints


def refuse_constant(name: str) -> NoReturn:
    """Refuse what JSON does not have, and Python reads."""
    raise ValueError(name)


def load_value(kind: Any, value: Any) -> Any:  # noqa: ANN401 (any type, and parsed JSON)
    """Return a value of a type, be it a dataclass, from parsed JSON."""
    if isinstance(kind, type) and is_dataclass(kind):
        optional = {field.name for field in fields(kind) if field.default is not MISSING}
        return kind(
            **{
                name: load_value(hint, value[name])
                for name, hint in _hints(kind).items()
                if name in value or name not in optional
            }
        )
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"expected one of {', '.join(get_args(kind))}, found {value!r}")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {value!r}")
        kinds = get_args(kind)
        kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        return tuple(load_value(one, each) for one, each in zip(kinds, value, strict=True))
    # To Python, true is a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        expected = {int: "a number", bool: "true or false"}.get(kind, "text")
        raise TypeError(f"expected {expected}, found {value!r}")
    if isinstance(value, str) and not _is_text(value):
        raise ValueError(f"{value!r} is not text that a database could have")
    return value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields; each annotation is text, and has to be compiled."""
    return get_type_hints(kind)


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False  # half of a pair of surrogates
