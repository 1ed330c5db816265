"""Which statements change only what they name."""

from __future__ import annotations

import pytest

from lfmigrate.syntax.reach import reach_of
from lfmigrate.syntax.scanner import split


@pytest.mark.parametrize(
    ("text", "names", "parents"),
    [
        ("CREATE TABLE S.A (id int REFERENCES b)", {"s", "a", "b"}, set()),
        ('ALTER TABLE "A" ADD COLUMN n int', {"A", "n"}, {"A"}),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON a (n)", {"i", "a"}, {"a"}),
        ("CREATE OR REPLACE VIEW v AS SELECT f(n) FROM a", {"v", "f", "a"}, {"a"}),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DROP TABLE t'", {"f"}, {"f"}),
        (f"CREATE TABLE {'a' * 70} (n int)", {"a" * 63}, set()),
        ("COMMENT ON TABLE a IS 'x'; SET search_path = s; DROP TABLE b", {"b"}, {"b"}),
        ("CREATE TABLE a (n int GENERATED ALWAYS AS (b + 1) STORED)", {"a"}, set()),
        ("CREATE TABLE p1 PARTITION OF p DEFAULT; CREATE INDEX ON q (n)", {"p1", "p", "q"}, {"q"}),
    ],
)
def test_statements_that_write_rows_of_what_they_name(
    text: str, names: set[str], parents: set[str]
) -> None:
    """The names are complete; others may be among them, such as keywords."""
    reach = reach_of(split(text))

    assert reach is not None
    assert names <= reach.names
    assert parents <= reach.parents
    assert ("p" in reach.names) is ("p" in names)
    assert "p" not in reach.parents  # a partition can be created without a look at the others


@pytest.mark.parametrize(
    "text",
    [
        "DO $$BEGIN END$$",
        "CALL p()",
        "SELECT f()",
        "INSERT INTO a VALUES (1)",
        "CREATE TABLE a AS SELECT f()",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "CREATE TABLE a AS VALUES (f())",
        "CREATE TABLE a (n) AS (TABLE v)",
        "CREATE TABLE a AS WITH q AS (SELECT f()) TABLE q",
        "CREATE TABLE a AS EXECUTE p",
        "CREATE MATERIALIZED VIEW m AS SELECT f()",
        "CREATE SCHEMA s CREATE TABLE a (n int)",
        "CREATE DOMAIN d AS int CHECK (value > 0)",
        "ALTER DOMAIN d ADD CHECK (value > 1)",
        "ALTER INDEX i ATTACH PARTITION j",
        "ALTER SEQUENCE a_id_seq INCREMENT 2",
        "ALTER TABLE a ALTER COLUMN n TYPE bigint",
        "ALTER TABLE ALL IN TABLESPACE t SET TABLESPACE u",
        "ALTER TABLE a DROP COLUMN n CASCADE",
        "DROP TYPE t CASCADE",
        "DROP OWNED BY r",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA s TO r",
        "REASSIGN OWNED BY r TO q",
        "CREATE EXTENSION x",
        "CREATE TABLE a (n int); DO $$BEGIN END$$",
    ],
)
def test_statements_that_may_change_anything(text: str) -> None:
    """Code that runs, and what is changed with others."""
    assert reach_of(split(text)) is None
