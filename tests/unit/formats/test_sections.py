"""Files are cut where their tool cuts them, and nothing is in two sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from lfmigrate.errors import SqlFileError
from lfmigrate.source.folder import Migration, read_folder
from lfmigrate.syntax.scanner import split
from tests.unit.formats.folders import read_to_run

Write = Callable[[Mapping[str, str | bytes]], Path]

TERN = "---- create above / drop below ----"

# How a file of each begins, and what is between its sections.
MARKERS = {
    "goose": ("-- +goose Up", "-- +goose Down"),
    "dbmate": ("-- migrate:up", "-- migrate:down"),
    "sql-migrate": ("-- +migrate Up", "-- +migrate Down"),
    "node-pg-migrate": ("-- Up Migration", "-- Down Migration"),
    "tern": ("", TERN),
    "mybatis": ("-- // a", "-- //@UNDO"),
}


def one(folder: Write, text: str | bytes, name: str) -> Migration:
    """Return the migration of a folder with one file, which may run."""
    (migration,) = read_to_run(folder({"1_a.sql": text}), format=name).migrations
    return migration


def refused(folder: Write, text: str, name: str) -> SqlFileError:
    """Return why such a file is refused."""
    with pytest.raises(SqlFileError) as caught:
        one(folder, text, name)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["tern", "mybatis"])
def test_what_is_before_the_only_marker_is_not_below_it(folder: Write, name: str) -> None:
    """A rollback would run the migration a second time."""
    _, down = MARKERS[name]

    found = one(folder, f"INSERT INTO a VALUES (1);\n{down}\nSELECT 1;\n", name)

    assert [s.text for s in found.up.statements] == ["INSERT INTO a VALUES (1)"]
    assert found.down is not None
    assert [(s.text, s.line) for s in found.down.statements] == [("SELECT 1", 3)]
    assert "INSERT" not in found.down.text


PIECES = (
    "SELECT '{m}';",
    "SELECT '\n {m}\n';",
    "SELECT $$\n{m}\n$$;",
    "DO $x$\nBEGIN\n  -- a\nEND\n$x$;",
    "/* {m} */ SELECT 1;",
    "/*\n{m}\n/* nested */ */\nSELECT 2;",
    'SELECT 1 AS "{m}";',
    "SELECT E'\\'{m}';",
    "-- it's a comment; with a semicolon\nSELECT 3;",
    "SELECT 4; SELECT 5;",
    "SELECT 6 -- {m}\n;",
    "\n\n",
    "-- only a comment",
)


@pytest.mark.parametrize("name", MARKERS)
def test_every_statement_is_in_one_section(folder: Write, name: str) -> None:
    """Each of the file's, once, in order; or the file is refused."""
    random = Random(name)  # noqa: S311 (what it chooses is to be the same each time)
    begin, between = MARKERS[name]
    read = 0
    for _ in range(150):
        # A marker that is no line of its own is none; one that is, and is not meant, is refused.
        said = random.choice([between, "nothing", "nothing", "nothing"])
        ups, downs = (
            [random.choice(PIECES).replace("{m}", said) for _ in range(random.randrange(5))]
            for _ in range(2)
        )
        text = "\n".join([begin, *ups, between, *downs, ""])
        if random.random() < 0.3:
            text = text.replace("\n", "\r\n")
        content = (b"\xef\xbb\xbf" if random.random() < 0.3 else b"") + text.encode()
        whole = [(s.text, s.line) for s in split(text)]
        count = len(split("\n".join([begin, *ups])))
        try:
            found = one(folder, content, name)
        except SqlFileError:
            assert said == between
            continue
        read += 1
        assert found.down is not None
        assert [(s.text, s.line) for s in found.up.statements] == whole[:count]
        assert [(s.text, s.line) for s in found.down.statements] == whole[count:]
    assert read > 50


@pytest.mark.parametrize("name", MARKERS)
@pytest.mark.parametrize("around", ["SELECT '\n{}\n';", "SELECT $$\n{}\n$$;", "/*\n{}\n*/"])
def test_a_marker_inside_a_token_is_refused(folder: Write, name: str, around: str) -> None:
    """The tool cuts there all the same, and both halves would be wrong."""
    begin, between = MARKERS[name]

    error = refused(folder, f"{begin}\nSELECT 0;\n{around.format(between)}\nSELECT 1;\n", name)

    assert "in the middle of" in error.message
    assert error.line == 4


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("goose", "  -- +goose Down"),
        ("goose", "\t-- +goose StatementEnd"),
        ("goose", " -- +goose NO TRANSACTION"),
        ("goose", "-- see +goose Down"),
        ("goose", "-- +goose Downs"),
        ("goose", "-- +goose StatementEnd"),
        ("goose", "-- +goose StatementBegin"),
        ("dbmate", "  -- migrate:down"),
        ("dbmate", "-- migrate:DOWN"),
        ("dbmate", "-- migrate: down"),
        ("dbmate", "--- migrate:down"),
        ("sql-migrate", "  -- +migrate Down"),
        ("sql-migrate", "--+migrate Down"),
        ("sql-migrate", "-- +migrate down"),
        ("sql-migrate", "-- + migrate Down"),
        ("tern", "---- Create above / drop below ----"),
        ("tern", "--- create above / drop below ---"),
        ("tern", f"SELECT 1; {TERN}"),
        ("mybatis", "-- @UNDO"),
        ("mybatis", "-- //@undo"),
        ("mybatis", "-- // ask @UNDO"),
        ("mybatis", "-- // ask bob@UNDO.example"),
        ("mybatis", "// @UNDO"),
    ],
)
def test_what_is_almost_a_marker_is_refused(folder: Write, name: str, mark: str) -> None:
    """What is below it would run with the migration, whatever it is."""
    text = f"{MARKERS[name][0]}\nSELECT 0;\n{mark}\nDO $$ BEGIN DROP TABLE a; END $$;\n"

    assert refused(folder, text, name).line == 3


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("goose", "--+gooseDown"),
        ("goose", "---- +GOOSE down --"),
        ("dbmate", "--migrate:down  transaction:true "),
        ("sql-migrate", "-- +migrate   Down"),
        ("node-pg-migrate", "  ---- - DOWN   migration: drops it"),
        ("tern", f"  {TERN}  "),
        ("mybatis", "  --//  @UNDO"),
    ],
)
def test_a_marker_is_written_as_the_tool_allows(folder: Write, name: str, mark: str) -> None:
    """In all the ways that it reads."""
    found = one(folder, f"{MARKERS[name][0]}\nSELECT 0;\n{mark}\nSELECT 1;\n", name)

    assert [s.text for s in found.up.statements] == ["SELECT 0"]
    assert found.down is not None
    assert [s.text for s in found.down.statements] == ["SELECT 1"]


@pytest.mark.parametrize("name", ["goose", "dbmate"])
def test_the_sections_are_in_order(folder: Write, name: str) -> None:
    """The tool rejects it."""
    up, down = MARKERS[name]

    assert refused(folder, f"{down}\nSELECT 1;\n{up}\nSELECT 0;\n", name).line == 1


def test_node_pg_migrate_would_apply_both_sections(folder: Write) -> None:
    """Without the marker of the first one, it applies all of the file."""
    error = refused(folder, "SELECT 0;\n-- Down Migration\nSELECT 1;\n", "node-pg-migrate")

    assert "would apply what follows" in error.message
    assert error.line == 2


def test_an_address_is_no_marker(folder: Write) -> None:
    """It has the word, and no blank before it."""
    found = one(folder, "-- ask bob@undo.example\nSELECT 0;\n", "mybatis")

    assert found.down is None


@pytest.mark.parametrize(
    ("name", "files", "outside"),
    [
        (
            "flyway",
            {
                "V1__a.sql": "CREATE TABLE ${t} ();",
                "U1__a.sql": "INSERT INTO log VALUES ('${t}');",
            },
            False,
        ),
        (
            "diesel",
            {
                "1_a/up.sql": "VACUUM;",
                "1_a/down.sql": "DROP INDEX CONCURRENTLY foo;",
                "1_a/metadata.toml": "run_in_transaction = false",
            },
            True,
        ),
        (
            "golang-migrate",
            {"1_a.up.sql": "VACUUM;", "1_a.down.sql": "DROP INDEX CONCURRENTLY foo;"},
            True,
        ),
        (
            "pop",
            {
                "1_a.autocommit.up.sql": "VACUUM;",
                "1_a.autocommit.down.sql": "DROP INDEX CONCURRENTLY foo;",
            },
            True,
        ),
    ],
)
def test_a_file_that_reverts_is_read_like_one_that_applies(
    folder: Write, name: str, files: dict[str, str], *, outside: bool
) -> None:
    """With its placeholders, and outside a transaction where the tool runs it so."""
    (found,) = read_folder(folder(files), format=name, variables={"t": "foo"}).migrations

    assert found.down is not None
    assert "foo" in found.down.text
    assert found.down.no_transaction is outside
