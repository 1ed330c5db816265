"""What a shadow database lacks: says what would help when a replay fails."""

from __future__ import annotations

from collections.abc import Sequence

from lfmigrate.engine.shadow import Shadow
from lfmigrate.errors import StatementFailed
from lfmigrate.syntax.names import quote_name

_SETUP = "put a statement that does into a file of SQL, and name that file with --shadow-setup."

# What the setup can create, by the SQLSTATE with which it is missed.
_CREATED = {
    "3F000": "schema",
    "42P01": "table, view or sequence",
    "42703": "column",
    "42704": "type, role, language, collation, operator class, text search configuration, ...",
    "22023": "role of SET ROLE, encoding",
    "42883": "function, procedure, operator",
    "42846": "cast",
    "42804": "cast of an assignment",
}

# What the server has, and no statement creates in a transaction.
_INSTALLED = {
    "58P01": "library; up to 14, extension",
    "0A000": "extension",
    "3D000": "database",
}

_FORBIDDEN = "42501"


def with_hint(
    error: StatementFailed, notes: Sequence[str], shadow: Shadow, role: str
) -> StatementFailed:
    """Say where a statement of a file failed, and what may be missing there.

    Args:
        error: The failure of a replay; it is changed.
        notes: What is missing from the shadow database as far as is known.
        shadow: Where it failed.
        role: The role of the command.
    """
    error.detail = (*error.detail, "It failed in an empty shadow database.", *notes)
    # Roles, tablespaces and libraries belong to a server; the live one has what the files need.
    elsewhere = (
        "Or replay where the live database is: name a database of that server with --shadow-url, or"
        f" let a superuser run ALTER ROLE {quote_name(role)} CREATEDB."
    )
    if error.sqlstate in _CREATED:
        error.hint = f"If the files do not create what it needs, {_SETUP}"
        if not shadow.is_live_server:
            error.hint += f" {elsewhere}"
    elif error.sqlstate in _INSTALLED and not shadow.is_live_server:
        error.hint = f"The server of the shadow database may lack what it needs. {elsewhere}"
    elif error.sqlstate == _FORBIDDEN:
        error.hint = (
            "If the role has that privilege in the live database, put a GRANT into a file of"
            " SQL, and name that file with --shadow-setup."
        )
    return error
