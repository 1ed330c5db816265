"""`verify` in a database full of unrelated tables, and in one without them."""

from __future__ import annotations

import psycopg
from psycopg import sql

from bench.installed import LFMIGRATE
from bench.measure import Run, Samples, Settings, fresh_database, say, timed
from bench.result import Goal, Table
from bench.tools import SHIPPED_SQL, verify_command

TABLES = 20_000

# For the time of verify, as a ratio to the one in a database without other tables.
AT_MOST = 1.5

# Each table and its index hold a lock until the commit; this many fit the default lock table.
TABLES_PER_COMMIT = 500


def run(settings: Settings) -> list[Table]:
    """Measure and return the table."""
    with fresh_database(settings.url) as alone, fresh_database(settings.url) as crowded:
        say(f"foreign: making {TABLES} tables")
        _make_tables(crowded)
        samples = {alone: Samples(), crowded: Samples()}
        for url in samples:
            timed([LFMIGRATE, "up", "--database-url", url, "--sql-dir", SHIPPED_SQL])
            timed(verify_command(url))  # warms the caches, and is not counted
        for number in range(1, settings.runs + 1):
            say(f"foreign: round {number} of {settings.runs}")
            for url, sample in samples.items():
                sample.runs.append(Run(timed(verify_command(url))))
    base = samples[alone]
    rows = [
        (name, samples[url].seconds(), f"{samples[url].over(base):.2f}")
        for name, url in (("no other tables", alone), (f"{TABLES:,} other tables", crowded))
    ]
    goal = Goal(
        f"time of verify with {TABLES:,} other tables, of none",
        AT_MOST,
        samples[crowded].over(base),
    )
    return [Table("Verify, whole process", ("", "s", "ratio"), rows, goals=[goal])]


def _make_tables(url: str) -> None:
    # In the same schema as ours: the hardest case for a catalog query.
    with psycopg.connect(url, autocommit=True) as conn:
        for first in range(1, TABLES + 1, TABLES_PER_COMMIT):
            statements = [
                sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, amount int, at date)").format(
                    sql.Identifier(f"foreign_{number}")
                )
                for number in range(first, min(first + TABLES_PER_COMMIT, TABLES + 1))
            ]
            # One string is one transaction and one round trip.
            conn.execute(sql.SQL(";").join(statements))
        # As autovacuum would have done by the time that verify runs.
        for catalog in ("class", "attribute", "depend", "constraint", "index", "type"):
            conn.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(f"pg_{catalog}")))
