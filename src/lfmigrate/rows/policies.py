"""Row-level security: rows are read as a whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lfmigrate import catalog
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.postgres.pipeline import Flight

_SAVE = "lfmigrate_policies"


class RowsHidden(StatementFailed, Refused):
    """The role may not see all rows of a table; the details name the policies."""

    exit_code = Refused.exit_code
    code = Refused.code

    def __init__(self, message: str, *, detail: Iterable[str] = (), **what: Any) -> None:  # noqa: ANN401 (as the root of all errors has them)
        # Without the server's context.
        lines = [line for line in detail if line.startswith("table ")]
        super().__init__(message, detail=lines, **what)


def see_all_rows(flight: Flight, tables: Iterable[tuple[str, str]], *, may_lift: bool) -> None:
    """Queue what makes every row of some tables visible, or fails.

    From then on the server refuses to read rows that a policy might hide, instead of leaving them
    out. The flight fails with `RowsHidden` if that concerns one of the tables.

    Args:
        flight: In a transaction.
        tables: Schema and name of each table that will be read. Those of a partitioned table need
            not be named, because its own policies apply when it is read.
        may_lift: Whether ``FORCE ROW LEVEL SECURITY`` may be lifted from tables of the role's own,
            unless the transaction is read-only. They are then locked in ACCESS EXCLUSIVE mode; roll
            back to a savepoint afterwards.
    """
    named = [{"schema": schema, "name": name} for schema, name in tables]
    flight.set(
        {
            "row_security": "off",
            "lfmigrate.tables": json.dumps(named),
            "lfmigrate.may_lift": str(may_lift).lower(),
        }
    )
    flight.do(catalog.query_text("all_rows"), raises={"LF004": RowsHidden})


@contextmanager
def all_rows_visible(flight: Flight, tables: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Let what is queued in the block see every row of some tables; see `see_all_rows`.

    Args:
        flight: In a transaction that has locked the tables in ACCESS EXCLUSIVE mode.
        tables: Schema and name of each table.
    """
    flight.do(f"SAVEPOINT {_SAVE}")
    see_all_rows(flight, tables, may_lift=True)
    yield
    flight.do(f"ROLLBACK TO SAVEPOINT {_SAVE}")
    flight.do(f"RELEASE SAVEPOINT {_SAVE}")
