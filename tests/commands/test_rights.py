"""Least privilege: what each command needs, as the docs say, and how it says what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.syntax.privileges import Requirement, required_privileges
from lfmigrate.syntax.scanner import split
from tests.conftest import Cli
from tests.helpers.databases import execute, value

Write = Callable[[Mapping[str, str | bytes]], Path]

PAGE = (Path(__file__).parents[2] / "docs" / "privileges.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("```sql\n")[2].partition("```")[0]
GRANTS = {
    title.splitlines()[0]: title.splitlines()[1:] for title in SECTION.split("-- ") if title.strip()
}
CASES = [(title, None) for title in GRANTS] + [
    (title, n) for title, lines in GRANTS.items() for n in range(len(lines))
]

MIGRATION = {
    "001_a.up.sql": "CREATE TABLE a (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text);",
    "001_a.down.sql": "DROP TABLE IF EXISTS a;",
    "seed/a.csv": "x\none\n",
    "seed/load.sql": "CREATE TEMPORARY TABLE seed_a (x text NOT NULL) ON COMMIT DROP;\n"
    "INSERT INTO a (x) SELECT s.x FROM seed_a AS s"
    " WHERE NOT EXISTS (SELECT FROM a WHERE a.x = s.x);",
}


class Least:
    """A database with an owner of all, and a role that has no right but those it is given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = str(conninfo_to_dict(url)["dbname"])
        self.owner, self.app = (f"lf_role_{uuid4().hex[:12]}" for _ in range(2))

    def names(self, line: str) -> str:
        """Return a line of the page with the names of this test."""
        for word, name in (("shop", self.database), ("app", self.app), ("owner", self.owner)):
            line = re.sub(rf"\b{word}\b", name, line)
        return line

    def as_role(self, role: str) -> str:
        return make_conninfo(self.url, options=f"-c role={role}")


@pytest.fixture
def least(database: str) -> Iterator[Least]:
    """Return a database in which PUBLIC may do nothing."""
    found = Least(database)
    execute(
        database,
        f"CREATE ROLE {found.owner}",
        f"CREATE ROLE {found.app}",
        f"REVOKE ALL ON DATABASE {found.database} FROM PUBLIC",
        f"GRANT ALL ON DATABASE {found.database} TO {found.owner}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT ALL ON SCHEMA public TO {found.owner}",
    )
    yield found
    execute(
        database,
        f"DROP OWNED BY {found.owner}, {found.app} CASCADE",
        f"DROP ROLE {found.owner}, {found.app}",
    )


@pytest.mark.usefixtures("without_private_server")
@pytest.mark.parametrize("case", CASES, ids=[f"{title} {n}" for title, n in CASES])
def test_the_docs_list_the_privileges_that_each_command_requires(
    case: tuple[str, int | None], least: Least, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """With all its lines it runs; without any one of them it does not, and nothing is changed."""
    title, without = case
    path = folder(MIGRATION)
    if title == "adopt":
        execute(
            least.as_role(least.owner),
            MIGRATION["001_a.up.sql"],
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)",
            "INSERT INTO schema_migrations VALUES (1, false)",
        )
    elif title != "up, the first run":
        with lfmigrate.connect(least.as_role(least.owner)) as conn:
            lfmigrate.up(conn, lfmigrate.read_folder(path))
            if title == "restore":
                lfmigrate.seed(conn, lfmigrate.read_folder(path))
                saved = lfmigrate.backup(conn, lfmigrate.read_folder(path), out=tmp_path / "saved")
                execute(least.url, "TRUNCATE a")
                assert saved.tables
    if title == "up, with a history that another role created":
        (path / "002_b.up.sql").write_text("CREATE TABLE b (n integer);")
    if title == "accept":
        (path / "001_a.up.sql").write_text(f"{MIGRATION['001_a.up.sql']} SELECT 1;")
    for number, line in enumerate(GRANTS[title]):
        if number != without:
            execute(least.url, least.names(line))
    words = title.partition(",")[0].split()
    more: dict[str, list[str | Path]] = {
        "seed": ["--from", path / "seed"],
        "backup": ["--out", tmp_path / "out"],
        "restore": [tmp_path / "saved"],
        "rollback": ["--yes"],
        "accept": ["1", "--yes"],
        "adopt": ["--yes"],
    }
    options = more.get(words[0], [])
    dump = (
        "SELECT array_agg(c.oid::regclass::text ORDER BY 1) FROM pg_class AS c WHERE c.oid > 16384"
    )
    before = value(least.url, dump)

    done = cli(*words, *options, "--sql-dir", path, "--database-url", least.as_role(least.app))

    assert (done.returncode == 0) == (without is None), done.stderr
    if without is not None:
        assert done.returncode == 4
        assert value(least.url, dump) == before


def test_all_that_is_missing_is_reported_at_once(least: Least, folder: Write, cli: Cli) -> None:
    """Before the first statement; each line can be run as it stands, and then it works."""
    execute(
        least.url,
        "CREATE SCHEMA other",
        "CREATE TABLE other.t (id integer PRIMARY KEY)",
        f"ALTER TABLE other.t OWNER TO {least.owner}",
    )
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (t integer REFERENCES other.t);\n"
            "INSERT INTO other.t VALUES (1);\nDELETE FROM other.t;\n"
            "CREATE INDEX ON other.t (id);\nCREATE SCHEMA mine;",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT t FROM a;",
        }
    )
    execute(least.url, f"GRANT USAGE ON SCHEMA public TO {least.app}")
    options = ("--sql-dir", path, "--database-url", least.as_role(least.app))

    refused = cli("up", *options)
    lines = re.findall(r"^  (GRANT .*;)", refused.stderr, re.MULTILINE)
    execute(least.url, *lines)
    execute(least.url, f"GRANT ALL ON SCHEMA other TO {least.owner}")
    done = cli("up", *options)

    assert refused.returncode == 4
    assert "is missing 7 privileges" in refused.stderr
    assert "SQLSTATE 42501" in refused.stderr
    assert "Nothing was changed." in refused.stderr
    assert {line.split(" TO ")[0] for line in lines} == {
        f"GRANT CREATE ON DATABASE {least.database}",
        "GRANT USAGE, CREATE ON SCHEMA public",
        "GRANT USAGE ON SCHEMA other",
        "GRANT REFERENCES ON other.t",
        "GRANT INSERT ON other.t",
        "GRANT DELETE ON other.t",
        f"GRANT {least.owner}",
    }
    assert done.returncode == 0, done.stderr


@pytest.mark.any_version  # The words are the same on all.
@pytest.mark.parametrize(
    ("creates", "changes", "takes_over"),
    [
        ("CREATE TABLE t (n int)", "ALTER TABLE t ADD m int", "ALTER TABLE t"),
        ("CREATE TABLE t (n int); CREATE INDEX i ON t (n)", "DROP INDEX i", "ALTER TABLE t"),
        ("CREATE VIEW v AS SELECT 1", "CREATE OR REPLACE VIEW v AS SELECT 1", "ALTER VIEW v"),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1", "ALTER MATERIALIZED VIEW m RENAME TO n",
         "ALTER MATERIALIZED VIEW m"),
        ("CREATE SEQUENCE s", "ALTER SEQUENCE s RESTART", "ALTER SEQUENCE s"),
    ],
)  # fmt: skip
def test_no_role_is_made_a_member_of_a_superuser(
    creates: str, changes: str, takes_over: str, *, least: Least, folder: Write, cli: Cli
) -> None:
    """What a superuser owns is given to the role instead; then the file runs."""
    execute(least.url, *creates.split("; "), f"GRANT ALL ON SCHEMA public TO {least.app}")
    path = folder({"001_a.up.sql": f"{changes};"})
    options = ("--sql-dir", path, "--database-url", least.as_role(least.app))
    execute(least.url, f"GRANT CREATE ON DATABASE {least.database} TO {least.app}")

    refused = cli("up", *options)
    lines = re.findall(r"^  (.*;)  -- (.*)", refused.stderr, re.MULTILINE)

    owner = value(least.url, "SELECT current_user")
    reason = f"or connect as its owner, {owner}; for 001_a.up.sql"
    assert lines == [(f"{takes_over} OWNER TO {least.app};", reason)]
    execute(least.url, *(line for line, _ in lines))
    assert cli("up", *options).returncode == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE IF NOT EXISTS a (b int REFERENCES s.t (id), c int REFERENCES u)",
         {Requirement("CREATE"), Requirement("REFERENCES", "s", "t"),
          Requirement("REFERENCES", None, "u")}),
        ('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY "T" (a)',
         {Requirement("OWNER", None, "T")}),
        ("CREATE INDEX ON s.t (a)", {Requirement("OWNER", "s", "t")}),
        ("CREATE OR REPLACE VIEW v AS SELECT 1",
         {Requirement("CREATE"), Requirement("OWNER", None, "v")}),
        ("CREATE MATERIALIZED VIEW s.v AS SELECT 1", {Requirement("CREATE", "s")}),
        ("CREATE TEMP TABLE a (n int)", set()),
        ("CREATE CONSTRAINT TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
         {Requirement("TRIGGER", None, "t")}),
        (f"CREATE TRIGGER g AFTER UPDATE OF {', '.join('abcdefghij')} ON s.t EXECUTE FUNCTION f()",
         {Requirement("TRIGGER", "s", "t")}),
        ("CREATE TABLE a (b int REFERENCES d.s.t)",
         {Requirement("CREATE"), Requirement("REFERENCES", "s", "t")}),
        ("ALTER TABLE IF EXISTS ONLY t ADD FOREIGN KEY (a) REFERENCES u",
         {Requirement("OWNER", None, "t"), Requirement("REFERENCES", None, "u")}),
        ("DROP TABLE IF EXISTS s.t CASCADE", {Requirement("DROP", "s", "t")}),
        ("INSERT INTO t SELECT 1", {Requirement("INSERT", None, "t")}),
        ("UPDATE ONLY t SET a = 1", {Requirement("UPDATE", None, "t")}),
        ("DELETE FROM s.t", {Requirement("DELETE", "s", "t")}),
        ("TRUNCATE TABLE t", {Requirement("TRUNCATE", None, "t")}),
        ("CREATE SCHEMA IF NOT EXISTS s", {Requirement("CREATE", database=True)}),
        ("SELECT 1; SET LOCAL ROLE owner; DROP TABLE t", set()),
        ("COMMENT ON TABLE t IS 'x'; ANALYZE; GRANT SELECT ON t TO x", set()),
    ],
)  # fmt: skip
def test_what_the_text_needs(text: str, expected: set[Requirement]) -> None:
    """As far as the text shows; the rest the server says."""
    assert set(required_privileges(split(text))) == expected
