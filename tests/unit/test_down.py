"""Down files in the form in which `rollback --cascade` runs them."""

from __future__ import annotations

import pytest

from lfmigrate.source.down import cascading
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
