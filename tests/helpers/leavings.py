"""What a file can leave in a session."""

from __future__ import annotations

# A statement for each kind of what outlives a transaction, of one owner.
LEAVINGS = {
    "prepared": "PREPARE {0}_prepared AS SELECT 1",
    "cursors": "DECLARE {0}_cursor CURSOR WITH HOLD FOR SELECT 1",
    "channels": "LISTEN {0}_channel",
    "locks": "SELECT pg_advisory_lock(hashtext('{0}'))",
    "temporary": "CREATE TEMPORARY TABLE {0}_temporary (n int)",
}

# What a session has of each kind, in the same order.
HAS = """SELECT
    ARRAY(SELECT name FROM pg_prepared_statements ORDER BY name),
    ARRAY(SELECT name FROM pg_cursors WHERE is_holdable ORDER BY name),
    ARRAY(SELECT pg_listening_channels() ORDER BY 1),
    ARRAY(SELECT objid::bigint FROM pg_locks
          WHERE pid = pg_backend_pid() AND locktype = 'advisory' ORDER BY 1),
    ARRAY(SELECT relname::text FROM pg_class
          WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r' ORDER BY 1)"""


def leaving(owner: str) -> str:
    """Return statements that leave one of each kind in the session."""
    return "".join(f"{statement.format(owner)};\n" for statement in LEAVINGS.values())
