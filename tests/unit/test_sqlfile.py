"""A folder of SQL files is read in the order in which it runs, or refused with all its problems."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import NOTHING_CHANGED, SqlFileError
from lfmigrate.source.folder import Folder, read_folder, shipped_folder
from lfmigrate.source.sqlfile import SqlFile, from_text

Write = Callable[[Mapping[str, str | bytes]], Path]

VIEW = "CREATE OR REPLACE VIEW v AS SELECT 1 AS a;"


def refusal_of(path: Path) -> SqlFileError:
    """Read a folder that is refused and return the error."""
    with pytest.raises(SqlFileError) as caught:
        read_folder(path)
    error = caught.value
    assert error.exit_code == 2
    assert error.outcome == NOTHING_CHANGED
    assert error.facts.count(NOTHING_CHANGED.text) == 1
    assert error.hint
    return error


def labels(folder: Folder) -> list[str]:
    """Return the labels of a folder's migrations."""
    return [migration.label for migration in folder.migrations]


def names(folder: Folder) -> list[str]:
    """Return the names of a folder's views."""
    return [view.name for view in folder.repeatables]


def file_of(text: str) -> SqlFile:
    """Return a file of a text."""
    return from_text("1_a.up.sql", text)


# Folders that are read.


def test_the_shipped_folder_is_read_without_a_note() -> None:
    """The migration that the software is named after is where it should be."""
    result = read_folder(shipped_folder())

    assert labels(result) == ["002_leadership_feedback_tables"]
    assert result.migrations[0].down is not None
    assert result.notes == ()
    assert result.path == shipped_folder()


def test_migrations_come_in_the_order_of_their_numbers(folder: Write) -> None:
    """Pairs and forward-only files of any length of number stand side by side."""
    path = folder(
        {
            "20240131120000_dated.sql": "SELECT 5",
            "10_ten.up.sql": "SELECT 3",
            "010000000000_padded.up.sql": "SELECT 4",
            "9_nine.sql": "SELECT 2",
            "002_two.up.sql": "SELECT 1",
            "2_two.down.sql": "SELECT -1",
        }
    )

    result = read_folder(path)

    assert labels(result) == [
        "002_two",
        "9_nine",
        "10_ten",
        "010000000000_padded",
        "20240131120000_dated",
    ]
    assert [migration.number for migration in result.migrations[:2]] == [2, 9]
    two, nine = result.migrations[:2]
    assert (two.version, two.name, two.up.name) == ("002", "two", "002_two.up.sql")
    assert two.up.path == path / "002_two.up.sql"
    assert two.down is not None
    assert two.down.text == "SELECT -1"
    assert nine.down is None


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("1_a.b.up.sql", "1_a.b"),
        ("1_größer als 'x' & \"y\".up.sql", "1_größer als 'x' & \"y\""),
        ("1_up.sql", "1_up"),
        ("1__.sql", "1__"),
        ("1_2_3.sql", "1_2_3"),
        ("1_a.UP.SQL", "1_a"),
        ("0_a.sql", "0_a"),
    ],
)
def test_a_name_may_be_anything(folder: Write, file: str, label: str) -> None:
    """Only the digits, the underscore and the ending have a meaning."""
    assert labels(read_folder(folder({file: "SELECT 1"}))) == [label]


def test_a_file_of_comments_is_a_migration_without_statements(folder: Write) -> None:
    """A step that turned out to be needless keeps its number."""
    result = read_folder(folder({"1_a.up.sql": "-- nothing;\n", "1_a.down.sql": " \n"}))

    assert result.migrations[0].up.statements == ()
    assert result.migrations[0].up.first_not_rerunnable() is None


def test_what_belongs_to_others_is_ignored(folder: Write) -> None:
    """Seed files, notes, hidden files and other folders are none of the migrations' business."""
    path = folder(
        {
            "1_a.sql": "SELECT 1",
            "README.md": "",
            "seed/load.sql": "'",
            "views/README.md": "",
            "views/old/v.sql": "'",
            "archive.sql/2_b.sql": "'",
            "._1_a.sql": "\0",
            ".2_b.sql": "'",
            "views/.v.sql": "'",
        }
    )

    result = read_folder(path)

    assert (labels(result), names(result)) == (["1_a"], [])
    # They look as if they were to run.
    assert result.notes == tuple(
        f"{name}/ is ignored: SQL files that may run again belong in repeatable/"
        for name in ("archive.sql", "views/old")
    )


def test_links_are_followed(folder: Write) -> None:
    """A file may live elsewhere, and so may the folder of views."""
    elsewhere = folder({"a.txt": "SELECT 1", "v.sql": VIEW})
    path = folder({})
    (path / "1_a.sql").symlink_to(elsewhere / "a.txt")
    (path / "views").symlink_to(elsewhere)

    result = read_folder(path)

    assert (labels(result), names(result)) == (["1_a"], ["v"])


def test_a_folder_may_hold_views_only(folder: Write) -> None:
    """A team may keep its tables elsewhere."""
    assert names(read_folder(folder({"views/v.sql": VIEW}))) == ["v"]


# Notes.


def test_files_that_look_like_migrations_are_noted(folder: Write) -> None:
    """A misnamed file would otherwise never run, and no one would know."""
    path = folder({"1_a.sql": "", "V2__b.sql": "'", "3.sql": "", "4_.up.sql": "", "²_c.sql": ""})

    result = read_folder(path)

    assert labels(result) == ["1_a"]
    assert result.notes == tuple(
        f"{file} is ignored: its name is not that of a migration"
        for file in ["3.sql", "4_.up.sql", "V2__b.sql", "²_c.sql"]
    )


@pytest.mark.parametrize(
    ("versions", "notes"),
    [
        (["1", "2", "3"], []),
        (["1", "3"], ["no migration 2 between 1 and 3"]),
        (["001", "003"], ["no migration 2 between 1 and 3"]),
        (["1", "2", "3", "7"], ["no migrations 4 to 6 between 1 and 7"]),
        (["1", "2", "4", "5", "8"], ["no migrations 3, 6 to 7 between 1 and 8"]),
        (["10", "20", "30"], []),
        (["5"], []),
        (["1", "9999999"], []),
        (["20240101", "20240103"], []),
        (["1", "2", "20240101"], []),
        (["1", "3", "20240101"], ["no migration 2 between 1 and 3"]),
    ],
)
def test_a_hole_in_the_numbers_is_noted(
    folder: Write, versions: list[str], notes: list[str]
) -> None:
    """A file may have been forgotten; numbering by tens or by date is no such case."""
    path = folder({f"{version}_a.sql": "" for version in versions})

    assert list(read_folder(path).notes) == notes


# Folders that are refused.


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The way out is the option that names another."""
    error = refusal_of(tmp_path / "nowhere")

    assert error.message == f'the SQL folder "{tmp_path / "nowhere"}" does not exist'
    assert "--sql-dir" in (error.hint or "")


def test_a_file_is_no_folder(folder: Write) -> None:
    """Pointing at a file instead of its folder is said so."""
    path = folder({"1_a.sql": ""}) / "1_a.sql"

    assert refusal_of(path).message == f'"{path}" is not a folder'


@pytest.mark.parametrize("files", [{}, {"README.md": ""}, {"seed/load.sql": ""}, {"a.sql": ""}])
def test_a_folder_without_migrations_and_views_is_refused(
    folder: Write, files: dict[str, str | bytes]
) -> None:
    """To do nothing and to call it success would hide a wrong path; what was ignored is named."""
    path = folder(files)

    error = refusal_of(path)

    assert error.message == f'no migrations and no views in "{path}"'
    assert any("a.sql is ignored" in fact for fact in error.facts) == ("a.sql" in files)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["1_a.up.sql", "001_b.up.sql"],
            "version 1 is used more than once: 001_b.up.sql, 1_a.up.sql",
        ),
        (["1_a.up.sql", "1_a.sql"], "version 1 is used more than once: 1_a.sql, 1_a.up.sql"),
        (
            ["1_a.up.sql", "1_a.down.sql", "01_a.down.sql"],
            "version 1 is used more than once: 01_a.down.sql, 1_a.down.sql",
        ),
        (["1_a.sql", "2_b.down.sql"], "2_b.down.sql has no matching 2_b.up.sql"),
        (["3_a.up.sql", "3_b.down.sql"], "3_b.down.sql does not belong to 3_a.up.sql"),
        (["3_a.sql", "3_a.down.sql"], "3_a.down.sql does not belong to 3_a.sql"),
        (["3_a.sql", "3_a.DOWN.SQL"], "3_a.DOWN.SQL does not belong to 3_a.sql"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    folder: Write, files: list[str], message: str
) -> None:
    """Which of two was meant is not guessed."""
    assert refusal_of(folder(dict.fromkeys(files, ""))).message == message


@pytest.mark.parametrize("name", ["001_a_down.sql", "001_a-Rollback.sql"])
def test_a_down_file_without_the_dot_is_not_to_be_renumbered(folder: Write, name: str) -> None:
    """With a number of its own, it would run as a migration."""
    error = refusal_of(folder({"001_a.up.sql": "SELECT 1;", name: "SELECT 2;"}))

    assert error.hint == f"If {name} reverts the other, name it 001_a.down.sql."


def test_a_rollback_in_the_same_file_is_refused(folder: Write) -> None:
    """Files of tools that keep both in one would be undone as soon as they were done."""
    for number, mark in enumerate(
        [
            "-- migrate:down",
            "-- +goose Down",
            "--+migrate Down",
            "---- create above / drop below ----",
        ]
    ):
        text = f"CREATE TABLE t ();\n{mark}\nDROP TABLE t;\n"

        error = refusal_of(folder({f"{number}_a.sql": text}))

        assert error.message == "the rollback in this file would run right after the migration"
        assert (error.file, error.line, error.column) == (f"{number}_a.sql", 2, 1)


@pytest.mark.parametrize(
    ("content", "message", "place"),
    [
        (b"SELECT 1;\n-- \xc3\xa4\xe9\n", "byte 0xE9 is not UTF-8", (2, 5)),
        (b"\xef\xbb\xbfSELECT '\xff'", "byte 0xFF is not UTF-8", (1, 9)),
        (b"\xef\xbb\xbf-- a\r\n \xc3", "byte 0xC3 is not UTF-8", (2, 2)),
        ("SELECT 1".encode("utf-16"), "the file is UTF-16", (1, 1)),
        ("SELECT 1".encode("utf-16-be"), "a NUL character", (1, 1)),
        (b"SELECT\n '\0'", "a NUL character", (2, 3)),
    ],
)
@pytest.mark.parametrize("file", ["1_a.up.sql", "1_a.down.sql", "views/v.sql"])
def test_bytes_that_are_no_utf8_are_refused(
    folder: Write, file: str, content: bytes, message: str, place: tuple[int, int]
) -> None:
    """Text that was saved in another encoding would arrive garbled."""
    error = refusal_of(folder({"1_a.up.sql": "", file: content}))

    assert error.message == message
    assert (error.file, error.line, error.column) == (file, *place)


@pytest.mark.parametrize("file", ["1_a.up.sql", "views/v.sql"])
def test_what_cannot_be_sent_is_refused_on_reading(folder: Write, file: str) -> None:
    """A bad file at the end must not be found after the good ones have been sent."""
    error = refusal_of(folder({"0_a.sql": "", file: "SELECT 1;\nCOMMIT;\n"}))

    assert (error.file, error.line, error.column) == (file, 2, 1)


def test_down_files_are_split_when_they_are_needed(folder: Write) -> None:
    """An old rollback that cannot be run is no reason against going forward."""
    result = read_folder(folder({"1_a.up.sql": "", "1_a.down.sql": "\nCOMMIT"}))

    down = result.migrations[0].down
    assert down is not None
    with pytest.raises(SqlFileError) as caught:
        _ = down.statements
    assert (caught.value.file, caught.value.line) == ("1_a.down.sql", 2)


def test_all_problems_of_a_folder_are_reported_together(folder: Write) -> None:
    """No one wants to find five mistakes in five runs."""
    path = folder(
        {
            "1_a.up.sql": "SELECT 1;\n COMMIT;",
            "2_b.up.sql": b"\xff",
            "3_c.down.sql": "",
            "4_d.sql": "",
            "04_e.sql": "",
            "5_f.sql/x": "",
            "views/v.sql": "",
        }
    )

    error = refusal_of(path)

    assert error.message == f'6 problems in "{path}"'
    assert list(error.facts) == [
        "1_a.up.sql:2:2: COMMIT is transaction control, which lfmigrate does itself",
        "2_b.up.sql:1:1: byte 0xFF is not UTF-8",
        "3_c.down.sql has no matching 3_c.up.sql",
        "version 4 is used more than once: 04_e.sql, 4_d.sql",
        "5_f.sql is a folder",
        "views/v.sql:1:1: this view file is empty",
        NOTHING_CHANGED.text,
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such names")
def test_a_file_name_that_is_not_utf8_is_refused(folder: Write) -> None:
    """It could be neither printed nor recorded."""
    path = folder({"1_a.sql": ""})
    Path(os.fsdecode(os.fsencode(path / "2_") + b"\xff.sql")).touch()

    assert refusal_of(path).message == r"the file name '2_\udcff.sql' is not UTF-8"


def test_a_broken_link_is_refused(folder: Write) -> None:
    """A file that cannot be read is named with the reason."""
    path = folder({})
    (path / "1_a.sql").symlink_to(path / "gone")

    assert refusal_of(path).message == "1_a.sql cannot be read: No such file or directory"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused(folder: Write) -> None:
    """Reading from it would wait for ever."""
    path = folder({})
    os.mkfifo(path / "1_a.sql")

    assert refusal_of(path).message == "1_a.sql is not a regular file"


# View files.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("v", "create or replace view v as select 1"),
        ("v", "CREATE OR REPLACE VIEW public.V AS SELECT 1"),
        ("v", 'CREATE OR REPLACE VIEW "a".b."v" AS SELECT 1'),
        ("v", "-- a\nCREATE OR REPLACE/* b */RECURSIVE VIEW v (n) AS SELECT 1"),
        (
            "v",
            "COMMENT ON TABLE t IS ''; CREATE OR REPLACE VIEW v AS SELECT 1; GRANT ALL ON v TO a",
        ),
        ("V x", 'CREATE OR REPLACE VIEW "V x" AS SELECT 1'),
        ('a"b', 'CREATE OR REPLACE VIEW "a""b" AS SELECT 1'),
        ("übersicht", "CREATE OR REPLACE VIEW Übersicht AS SELECT 1".replace("Ü", "ü")),
        ("a.b", 'CREATE OR REPLACE VIEW "a.b" AS SELECT 1'),
        ("view", "CREATE OR REPLACE VIEW view AS SELECT 1"),
    ],
)
def test_a_view_file_creates_the_view_it_is_named_after(
    folder: Write, name: str, text: str
) -> None:
    """Schemas, quotes and capitals are read as the server would read them."""
    result = read_folder(folder({f"views/{name}.sql": text}))

    assert names(result) == [name]
    assert result.repeatables[0].file.name == f"views/{name}.sql"


def test_a_file_name_in_another_unicode_form_is_the_same_name(folder: Write) -> None:
    """Some file systems take names apart; the name of the view is the one in the SQL."""
    taken_apart = unicodedata.normalize("NFD", "größe")
    path = folder({f"views/{taken_apart}.sql": "CREATE OR REPLACE VIEW größe AS SELECT 1"})

    assert names(read_folder(path)) == ["größe"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "this view file is empty", 1),
        ("-- later;\n", "this view file is empty", 1),
        ("SELECT 1", 'no CREATE OR REPLACE VIEW "v" in this file', 1),
        ("CREATE OR REPLACE VIEW w AS SELECT 1", 'no CREATE OR REPLACE VIEW "v" in this file', 1),
        ('CREATE OR REPLACE VIEW "V" AS TABLE v', 'no CREATE OR REPLACE VIEW "v" in this file', 1),
        ("CREATE TABLE v (view int)", 'no CREATE OR REPLACE VIEW "v" in this file', 1),
        ("CREATE OR REPLACE VIEW", 'no CREATE OR REPLACE VIEW "v" in this file', 1),
        ("SELECT 1;\nCREATE VIEW v AS SELECT 1", "CREATE VIEW is not repeatable", 2),
        (
            "\n\nCREATE MATERIALIZED VIEW IF NOT EXISTS s.v AS SELECT 1",
            "CREATE MATERIALIZED VIEW is not repeatable",
            3,
        ),
        (
            "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
            "CREATE OR REPLACE TEMP VIEW is not repeatable",
            1,
        ),
    ],
)
def test_a_view_file_that_does_not_create_its_view_is_refused(
    folder: Write, text: str, message: str, line: int
) -> None:
    """Its view would stay missing, or the second run would fail."""
    error = refusal_of(folder({"views/v.sql": text}))

    assert (error.message, error.file, error.line) == (message, "views/v.sql", line)


def test_a_view_of_another_name_is_named(folder: Write) -> None:
    """Capitals without quotes are the most likely mistake."""
    error = refusal_of(folder({"views/Sales.sql": "CREATE OR REPLACE VIEW Sales AS SELECT 1"}))

    assert 'it creates "sales"' in error.facts
    assert "capitals included" in (error.hint or "")


def test_a_name_that_postgresql_would_cut_is_refused(folder: Write) -> None:
    """The catalogs would know the view by another name than the file's."""
    fits, too_long = "é" * 31 + "x", "é" * 32
    files = {
        f"views/{name}.sql": f"CREATE OR REPLACE VIEW {name} AS SELECT 1"
        for name in (fits, too_long)
    }

    error = refusal_of(folder(files))

    assert error.message == "the view's name is longer than PostgreSQL's limit of 63 bytes"
    assert error.file == f"views/{too_long}.sql"


def test_a_view_in_two_files_is_refused(folder: Write) -> None:
    """Each would undo what the other did."""
    error = refusal_of(folder({"views/v.sql": VIEW, "views/v.SQL": VIEW}))

    assert error.message == "views/v.SQL and views/v.sql create the same view"


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ({"b": "1", "a": "1", "c": "1"}, "a b c"),
        ({"a": "x FROM b", "b": "x FROM c", "c": "1"}, "c b a"),
        ({"a": "x FROM s.d", "b": "1", "c": "1", "d": "x FROM c"}, "b c d a"),
        ({"a": "'b' -- c\n", "b": "1", "c": "1"}, "a b c"),
        ({"a": "x FROM B", "b": "1"}, "b a"),
        ({"a": 'x FROM "B"', "b": "1"}, "a b"),
        ({"a": 'x FROM "b"', "b": "1"}, "b a"),
        ({"a": "x FROM bb, b$b", "b": "1"}, "a b"),
        ({"a": "x FROM a", "b": "1"}, "a b"),
        # Two that need each other, and others before and after them.
        ({"a": "x FROM c", "b": "x FROM c", "c": "x FROM b, d", "d": "1"}, "d b c a"),
        ({"a": "x FROM b", "b": "x FROM a"}, "a b"),
        ({"a": "x FROM c", "c": "x FROM b", "b": "x FROM a", "d": "x FROM a"}, "a b c d"),
        # b reads nothing of a, though a name of its own is the same.
        ({"a": "x FROM b", "b": "y AS a FROM t"}, "b a"),
        ({"a": "x FROM b", "b": "y, a FROM t"}, "b a"),
        ({"a": "x FROM b", "b": "t.a FROM t"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t AS a"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t a, u"}, "b a"),
        ({"a": "x FROM b", "b": "extract(year FROM a) FROM t"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t WHERE y IS DISTINCT FROM a"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t WHERE y IN (z, a) ORDER BY z, a"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t JOIN u USING (a, z)"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t, f(z, a) AS g(z, a)"}, "b a"),
        ({"a": "x FROM b", "b": "y FROM t WHERE t.a = 1"}, "b a"),
        ({"a": "x FROM b", "b": "1; WITH a AS (SELECT 1) SELECT x FROM a"}, "b a"),
        ({"a": "x FROM b", "b": "1; WITH z AS (TABLE t), a (x) AS (TABLE z) TABLE a"}, "b a"),
        ({"a": "x FROM b", "b": "1; COMMENT ON COLUMN b.a IS ''"}, "b a"),
        # c does, and b only looks like it.
        ({"b": "x FROM t, c", "c": "x AS b FROM t"}, "c b"),
        ({"b": "x FROM t JOIN u ON t.y = u.y, c", "c": "x AS b FROM t"}, "c b"),
        ({"b": "x FROM (t JOIN (c CROSS JOIN u))", "c": "x AS b FROM t"}, "c b"),
        ({"b": "x FROM (SELECT y FROM t, ONLY s.c)", "c": "x AS b FROM t"}, "c b"),
        ({"b": "x FROM t WHERE EXISTS (TABLE c)", "c": "x AS b FROM t"}, "c b"),
        ({"b": "1 UNION SELECT x FROM f(1, 2) AS g(x, y), c", "c": "x AS b FROM t"}, "c b"),
        ({"b": "NULL::s.c", "c": "x AS b FROM t"}, "c b"),
        ({"b": "1; GRANT SELECT ON b TO r; UPDATE c SET x = 1", "c": "x AS b FROM t"}, "c b"),
        # Three, and one of their mentions is a column.
        ({"a": "x FROM b", "b": "x FROM c", "c": "x AS a FROM t"}, "c b a"),
    ],
)
def test_a_view_comes_after_those_it_mentions(
    folder: Write, bodies: dict[str, str], expected: str
) -> None:
    """By name otherwise; a circle is entered at its first name and left to the server."""
    path = folder(
        {
            f"views/{name}.sql": f"CREATE OR REPLACE VIEW {name} AS SELECT {body}"
            for name, body in bodies.items()
        }
    )

    result = read_folder(path)

    assert " ".join(names(result)) == expected


def test_a_long_chain_of_views_is_no_problem(folder: Write) -> None:
    """Each view on top of the next, deeper than Python would recurse."""
    bodies = {f"v{number:04}": f"FROM v{number + 1:04}" for number in range(1200)}
    bodies["v1200"] = "FROM v0000"
    path = folder(
        {
            f"views/{name}.sql": f"CREATE OR REPLACE VIEW {name} AS SELECT x {body}"
            for name, body in bodies.items()
        }
    )

    assert names(read_folder(path)) == ["v0000", *sorted(bodies, reverse=True)[:-1]]


# One file.


def test_the_checksum_is_that_of_the_text_with_lf() -> None:
    """A byte order mark and CRLF come and go with editors and checkouts; a lone CR does not."""
    plain = file_of("SELECT 1;\nSELECT 'ä';\n")

    assert plain.checksum == hashlib.sha256("SELECT 1;\nSELECT 'ä';\n".encode()).hexdigest()
    assert file_of("\ufeffSELECT 1;\r\nSELECT 'ä';\r\n").checksum == plain.checksum
    assert file_of("SELECT 1;\rSELECT 'ä';\r").checksum != plain.checksum


def test_the_text_is_kept_but_for_the_byte_order_mark(folder: Write) -> None:
    """What is recorded in the history is what was in the file."""
    result = read_folder(folder({"1_a.sql": b"\xef\xbb\xbfSELECT 1;\r\n\r"}))

    assert result.migrations[0].up.text == "SELECT 1;\r\n\r"
    assert from_text("1_a.sql", "\ufeffSELECT 1").text == "SELECT 1"


def test_a_file_is_split_once() -> None:
    """Statements of a large file are not split again each time they are used."""
    file = file_of("SELECT 1; SELECT 2")

    assert file.statements is file.statements
    assert [statement.file for statement in file.statements] == ["1_a.up.sql"] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", set()),
        ("-- lfmigrate: rerunnable\nSELECT 1", {"rerunnable"}),
        ("-- lfmigrate: no-transaction, rerunnable", {"no-transaction", "rerunnable"}),
        ("--lfmigrate:No-Transaction rerunnable\r\n", {"no-transaction", "rerunnable"}),
        ("/* a */ -- b\n\n  -- lfmigrate: rerunnable\n;", {"rerunnable"}),
        (
            "-- lfmigrate: rerunnable\n-- lfmigrate: no-transaction\n",
            {"rerunnable", "no-transaction"},
        ),
        ("SELECT 1;\n-- lfmigrate: rerunnable", set()),
        ("/*\n-- lfmigrate: rerunnable\n*/", set()),
        ("-- see lfmigrate: rerunnable", set()),
    ],
)
def test_directives_stand_in_the_leading_comments(text: str, expected: set[str]) -> None:
    """Only in line comments of their own, above the first statement."""
    assert file_of(text).directives == expected


@pytest.mark.parametrize(
    ("text", "word", "line", "column"),
    [
        ("-- a\n-- lfmigrate: rerunnable, no_transaction\n", "no_transaction", 2, 27),
        ("  -- lfmigrate: once", "once", 1, 17),
        ("-- lfmigrate: rerunnable,run", "run", 1, 26),
        ("-- lfmigrate:\n", "", 1, 14),
    ],
)
def test_an_unknown_directive_is_refused(
    folder: Write, text: str, word: str, line: int, column: int
) -> None:
    """A misspelt one would silently not be followed; the known ones are named."""
    for file in ["1_a.up.sql", "1_a.down.sql"]:
        error = refusal_of(folder({"1_a.up.sql": "", file: text}))

        assert error.message == f'unknown directive "{word}"'
        assert (error.file, error.line, error.column) == (file, line, column)
        assert error.hint == "Known directives are loses-data, no-transaction and rerunnable."


REPEATABLE = [
    "CREATE TABLE IF NOT EXISTS t (id int)",
    "create unlogged table if not exists t (id int)",
    'CREATE TABLE IF NOT EXISTS "T" (id int)',
    "CREATE FOREIGN TABLE IF NOT EXISTS t (id int) SERVER s",
    "CREATE INDEX IF NOT EXISTS i ON t (id)",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (id)",
    "CREATE SEQUENCE IF NOT EXISTS s",
    "CREATE SCHEMA IF NOT EXISTS s",
    "CREATE EXTENSION IF NOT EXISTS hstore",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT 1",
    "CREATE STATISTICS IF NOT EXISTS s ON a, b FROM t",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "COMMENT ON TABLE t IS 'x'",
    "SET LOCAL work_mem = '1MB'",
    "RESET work_mem",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int",
    'ALTER TABLE IF EXISTS ONLY s."T" ADD COLUMN IF NOT EXISTS a numeric(10, 2) DEFAULT f(1, 2)',
    "ALTER TABLE t * ADD COLUMN IF NOT EXISTS a int[] DEFAULT ARRAY[1, 2] CHECK (a <> '{,}')",
]

# A grant may have been taken back since, by a later migration.
ONCE_ONLY = [
    "GRANT SELECT ON t TO a",
    "REVOKE SELECT ON t FROM a",
    "CREATE TABLE t (id int)",
    'CREATE TABLE "if" (not_exists int)',
    "CREATE TABLE if_not_exists (id int)",
    "CREATE TEMP TABLE IF NOT EXISTS t (id int)",
    "CREATE INDEX ON t (id)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TYPE t AS ENUM ('a')",
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    "SELECT set_config('a.b', 'c', true)",
    "UPDATE t SET a = a + 1",
    "DROP TABLE IF EXISTS t",
    "DROP TRIGGER IF EXISTS r ON t",
    "DO $$ BEGIN END $$",
    "ALTER TABLE t ADD COLUMN a int",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int, ADD COLUMN b int",
    "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int, DROP COLUMN b",
    "ALTER TABLE IF EXISTS t DROP COLUMN IF EXISTS a",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE",
    "(SELECT 1)",
]


@pytest.mark.parametrize("text", REPEATABLE)
def test_what_is_harmless_a_second_time_may_run_again(text: str) -> None:
    """A missing relation can be brought back by running such a file once more."""
    assert file_of(text).first_not_rerunnable() is None


@pytest.mark.parametrize("text", ONCE_ONLY)
def test_all_else_may_not_run_again(text: str) -> None:
    """One such statement is enough, and the message can name it."""
    file = file_of(f"{REPEATABLE[0]}; {text}; {ONCE_ONLY[0]}")

    assert file.first_not_rerunnable() is not None
    found = file.first_not_rerunnable()
    assert found is not None
    assert found.text == text
