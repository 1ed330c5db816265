"""What a command calls while it works; `progress` and `screen` show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lfmigrate.postgres.wire import Answer
    from lfmigrate.rows.dump import OnCopy


@dataclass(frozen=True, slots=True)
class Working:
    """What to call while a command works.

    Attributes:
        statement: Called with each statement's answer; None if nothing is shown.
        rows: Called as rows move; None if nothing is shown.
        hide: Clears what is shown, before a question; the next call shows it again.
    """

    statement: Callable[[Answer[Any]], None] | None = None
    rows: OnCopy | None = None
    hide: Callable[[], None] = lambda: None
