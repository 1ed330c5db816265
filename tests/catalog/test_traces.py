"""Which rows of a table are a transaction's own, and which are another's."""

from __future__ import annotations

from contextlib import closing

import lfmigrate
from lfmigrate import catalog
from lfmigrate.catalog import Rows, WrittenTable
from lfmigrate.postgres.pipeline import execute as run
from lfmigrate.postgres.pipeline import fetch
from tests.helpers.databases import execute, value


def test_rows_of_a_transaction_are_known_from_those_committed_during_it(database: str) -> None:
    """Other transactions with lower and higher ids have committed; a block of its own has one."""
    execute(database, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1), (2)")
    oid = value(database, "SELECT 't'::regclass::oid")
    table = WrittenTable(f"pg_class:{oid}", "public", "t", readable=True, lockable=True, changed=0)
    with closing(lfmigrate.connect(database)) as conn:
        run(conn, "BEGIN")
        run(conn, "INSERT INTO t VALUES (3)")
        execute(database, "INSERT INTO t VALUES (4)")
        run(
            conn,
            "DO $$ BEGIN INSERT INTO t VALUES (5), (6); EXCEPTION WHEN others THEN NULL; END $$",
        )
        assert fetch(conn, catalog.rows_left(table)) == Rows(all=6, old=3)
        execute(database, "INSERT INTO t VALUES (7)")
        assert fetch(conn, catalog.rows_left(table)) == Rows(all=7, old=4)
        run(conn, "UPDATE t SET n = 8 WHERE n IN (1, 4, 5)")
        run(conn, "DELETE FROM t WHERE n IN (2, 3)")
        assert fetch(conn, catalog.rows_left(table)) == Rows(all=5, old=1)
