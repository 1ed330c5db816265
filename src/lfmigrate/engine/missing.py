"""What a shadow database lacks: says what would help when a replay fails."""

from __future__ import annotations

from collections.abc import Sequence

from lfmigrate.errors import StatementFailed

# Something does not exist, or may not be used.
_MISSING = frozenset({"3F000", "42P01", "42703", "42704", "42883"})
_FORBIDDEN = frozenset({"42501"})


def with_hint(error: StatementFailed, notes: Sequence[str]) -> StatementFailed:
    """Say where a statement of a file failed, and what may be missing there.

    Args:
        error: The failure of a replay; it is changed.
        notes: What is missing from the shadow database as far as is known.
    """
    error.detail = (*error.detail, "It failed in an empty shadow database.", *notes)
    if error.sqlstate in _MISSING:
        error.hint = (
            "If the files do not create what it needs, put a statement that does into a file of"
            " SQL, and name that file with --shadow-setup."
        )
    elif error.sqlstate in _FORBIDDEN:
        error.hint = (
            "If the role has that privilege in the live database, put a GRANT into a file of"
            " SQL, and name that file with --shadow-setup."
        )
    return error
