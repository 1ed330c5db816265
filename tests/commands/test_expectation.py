"""The same folder leaves the same expected state, however its files are grouped into runs.

Folders are drawn from a pool of statements for every kind of object that README names. Each folder
runs in one `up`, file by file, with a commit per file, with a rollback in between, and after some
of its statements were made by hand. The expected states must be equal, equal to what a replay
creates, and `verify` and `up --strict` must find nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psycopg
import pytest

import lfmigrate
from lfmigrate.engine.state import read_state
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from tests.helpers import pool

pytestmark = pytest.mark.sweep

# So many folders are drawn; those of a batch are applied together. A batch is one test, with a seed
# of its own.
SIZE = 50
BATCHES = int(os.environ.get("LFMIGRATE_TEST_FOLDERS", "1050")) // SIZE
# After the base. Few, because a command for each of them costs more than its statements.
FILES = 3


@dataclass(frozen=True)
class Drawn:
    """A statement, whether it may run twice, how a file begins at it, whether a hot fix ran it."""

    text: str
    runs_twice: bool
    begins_file: bool
    by_hand: bool


@dataclass(frozen=True)
class Part:
    """One folder of a batch: the statements of its files, and what is made by hand before each."""

    files: list[list[str]]
    hand: list[str]


# By the number of the folder.
Parts = Mapping[int, Part]


def draw(random: Random) -> Drawn:
    """Draw a statement, with a name of each object that it mentions."""
    names = {key: random.choice(both[: random.choice((1, 2))]) for key, both in pool.NAMES.items()}
    kind = random.choice(["rename", "rename", "move", "any", "any", "any", "any", "idempotent"])
    if kind == "rename":
        key = random.choice(sorted(pool.RENAMES))
        both = pool.NAMES[key] if random.randrange(4) else pool.NAMES[key][::-1]
        text = pool.RENAMES[key].format(*both, **names)
    elif kind == "move":
        to = random.choice(["SET SCHEMA {other}", "SET SCHEMA {home}", "OWNER TO pg_monitor"])
        moved = pool.MOVED if "SCHEMA" in to else [*pool.MOVED, *pool.OWNED]
        text = f"ALTER {random.choice(moved)} {to}".format(**names)
    else:
        chosen = pool.STATEMENTS if kind == "any" else pool.IDEMPOTENT
        text = random.choice(chosen).format(**names)
    return Drawn(
        text,
        runs_twice=kind == "idempotent",
        begins_file=random.randrange(3) == 0,
        by_hand=random.randrange(2) == 0,
    )


def draw_folder(random: Random, *, begins: bool) -> list[Drawn]:
    """Draw the statements of a folder.

    Args:
        random: What chooses.
        begins: Whether it begins with an extension.
    """
    first = [
        Drawn(
            f"CREATE EXTENSION {pool.EXTENSION}", runs_twice=False, begins_file=False, by_hand=False
        )
    ]
    # The server takes about a third, because the others name what is not there.
    drawn = [draw(random) for _ in range(random.randint(6, 24))]
    return [*first, *drawn] if begins else drawn


class Laboratory:
    """A database for each of two ways; each of the folders in a batch has a schema there.

    Many at once, because a run costs more than what its files do.
    """

    def __init__(
        self, create_database: Callable[..., str], home: Path, other: Way, base: str
    ) -> None:
        self.other = other
        self.base = base
        self.conns = {way: lfmigrate.connect(create_database()) for way in (in_one_run, other)}
        self.home = home
        self.batches = 0
        self.folders = 0

    def accepted(self, batch: Mapping[int, Sequence[Drawn]]) -> dict[int, list[Drawn]]:
        """Return the statements of each folder that the server takes, one after the other."""
        conn = self.conns[in_one_run]
        taken: dict[int, list[Drawn]] = {number: [] for number in batch}
        with conn.transaction(force_rollback=True):
            conn.execute(pool.base("trial", self.base).encode())
            for number, drawn in batch.items():
                with conn.transaction(force_rollback=True):
                    for statement in drawn:
                        text = pool.concrete(statement.text, "trial", number)
                        with suppress(psycopg.Error), conn.transaction():
                            conn.execute(text.encode())
                            conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
                            taken[number].append(statement)
        return taken

    def folder(self, parts: Parts) -> Folder:
        """Write the folders of a batch as one, whose last file can be rolled back."""
        path = self.home / f"batch{self.batches}"
        self.batches += 1
        self.folders += sum(1 for part in parts.values() if len(part.files) > 1)
        path.mkdir()
        count = max(len(part.files) for part in parts.values())
        for place in range(count):
            texts = []
            for number, part in parts.items():
                if place == 0:
                    texts.append(pool.base(schema_of(number), self.base))
                if place < len(part.files):
                    texts.append(f"SET search_path = {pool.path(schema_of(number))};\n")
                    texts += [f"{text};\n" for text in part.files[place]]
            (path / f"{place + 1}_file.up.sql").write_text("".join(texts) or "SELECT 1;\n")
        (path / f"{count + 1}_last.up.sql").write_text(
            "CREATE TABLE last (id integer PRIMARY KEY);\nCREATE INDEX last_id ON last (id);\n"
        )
        (path / f"{count + 1}_last.down.sql").write_text("DROP TABLE last;\n")
        return lfmigrate.read_folder(path)

    def drop(self, conn: Connection) -> None:
        """Drop everything, and with it what was recorded."""
        conn.execute("SET client_min_messages = error")
        conn.execute(pool.DROP_ALL.encode())
        conn.execute("RESET ALL")


def schema_of(number: int) -> str:
    """Return the name of a folder's schema."""
    return f"k{number}"


def expected(conn: Connection) -> dict[str, dict[str, dict[str, str]]]:
    """Return what is expected in each schema."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for relation in read_state(conn, Scope()).history.expected.values():
        relations = found.setdefault(relation.key.schema, {})
        relations[f"{relation.kind} {relation.name}"] = dict(relation.parts)
    return found


def by_hand(conn: Connection, parts: Parts, place: int) -> None:
    """Run what is made by hand before a file."""
    with conn.transaction():
        for number, part in parts.items():
            if place < len(part.hand) and part.hand[place]:
                path = pool.path(schema_of(number))
                conn.execute(f"SET LOCAL search_path = {path}".encode())
                conn.execute(part.hand[place].encode())


def in_one_run(conn: Connection, folder: Folder, _: Parts) -> None:
    """Apply all files in one transaction."""
    lfmigrate.up(conn, folder, accept_data_loss=True)


def file_by_file(conn: Connection, folder: Folder, _: Parts) -> None:
    """Apply each file by a command of its own."""
    for migration in folder.migrations:
        lfmigrate.up(conn, folder, to=migration.version, accept_data_loss=True)


def with_a_commit_each(conn: Connection, folder: Folder, _: Parts) -> None:
    """Apply each file in a transaction of its own, by one command."""
    lfmigrate.up(conn, folder, per_migration=True, accept_data_loss=True)


def with_a_rollback(conn: Connection, folder: Folder, _: Parts) -> None:
    """Roll back the last file in between."""
    lfmigrate.up(conn, folder, accept_data_loss=True)
    lfmigrate.rollback(conn, folder, backup_dir=None)
    lfmigrate.up(conn, folder, accept_data_loss=True)


def after_a_hot_fix(conn: Connection, folder: Folder, parts: Parts) -> None:
    """Run some statements by hand before the file that has them, which then changes nothing."""
    for place, migration in enumerate(folder.migrations):
        by_hand(conn, parts, place)
        lfmigrate.up(conn, folder, to=migration.version, accept_data_loss=True)


Way = Callable[[Connection, Folder, Parts], None]
# The other ways of applying a folder.
WAYS: list[Way] = [
    file_by_file,
    with_a_commit_each,
    with_a_rollback,
    after_a_hot_fix,
]


def split(accepted: Sequence[Drawn], number: int) -> Part:
    """Return the statements of each file after the base, and what is made by hand before each."""
    name = schema_of(number)
    files: list[list[str]] = [[]]
    hand = [""]
    for statement in accepted:
        if len(files) == 1 or (files[-1] and statement.begins_file and len(files) <= FILES):
            files.append([])
            hand.append("")
        # Only before anything else of its file, which it could depend on.
        if statement.by_hand and statement.runs_twice and not files[-1]:
            hand[-1] = pool.concrete(statement.text, name, number)
        files[-1].append(pool.concrete(statement.text, name, number))
    return Part(files, hand)


@pytest.fixture
def lab(create_database: Callable[..., str], tmp_path: Path, batch: int) -> Iterator[Laboratory]:
    """Return a laboratory in databases of its own, for each other way in turn."""
    other = WAYS[batch % len(WAYS)]
    base = pool.BASES[batch // len(WAYS) % len(pool.BASES)]
    laboratory = Laboratory(create_database, tmp_path, other, base)
    with ExitStack() as stack:
        for conn in laboratory.conns.values():
            stack.enter_context(closing(conn))
        yield laboratory


@pytest.mark.parametrize("batch", range(BATCHES))
def test_however_a_folder_is_applied_the_same_is_expected(
    lab: Laboratory, batch: int, record_property: Callable[[str, object], None]
) -> None:
    """In one run or in several, with a rollback or a hot fix in between."""
    # Other folders on each version.
    major = lab.conns[in_one_run].info.server_version // 10000

    random = Random(f"{major} {batch}")  # noqa: S311 (folders, not secrets)

    extensions = len(pool.EXTENSIONS) if lab.base is pool.OTHERS else 0
    drawn = {n: draw_folder(random, begins=n < extensions) for n in range(SIZE)}
    accepted = lab.accepted(drawn)
    if problem := difference(lab, {n: split(part, n) for n, part in accepted.items()}):
        pytest.fail(smallest(lab, accepted) or problem)

    record_property("folders", lab.folders)


def difference(lab: Laboratory, parts: Parts) -> str | None:
    """Return what is not the same of a batch in one run and in the other way, if any."""
    folder = lab.folder(parts)
    found = {}
    for way in (in_one_run, lab.other):
        conn = lab.conns[way]
        lab.drop(conn)
        try:
            way(conn, folder, parts)
            found[way] = expected(conn)
            lfmigrate.up(conn, folder, strict=True)
            report = lfmigrate.verify(conn, folder)
            if way is in_one_run and report.ok:
                # What the other ways expect is compared with this one.
                report = lfmigrate.verify(conn, folder, replay_files=True, grants=True)
        except lfmigrate.LfmigrateError as error:
            return f"{way.__name__}: {error} {parts}"
        if not report.ok:
            wrong = [verdict for verdict in report.relations if verdict.status != "ok"]
            return f"{way.__name__}, replay {report.source}: {wrong} {parts}"
    there, here = found[lab.other], found[in_one_run]
    for schema in there.keys() | here.keys():
        theirs, ours = there.get(schema, {}), here.get(schema, {})
        for name in theirs.keys() | ours.keys():
            if theirs.get(name) != ours.get(name):
                problem = f"{schema}: {name}: {theirs.get(name)} instead of {ours.get(name)}"
                return f"{lab.other.__name__}: {problem} {parts}"
    return None


def smallest(lab: Laboratory, batch: Mapping[int, Sequence[Drawn]]) -> str | None:
    """Return the difference that the fewest statements of one folder of a batch still make."""
    for number, part in batch.items():
        if problem := difference(lab, {number: split(part, number)}):
            return shrunk(lab, number, part, problem)
    return None


def shrunk(lab: Laboratory, number: int, left: Sequence[Drawn], problem: str) -> str:
    """Return what is different once no statement of a folder can be left out."""
    shrinks = True
    while shrinks:
        shrinks = False
        for place in range(len(left)):
            fewer = lab.accepted({number: [*left[:place], *left[place + 1 :]]})[number]
            if smaller := difference(lab, {number: split(fewer, number)}):
                left, problem, shrinks = fewer, smaller, True
                break
    return problem
