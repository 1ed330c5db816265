"""What a session had before a run, and which statements release what files left in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

# A table with deferred events cannot be dropped, and a function takes its triggers with it. Both
# fire before that, as they would at the end of a run of their own.
_SETTLE_TEMPORARY = """DO $settle$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT n.nspname, c.conname
        FROM pg_catalog.pg_constraint AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
        WHERE c.condeferrable AND (n.oid = pg_catalog.pg_my_temp_schema() OR EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS t
            JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
            WHERE t.tgconstraint = c.oid AND p.pronamespace = pg_catalog.pg_my_temp_schema()))
    LOOP
        EXECUTE pg_catalog.format('SET CONSTRAINTS %I.%I IMMEDIATE', found.nspname, found.conname);
    END LOOP;
END
$settle$"""

# What releases all of a kind that a file may have left in the session. Cursors come first: they may
# use temporary tables.
_RELEASES = (
    ("cursors", "CLOSE ALL"),
    ("prepared", "DEALLOCATE ALL"),
    ("channels", "UNLISTEN *"),
    ("locks", "SELECT pg_catalog.pg_advisory_unlock_all()"),
    ("temporary", _SETTLE_TEMPORARY),
    ("temporary", "DISCARD TEMP"),
    ("sequences", "DISCARD SEQUENCES"),
    ("plans", "DISCARD PLANS"),
)

# What a rollback undoes.
_UNDONE = ("cursors", "channels", "temporary")


class Defaults(NamedTuple):
    """The settings under which files run: the connection's own, read before the run.

    Attributes:
        search_path: With the scope's schema first.
        session_user: The session's user, which the caller may have changed.
        role: ``none``, or the role that the caller has set.
        jit: ``on`` or ``off``.
        settings: Those that the session has changed, by name.
        own: The kinds of what else the session had before the run, which it keeps.
    """

    search_path: str
    session_user: str
    role: str
    jit: str
    settings: Mapping[str, str]
    own: Collection[str] = ()


def releases(own: Collection[str], *, rolled_back: bool = False) -> list[str]:
    """Return the statements that release what a file may have left in the session.

    Args:
        own: The kinds of which the session had something before the run; they are left alone.
        rolled_back: Whether the transaction was rolled back, which releases some kinds.

    Returns:
        Statements, all of which may run in a transaction.
    """
    kept = {*own, *(_UNDONE if rolled_back else ())}
    if "cursors" in own:
        # A cursor that stays may use a temporary table.
        kept.add("temporary")
    return [statement for kind, statement in _RELEASES if kind not in kept]
