"""Down files in the form in which `rollback --cascade` runs them."""

from __future__ import annotations

import pytest

from lfmigrate.source.down import cascades, cascading
from lfmigrate.source.sqlfile import from_text


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE a^;",
        "DROP TABLE a^ -- it goes first\n;\nDROP VIEW v^",
        "DROP TABLE a CASCADE -- already\n;",
        "DROP TABLE a RESTRICT /* on purpose */;",
        'DROP TABLE "cascade"^;',
        "DROP OWNED BY me^;",
        "DROP ROLE r; DROP USER MAPPING FOR me SERVER s; DROP DATABASE d; DROP TABLESPACE t;",
        "ALTER TABLE a DROP COLUMN b^;",
        'ALTER TABLE IF EXISTS ONLY s."A b" DROP b^, ADD c numeric(3, 2), DROP CONSTRAINT d^ -- e',
        "ALTER TABLE a * DROP b RESTRICT, DROP IF EXISTS c^;",
        "ALTER TABLE a ALTER b DROP DEFAULT, ALTER c DROP NOT NULL, ALTER d DROP IDENTITY;",
        "ALTER TABLE drop ALTER drop SET DEFAULT ('drop, drop'), DROP drop^;",
        "ALTER FOREIGN TABLE a DROP COLUMN b^; ALTER FOREIGN DATA WRAPPER w NO HANDLER;",
        "ALTER TYPE t DROP ATTRIBUTE a^, DROP ATTRIBUTE b CASCADE;",
        "ALTER DOMAIN d DROP CONSTRAINT c^; ALTER DOMAIN d DROP NOT NULL;",
        "ALTER DOMAIN d DROP DEFAULT;",
        "ALTER PUBLICATION p DROP TABLE a; ALTER EXTENSION e DROP TABLE a;",
        "DELETE FROM a; SELECT 'DROP TABLE a';",
    ],
)
def test_cascade_is_added_wherever_a_drop_could_say_it(text: str) -> None:
    """Each ^ is such a place."""
    file = cascading(from_text("1_a.down.sql", text.replace("^", "")))

    assert file.text == text.replace("^", " CASCADE")


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        ("DROP TABLE a CASCADE", True),
        ("ALTER TABLE a DROP b cascade, ADD c int", True),
        ("DO $$ BEGIN DROP TABLE a CASCADE; END $$", True),
        ("DROP TABLE a -- CASCADE", False),
        ('DROP TABLE "cascade"', False),
        ("/* cascade */ DROP TABLE a; COMMENT ON TABLE b IS 'cascade'", False),
        ("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c ON DELETE CASCADE", False),
        ("CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE)", False),
    ],
)
def test_only_what_drops_with_cascade_drops_more_than_it_names(text: str, whether: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """A comment, a name or a foreign key may have the word."""
    assert cascades(from_text("1_a.down.sql", text)) == whether
