"""Which tables a statement endangers, by its text."""

from __future__ import annotations

import pytest

from lfmigrate.syntax.actions import endangered, runs_other_statements
from lfmigrate.syntax.scanner import split


@pytest.mark.parametrize(
    ("text", "way", "tables"),
    [
        ("DROP TABLE a", "drop", ["a"]),
        ('DROP TABLE IF EXISTS s."B c", d CASCADE', "drop", ["B c", "d", "cascade"]),
        ("TRUNCATE TABLE ONLY a, s.b", "truncate", ["a", "b"]),
        ("TRUNCATE a", "truncate", ["a"]),
        ("ALTER TABLE IF EXISTS ONLY s.a DROP COLUMN IF EXISTS b", "drop", ["a"]),
        ("ALTER TABLE a ADD c int, DROP b", "drop", ["a"]),
        ("ALTER TABLE a DROP b, ALTER c TYPE int USING (c::int)", "retype", ["a"]),
        ("ALTER TABLE a ALTER COLUMN c SET DATA TYPE int", "retype", ["a"]),
        ("ALTER TABLE a ADD COLUMN type int, ADD CHECK (b <> 'drop')", "rewrite", ["a"]),
        ("ALTER TABLE a ADD b uuid DEFAULT gen_random_uuid()", "rewrite", ["a"]),
        ("ALTER TABLE a SET UNLOGGED", "rewrite", ["a"]),
        ("CLUSTER a", "rewrite", ["a"]),
    ],
)
def test_tables_whose_rows_are_endangered_are_named(text: str, way: str, tables: list[str]) -> None:
    """Whatever comes before and after the name."""
    (statement,) = split(text, "x.sql")
    found = endangered(statement)
    assert found is not None
    assert found.way == way
    assert [name.name for name in found.tables if name.name != "only"] == tables


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE a DROP CONSTRAINT c",
        "ALTER TABLE a ALTER c DROP NOT NULL, ALTER d DROP DEFAULT",
        "ALTER TABLE a RENAME COLUMN b TO type",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (true), ADD PRIMARY KEY (b)",
        "ALTER TABLE a OWNER TO b",
        "ALTER TABLE a SET (fillfactor = 70)",
        "DROP VIEW v",
        "DROP INDEX i",
        "CREATE TABLE a (type int)",
    ],
)
def test_other_statements_are_not_measured(text: str) -> None:
    """Counting a large table takes time."""
    (statement,) = split(text, "x.sql")
    assert endangered(statement) is None


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("DO $$ BEGIN END $$", True),
        ("SELECT f()", True),
        ("CALL p()", True),
        ("DROP SCHEMA s CASCADE", True),
        ("DROP OWNED BY r", True),
        ("DROP SCHEMA s", False),
        ("DROP INDEX i", False),
        ("ALTER TABLE a DROP COLUMN b", False),
        ("INSERT INTO a VALUES (1)", False),
    ],
)
def test_what_may_drop_without_a_name_is_known(text: str, *, may: bool) -> None:
    """Only after these, another connection is asked what existed."""
    (statement,) = split(text, "x.sql")
    assert runs_other_statements(statement) == may
