"""Whatever the schema: roll back, apply again, restore, and every row is what it was.

Schemas are drawn at random and filled. What is compared is the text of COPY of every table, the
position of every sequence, and the state of triggers and constraints, which a restore suspends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.errors import Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.source.folder import Folder
from tests.helpers.schemas import Drawn, Sketch, statements

pytestmark = pytest.mark.sweep

# So many schemas are drawn; those of a batch are rolled back and restored together. A batch is one
# test, with a seed of its own.
SIZE = 10
BATCHES = int(os.environ.get("LFMIGRATE_TEST_SCHEMAS", "160")) // SIZE

# What a restore has to put back, for a schema and the one of what is rolled back.
RULES = """
    SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = tgrelid
    WHERE c.relnamespace::regnamespace::text = ANY ($1) AND NOT (tgisinternal AND tgconstraint <> 0)
    UNION ALL
    SELECT concat_ws(' ', conrelid::regclass, contypid::regtype, conname, pg_get_constraintdef(oid),
        convalidated, conislocal, coninhcount, condeferrable, condeferred)
    FROM pg_constraint WHERE connamespace::regnamespace::text = ANY ($1)
    UNION ALL
    SELECT concat_ws(' ', c.oid::regclass, r.rulename, r.ev_enabled)
    FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    WHERE c.relnamespace::regnamespace::text = ANY ($1)
    UNION ALL
    SELECT concat_ws(' ', c.oid::regclass, c.relforcerowsecurity, a.attname, a.attidentity)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace::regnamespace::text = ANY ($1) AND NOT a.attisdropped
"""
CONTENT = """
    SELECT c.oid::regclass::text, c.relkind FROM pg_class AS c
    WHERE c.relnamespace::regnamespace::text = ANY ($1) AND c.relkind IN ('r', 'S')
"""


class Laboratory:
    """A database, its superuser, and who applies the migrations there."""

    def __init__(self, database: str, role: str, home: Path, batch: int) -> None:
        self.admin = psycopg.connect(database, autocommit=True, cursor_factory=psycopg.RawCursor)
        # As the owner of the tables, from whom a policy may hide rows; or as a superuser.
        self.role = role if batch % 2 else None
        self.admin.execute(
            f'GRANT CREATE ON DATABASE "{conninfo_to_dict(database)["dbname"]}" TO {role}'.encode()
        )
        self.admin.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}".encode())
        self.admin.execute(
            "SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET lc_monetary = 'C'"
        )
        self.database = database
        self.url = make_conninfo(database, user=self.role) if self.role else database
        # The newest migration, or all.
        self.to = "0" if batch // 2 % 2 else None
        self.home = home
        self.folders = 0

    def accepted(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Return the statements that the server takes, one after the other."""
        accepted = []
        with self.admin.transaction(force_rollback=True):
            owner = f"SET LOCAL ROLE {self.role}" if self.role else "RESET ROLE"
            self.admin.execute(owner.encode())
            self.admin.execute("CREATE SCHEMA trial; CREATE SCHEMA trial_next")
            for places, path, role in (
                ({"base"}, "trial", owner),
                ({"next"}, "trial_next, trial", owner),
                ({"rows", "mess"}, "trial, trial_next", "RESET ROLE"),
            ):
                self.admin.execute(f"SET LOCAL search_path = {path}; {role}".encode())
                for each in drawn:
                    if each.place in places:
                        with suppress(psycopg.Error), self.admin.transaction():
                            self.admin.execute(each.text.encode())
                            self.admin.execute("SET CONSTRAINTS ALL IMMEDIATE")
                            accepted.append(each)
        return accepted

    def folder(self, parts: Sequence[Sequence[Drawn]], random: Random) -> Folder:
        """Write the migrations of a batch."""
        path = self.home / f"batch{self.folders}"
        self.folders += 1
        path.mkdir()
        texts: dict[str, list[str]] = {
            name: [] for name in ("1_base.up", "1_base.down", "2_next.up", "2_next.down")
        }
        for name, drawn in named(parts):
            base = f"CREATE SCHEMA {name};\nSET search_path = {name};\n"
            texts["1_base.up"] += [base, *(f"{text};\n" for text in statements(drawn, "base"))]
            texts["1_base.down"].append(f"DROP SCHEMA {name} CASCADE;\n")
            following = f"SET search_path = {name}_next, {name};\n"
            texts["2_next.up"] += [
                f"CREATE SCHEMA {name}_next;\n{following}",
                *(f"{text};\n" for text in statements(drawn, "next")),
            ]
            undone = [f"{d.undo};\n" for d in reversed(drawn) if d.place == "next" and d.undo]
            dropped = f"DROP SCHEMA {name}_next CASCADE;\n"
            if random.randrange(2):
                texts["2_next.down"] += [following, *undone, dropped]
            else:
                texts["2_next.down"] += [following, dropped, *undone]
        for name, lines in texts.items():
            (path / f"{name}.sql").write_text("".join(lines), encoding="utf-8")
        return lfmigrate.read_folder(path)

    def content(self, parts: Sequence[Sequence[Drawn]]) -> dict[str, list[str]]:
        """Return the rows of each table, the position of each sequence, and the rules of both."""
        found = {}
        for name, _ in named(parts):
            schemas = [[name, f"{name}_next"]]
            self.admin.execute("SET search_path = ''")
            found[f"rules of {name}"] = sorted(
                row[0] for row in self.admin.execute(RULES, schemas).fetchall()
            )
            for label, kind in self.admin.execute(CONTENT, schemas).fetchall():
                columns = "last_value, is_called" if kind == "S" else "*"
                query = f"COPY (SELECT {columns} FROM ONLY {label}) TO STDOUT"
                if kind == "S":
                    query = query.replace(" ONLY ", " ")
                with self.admin.cursor() as cursor, cursor.copy(query.encode()) as copy:
                    found[label] = sorted(b"".join(copy).decode().split("\n"))
        return found

    def run(self, parts: Sequence[Sequence[Drawn]], place: str) -> None:
        """Write or change the rows of each schema; not everything is possible a second time."""
        for name, drawn in named(parts):
            self.admin.execute(f"SET search_path = {name}, {name}_next".encode())
            for each in drawn:
                if each.place == place:
                    with suppress(psycopg.Error):
                        self.admin.execute(each.text.encode())

    def drop(self, parts: Sequence[Sequence[Drawn]]) -> None:
        """Drop the schemas of a batch, and forget what was recorded of them."""
        self.admin.execute("SET client_min_messages = error")
        for name, _ in named(parts):
            self.admin.execute(f"DROP SCHEMA IF EXISTS {name}, {name}_next CASCADE".encode())
        self.admin.execute("DROP SCHEMA IF EXISTS lfmigrate CASCADE")

    def difference(self, parts: Sequence[Sequence[Drawn]], random: Random) -> str | None:
        """Return what is not as it was after a round trip, if anything."""
        files = self.folder(parts, random)
        self.drop(parts)
        step = "up"
        try:
            with closing(lfmigrate.connect(self.url)) as conn:
                lfmigrate.up(conn, files)
                self.run(parts, "rows")
                before = self.content(parts)
                step = "rollback"
                backup = self._roll_back(conn, files)
                step = "up again"
                lfmigrate.up(conn, files)
                if backup is not None:
                    step = "restore"
                    self._restore(conn, files, backup)
                if problem := differing(before, self.content(parts)):
                    return f"after a rollback: {problem}"
                step = "backup"
                saved = self._back_up(files)
                self.run(parts, "mess")
                step = "restore --replace"
                lfmigrate.restore(
                    conn, files, saved, replace=True, backup_dir=self.home / "replaced"
                )
                if problem := differing(before, self.content(parts)):
                    return f"after restore --replace: {problem}"
                if not lfmigrate.verify(conn, files).ok:
                    return "verify finds a difference"
        except lfmigrate.LfmigrateError as error:
            return f"{step}: {type(error).__name__}: {error}"
        return None

    def _roll_back(self, conn: Connection, files: Folder) -> Path | None:
        parent = self.home / f"backups{self.folders}"
        return lfmigrate.rollback(conn, files, to=self.to, backup_dir=parent).backup

    def _back_up(self, files: Folder) -> Path:
        """Back up all tables, as a superuser: their owner may not see all rows."""
        with closing(lfmigrate.connect(self.database)) as conn:
            return lfmigrate.backup(conn, files, out=self.home / f"saved{self.folders}").path

    def _restore(self, conn: Connection, files: Folder, backup: Path) -> None:
        """Restore what a rollback has saved."""
        try:
            lfmigrate.restore(conn, files, backup)
        except Refused:
            # Columns of a table without a primary key, which has kept its rows.
            lfmigrate.restore(conn, files, backup, replace=True, backup_dir=self.home / "replaced")


def named(parts: Sequence[Sequence[Drawn]]) -> list[tuple[str, Sequence[Drawn]]]:
    """Return each schema of a batch with its name."""
    return [(f"k{number}", part) for number, part in enumerate(parts)]


def differing(before: dict[str, list[str]], after: dict[str, list[str]]) -> str | None:
    """Return how the content differs, if it does."""
    for label in before.keys() | after.keys():
        one, other = before.get(label), after.get(label)
        if one != other:
            lost = [line for line in one or () if line not in (other or ())]
            more = [line for line in other or () if line not in (one or ())]
            return f"{label}: lost {lost}, new {more} of {len(one or ())} and {len(other or ())}"
    return None


@pytest.fixture
def lab(role: str, database: str, tmp_path: Path, batch: int) -> Iterator[Laboratory]:
    """Return a laboratory in a database of its own."""
    laboratory = Laboratory(database, role, tmp_path, batch)
    with closing(laboratory.admin):
        yield laboratory
        laboratory.drop([()] * SIZE)
        laboratory.admin.execute(f"DROP OWNED BY {role} CASCADE".encode())


@pytest.mark.parametrize("batch", range(BATCHES))
def test_all_rows_come_back(
    lab: Laboratory, batch: int, record_property: Callable[[str, object], None]
) -> None:
    """After a rollback and another `up`, and after whatever else happened to them."""
    # Other schemas on each version.
    seed = f"{lab.admin.info.server_version // 10000} {batch}"
    random = Random(seed)  # noqa: S311 (schemas, not secrets)

    accepted = [lab.accepted(Sketch(random).draw()) for _ in range(SIZE)]
    if problem := lab.difference(accepted, Random(seed)):  # noqa: S311 (as above)
        pytest.fail(f"{seed}: {smallest(lab, accepted) or problem}\nAt first: {problem}")

    record_property("schemas", SIZE)


def smallest(lab: Laboratory, batch: Sequence[list[Drawn]]) -> str | None:
    """Return the problem that the fewest statements of one schema of a batch still have."""
    for seed in range(4):
        for part in batch:
            if problem := lab.difference([part], Random(seed)):  # noqa: S311 (as above)
                return shrunk(lab, part, seed, problem)
    return None


def kind_of(problem: str) -> str:
    """Return what problems of a kind have in common: the step, and how its message begins."""
    return " ".join(problem.split()[:6])


def shrunk(lab: Laboratory, left: list[Drawn], seed: int, problem: str) -> str:
    """Leave out statements as long as the problem stays of its kind, and return both."""
    kind = kind_of(problem)
    size = len(left) // 2
    while size:
        place = len(left)
        while place > 0:
            place = max(0, place - size)
            fewer = lab.accepted([*left[:place], *left[place + size :]])
            if len(fewer) == len(left):
                continue
            smaller = lab.difference([fewer], Random(seed))  # noqa: S311 (as above)
            if smaller is not None and kind_of(smaller) == kind:
                left, problem = fewer, smaller
                place = min(place, len(left))
        size //= 2
    lines = "\n".join(f"{each.place}: {each.text}" for each in left)
    return f"{problem}\n{lines}"
