"""What `verify` compares: every property of a relation, and every kind of object.

Each case is a statement in a migration, a change by hand, and what is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.commands.verify import VerifyReport
from lfmigrate.errors import Refused
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, value

# It compares what each version's catalogs say, and how it prints definitions.
pytestmark = pytest.mark.per_version

Write = Callable[[Mapping[str, str | bytes]], Path]


def rows(report: VerifyReport) -> set[tuple[str, str, str, frozenset[str]]]:
    """Return what differs: status, kind, name and the parts."""
    return {
        (v.status, v.relation.kind, v.relation.name, frozenset(d.part for d in v.differences))
        for v in report.relations
        if v.status != "ok"
    }


def rollback(url: str, files: Path) -> RollbackReport:
    """Undo the newest migration."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=None)


# --------------------------------------------------------------------------------------------------
# Properties of relations
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Property:
    """A property: what a migration creates, a change of it by hand, and what is reported."""

    create: str
    change: str
    kind: str
    name: str
    part: str
    since: int = 14


TABLE = "CREATE TABLE t (id int CONSTRAINT k UNIQUE, n text);"
BASE_TYPE = """
    CREATE TYPE b;
    CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
    CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
    CREATE FUNCTION b_send(b) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
    CREATE TYPE b (INPUT = b_in, OUTPUT = b_out, LIKE = int4);
"""

PROPERTIES = {
    "storage": Property(
        TABLE, "ALTER TABLE t ALTER n SET STORAGE EXTERNAL", "table", "t", "column n"
    ),
    "compression": Property(
        TABLE, "ALTER TABLE t ALTER n SET COMPRESSION pglz", "table", "t", "column n"
    ),
    "a column's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION \"C\" (locale = 'POSIX');"
        ' CREATE COLLATION s."C" (locale = \'POSIX\'); CREATE TABLE t (n text COLLATE s."C")',
        'ALTER TABLE t ALTER n TYPE text COLLATE public."C"',
        "table",
        "t",
        "column n",
    ),
    "a domain's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION c (locale = 'POSIX');"
        " CREATE COLLATION s.c (locale = 'POSIX'); CREATE DOMAIN d AS text COLLATE s.c",
        "DROP DOMAIN d; CREATE DOMAIN d AS text COLLATE c",
        "type",
        "d",
        "definition",
    ),
    "a range's collation of another schema": Property(
        "CREATE SCHEMA s; CREATE COLLATION c (locale = 'POSIX');"
        " CREATE COLLATION s.c (locale = 'POSIX');"
        " CREATE TYPE r AS RANGE (SUBTYPE = text, COLLATION = s.c)",
        "DROP TYPE r; CREATE TYPE r AS RANGE (SUBTYPE = text, COLLATION = c)",
        "type",
        "r",
        "definition",
    ),
    "options of a unique constraint": Property(
        TABLE, "ALTER INDEX k SET (fillfactor = 50)", "table", "t", "constraint k"
    ),
    "options of a primary key": Property(
        "CREATE TABLE t (id int CONSTRAINT k PRIMARY KEY WITH (fillfactor = 60))",
        "ALTER INDEX k RESET (fillfactor)",
        "table",
        "t",
        "constraint k",
    ),
    "clustered": Property(TABLE, "ALTER TABLE t CLUSTER ON k", "table", "t", "cluster"),
    "no longer clustered": Property(
        TABLE + "ALTER TABLE t CLUSTER ON k",
        "ALTER TABLE t SET WITHOUT CLUSTER",
        "table",
        "t",
        "cluster",
    ),
    "typed table": Property(
        "CREATE TYPE p AS (id int); CREATE TABLE t OF p",
        "ALTER TABLE t NOT OF",
        "table",
        "t",
        "type",
    ),
    "toast options": Property(
        TABLE,
        "ALTER TABLE t SET (toast.autovacuum_enabled = off)",
        "table",
        "t",
        "toast options",
    ),
    "schema of an extension": Property(
        "CREATE SCHEMA s; CREATE EXTENSION citext",
        "ALTER EXTENSION citext SET SCHEMA s",
        "extension",
        "citext",
        "schema",
    ),
    "version of an extension": Property(
        "CREATE EXTENSION hstore VERSION '1.4'",
        "ALTER EXTENSION hstore UPDATE TO '1.6'",
        "extension",
        "hstore",
        "version",
    ),
    "base type": Property(
        BASE_TYPE,
        "ALTER TYPE b SET (SEND = b_send)",
        "type",
        "b",
        "definition",
    ),
    "no longer populated": Property(
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n",
        "REFRESH MATERIALIZED VIEW m WITH NO DATA",
        "materialized view",
        "m",
        "rows",
    ),
    "not null, no inherit": Property(
        "CREATE TABLE t (n int CONSTRAINT k NOT NULL NO INHERIT)",
        "ALTER TABLE t ALTER CONSTRAINT k INHERIT",
        "table",
        "t",
        "column n",
        since=18,
    ),
}


@pytest.mark.parametrize("case", PROPERTIES)
def test_a_property_is_compared(
    case: str, server_version: int, create_database: Callable[..., str], folder: Write
) -> None:
    """The history and a replay agree about it, and a change by hand is found by both."""
    given = PROPERTIES[case]
    if server_version < given.since:
        pytest.skip(f"PostgreSQL {given.since} introduced it")
    database = create_database()
    files = folder({"1_a.sql": given.create})
    up(database, files)
    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok

    execute(database, given.change)

    changed = {("drifted", given.kind, given.name, frozenset({given.part}))}
    assert rows(verify(database, files)) == changed
    assert rows(verify(database, files, replay_files=True)) == changed


def test_a_materialized_view_may_be_filled_at_any_time(database: str, folder: Write) -> None:
    """Its rows are no part of the schema; that a migration left it without any is no promise."""
    files = folder({"1_a.sql": "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n WITH NO DATA"})
    up(database, files)
    assert verify(database, files).ok

    execute(database, "REFRESH MATERIALIZED VIEW m")

    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok
    (files / "2_b.sql").write_text("CREATE TABLE t (n int)")
    report = up(database, files)
    assert report.notes == ()
    execute(database, "REFRESH MATERIALIZED VIEW m WITH NO DATA")
    assert verify(database, files).ok

    (files / "3_c.sql").write_text("REFRESH MATERIALIZED VIEW m")
    up(database, files)
    execute(database, "REFRESH MATERIALIZED VIEW m WITH NO DATA")
    assert rows(verify(database, files)) == {
        ("drifted", "materialized view", "m", frozenset({"rows"}))
    }


# --------------------------------------------------------------------------------------------------
# Kinds of objects
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """An object of a kind: how it is created, changed and dropped.

    Attributes:
        create: What a migration runs.
        kind: What it is called.
        name: Its name in reports.
        change: A change of it.
        drop: What drops it.
        needs: What an earlier migration creates.
        since: The version that introduced it.
        part: Where the change is found.
    """

    create: str
    kind: str
    name: str
    change: str
    drop: str
    needs: str = "CREATE TABLE base (n int)"
    since: int = 14
    part: str = "definition"


BY_DEFAULT = "ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA public "
SERVER = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER v FOREIGN DATA WRAPPER w"
OPERATOR = (
    "CREATE FUNCTION same(int, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2'"
)

KINDS = {
    "cast": Kind(
        "CREATE CAST (p AS int) WITH FUNCTION f(p)",
        "cast",
        "p AS integer",
        "DROP CAST (p AS int); CREATE CAST (p AS int) WITH FUNCTION f(p) AS IMPLICIT",
        "DROP CAST (p AS int)",
        "CREATE TYPE p AS (n int);"
        " CREATE FUNCTION f(p) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.n'",
    ),
    "cast between types of the server": Kind(
        "CREATE CAST (int AS point) WITH INOUT",
        "cast",
        "integer AS point",
        "DROP CAST (int AS point); CREATE CAST (int AS point) WITH INOUT AS ASSIGNMENT",
        "DROP CAST (int AS point)",
    ),
    "operator": Kind(
        "CREATE OPERATOR @=@ (LEFTARG = int, RIGHTARG = text, FUNCTION = same)",
        "operator",
        "@=@(integer,text)",
        "ALTER OPERATOR @=@ (int, text) SET (RESTRICT = eqsel)",
        "DROP OPERATOR @=@ (int, text)",
        OPERATOR,
    ),
    "operator class": Kind(
        "CREATE OPERATOR CLASS o FOR TYPE int USING gist FAMILY o AS STORAGE point",
        "operator class",
        "o USING gist",
        "DROP OPERATOR CLASS o USING gist;"
        " CREATE OPERATOR CLASS o FOR TYPE int USING gist FAMILY o AS STORAGE box",
        "DROP OPERATOR CLASS o USING gist",
        "CREATE OPERATOR FAMILY o USING gist",
    ),
    "operator family": Kind(
        "CREATE OPERATOR FAMILY o USING btree",
        "operator family",
        "o USING btree",
        "ALTER OPERATOR FAMILY o USING btree ADD OPERATOR 1 < (int, int)",
        "DROP OPERATOR FAMILY o USING btree",
    ),
    "collation": Kind(
        "CREATE COLLATION c (locale = 'C')",
        "collation",
        "c",
        "DROP COLLATION c; CREATE COLLATION c (locale = 'POSIX')",
        "DROP COLLATION c",
    ),
    "collation of the server's own provider": Kind(
        "CREATE COLLATION c (provider = builtin, locale = 'C')",
        "collation",
        "c",
        "DROP COLLATION c; CREATE COLLATION c (provider = builtin, locale = 'C.UTF-8')",
        "DROP COLLATION c",
        since=17,
    ),
    "text search configuration": Kind(
        "CREATE TEXT SEARCH CONFIGURATION c (COPY = english)",
        "text search configuration",
        "c",
        "ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR word WITH simple",
        "DROP TEXT SEARCH CONFIGURATION c",
    ),
    "text search dictionary": Kind(
        "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, ACCEPT = false)",
        "text search dictionary",
        "d",
        "ALTER TEXT SEARCH DICTIONARY d (ACCEPT = true)",
        "DROP TEXT SEARCH DICTIONARY d",
    ),
    "publication": Kind(
        "CREATE PUBLICATION p FOR TABLE base",
        "publication",
        "p",
        "ALTER PUBLICATION p DROP TABLE base",
        "DROP PUBLICATION p",
    ),
    "options of a publication": Kind(
        "CREATE PUBLICATION p FOR ALL TABLES",
        "publication",
        "p",
        "ALTER PUBLICATION p SET (publish = 'insert')",
        "DROP PUBLICATION p",
    ),
    "publication of a schema": Kind(
        "CREATE PUBLICATION p FOR TABLES IN SCHEMA s",
        "publication",
        "p",
        "ALTER PUBLICATION p ADD TABLES IN SCHEMA public",
        "DROP PUBLICATION p",
        "CREATE SCHEMA s",
        since=15,
    ),
    "filter of a publication": Kind(
        "CREATE PUBLICATION p FOR TABLE base WHERE (n > 1)",
        "publication",
        "p",
        "ALTER PUBLICATION p SET TABLE base WHERE (n > 2)",
        "DROP PUBLICATION p",
        since=15,
    ),
    "columns of a publication": Kind(
        "CREATE PUBLICATION p FOR TABLE base (n)",
        "publication",
        "p",
        "ALTER PUBLICATION p SET TABLE base (n, m)",
        "DROP PUBLICATION p",
        "CREATE TABLE base (n int, m int)",
        since=15,
    ),
    "event trigger": Kind(
        "CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION f()",
        "event trigger",
        "e",
        "ALTER EVENT TRIGGER e DISABLE",
        "DROP EVENT TRIGGER e",
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ),
    "foreign-data wrapper": Kind(
        "CREATE FOREIGN DATA WRAPPER w OPTIONS (host 'a')",
        "foreign-data wrapper",
        "w",
        "ALTER FOREIGN DATA WRAPPER w OPTIONS (SET host 'b')",
        "DROP FOREIGN DATA WRAPPER w",
    ),
    "server": Kind(
        "CREATE SERVER v TYPE 'a' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS (host 'a')",
        "server",
        "v",
        "ALTER SERVER v VERSION '2'",
        "DROP SERVER v",
        "CREATE FOREIGN DATA WRAPPER w",
    ),
    "user mapping": Kind(
        "CREATE USER MAPPING FOR public SERVER v OPTIONS (user 'u', password 'Wx7-secret')",
        "user mapping",
        "public on v",
        "ALTER USER MAPPING FOR public SERVER v OPTIONS (SET password 'Yz8-secret')",
        "DROP USER MAPPING FOR public SERVER v",
        SERVER,
        part="mapping options",
    ),
    "default privileges": Kind(
        BY_DEFAULT + "GRANT SELECT ON TABLES TO PUBLIC",
        "default privileges",
        "of {role} in public on tables",
        BY_DEFAULT + "GRANT INSERT ON TABLES TO PUBLIC",
        BY_DEFAULT + "REVOKE ALL ON TABLES FROM PUBLIC",
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, server_version: int, server_url: str) -> Kind:
    """Return an object of each kind that the server knows."""
    given = KINDS[request.param]
    if server_version < given.since:
        pytest.skip(f"PostgreSQL {given.since} introduced it")
    role = conninfo_to_dict(server_url).get("user", "postgres")
    texts = {
        name: getattr(given, name).replace("{role}", str(role))
        for name in ("create", "change", "drop", "name")
    }
    return replace(given, **texts)


@pytest.fixture
def migrated(kind: Kind, database: str, folder: Write) -> tuple[str, Path]:
    """Return a database with the object, and its folder."""
    files = folder(
        {
            "1_needs.up.sql": kind.needs,
            "1_needs.down.sql": "SELECT 1",
            "2_kind.up.sql": kind.create,
            "2_kind.down.sql": kind.drop,
        }
    )
    report = up(database, files)
    assert statuses(report)[f"{kind.kind} {kind.name}"] == "created"
    return database, files


def test_a_kind_is_compared(kind: Kind, migrated: tuple[str, Path], cli: Cli) -> None:
    """Created by a migration, it is expected; a change and a loss are found, with its name."""
    database, files = migrated
    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok

    execute(database, *kind.change.split("; "))

    changed = {("drifted", kind.kind, kind.name, frozenset({kind.part}))}
    assert rows(verify(database, files)) == changed
    assert rows(verify(database, files, replay_files=True)) == changed
    found = cli("verify", "--database-url", database, "--sql-dir", str(files))
    assert found.returncode == 3
    assert kind.name in found.stdout
    assert "-secret" not in found.stdout + found.stderr

    execute(database, kind.drop)

    missing = {("missing", kind.kind, kind.name, frozenset[str]())}
    assert rows(verify(database, files)) == missing
    assert rows(verify(database, files, replay_files=True)) == missing


def test_a_migration_changes_and_drops_a_kind(kind: Kind, migrated: tuple[str, Path]) -> None:
    """What a later migration does to it is expected, too."""
    database, files = migrated

    (files / "3_change.up.sql").write_text(kind.change)
    report = up(database, files)

    assert statuses(report)[f"{kind.kind} {kind.name}"] in {"altered", "created"}
    assert verify(database, files).ok
    assert verify(database, files, replay_files=True).ok

    (files / "4_drop.up.sql").write_text(kind.drop)
    report = up(database, files)

    assert statuses(report)[f"{kind.kind} {kind.name}"] == "dropped"
    assert rows(verify(database, files)) == set()
    assert f"{kind.kind} {kind.name}" not in statuses(verify(database, files))


def test_a_kind_is_rolled_back(kind: Kind, migrated: tuple[str, Path]) -> None:
    """Undone, it is no longer expected; what a down file leaves is named."""
    database, files = migrated

    report = rollback(database, files)

    assert not [note for note in report.notes if "left" in note]
    assert verify(database, files, allow_pending=True).ok
    up(database, files)
    (files / "2_kind.down.sql").write_text("SELECT 1")

    report = rollback(database, files)

    assert any(f"left {kind.kind} " in note and kind.name in note for note in report.notes)
    assert verify(database, files, allow_pending=True).ok


def test_a_kind_of_others_is_not_dropped(kind: Kind, database: str, folder: Write) -> None:
    """What no migration created is not a migration's to drop."""
    execute(database, *kind.needs.split("; "), kind.create)
    files = folder({"1_a.up.sql": "CREATE TABLE a (n int)", "1_a.down.sql": kind.drop})
    up(database, files)

    with pytest.raises(Refused, match="outside the migration"):
        rollback(database, files)


def test_no_secret_is_in_the_history(database: str, folder: Write) -> None:
    """A digest is compared; the text of the file is recorded as it is."""
    files = folder(
        {
            "1_a.sql": SERVER + " OPTIONS (host 'there', token 'Wx7-secret');"
            "CREATE USER MAPPING FOR public SERVER v OPTIONS (password 'Yz8-secret')"
        }
    )
    up(database, files)

    expected = value(
        database, "SELECT string_agg(expected::text, '') FROM lfmigrate.lfmigrate_history"
    )

    assert "there" in expected
    assert "password" in expected
    assert "-secret" not in expected


def test_options_that_a_role_may_not_read_are_not_compared(
    role: str, database: str, folder: Write
) -> None:
    """Only a superuser sees all options of user mappings: not to see them is no drift."""
    files = folder(
        {"1_a.sql": SERVER + "; CREATE USER MAPPING FOR public SERVER v OPTIONS (password 'x')"}
    )
    up(database, files)
    execute(
        database,
        f"GRANT USAGE ON SCHEMA lfmigrate TO {role}",
        f"GRANT SELECT ON lfmigrate.lfmigrate_history TO {role}",
    )
    other = make_conninfo(database, user=role)
    assert verify(other, files).ok

    execute(database, "ALTER USER MAPPING FOR public SERVER v OPTIONS (SET password 'y')")
    assert verify(other, files).ok
    assert not verify(database, files).ok

    execute(database, "DROP USER MAPPING FOR public SERVER v")
    assert rows(verify(other, files)) == {("missing", "user mapping", "public on v", frozenset())}
    execute(database, f"DROP OWNED BY {role}")


# --------------------------------------------------------------------------------------------------
# Owners and privileges
# --------------------------------------------------------------------------------------------------


GRANTS = {
    "owner": ("ALTER TABLE t OWNER TO {role}", "table", "t", {"owner"}),
    "table, more": (
        "GRANT UPDATE ON t TO {role}",
        "table",
        "t",
        {"privileges of {role}"},
    ),
    "table, less": (
        "REVOKE SELECT ON t FROM PUBLIC",
        "table",
        "t",
        {"privileges of PUBLIC"},
    ),
    "table, of the owner": (
        "REVOKE DELETE ON t FROM current_user",
        "table",
        "t",
        {"privileges of the owner"},
    ),
    "column": (
        "GRANT UPDATE (n) ON t TO {role}",
        "table",
        "t",
        {"privileges of {role} on column n"},
    ),
    "its sequence": (
        "GRANT USAGE ON SEQUENCE t_id_seq TO {role}",
        "table",
        "t",
        {"privileges of {role} on sequence t_id_seq"},
    ),
    "sequence": ("GRANT USAGE ON SEQUENCE q TO {role}", "sequence", "q", {"privileges of {role}"}),
    "view": (
        "GRANT SELECT ON v TO {role} WITH GRANT OPTION",
        "view",
        "v",
        {"privileges of {role}"},
    ),
    "function": (
        "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC",
        "function",
        "f()",
        {"privileges of PUBLIC"},
    ),
    "type": ("REVOKE USAGE ON TYPE d FROM PUBLIC", "type", "d", {"privileges of PUBLIC"}),
    "schema": ("GRANT USAGE ON SCHEMA s TO {role}", "schema", "s", {"privileges of {role}"}),
    "server": (
        "GRANT USAGE ON FOREIGN SERVER v TO {role}",
        "server",
        "v",
        {"privileges of {role}"},
    ),
    "owner of a collation": ("ALTER COLLATION c OWNER TO {role}", "collation", "c", {"owner"}),
}


@pytest.mark.parametrize("case", GRANTS)
def test_owners_and_privileges_are_compared_on_request(
    case: str, role: str, database: str, folder: Write, cli: Cli
) -> None:
    """What the files grant is expected; who owns or may do something else is named."""
    statement, kind, name, changed = GRANTS[case]
    files = folder(
        {
            "1_a.sql": "CREATE TABLE t (id serial, n int); GRANT SELECT ON t TO PUBLIC;"
            "CREATE SEQUENCE q; CREATE VIEW v AS SELECT 1 AS n; CREATE DOMAIN d AS int;"
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SCHEMA s;"
            "CREATE COLLATION c (locale = 'C');" + SERVER
        }
    )
    up(database, files)
    assert verify(database, files, grants=True).ok
    assert verify(database, files, grants=True, replay_files=True).ok

    execute(database, statement.format(role=role))
    try:
        parts = frozenset(part.format(role=role) for part in changed)
        assert verify(database, files).ok
        assert rows(verify(database, files, grants=True)) == {("drifted", kind, name, parts)}
        found = cli("verify", "--grants", "--database-url", database, "--sql-dir", str(files))
        assert found.returncode == 3
        assert all(part in found.stdout for part in parts)
    finally:
        execute(database, f"DROP OWNED BY {role}")


def test_the_owner_is_the_role_that_applied_the_migration(
    role: str, database: str, folder: Write
) -> None:
    """Whatever role verifies: a replay creates everything as the role that asks for it."""
    execute(database, f"GRANT CREATE ON DATABASE {name_of(database)} TO {role}")
    execute(database, f"GRANT CREATE ON SCHEMA public TO {role}")
    files = folder({"1_a.sql": "CREATE TABLE t (n int)"})
    up(make_conninfo(database, user=role), files)

    try:
        assert verify(database, files, grants=True).ok
        execute(database, "ALTER TABLE t OWNER TO current_user")
        assert rows(verify(database, files, grants=True)) == {
            ("drifted", "table", "t", frozenset({"owner"}))
        }
    finally:
        execute(database, f"DROP OWNED BY {role}")


def test_a_replay_by_another_role_expects_what_belongs_to_the_first(
    role: str, database: str, folder: Write
) -> None:
    """Default privileges and a user mapping are named after the role that ran the file."""
    execute(
        database,
        *SERVER.split("; "),
        f"GRANT USAGE ON FOREIGN SERVER v TO {role}",
        f"GRANT CREATE ON DATABASE {name_of(database)} TO {role}",
    )
    text = (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
        "CREATE USER MAPPING FOR CURRENT_USER SERVER v"
    )
    files = folder({"1_a.sql": text, "setup.txt": SERVER})
    up(make_conninfo(database, user=role), files)

    try:
        scope = lfmigrate.Scope(shadow_setup=files / "setup.txt")
        report = verify(database, files, replay_files=True, scope=scope)
        assert rows(report) == set()
        assert {f"default privileges of {role} on tables", f"user mapping {role} on v"} <= set(
            statuses(report)
        )
    finally:
        execute(database, f"DROP OWNED BY {role} CASCADE")


def name_of(url: str) -> str:
    """Return the name of a database."""
    return str(conninfo_to_dict(url)["dbname"])


# --------------------------------------------------------------------------------------------------
# What IF NOT EXISTS finds
# --------------------------------------------------------------------------------------------------

FOUND = {
    "schema s": "CREATE SCHEMA IF NOT EXISTS s",
    "extension citext": "CREATE EXTENSION IF NOT EXISTS citext",
    "collation c": "CREATE COLLATION IF NOT EXISTS c (locale = 'C')",
    "server v": "CREATE SERVER IF NOT EXISTS v FOREIGN DATA WRAPPER w",
    "user mapping public on x": "CREATE USER MAPPING IF NOT EXISTS FOR public SERVER x",
}


def test_what_a_file_finds_is_expected(database: str, folder: Write) -> None:
    """It is reported as skipped, and noticed when it is missing, whatever its kind."""
    execute(
        database,
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER x FOREIGN DATA WRAPPER w",
        *FOUND.values(),
    )
    needs = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER x FOREIGN DATA WRAPPER w"
    files = folder({"1_a.sql": "; ".join(FOUND.values()), "setup.txt": needs})
    scope = lfmigrate.Scope(shadow_setup=files / "setup.txt")
    report = up(database, files, scope=scope)

    assert {name: statuses(report).get(name) for name in FOUND} == dict.fromkeys(FOUND, "skipped")
    assert report.notes == ()

    kinds = ("SCHEMA s", "EXTENSION citext", "COLLATION c", "SERVER v")
    mapping = "USER MAPPING FOR public SERVER x"
    execute(database, *(f"DROP {each}" for each in (*kinds, mapping)))
    missing = {f"{kind} {name}" for status, kind, name, _ in rows(verify(database, files))}
    assert missing == FOUND.keys()


def test_what_a_file_finds_is_compared(database: str, folder: Write) -> None:
    """A collation under the name may be another one."""
    execute(database, "CREATE COLLATION c (locale = 'POSIX')")
    files = folder({"1_a.sql": FOUND["collation c"]})

    report = up(database, files)

    assert statuses(report)["collation c"] == "drifted"
