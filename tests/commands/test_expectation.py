"""The same folder leaves the same expected state, however its files are grouped into runs.

Folders are drawn from a pool of statements for every kind of object that README names. Each folder
runs in one `up`, file by file, with a commit per file, with a rollback in between, and after some
of its statements were made by hand. The expected states must be equal, equal to what a replay
creates, and `verify` and `up --strict` must find nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
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

pytestmark = pytest.mark.sweep

# So many folders are drawn; those of a batch are applied together. A batch is one test, with a seed
# of its own.
SIZE = 50
BATCHES = int(os.environ.get("LFMIGRATE_TEST_FOLDERS", "1050")) // SIZE
# After the base. Few, because a command for each of them costs more than its statements.
FILES = 3

BASE = """
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN share AS numeric CONSTRAINT share_check CHECK (VALUE >= 0);
CREATE SEQUENCE nums;
CREATE FUNCTION f(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n + 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE t (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    a integer NOT NULL DEFAULT 1,
    b text,
    m mood DEFAULT 'low',
    s share,
    n integer DEFAULT nextval('nums'),
    q pair,
    CONSTRAINT t_a_check CHECK (a > 0)
);
CREATE TABLE u (
    id serial PRIMARY KEY,
    t_id bigint CONSTRAINT u_fk REFERENCES t (id),
    c text CONSTRAINT u_c UNIQUE
);
CREATE TABLE p (k integer NOT NULL, v text, CONSTRAINT p_v CHECK (v <> '')) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (k integer NOT NULL, v text, CONSTRAINT p_v CHECK (v <> ''));
CREATE TABLE parent (x integer);
CREATE TABLE child (z text) INHERITS (parent);
CREATE VIEW v AS SELECT t.id, t.a, t.m, u.c FROM t LEFT JOIN u ON u.t_id = t.id;
CREATE VIEW vv AS SELECT id, c FROM v;
CREATE MATERIALIZED VIEW mv AS SELECT a, f(a) AS fa FROM t;
CREATE INDEX t_b ON t (b) WHERE b <> '';
CREATE INDEX t_f ON t (f(a));
CREATE INDEX p_k ON p (k);
CREATE INDEX mv_a ON mv (a);
CREATE STATISTICS st ON a, b FROM t;
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION touch();
CREATE POLICY pol ON t USING (a > 0 AND EXISTS (SELECT FROM u WHERE u.t_id = t.id));
CREATE RULE ru AS ON INSERT TO u WHERE NEW.c = '' DO INSTEAD NOTHING;
"""

# The names that the statements use; a rename goes from one to the other, and maybe back.
NAMES = {
    "t": ("t", "t_new"),
    "u": ("u", "u_new"),
    "a": ("a", "a_new"),
    "b": ("b", "b_new"),
    "c": ("c", "c_new"),
    "v": ("v", "v_new"),
    "vv": ("vv", "vv_new"),
    "mv": ("mv", "mv_new"),
    "p": ("p", "p_new"),
    "p1": ("p1", "p1_new"),
    "parent": ("parent", "parent_new"),
    "child": ("child", "child_new"),
    "f": ("f", "f_new"),
    "touch": ("touch", "touch_new"),
    "mood": ("mood", "mood_new"),
    "pair": ("pair", "pair_new"),
    "share": ("share", "share_new"),
    "nums": ("nums", "nums_new"),
    "t_b": ("t_b", "t_b_new"),
    "u_c": ("u_c", "u_c_new"),
    "t_a_check": ("t_a_check", "t_a_check_new"),
    "u_fk": ("u_fk", "u_fk_new"),
    "st": ("st", "st_new"),
    "tr": ("tr", "tr_new"),
    "pol": ("pol", "pol_new"),
    "ru": ("ru", "ru_new"),
}

# What a rename of each looks like, given its two names.
RENAMES = {
    "t": "ALTER TABLE {0} RENAME TO {1}",
    "u": "ALTER TABLE {0} RENAME TO {1}",
    "p": "ALTER TABLE {0} RENAME TO {1}",
    "p1": "ALTER TABLE {0} RENAME TO {1}",
    "parent": "ALTER TABLE {0} RENAME TO {1}",
    "child": "ALTER TABLE {0} RENAME TO {1}",
    "v": "ALTER VIEW {0} RENAME TO {1}",
    "vv": "ALTER VIEW {0} RENAME TO {1}",
    "mv": "ALTER MATERIALIZED VIEW {0} RENAME TO {1}",
    "a": "ALTER TABLE {t} RENAME COLUMN {0} TO {1}",
    "b": "ALTER TABLE {t} RENAME COLUMN {0} TO {1}",
    "c": "ALTER TABLE {u} RENAME COLUMN {0} TO {1}",
    "f": "ALTER FUNCTION {0}(integer) RENAME TO {1}",
    "touch": "ALTER FUNCTION {0}() RENAME TO {1}",
    "mood": "ALTER TYPE {0} RENAME TO {1}",
    "pair": "ALTER TYPE {0} RENAME TO {1}",
    "share": "ALTER DOMAIN {0} RENAME TO {1}",
    "nums": "ALTER SEQUENCE {0} RENAME TO {1}",
    "t_b": "ALTER INDEX {0} RENAME TO {1}",
    "u_c": "ALTER TABLE {u} RENAME CONSTRAINT {0} TO {1}",
    "t_a_check": "ALTER TABLE {t} RENAME CONSTRAINT {0} TO {1}",
    "u_fk": "ALTER TABLE {u} RENAME CONSTRAINT {0} TO {1}",
    "st": "ALTER STATISTICS {0} RENAME TO {1}",
    "tr": "ALTER TRIGGER {0} ON {t} RENAME TO {1}",
    "pol": "ALTER POLICY {0} ON {t} RENAME TO {1}",
    "ru": "ALTER RULE {0} ON {u} RENAME TO {1}",
}

# Everything else; {name} is one of the two names above.
STATEMENTS = """
ALTER TABLE {t} ADD COLUMN d integer DEFAULT 7
ALTER TABLE {t} ADD COLUMN e text GENERATED ALWAYS AS (upper({b})) STORED
ALTER TABLE {t} DROP COLUMN d
ALTER TABLE {t} DROP COLUMN n
ALTER TABLE {t} ALTER COLUMN {b} TYPE varchar(40)
ALTER TABLE {t} ALTER COLUMN d TYPE bigint
ALTER TABLE {t} ALTER COLUMN {b} SET STORAGE EXTERNAL
ALTER TABLE {t} ALTER COLUMN id SET GENERATED BY DEFAULT
ALTER TABLE {t} ALTER COLUMN id DROP IDENTITY
ALTER TABLE {t} ADD CONSTRAINT t_extra CHECK ({a} < 100)
ALTER TABLE {t} ADD CONSTRAINT t_late CHECK ({a} < 100) NOT VALID
ALTER TABLE {t} VALIDATE CONSTRAINT t_late
ALTER TABLE {t} DROP CONSTRAINT t_extra
ALTER TABLE {t} ADD CONSTRAINT t_b_key UNIQUE ({b}) WITH (fillfactor = 80)
ALTER TABLE {u} ADD CONSTRAINT u_c_excl EXCLUDE ({c} WITH =)
ALTER TABLE {u} DROP CONSTRAINT {u_c}
ALTER TABLE {u} ALTER CONSTRAINT {u_fk} DEFERRABLE INITIALLY DEFERRED
ALTER TABLE {t} DISABLE TRIGGER {tr}
ALTER TABLE {t} DISABLE TRIGGER ALL
ALTER TABLE {t} ENABLE TRIGGER ALL
ALTER TABLE {t} ENABLE ALWAYS TRIGGER {tr}
ALTER TABLE {u} DISABLE RULE {ru}
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY
ALTER TABLE {t} FORCE ROW LEVEL SECURITY
ALTER TABLE {t} DISABLE ROW LEVEL SECURITY
ALTER TABLE {t} SET (fillfactor = 70)
ALTER TABLE {t} RESET (fillfactor)
ALTER TABLE {parent} SET UNLOGGED
ALTER TABLE {child} SET UNLOGGED
ALTER TABLE {t} REPLICA IDENTITY FULL
ALTER TABLE {u} REPLICA IDENTITY NOTHING
ALTER TABLE {t} CLUSTER ON t_pkey
ALTER INDEX {t_b} SET (fillfactor = 60)
ALTER INDEX t_pkey RENAME TO t_key
ALTER INDEX t_f ALTER COLUMN 1 SET STATISTICS 100
DROP INDEX {t_b}
DROP INDEX IF EXISTS t_f
CREATE INDEX t_again ON {t} ({a}, {b})
CREATE UNIQUE INDEX t_unique ON {t} (id, {b})
ALTER TABLE {child} NO INHERIT {parent}
ALTER TABLE {child} INHERIT {parent}
ALTER TABLE {parent} ADD COLUMN y integer
ALTER TABLE {parent} ADD CONSTRAINT parent_x CHECK (x > 0)
ALTER TABLE {p} ADD COLUMN w text DEFAULT ''
ALTER TABLE {p} DETACH PARTITION {p1}
ALTER TABLE {p} ATTACH PARTITION {p1} FOR VALUES FROM (20) TO (30)
ALTER TABLE {p} ATTACH PARTITION p2 FOR VALUES FROM (50) TO (60)
CREATE TABLE p3 PARTITION OF {p} DEFAULT
CREATE INDEX p_v_idx ON {p} (v)
ALTER VIEW {v} RENAME COLUMN a TO first
ALTER VIEW {v} ALTER COLUMN c SET DEFAULT 'x'
ALTER VIEW {v} SET (security_barrier = true)
CREATE OR REPLACE VIEW {vv} AS SELECT id, c FROM {v} WHERE id > 0
CREATE VIEW late AS SELECT {a} FROM {t}
DROP VIEW {vv}
DROP VIEW IF EXISTS {vv}
ALTER MATERIALIZED VIEW {mv} SET (fillfactor = 50)
ALTER MATERIALIZED VIEW {mv} CLUSTER ON mv_a
CREATE OR REPLACE FUNCTION {f}(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n + 2'
ALTER FUNCTION {f}(integer) COST 7
ALTER FUNCTION {f}(integer) STRICT
ALTER FUNCTION {touch}() SECURITY DEFINER
ALTER FUNCTION {touch}() SET search_path = pg_catalog
CREATE FUNCTION g(m {mood}) RETURNS text LANGUAGE sql STABLE AS 'SELECT m::text'
DROP FUNCTION g
ALTER TYPE {mood} RENAME VALUE 'low' TO 'lowest'
ALTER TYPE {mood} ADD VALUE 'highest'
ALTER TYPE {mood} ADD VALUE IF NOT EXISTS 'high'
ALTER TYPE {pair} RENAME ATTRIBUTE x TO xx
ALTER TYPE {pair} ADD ATTRIBUTE z date
ALTER DOMAIN {share} SET DEFAULT 1
ALTER DOMAIN {share} ADD CONSTRAINT share_more CHECK (VALUE < 100)
ALTER DOMAIN {share} DROP CONSTRAINT share_check
ALTER DOMAIN {share} RENAME CONSTRAINT share_check TO share_check_new
ALTER DOMAIN {share} SET NOT NULL
ALTER SEQUENCE {nums} INCREMENT BY 5
ALTER SEQUENCE {nums} OWNED BY {t}.n
ALTER SEQUENCE u_id_seq INCREMENT BY 2
ALTER SEQUENCE u_id_seq RENAME TO u_numbers
DROP STATISTICS {st}
CREATE STATISTICS more ON {a}, id FROM {t}
ALTER POLICY {pol} ON {t} USING ({a} > 1)
DROP POLICY {pol} ON {t}
CREATE POLICY another ON {u} FOR SELECT USING (true)
DROP TRIGGER {tr} ON {t}
CREATE TRIGGER more BEFORE INSERT ON {u} FOR EACH ROW EXECUTE FUNCTION {touch}()
CREATE OR REPLACE TRIGGER {tr} BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION {touch}()
DROP RULE {ru} ON {u}
DROP TABLE {child}
DROP TABLE {u} CASCADE
DROP TABLE {parent} CASCADE
CREATE TABLE u (other integer)
CREATE TABLE w (id integer PRIMARY KEY REFERENCES {u}, m {mood}, s {share}, q {pair})
ALTER TABLE w ADD CHECK (m = 'high'), ADD UNIQUE (s)
COMMENT ON TABLE {t} IS 'a comment'
INSERT INTO {u} (t_id) VALUES (NULL)
CREATE TEMPORARY TABLE {t} (z integer); ALTER TABLE {t} ADD COLUMN y text; DROP TABLE {t}
CREATE TEMPORARY TABLE {v} (z integer); CREATE INDEX ON {v} (z); DROP TABLE pg_temp.{v}
CREATE TEMPORARY SEQUENCE {nums}; ALTER SEQUENCE {nums} INCREMENT BY 3; DROP SEQUENCE {nums}
""".strip().splitlines()

# Statements that a hot fix by hand may have done before: run twice, they change nothing more.
IDEMPOTENT = """
ALTER TABLE {t} ADD COLUMN IF NOT EXISTS hot integer DEFAULT 3
ALTER TABLE {t} ALTER COLUMN {a} SET DEFAULT 5
ALTER TABLE {t} ALTER COLUMN {a} DROP DEFAULT
ALTER TABLE {t} ALTER COLUMN {b} SET NOT NULL
ALTER TABLE {t} ALTER COLUMN {a} DROP NOT NULL
ALTER TABLE {t} DROP COLUMN IF EXISTS s CASCADE
ALTER TABLE {t} DROP CONSTRAINT IF EXISTS {t_a_check}
ALTER TABLE {t} SET (autovacuum_enabled = false)
CREATE INDEX IF NOT EXISTS t_hot ON {t} (id, {a})
CREATE TABLE IF NOT EXISTS hot (id integer PRIMARY KEY)
CREATE SEQUENCE IF NOT EXISTS hot_seq
CREATE OR REPLACE VIEW {vv} AS SELECT id, c FROM {v} WHERE c IS NOT NULL
CREATE OR REPLACE FUNCTION {touch}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$
DROP INDEX IF EXISTS {t_b}
DROP VIEW IF EXISTS {vv}
DROP MATERIALIZED VIEW IF EXISTS {mv}
DROP POLICY IF EXISTS {pol} ON {t}
DROP TRIGGER IF EXISTS {tr} ON {t}
ALTER TABLE {u} ALTER COLUMN {c} SET DEFAULT 'none'
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY
""".strip().splitlines()


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


def draw(random: Random) -> Drawn:
    """Draw a statement, with a name of each object that it mentions."""
    names = {key: random.choice(both[: random.choice((1, 2))]) for key, both in NAMES.items()}
    kind = random.choice(["rename", "rename", "any", "any", "any", "idempotent"])
    if kind == "rename":
        key = random.choice(sorted(RENAMES))
        both = NAMES[key] if random.randrange(4) else NAMES[key][::-1]
        text = RENAMES[key].format(*both, **names)
    else:
        text = random.choice(STATEMENTS if kind == "any" else IDEMPOTENT).format(**names)
    return Drawn(
        text,
        runs_twice=kind == "idempotent",
        begins_file=random.randrange(3) == 0,
        by_hand=random.randrange(2) == 0,
    )


class Laboratory:
    """A database for each of two ways; each of the folders in a batch has a schema there.

    Many at once, because a run costs more than what its files do.
    """

    def __init__(self, create_database: Callable[..., str], home: Path, other: Way) -> None:
        self.other = other
        self.conns = {way: lfmigrate.connect(create_database()) for way in (in_one_run, other)}
        self.home = home
        self.batches = 0
        self.folders = 0

    def accepted(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Return the statements that the server takes, one after the other."""
        return self.all_accepted([drawn])[0]

    def all_accepted(self, batch: Sequence[Sequence[Drawn]]) -> list[list[Drawn]]:
        """Return the same for each folder of a batch."""
        conn = self.conns[in_one_run]
        all_accepted = []
        with conn.transaction(force_rollback=True):
            conn.execute("CREATE SCHEMA trial; SET LOCAL search_path = trial")
            conn.execute(BASE.encode())
            for drawn in batch:
                accepted: list[Drawn] = []
                all_accepted.append(accepted)
                with conn.transaction(force_rollback=True):
                    for statement in drawn:
                        with suppress(psycopg.Error), conn.transaction():
                            conn.execute(statement.text.encode())
                            conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
                            accepted.append(statement)
        return all_accepted

    def folder(self, parts: Sequence[Part]) -> Folder:
        """Write the folders of a batch as one, whose last file can be rolled back."""
        path = self.home / f"batch{self.batches}"
        self.batches += 1
        self.folders += sum(1 for part in parts if len(part.files) > 1)
        path.mkdir()
        count = max(len(part.files) for part in parts)
        for number in range(count):
            texts = []
            for name, part in named(parts):
                if number == 0:
                    texts.append(f"CREATE SCHEMA {name};\nSET search_path = {name};\n{BASE}")
                if number < len(part.files):
                    texts.append(f"SET search_path = {name};\n")
                    texts += [f"{text};\n" for text in part.files[number]]
            (path / f"{number + 1}_file.up.sql").write_text("".join(texts) or "SELECT 1;\n")
        (path / f"{count + 1}_last.up.sql").write_text(
            "CREATE TABLE last (id integer PRIMARY KEY);\nCREATE INDEX last_id ON last (id);\n"
        )
        (path / f"{count + 1}_last.down.sql").write_text("DROP TABLE last;\n")
        return lfmigrate.read_folder(path)

    def drop(self, conn: Connection, parts: Sequence[Part]) -> None:
        """Drop the schemas of a batch, and forget what was recorded of them."""
        conn.execute("SET client_min_messages = error")
        for name, _ in named(parts):
            conn.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())
        conn.execute("DROP SCHEMA IF EXISTS lfmigrate CASCADE; DROP TABLE IF EXISTS last")
        conn.execute("RESET ALL")


def named(parts: Sequence[Part]) -> list[tuple[str, Part]]:
    """Return each folder of a batch with the name of its schema."""
    return [(f"k{number}", part) for number, part in enumerate(parts)]


def expected(conn: Connection) -> dict[str, dict[str, dict[str, str]]]:
    """Return what is expected in each schema."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for relation in read_state(conn, Scope()).history.expected.values():
        relations = found.setdefault(relation.key.schema, {})
        relations[f"{relation.kind} {relation.name}"] = dict(relation.parts)
    return found


def by_hand(conn: Connection, parts: Sequence[Part], number: int) -> None:
    """Run what is made by hand before a file."""
    with conn.transaction():
        for name, part in named(parts):
            if number < len(part.hand) and part.hand[number]:
                conn.execute(f"SET LOCAL search_path = {name}".encode())
                conn.execute(part.hand[number].encode())


def in_one_run(conn: Connection, folder: Folder, _: Sequence[Part]) -> None:
    """Apply all files in one transaction."""
    lfmigrate.up(conn, folder)


def file_by_file(conn: Connection, folder: Folder, _: Sequence[Part]) -> None:
    """Apply each file by a command of its own."""
    for migration in folder.migrations:
        lfmigrate.up(conn, folder, to=migration.version)


def with_a_commit_each(conn: Connection, folder: Folder, _: Sequence[Part]) -> None:
    """Apply each file in a transaction of its own, by one command."""
    lfmigrate.up(conn, folder, per_migration=True)


def with_a_rollback(conn: Connection, folder: Folder, _: Sequence[Part]) -> None:
    """Roll back the last file in between."""
    lfmigrate.up(conn, folder)
    lfmigrate.rollback(conn, folder, backup_dir=None)
    lfmigrate.up(conn, folder)


def after_a_hot_fix(conn: Connection, folder: Folder, parts: Sequence[Part]) -> None:
    """Run some statements by hand before the file that has them, which then changes nothing."""
    for number, migration in enumerate(folder.migrations):
        by_hand(conn, parts, number)
        lfmigrate.up(conn, folder, to=migration.version)


Way = Callable[[Connection, Folder, Sequence[Part]], None]
# The other ways of applying a folder.
WAYS: list[Way] = [
    file_by_file,
    with_a_commit_each,
    with_a_rollback,
    after_a_hot_fix,
]


def split(accepted: Sequence[Drawn]) -> Part:
    """Return the statements of each file after the base, and what is made by hand before each."""
    files: list[list[str]] = [[]]
    hand = [""]
    for statement in accepted:
        if len(files) == 1 or (files[-1] and statement.begins_file and len(files) <= FILES):
            files.append([])
            hand.append("")
        # Only before anything else of its file, which it could depend on.
        if statement.by_hand and statement.runs_twice and not files[-1]:
            hand[-1] = statement.text
        files[-1].append(statement.text)
    return Part(files, hand)


@pytest.fixture
def lab(create_database: Callable[..., str], tmp_path: Path, batch: int) -> Iterator[Laboratory]:
    """Return a laboratory in databases of its own, for each other way in turn."""
    laboratory = Laboratory(create_database, tmp_path, WAYS[batch % len(WAYS)])
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

    drawn = [[draw(random) for _ in range(random.randint(4, 16))] for _ in range(SIZE)]
    accepted = lab.all_accepted(drawn)
    if problem := difference(lab, [split(part) for part in accepted]):
        pytest.fail(smallest(lab, accepted) or problem)

    record_property("folders", lab.folders)


def difference(lab: Laboratory, parts: Sequence[Part]) -> str | None:
    """Return what is not the same of a batch in one run and in the other way, if any."""
    folder = lab.folder(parts)
    found = {}
    for way in (in_one_run, lab.other):
        conn = lab.conns[way]
        lab.drop(conn, parts)
        try:
            way(conn, folder, parts)
            found[way] = expected(conn)
            lfmigrate.up(conn, folder, strict=True)
            report = lfmigrate.verify(conn, folder)
            if way is in_one_run and report.ok:
                # What the other ways expect is compared with this one.
                report = lfmigrate.verify(conn, folder, replay_files=True)
        except lfmigrate.LfmigrateError as error:
            return f"{way.__name__}: {error} {parts}"
        if not report.ok:
            wrong = [verdict for verdict in report.relations if verdict.status != "ok"]
            return f"{way.__name__}, replay {report.source}: {wrong} {parts}"
    there, here = found[lab.other], found[in_one_run]
    for name in there.keys() | here.keys():
        if there.get(name) != here.get(name):
            problem = f"{there.get(name)} instead of {here.get(name)}"
            return f"{lab.other.__name__}: {name}: {problem} {parts}"
    return None


def smallest(lab: Laboratory, batch: Sequence[Sequence[Drawn]]) -> str | None:
    """Return the difference that the fewest statements of one folder of a batch still make."""
    problem = None
    left: Sequence[Drawn] = ()
    for part in batch:
        if problem := difference(lab, [split(part)]):
            left = part
            break
    shrinks = bool(left)
    while shrinks:
        shrinks = False
        for place in range(len(left)):
            fewer = lab.accepted([*left[:place], *left[place + 1 :]])
            if smaller := difference(lab, [split(fewer)]):
                left, problem, shrinks = fewer, smaller, True
                break
    return problem
