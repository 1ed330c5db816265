"""What is done to a file whatever tool it was written for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import SqlFileError
from lfmigrate.source.folder import read_folder
from lfmigrate.source.rules import outside_transaction, without_transaction
from lfmigrate.source.sqlfile import from_text
from lfmigrate.syntax.scanner import split
from tests.unit.formats.folders import read_to_run

Write = Callable[[Mapping[str, str | bytes]], Path]


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN;\nSELECT 1;\nCOMMIT;\n",
        "-- a\n/* b */ begin work ;\nSELECT 1;\nEND WORK",
        "START TRANSACTION;SELECT 1;COMMIT TRANSACTION; -- done\n",
        "BEGIN;\r\nSELECT 1;\r\nCOMMIT;\r\n",
        "BEGIN;\nDO $$ BEGIN PERFORM 1; END $$;\nCOMMIT;",
        "BEGIN;\nSELECT CASE WHEN true THEN 1 END;\nEND;",
    ],
)
def test_a_transaction_around_a_file_is_left_out(text: str) -> None:
    """Everything else stays where it is."""
    bare = without_transaction(text)

    (statement,) = split(bare)
    assert len(bare) == len(text)
    assert text[statement.offset :].startswith(statement.text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;\nCOMMIT;",
        "BEGIN;\nSELECT 1;",
        "BEGIN;",
        "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;",
        "BEGIN;\nSELECT 1;\nROLLBACK;",
        "BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;",
        "BEGIN;\nSELECT CASE WHEN true THEN 1 END;",
        "CREATE FUNCTION f() RETURNS a BEGIN ATOMIC SELECT 1; END;",
        "DO $$ BEGIN PERFORM 1; END $$;",
    ],
)
def test_anything_else_is_left_alone(text: str) -> None:
    """It is no transaction around the file, so it is refused or run as it is."""
    assert without_transaction(text) == text


def test_a_transaction_in_the_middle_is_refused(folder: Write) -> None:
    """Two transactions in a file cannot both be the run's."""
    path = folder(
        {
            "1_a.up.sql": "BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nCOMMIT;\n",
            "1_a.down.sql": "SELECT 1;",
        }
    )

    with pytest.raises(SqlFileError) as caught:
        read_folder(path)

    assert (caught.value.file, caught.value.line) == ("1_a.up.sql", 3)


@pytest.mark.parametrize("text", ["SELECT 1;", "\nSELECT 1;", "\r\nSELECT 1;", "-- a\nSELECT 1;"])
def test_the_directive_moves_no_line(text: str) -> None:
    """It is in the header, so that the text alone says how it runs."""
    file = from_text("1_a.sql", outside_transaction(text))

    assert file.no_transaction
    assert [(s.text, s.line) for s in file.statements] == [("SELECT 1", text.count("\n") + 1)]
    assert file.checksum == from_text("", outside_transaction(text.replace("\r", ""))).checksum


@pytest.mark.parametrize(
    "mark",
    [
        "-- Down",
        "-- !Downs",
        "--- !Downs",
        "# --- !Downs",
        "-- rambler down",
        "-- +micrate Down",
        "==== DOWN ====",
        "-- @DOWN",
        "-- //@UNDO",
        "--@UNDO",
        "-- migrate: down",
        "-- rollback",
        "-- Down Migration",
        "/* down */",
        "-------- DOWN --------",
        "--- [down] ---",
        "-- Down:",
        "-- Downgrade",
        "-- rollback script",
        "  -- +goose Down",
        "-- +gooseDown",
        "  -- migrate:down transaction:false",
        "  -- +MIGRATE Down notransaction",
        "-- //@UNDO drops it",
        "-- create above / drop below",
        "-- SQL in this section is executed when the migration is rolled back.",
        "-- SQL in section 'Down' is executed when this migration is rolled back",
    ],
)
def test_what_looks_like_a_down_section_is_refused(folder: Write, mark: str) -> None:
    """It would be run right after the migration, without a word."""
    text = f"CREATE TABLE t ();\r\n{mark}\r\nDROP TABLE t;\n"

    with pytest.raises(SqlFileError) as caught:
        read_to_run(folder({"001_a.sql": text}), format="lfmigrate")

    assert (caught.value.file, caught.value.line) == ("001_a.sql", 2)
    assert "down section" in caught.value.message
    assert mark.strip() in caught.value.message


@pytest.mark.parametrize(
    "undoing",
    [
        "DO $$ BEGIN DROP TABLE t; END $$;",
        "SET search_path = public;\nDROP TABLE t;",
        "CALL undo();",
        "ALTER TABLE t DROP COLUMN c;",
        "SELECT 1;",
    ],
)
@pytest.mark.parametrize("mark", ["-- Down", "-- Revert"])
def test_whatever_is_below_a_heading_is_refused(folder: Write, mark: str, undoing: str) -> None:
    """A block or a function may undo anything."""
    with pytest.raises(SqlFileError, match="down section"):
        read_to_run(folder({"001_a.sql": f"CREATE TABLE t ();\n{mark}\n{undoing}\n"}))


@pytest.mark.parametrize(
    "text",
    [
        "COMMENT ON TABLE a IS '\n== Rollback ==\nsteps';\nDROP TABLE b;",
        "SELECT 1;\nSELECT '\n# Down\n';\nSELECT 2;",
        "SELECT 1;\n/*\n=== undo ===\n*/\nDROP TABLE b;",
        "SELECT 1;\nCREATE FUNCTION f() RETURNS int AS $$\n# rollback\n$$;\nDROP TABLE b;",
        "SELECT 1;\nCREATE TABLE t (\n  a int,\n  -- down\n  b int\n);\nSELECT 2;",
        "SELECT 1;\nCREATE FUNCTION f() RETURNS a BEGIN ATOMIC\n-- undo\nTABLE a; END;\nTABLE a;",
        "SELECT 1;\n/*\n-- down\n*/\nSELECT 2;",
        "-- Revert\nALTER TABLE IF EXISTS zz ADD COLUMN a int;\nSELECT 1;",
        "-- 5: a\n-- Down:\n--\n\nALTER TABLE a ADD COLUMN b int;",
        "SELECT 1; -- rollback\nSELECT 2;",
    ],
)
def test_a_heading_between_statements_only_is_one(folder: Write, text: str) -> None:
    """Not in a string, a comment, a body or a statement; and at the top it is a title."""
    assert read_to_run(folder({"001_a.sql": text})).migrations


@pytest.mark.parametrize(
    "text",
    ["-- Down\nDO $$ BEGIN END $$;\n-- Up\nSELECT 1;", "-- Undo\nDROP TABLE a;\nSELECT 1;"],
)
def test_a_title_of_what_reverts_is_refused(folder: Write, text: str) -> None:
    """The down section is the first one, or all of the file."""
    with pytest.raises(SqlFileError, match="down section"):
        read_to_run(folder({"001_a.sql": text}))


@pytest.mark.parametrize(
    "comment",
    [
        "-- Down:  (what is lost when it is rolled back)",
        "-- Scale down the old table",
        "-- no rollback",
        "-- see the rollback",
        "-- undo log",
        "-- downs and ups",
    ],
)
def test_prose_is_no_down_section(folder: Write, comment: str) -> None:
    """A comment may have the word."""
    text = f"CREATE TABLE t ();\n{comment}\nDROP TABLE old;\n"

    assert read_to_run(folder({"001_a.sql": text})).migrations


def test_a_heading_without_anything_to_undo_is_no_down_section(folder: Write) -> None:
    """A file may say that it cannot be reverted."""
    update = "UPDATE a SET b = $$\n-- down\n$$;"
    function = (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n-- undo\nSELECT 1 $$;\nDROP TABLE a;"
    )
    for text in ("SELECT 1;\n-- Down\n", "-- Rollback\nSELECT 1;\n", function, update):
        assert read_to_run(folder({"001_a.sql": text})).migrations


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE {{ .Name }} ();",
        "CREATE TABLE ${name} ();",
        "CREATE TABLE t_${name} ();",
        "SELECT 1;\n{{ template x }}",
    ],
)
def test_a_template_is_refused(folder: Write, text: str) -> None:
    """With its line, before anything is sent."""
    with pytest.raises(SqlFileError, match="a template") as caught:
        read_to_run(folder({"001_a.sql": text}))

    assert caught.value.line == text.count("\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '{{x}}', '${x}', E'${x}', \"{{x}}\" FROM t;",
        "SELECT $$ {{x}} ${x} $$;",
        "-- {{x}} ${x}\n/* ${x} */ SELECT 1;",
        "SELECT '{{1,2},{3,4}}'::int[];",
    ],
)
def test_braces_in_strings_and_comments_are_no_template(folder: Write, text: str) -> None:
    """An array and a JSON document have them."""
    assert read_to_run(folder({"001_a.sql": text})).migrations


@pytest.mark.parametrize(
    "name",
    [
        *("002-b.sql", "002 b.sql", "002.b.sql", "002--b.up.sql"),
        *("002b_x.sql", "002.sql", "2_.sql", "V2__b.sql", "v2__b.up.sql"),
    ],
)
def test_a_name_that_almost_matches_is_refused(folder: Write, name: str) -> None:
    """Skipping it would leave out a migration."""
    path = folder({"001_a.sql": "SELECT 1;", name: "SELECT 2;", "003_c.sql": "SELECT 3;"})

    with pytest.raises(SqlFileError, match="almost that of a migration") as caught:
        read_to_run(path)

    assert name in caught.value.message


def test_of_hundreds_of_problems_ten_are_shown(folder: Write) -> None:
    """And how many there are."""
    path = folder({f"{n:03}_a.sql": "COMMIT;" for n in range(300)})

    with pytest.raises(SqlFileError, match="300 problems") as caught:
        read_folder(path)

    assert len(caught.value.detail) == 11
    assert caught.value.detail[-1] == "and 290 more"


@pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ", "READ UNCOMMITTED"])
@pytest.mark.parametrize("header", ["", "-- migrate:up\n"])
def test_another_isolation_level_is_refused_with_the_reason(
    folder: Write, level: str, header: str
) -> None:
    """The server would only say that a query was before it, which is lfmigrate's."""
    text = f"{header}SET TRANSACTION ISOLATION LEVEL {level};\nSELECT 1;"

    with pytest.raises(SqlFileError, match="comes too late") as caught:
        read_folder(folder({"001_a.sql": text}))

    assert caught.value.line == text.count("\n")


def test_the_level_of_a_run_may_be_stated(folder: Write) -> None:
    """It changes nothing."""
    text = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;\nSELECT 1;"

    assert read_folder(folder({"001_a.sql": text})).migrations
