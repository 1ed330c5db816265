"""The one write: a recommendation's status."""

from __future__ import annotations

import json
from collections.abc import Mapping

import psycopg
from psycopg import errors

from lfmigrate.dashboard.parameters import StatusChange
from lfmigrate.dashboard.problems import Problem
from lfmigrate.dashboard.reads import Database, Row, query


def change_status(database: Database, id: int, change: StatusChange, name: str) -> str:  # noqa: A002 (the column's name)
    """Set a recommendation's status, if it is still what the caller has seen.

    The first flight runs the statement, the second one commits: only if that one gets no answer is
    the outcome not known. Nothing is ever sent a second time.

    Args:
        database: Where to write.
        id: The recommendation.
        change: The new status.
        name: Who decides.

    Returns:
        The document of the answer.

    Raises:
        Problem: There is no such recommendation, its status is another one by now, the role may
            not write, or the connection was lost.
    """
    sent = False
    parameters = {
        "id": id,
        "status": change.status,
        "new_status": change.status,
        "expected": change.expected_status,
        "changed_by": name,
    }
    try:
        with database.connection() as conn:
            document = _changed(database, conn, parameters)
            sent = True
            conn.execute("COMMIT")
    except psycopg.OperationalError:
        raise Problem("outcome-unknown" if sent else "database-unreachable") from None
    return f'{{"success":true,"recommendation":{document}}}'


def _changed(
    database: Database, conn: psycopg.Connection[Row], parameters: Mapping[str, object]
) -> str:
    """Run the statement, without the commit, and return the audit columns as a document."""
    try:
        with conn.pipeline():
            database.begin(conn, "BEGIN ISOLATION LEVEL READ COMMITTED")
            answer = conn.execute(query("change_status").encode(), parameters)
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        raise Problem("read-only") from None
    row = answer.fetchone()
    if row is None:
        raise Problem("recommendation-not-found")
    agrees, document = row
    if document is None:  # a policy lets the role see the row, and not change it
        raise Problem("read-only")
    if not agrees:
        now = json.loads(document)
        members = {"currentStatus": now["status"]} | {
            name: now[name] for name in ("statusChangedAt", "statusChangedBy")
        }
        raise Problem("status-changed", members=members)
    if json.loads(document)["status"] != parameters["status"]:
        raise Problem("read-only", "The database has not changed it: a trigger may prevent that.")
    return str(document)
