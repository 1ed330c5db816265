"""Whatever interrupts a command that removes rows: each row is in the database, or in a backup.

Each command is cut off at its flights and every few kilobytes of its conversation, at other places
on each version, and other sessions change rows and tables between its flights. Then every row that
was committed before must be found, if need be by restoring the backups that are on the disk.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.errors import NOTHING_CHANGED, LfmigrateError
from lfmigrate.postgres.connection import Connection
from lfmigrate.source.folder import Folder
from tests.helpers.databases import create_database, drop_databases, execute, files_in_history
from tests.helpers.faults import PATIENCE_S, Cutter, wait_until

# Dozens of faults in each test, each in a database of its own: on a busy machine, that takes long.
pytestmark = [pytest.mark.sweep, pytest.mark.timeout(1200)]

# Another number sweeps other moments.
SEED = 20261129

BASE = """
    CREATE TABLE keep (id int PRIMARY KEY, v text);
    CREATE TABLE bare (n int);
"""
NEXT = """
    CREATE SCHEMA s;
    CREATE TYPE s.mood AS ENUM ('low', 'high');
    ALTER TABLE keep ADD note text;
    CREATE TABLE s.a (id int PRIMARY KEY, v text, m s.mood);
    CREATE TABLE s.b (id serial, a_id int REFERENCES s.a);
    CREATE TABLE s.parts (k int, v text) PARTITION BY LIST (k);
    CREATE TABLE s.parts1 PARTITION OF s.parts FOR VALUES IN (1);
    CREATE TABLE s.parts2 PARTITION OF s.parts FOR VALUES IN (2) PARTITION BY LIST (v);
    CREATE TABLE s.parts20 PARTITION OF s.parts2 DEFAULT;
"""
ROWS = """
    INSERT INTO keep SELECT n, 'v' || n, 'note' || n FROM generate_series(1, 5) AS n;
    INSERT INTO bare VALUES (1), (1), (NULL);
    INSERT INTO s.a SELECT n, repeat('v', 50 * n), 'low' FROM generate_series(1, 20) AS n;
    INSERT INTO s.b (a_id) SELECT n FROM generate_series(1, 20) AS n;
    INSERT INTO s.parts SELECT n % 2 + 1, 'v' || n FROM generate_series(1, 20) AS n;
"""
FILES = {
    "001_base.up.sql": BASE,
    "002_next.up.sql": NEXT,
    "seed/load.sql": """
        CREATE TEMPORARY TABLE seed_a (id int, v text) ON COMMIT DROP;
        INSERT INTO s.a (id, v) SELECT id, v FROM seed_a ON CONFLICT DO NOTHING;
    """,
    "seed/a.csv": "id,v\n" + "".join(f"{n},seeded\n" for n in range(15, 40)),
}
BY_SCHEMA = {"002_next.down.sql": "ALTER TABLE keep DROP note; DROP SCHEMA s CASCADE;"}
ONE_BY_ONE = {
    "002_next.down.sql": """
        DELETE FROM bare WHERE n IS NULL;
        TRUNCATE s.b;
        DO $$ BEGIN DROP TABLE s.b; DROP TABLE s.parts; END $$;
        DROP TYPE s.mood CASCADE;
        DROP TABLE s.a;
        DROP SCHEMA s;
        ALTER TABLE keep DROP note;
    """
}
LOSING = {
    "003_lose.up.sql": """
        ALTER TABLE keep DROP COLUMN note;
        DROP TABLE s.b;
        DO $$ BEGIN TRUNCATE s.a; END $$;
        DROP TABLE s.parts1;
    """,
    "003_lose.down.sql": """
        ALTER TABLE keep ADD note text;
        CREATE TABLE s.b (id serial, a_id int REFERENCES s.a);
        CREATE TABLE s.parts1 PARTITION OF s.parts FOR VALUES IN (1);
    """,
}
MARKED = {
    "003_lose.up.sql": "-- lfmigrate: loses-data\nDROP TABLE s.b;\nTRUNCATE ONLY s.a;",
    "003_lose.down.sql": "CREATE TABLE s.b (id serial, a_id int REFERENCES s.a);",
}

# So many bytes from one cut to the next. Most of what is sent are long questions to the catalogs.
STEPS: dict[Literal["up", "down"], int] = {
    "up": int(os.environ.get("LFMIGRATE_TEST_CUT_BYTES", "32768")),
    "down": int(os.environ.get("LFMIGRATE_TEST_CUT_BYTES", "8192")),
}

# Rows of each table, each as JSON; those of a partition are its table's.
Rows = Mapping[str, Counter[str]]


@dataclass(frozen=True)
class Place:
    """Where a command runs.

    Attributes:
        files: The folder.
        backups: Where it saves rows.
        archive: A backup that was made before; there is none for every command.
    """

    files: Folder
    backups: Path
    archive: Path | None = None

    @property
    def saved(self) -> Path:
        """Return the backup that was made before."""
        assert self.archive is not None
        return self.archive


@dataclass(frozen=True)
class Command:
    """A command that removes rows, or may.

    Attributes:
        files: The folder's files.
        run: Runs it.
        again: Brings the tables back, without their rows.
        applied: Of how many migrations, before it runs.
        saves_first: Whether there is a backup of what was there before other rows came.
        rolls_back_first: Whether that is the backup of a rollback.
        accepts: Whether the rows of a table may be lost if it has committed.
    """

    files: Mapping[str, str]
    run: Callable[[Connection, Place], object]
    again: Callable[[Connection, Place], object] = lambda _, __: None
    applied: str = "002"
    saves_first: bool = False
    rolls_back_first: bool = False
    accepts: Callable[[str], bool] = lambda _: False


def rolled_back(conn: Connection, place: Place) -> None:
    """Roll the newest migration back, with a backup."""
    lfmigrate.rollback(conn, place.files, backup_dir=place.backups)


def applied(conn: Connection, place: Place) -> None:
    """Apply what is pending."""
    lfmigrate.up(conn, place.files)


def applied_with_backup(conn: Connection, place: Place) -> None:
    """Apply what is pending, and save what it removes."""
    lfmigrate.up(conn, place.files, backup_dir=place.backups)


def applied_anyway(conn: Connection, place: Place) -> None:
    """Apply what is pending, and lose what it removes."""
    lfmigrate.up(conn, place.files, accept_data_loss=True)


def undone(conn: Connection, place: Place) -> None:
    """Bring back the tables that a migration has dropped."""
    if "003_lose.up.sql" in files_in_history(conn.info.dsn):
        lfmigrate.rollback(conn, place.files, backup_dir=None)


def restored(conn: Connection, place: Place) -> None:
    """Restore a backup in place of the rows that are there now."""
    lfmigrate.restore(conn, place.files, place.saved, replace=True, backup_dir=place.backups)


def restored_columns(conn: Connection, place: Place) -> None:
    """Restore what a rollback has dropped, columns of a table that has kept its rows among it."""
    lfmigrate.restore(conn, place.files, place.saved, replace=True, backup_dir=place.backups)


def looked_at(conn: Connection, place: Place) -> None:
    """Restore a backup next to the rows that are there now."""
    lfmigrate.restore(conn, place.files, place.saved, into="looked_at")


def seeded(conn: Connection, place: Place) -> None:
    """Load initial rows in place of those that are there now."""
    lfmigrate.seed(conn, place.files, replace=True, backup_dir=place.backups)


COMMANDS = {
    "rollback of a schema": Command(FILES | BY_SCHEMA, rolled_back, applied),
    "rollback one by one": Command(FILES | ONE_BY_ONE, rolled_back, applied),
    "up with a backup": Command(FILES | LOSING, applied_with_backup, undone),
    "up that is refused": Command(FILES | LOSING, applied, undone),
    "up that accepts it": Command(FILES | LOSING, applied_anyway, undone, accepts=lambda _: True),
    "up that says so": Command(
        FILES | MARKED, applied, undone, accepts=lambda table: table in {"s.a", "s.b"}
    ),
    "restore": Command(FILES, restored, saves_first=True),
    "restore of columns": Command(FILES | BY_SCHEMA, restored_columns, rolls_back_first=True),
    "restore into a schema": Command(FILES, looked_at, saves_first=True),
    "seed": Command(FILES, seeded),
}

# What another session does meanwhile, in a transaction of its own.
INSERTS = {
    "inserts rows": """
        INSERT INTO s.a VALUES (100, 'theirs', 'high'); INSERT INTO s.b VALUES (100, 100);
        INSERT INTO s.parts VALUES (1, 'theirs'), (2, 'theirs')
    """,
    "inserts rows where columns go": "INSERT INTO keep VALUES (100, 'theirs', 'noted')",
    "inserts rows without a key": "INSERT INTO bare VALUES (100), (NULL)",
    "creates a table in the schema": "CREATE TABLE s.theirs AS SELECT 100 AS theirs",
    "creates a table that uses a type": """
        CREATE TABLE theirs (id int, m s.mood); INSERT INTO theirs VALUES (100, 'high')
    """,
    "creates a child table": """
        CREATE TABLE child () INHERITS (s.a); INSERT INTO child VALUES (100, 'child')
    """,
    "creates a child table where columns go": """
        CREATE TABLE child () INHERITS (keep); INSERT INTO child VALUES (100, 'child', 'noted')
    """,
    "attaches a partition": """
        CREATE TABLE parts7 (k int, v text); INSERT INTO parts7 VALUES (7, 'theirs');
        ALTER TABLE s.parts ATTACH PARTITION parts7 FOR VALUES IN (7)
    """,
    "creates a partition": """
        CREATE TABLE s.parts8 PARTITION OF s.parts FOR VALUES IN (8);
        INSERT INTO s.parts VALUES (8, 'theirs')
    """,
}
# What it adds depends on what is there.
CHANGES = {
    "creates a table that refers to one": """
        CREATE TABLE refers (a_id int REFERENCES s.a); INSERT INTO refers SELECT min(id) FROM s.a
    """,
    "adds a column": "ALTER TABLE s.a ADD theirs text DEFAULT 'theirs'",
    "adds a column where another goes": "ALTER TABLE keep ADD theirs text DEFAULT 'theirs'",
    "updates rows": "UPDATE s.a SET v = 'updated' WHERE id < 9; UPDATE keep SET note = 'edited'",
    "truncates a table": "TRUNCATE s.b",
    "deletes rows": "DELETE FROM s.parts WHERE k = 1; DELETE FROM keep WHERE id = 2",
    "detaches a partition": "ALTER TABLE s.parts DETACH PARTITION s.parts1",
    "moves a table": "ALTER TABLE s.b SET SCHEMA public",
    "renames a table": "ALTER TABLE s.b RENAME TO c; INSERT INTO s.c SELECT 100, min(id) FROM s.a",
    "renames a column": "ALTER TABLE s.a RENAME COLUMN v TO w",
    "changes a type": "ALTER TABLE s.a ALTER v TYPE varchar(2000)",
    "replaces a table": """
        DROP TABLE s.b; CREATE TABLE s.b (id int); INSERT INTO s.b VALUES (100)
    """,
    "hides rows": """
        ALTER TABLE s.a ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON s.a USING (false);
        ALTER TABLE s.a FORCE ROW LEVEL SECURITY
    """,
}


@dataclass(frozen=True)
class Size:
    """A conversation: which of the client's packets begin a flight, and how much goes each way."""

    flights: list[int]
    bytes_up: int
    bytes_down: int


class Laboratory:
    """A database for a command, which is what it was before each fault."""

    def __init__(self, server_url: str, command: Command, home: Path, folder: Folder) -> None:
        """Prepare everything that the command needs."""
        self.server_url = server_url
        self.command = command
        self.home = home
        self.folder = folder
        self.number = 0
        self.names = [f"lf_test_{uuid4().hex[:12]}", f"lf_test_{uuid4().hex[:12]}"]
        self.url = create_database(server_url, self.names[0])
        self.archive = self._prepare()
        self.initial = rows_of(self.url)
        # A backup belongs to a database of that name, so the copies have it.
        execute(server_url, f"ALTER DATABASE {self.names[0]} RENAME TO {self.names[1]}")
        self.is_fresh = False

    def _prepare(self) -> Path | None:
        with closing(lfmigrate.connect(self.url)) as conn:
            lfmigrate.up(conn, self.folder, to=self.command.applied)
            execute(self.url, ROWS)
            if self.command.saves_first:
                saved = lfmigrate.backup(conn, self.folder, out=self.home / "archive").path
                execute(
                    self.url,
                    "DELETE FROM s.b; UPDATE s.a SET v = 'later'; DELETE FROM bare",
                    "INSERT INTO s.parts VALUES (1, 'later'); UPDATE keep SET note = 'later'",
                )
                return saved
            if self.command.rolls_back_first:
                saved_rows = lfmigrate.rollback(conn, self.folder, backup_dir=self.home / "first")
                lfmigrate.up(conn, self.folder)
                execute(
                    self.url,
                    "INSERT INTO s.a VALUES (50, 'later'); UPDATE keep SET note = 'later'",
                )
                return saved_rows.backup
        return None

    def measure(self) -> Size:
        """Return how long the conversation is without a fault."""
        place = self.place()
        answered: list[int] = []
        with (
            Proxy(target_of(self.url)) as counter,
            Cutter(
                ("127.0.0.1", counter.port),
                at_byte=-1,
                meanwhile=lambda: answered.append(counter.flights),
            ) as packets,
        ):
            error = self.run(place, packets.port)
        missing = self.missing(place, self.initial, error)
        assert_nothing_is_missing(missing, "without a fault", error)
        flights = [n for n, count in enumerate(answered) if n == 0 or count > answered[n - 1]]
        return Size(flights, counter.bytes_up, counter.bytes_down)

    def place(self) -> Place:
        """Return where the command runs next: its database is what it was before."""
        if not self.is_fresh:
            drop_databases(self.server_url, self.names[0])
            create_database(self.server_url, self.names[0], self.names[1])
        self.is_fresh = False
        self.number += 1
        return Place(self.folder, self.home / f"backups{self.number}", self.archive)

    def drop(self) -> None:
        """Drop the databases."""
        drop_databases(self.server_url, *self.names)

    def run(self, place: Place, port: int) -> LfmigrateError | None:
        """Run the command through a proxy."""
        try:
            with closing(lfmigrate.connect(through(self.url, port))) as conn:
                self.command.run(conn, place)
        except LfmigrateError as error:
            return error
        return None

    def effect(self, text: str) -> tuple[Rows, Rows]:
        """Return the rows that statements add to what is there before, and those they remove."""
        with psycopg.connect(make_conninfo(self.server_url, dbname=self.names[1])) as conn:
            conn.execute(text.encode())
            after = rows_seen(conn)
            conn.rollback()
        return without(after, self.initial), without(self.initial, after)

    def missing(self, place: Place, expected: Rows, error: LfmigrateError | None) -> Rows:
        """Return what is neither in the database nor in a backup, by restoring all of them."""
        with psycopg.connect(self.url, autocommit=True) as observer:
            wait_until(lambda: not has_session(observer), "the last session left")
        found = rows_of(self.url, partitions=True)
        missing = without(expected, found)
        # Whatever commits changes rows, or which tables there are.
        self.is_fresh = expected is self.initial and rows_of(self.url) == expected
        if any(missing.values()) and "003_lose.up.sql" in files_in_history(self.url):
            missing = {k: v for k, v in missing.items() if not self.command.accepts(k)}
        if not any(missing.values()):
            return missing
        assert error is None or error.outcome != NOTHING_CHANGED, (str(error), missing)
        with closing(lfmigrate.connect(self.url)) as conn:
            self.command.again(conn, place)
            for path in sorted(place.backups.iterdir()) if place.backups.exists() else ():
                missing = without(missing, self._restore(conn, place, path, missing))
        return missing

    def _restore(self, conn: Connection, place: Place, path: Path, missing: Rows) -> Rows:
        """Restore a backup, and return the rows that are there now."""
        try:
            lfmigrate.restore(
                conn, place.files, path, replace=True, backup_dir=self.home / "replaced"
            )
            return rows_of(self.url, partitions=True)
        except LfmigrateError:
            # Another session has changed the tables themselves: next to what is there now, and
            # a partition that was dropped alone is a table there.
            lfmigrate.restore(conn, place.files, path, into="lf_check")
            found = rows_of(self.url)
            every: Counter[str] = Counter()
            for name, rows in found.items():
                if name.startswith("lf_check."):
                    every += rows
            return dict.fromkeys(missing, every)


def has_session(conn: psycopg.Connection) -> bool:
    """Return whether lfmigrate has a session in the database."""
    return bool(
        conn.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'lfmigrate'"
        ).fetchall()
    )


def rows_of(url: str, *, partitions: bool = False) -> Rows:
    """Return the rows of all tables but lfmigrate's own."""
    with psycopg.connect(url, autocommit=True) as conn:
        return rows_seen(conn, partitions=partitions)


def rows_seen(conn: psycopg.Connection, *, partitions: bool = False) -> Rows:
    """Return the rows that a session sees, and those of each partition once more if asked."""
    conn.execute("SET search_path = ''")
    tables = conn.execute(
        "SELECT coalesce(pg_partition_root(oid), oid)::regclass::text, oid::regclass::text"
        " FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text NOT IN"
        " ('pg_catalog', 'information_schema', 'lfmigrate')"
    ).fetchall()
    query = " UNION ALL ".join(
        f"SELECT '{root}', '{name}', to_jsonb(t) FROM ONLY {name} AS t" for root, name in tables
    )
    found: dict[str, Counter[str]] = {root: Counter() for root, _ in tables}
    for root, table, row in conn.execute(query.encode()).fetchall():
        for name in {root, table} if partitions else {root}:
            found.setdefault(name, Counter())[json.dumps(row, sort_keys=True)] += 1
    return found


def without(rows: Rows, others: Rows) -> Rows:
    """Return the rows that others do not have."""
    return {name: these - others.get(name, Counter()) for name, these in rows.items()}


def together(rows: Rows, others: Rows) -> Rows:
    """Return the rows of both."""
    names = rows.keys() | others.keys()
    return {name: rows.get(name, Counter()) + others.get(name, Counter()) for name in names}


class Meanwhile:
    """What another session does at one moment of a command.

    Attributes:
        waited: Whether it had to wait for a lock of the command.
        committed: Whether it has committed.
        came_late: Whether the command had committed before.
    """

    def __init__(self, url: str, text: str, initial: Rows) -> None:
        """Name the database, the statements, and the rows that are there before the command."""
        self.text = text
        self.initial = initial
        self.conn = psycopg.connect(url, application_name="another")
        self.observer = psycopg.connect(url, autocommit=True)
        # A lock of the command: it has not committed.
        self.observer.execute("SET lock_timeout = '5ms'")
        # It is the one that gives up, and soon.
        self.conn.execute("SET deadlock_timeout = '10ms'")
        self.conn.commit()
        # The command may have two connections, and what they send comes from two threads.
        self.lock = threading.Lock()
        self.is_over = False
        self.thread: threading.Thread | None = None
        self.waited = False
        self.committed = False
        self.came_late = False

    def __call__(self) -> None:
        """Do it once; return when it is done, or waits for a lock of the command."""
        with self.lock:
            if self.thread is None and not self.is_over:
                self._start()

    def _start(self) -> None:
        is_locked = True
        with suppress(psycopg.Error):
            self.came_late = rows_seen(self.observer) != self.initial
            is_locked = False
        self.thread = threading.Thread(target=self._do)
        self.thread.start()
        wait_until(lambda: not self._is_busy(), "another session is done or waits")
        # If no lock has kept it waiting, the command has ended its transaction in between.
        self.came_late |= is_locked and not self.waited

    def _do(self) -> None:
        with suppress(psycopg.Error):
            self.conn.execute(self.text.encode())
            self.conn.commit()
            self.committed = True

    def _is_busy(self) -> bool:
        assert self.thread is not None
        if not self.thread.is_alive():
            return False
        row = self.observer.execute(
            "SELECT cardinality(pg_blocking_pids(%s))", [self.conn.info.backend_pid]
        ).fetchone()
        self.waited = row is not None and row[0] > 0
        return not self.waited

    def end(self) -> None:
        """Wait until it is done; from now on it does not begin."""
        with self.lock:
            self.is_over = True
        if self.thread is not None:
            self.thread.join(PATIENCE_S)
            assert not self.thread.is_alive()

    def close(self) -> None:
        """Close its sessions."""
        self.conn.close()
        self.observer.close()


@pytest.fixture
def lab(
    server_url: str,
    name: str,
    folder: Callable[[Mapping[str, str | bytes]], Path],
    tmp_path: Path,
) -> Iterator[Laboratory]:
    """Return a laboratory for a command."""
    command = COMMANDS[name]
    laboratory = Laboratory(
        server_url, command, tmp_path, lfmigrate.read_folder(folder(command.files))
    )
    yield laboratory
    laboratory.drop()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_cut_off(
    name: str, lab: Laboratory, server_version: int, record_property: Callable[[str, object], None]
) -> None:
    """After each of its flights, and at every few kilobytes in both directions."""
    size = lab.measure()
    rng = random.Random(f"{SEED} {name} {server_version}")  # noqa: S311 (nothing secret)
    cuts: list[dict[str, object]] = [
        # The server hears all of the flight, and the client nothing of what became of it.
        {"at_byte": -1, "skips": flight, "passes": True}
        for flight in size.flights[server_version % 4 // 2 :: 2]
    ]
    for way, step in STEPS.items():
        total = size.bytes_up if way == "up" else size.bytes_down
        cuts += [
            {"at_byte": min(total - 1, start + rng.randrange(step)), "way": way}
            for start in range(0, total, step)
        ]
    for cut in cuts:
        place = lab.place()
        with Cutter(target_of(lab.url), **cut) as proxy:  # type: ignore[arg-type]  # a drawn one
            error = lab.run(place, proxy.port)
        assert_nothing_is_missing(lab.missing(place, lab.initial, error), name, cut, error)
    record_property("faults", len(cuts))


@pytest.mark.parametrize("name", COMMANDS)
def test_other_sessions_between_the_flights_of_a_command(
    name: str, lab: Laboratory, server_version: int, record_property: Callable[[str, object], None]
) -> None:
    """Before each of them, another session changes rows or tables, if no lock prevents it."""
    rng = random.Random(f"{SEED} {name} {server_version}")  # noqa: S311 (nothing secret)
    flights = lab.measure().flights
    if name.startswith("up"):
        # Twice as many as of any other command; another version takes the other half.
        flights = flights[server_version % 4 // 2 :: 2]
    chosen: list[str] = []
    while len(chosen) < len(flights):
        chosen += rng.sample([*INSERTS, *CHANGES], len(INSERTS) + len(CHANGES))
    for flight, what in zip(flights, chosen, strict=False):
        text = INSERTS.get(what) or CHANGES[what]
        added, removed = lab.effect(text)
        place = lab.place()
        with closing(Meanwhile(lab.url, text, lab.initial)) as other:
            with Cutter(target_of(lab.url), at_byte=-1, skips=flight, meanwhile=other) as proxy:
                error = lab.run(place, proxy.port)
            other.end()
        expected = lab.initial
        if other.committed:
            # A copy, because the tables themselves may be others.
            expected = without(expected, removed)
            nothing_changed = error is not None and error.outcome == NOTHING_CHANGED
            if what in INSERTS or nothing_changed or not (other.waited or other.came_late):
                expected = together(expected, added)
        missing = lab.missing(place, expected, error)
        assert_nothing_is_missing(missing, name, flight, what, other.waited, error)
    record_property("faults", len(flights))


def assert_nothing_is_missing(missing: Rows, *where: object) -> None:
    """Fail if rows are neither in the database nor in a backup."""
    assert not any(missing.values()), (*map(str, where), {k: v for k, v in missing.items() if v})
