"""SQL is split where PostgreSQL would split it, and what must not be sent is refused."""

from __future__ import annotations

from itertools import pairwise

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import pq

from lfmigrate.errors import NOTHING_CHANGED, SqlFileError
from lfmigrate.source.sqlfile import from_text
from lfmigrate.syntax.scanner import Token, split, tokens

# A busy machine is no defect.

# Each is one statement, valid on PostgreSQL 14 to 18 if those before it in its row have run.
STATEMENTS = {
    "plain": ["SELECT 1", "SELECT\n2"],
    "crlf": ["SELECT\r\n1", "SELECT 2"],
    "comment": ["SELECT -- a;\n 1 /* b; ' */ + 2", "SELECT 3"],
    "comment ended by a lone CR": ["SELECT 1 -- a;\r+ 1", "SELECT 2"],
    "nested comment": ["SELECT /* a /* b; */ c; */ 1", "SELECT 2"],
    "stars and slashes in a comment": ["SELECT /***/ 1 /*/*/**/;*/*/ + 2", "SELECT /**/ 3"],
    "comment inside an operator": ["SELECT 1 +--;\n2", "SELECT 2*/*;*/3", "SELECT 4/-5 - -6"],
    "string": ["SELECT 'a;b--c/*$$'", "SELECT 2"],
    "quote in a string": ["SELECT 'it''s;', ''';', ''", "SELECT 2"],
    "backslash before a quote": [r"SELECT 'a\'", r"SELECT '\\'", "SELECT 3"],
    "escape string": [r"SELECT E'a\';b', e'\\', E'\''';'", "SELECT 2"],
    "escape string on two lines": ["SELECT E'a\\';'\n \t'b\\';'", "SELECT 2"],
    "escape string past a comment": ["SELECT E'a' -- '\r\n -- it's\n '\\';'", "SELECT 2"],
    "plain string on two lines": ["SELECT 'a'\n'b\\'", "SELECT 2"],
    "type name before a string": [r"SELECT date'2020-01-01', name'\'", "SELECT 2"],
    "other strings": [r"SELECT N'\', B'01', X'fe', U&'\003B;'", "SELECT U&'!003B;' UESCAPE '!'"],
    "quoted names": [
        'SELECT 1 AS "a;b", 2 AS "a"";", 3 AS "it\'s;", 4 AS U&"d\\0061;"',
        "SELECT 2",
    ],
    "dollar quotes": ["SELECT $$a;'b$$, $x$ $$;$y$ $x;$x$, $ä1$;$ä1$, $a$;$$a$", "SELECT 2"],
    "tags in another case": ["SELECT $a$;$A$;$a$", "SELECT 2"],
    "dollars in names": ["SELECT 1 AS a$b$c", "SELECT 2 AS é$$", "SELECT 3 AS x$$"],
    "parameter": ["PREPARE p(int) AS SELECT $1", "DEALLOCATE p"],
    "no-break space as a name": ["SELECT 1 AS\u00a0", "SELECT 2 AS x\u3000", "SELECT 3"],
    "parentheses": ["SELECT ((1)), (SELECT count(*) FROM (SELECT ')') AS t)", "SELECT 2"],
    "rule with two actions": [
        "CREATE TABLE t ()",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT ';'; SELECT (2);)",
        "SELECT 2",
    ],
    "block": ["DO $$ BEGIN PERFORM 1; END $$", "SELECT 2"],
    "atomic body": [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "CREATE PROCEDURE p() begin -- x\n atomic END",
        "SELECT 2",
    ],
    "atomic body with other ends": [
        """CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC
            SELECT CASE WHEN true THEN CASE WHEN true THEN 1 END END AS end;;
            SELECT t.end FROM (SELECT 1 AS end) t;
            SELECT (CASE 1 WHEN 1 THEN 2 END) end; /* ; */ END""",
        "SELECT 2",
    ],
    "begin and atomic as names": [
        "CREATE FUNCTION f(begin int, atomic int) RETURNS int RETURN begin + atomic",
        "SELECT 2",
    ],
    "copy on the server": [
        "COPY (SELECT 1 AS stdin FROM (SELECT 2) stdout) TO PROGRAM 'cat > /dev/null'",
        "CREATE TABLE stdin (stdout int)",
        "COPY stdin (stdout) FROM PROGRAM 'echo 1' WHERE stdout IS DISTINCT FROM stdout",
        "COPY (TABLE stdin) TO '/dev/null'",
    ],
    "no transaction control": [
        "PREPARE q AS SELECT 1",
        "SET TRANSACTION READ WRITE",
        "CREATE TABLE begin (commit int)",
        "SELECT commit FROM begin",
    ],
    "percent sign": ["SELECT 5 % 2, '%s'", "SELECT 2"],
    # Longer than what is taken in one go.
    "long list": ["SELECT 0" + ", ';'" * 1500, "SELECT 2"],
    "long row": ["VALUES (0" + ", (1)" * 1500 + ")", "SELECT 2"],
    "many quotes in a string": ["SELECT '" + "'';" * 1500 + "'", "SELECT 2"],
    "many line comments": ["SELECT 1 " + "-- ;\n" * 1500 + "+ 2", "SELECT 2"],
    "deep comment": ["SELECT " + "/*;" * 1500 + "*/" * 1500 + " 1", "SELECT 2"],
    "deep parentheses": ["SELECT " + "(" * 300 + "1" + ")" * 300, "SELECT 2"],
}


@pytest.mark.parametrize("statements", STATEMENTS.values(), ids=STATEMENTS.keys())
@pytest.mark.parametrize("between", [";", " ; ", ";\n", "\r\n;\r\n", "-- x;\n;/* y; */"])
def test_statements_are_parted_by_semicolons(statements: list[str], between: str) -> None:
    """Whatever a statement holds, it comes back as it was written."""
    text = between.join([*statements, ""])

    assert [statement.text for statement in split(text)] == statements


def test_the_server_takes_each_piece_as_one_statement(database: str) -> None:
    """The extended protocol refuses two statements in one message, and half a one is an error."""
    with psycopg.connect(database) as conn:
        for case, statements in STATEMENTS.items():
            for statement in split("; ".join(statements)):
                result = conn.pgconn.exec_params(statement.text.encode(), [])

                assert result.status in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}, (
                    case,
                    result.error_message.decode(),
                )
            conn.rollback()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\r\f\v", []),
        (";; ;", []),
        ("-- only; a comment", []),
        ("/* a; */ -- b", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1 -- no semicolon;", ["SELECT 1"]),
        (";;SELECT 1;;", ["SELECT 1"]),
        ("-- a;\rSELECT 1", ["SELECT 1"]),
        ("-- a;\nSELECT 'b' /* c; */ -- d;\n ; -- e;\n", ["SELECT 'b'"]),
    ],
)
def test_what_is_no_statement_is_left_out(text: str, expected: list[str]) -> None:
    """White space, comments and semicolons around a statement are no part of it."""
    assert [statement.text for statement in split(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1)); SELECT (2); a ' ;'", ["SELECT 1))", "SELECT (2)", "a ' ;'"]),
        ("CREATE FUNCTION f(a; b) c; d", ["CREATE FUNCTION f(a; b) c", "d"]),
        ("SELECT $1$1; a", ["SELECT $1$1", "a"]),
        ("SELECT $1$$;$$; a", ["SELECT $1$$;$$", "a"]),
        ("SELECT 1$$;$$; a", ["SELECT 1$$;$$", "a"]),
        ("SELECT $a; $b; $", ["SELECT $a", "$b", "$"]),
    ],
)
def test_what_the_server_will_refuse_loses_no_statement(text: str, expected: list[str]) -> None:
    """Stray parentheses and dollars do not hide the next semicolon."""
    assert [statement.text for statement in split(text)] == expected


def test_a_statement_knows_where_it_stands() -> None:
    """Lines and columns count characters from 1; CRLF is one line break, a lone CR none."""
    text = "-- ä\r\n\tSELECT 1; 😀; \r X;\n/*\n*/ SELECT\n2"

    result = split(text, "002_x.up.sql")

    assert [(s.file, s.line, s.column, text[s.offset]) for s in result] == [
        ("002_x.up.sql", 2, 2, "S"),
        ("002_x.up.sql", 2, 12, "😀"),
        ("002_x.up.sql", 2, 17, "X"),
        ("002_x.up.sql", 4, 4, "S"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", "SELECT"),
        ("create table t (id int)", "CREATE TABLE T"),
        ("create table public.t (id int)", "CREATE TABLE PUBLIC"),
        ('create table "T" (id int)', "CREATE TABLE"),
        ("create/* a */unique -- b\n index on t (a)", "CREATE UNIQUE INDEX ON T"),
        ("a b c d e f g h i j", "A B C D E F G H"),
        ("a b c d e f g /* x */ h i j", "A B C D E F G H"),
        ("(select 1)", ""),
        ("'a'", ""),
        ("select e'a'", "SELECT"),
        ("select N'a'", "SELECT"),
        ('select u&"a"', "SELECT"),
        ("select date'2020-01-01'", "SELECT DATE"),
        ("select nu&1", "SELECT NU"),
        ("select 1 a", "SELECT"),
        ("créate\u00a0täble \u017fet ß", "CRéATE\u00a0TäBLE \u017fET ß"),
        ("a\n\tb\r\nc$1", "A B C$1"),
    ],
)
def test_the_head_is_the_first_bare_words(text: str, expected: str) -> None:
    """It stops before quoted names, strings and punctuation, and folds ASCII letters only."""
    (statement,) = split(text)

    assert " ".join(statement.head) == expected


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("SELECT 1;\n  SELECT 'a''b\n;", "this string is never closed", 2, 10),
        ("SELECT E'a\\'; SELECT 1", "this string is never closed", 1, 9),
        ("SELECT E'a\\", "this string is never closed", 1, 9),
        ("SELECT E'a'\n'b\\'", "this string is never closed", 2, 1),
        ("SELECT U&'a", "this string is never closed", 1, 10),
        ('SELECT "a"";', "this quoted name is never closed", 1, 8),
        ("\r\nSELECT $$a$a$;", "this dollar-quoted string $$ is never closed", 2, 8),
        ("SELECT $a$;$A$;$$", "this dollar-quoted string $a$ is never closed", 1, 8),
        ("SELECT 1; /* a /* b */ ;", "this comment is never closed", 1, 11),
        ("SELECT 1 /*", "this comment is never closed", 1, 10),
        ("SELECT f((1);\nSELECT 2;", "this parenthesis is never closed", 1, 9),
        (
            "CREATE FUNCTION f() RETURNS int\n BEGIN ATOMIC SELECT 1 END;\nSELECT 2;",
            "this BEGIN ATOMIC is never closed",
            2,
            2,
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT begin FROM t;",
            "this BEGIN ATOMIC is never closed",
            1,
            33,
        ),
        ("CREATE FUNCTION f(a;\nSELECT 1", "this parenthesis is never closed", 1, 18),
        ("SELECT 1;\nSELECT '\0'", "a NUL character", 2, 9),
    ],
)
def test_what_is_never_closed_is_refused_where_it_opens(
    text: str, message: str, line: int, column: int
) -> None:
    """The error names the place, shows the line, says the way out and that nothing has happened."""
    with pytest.raises(SqlFileError) as caught:
        split(text, "1_a.up.sql")

    error = caught.value
    source = text.split("\n")[line - 1].removesuffix("\r")
    assert (error.message, error.file, error.line, error.column) == (
        message,
        "1_a.up.sql",
        line,
        column,
    )
    assert error.facts == (f"{line} | {source}", NOTHING_CHANGED.text)
    assert error.hint
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("begin", "BEGIN"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
        ("Start /* a */ Transaction", "START TRANSACTION"),
        ("COMMIT", "COMMIT"),
        ("COMMIT AND CHAIN", "COMMIT"),
        ("END", "END"),
        ("ROLLBACK TO a", "ROLLBACK"),
        ("ABORT", "ABORT"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("RELEASE a", "RELEASE"),
        ("PREPARE TRANSACTION 'a'", "PREPARE TRANSACTION"),
    ],
)
def test_transaction_control_is_refused(statement: str, words: str) -> None:
    """One of these in the middle would end the transaction that makes a run all or nothing."""
    with pytest.raises(SqlFileError) as caught:
        split(f"SELECT 1;\n  {statement};\nSELECT 2;", "1_a.up.sql")

    error = caught.value
    assert error.message == f"{words} is transaction control, which lfmigrate does itself"
    assert (error.file, error.line, error.column) == ("1_a.up.sql", 2, 3)
    assert error.outcome == NOTHING_CHANGED


@pytest.mark.parametrize(
    ("text", "command", "line", "column"),
    [
        ("\\connect other\nSELECT 1;", "\\connect", 1, 1),
        ("SELECT 1;\n\\i more.sql", "\\i", 2, 1),
        ("SELECT 1 \\gset x_\n", "\\gset", 1, 10),
        ("\\.", "\\.", 1, 1),
        ("SELECT (1 \\", "\\", 1, 11),
        ("\\restrict abc\n", "\\restrict", 1, 1),
        ("CREATE FUNCTION f() \\x", "\\x", 1, 21),
    ],
)
def test_commands_of_psql_are_refused(text: str, command: str, line: int, column: int) -> None:
    """A backslash outside quotes and comments is nothing that the server understands."""
    with pytest.raises(SqlFileError) as caught:
        split(text, "1_a.up.sql")

    error = caught.value
    assert error.message == f"{command} is a psql command, not SQL"
    assert (error.line, error.column) == (line, column)
    assert error.hint


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("COPY t FROM STDIN", "FROM STDIN"),
        ("copy s.t (a, b) from /* ; */ stdin with (format csv)", "FROM STDIN"),
        ("COPY BINARY t FROM stdin", "FROM STDIN"),
        ('COPY "t" TO STDOUT', "TO STDOUT"),
        ("COPY (SELECT 1 FROM t) TO stdout", "TO STDOUT"),
        ("COPY s.to FROM STDIN", "FROM STDIN"),
        ("COPY t FROM stdout", "FROM STDOUT"),
    ],
)
def test_rows_for_or_from_the_client_are_refused(statement: str, words: str) -> None:
    """The rows that follow are not looked at; they would seem to be broken SQL."""
    with pytest.raises(SqlFileError) as caught:
        split(f"SELECT 1;\n{statement};\n1\tit's\n\\.\n", "1_a.up.sql")

    error = caught.value
    assert error.message == f"COPY {words} moves rows between the server and psql"
    assert (error.line, error.column) == (2, 1)
    assert error.hint


def test_the_excerpt_of_a_long_line_is_short() -> None:
    """A file that is one long line does not flood the terminal."""
    with pytest.raises(SqlFileError) as caught:
        split("SELECT 1; " * 1000 + "COMMIT; " + "SELECT 1; " * 1000)

    excerpt = caught.value.facts[0]
    assert "COMMIT; " in excerpt
    assert excerpt.startswith("1 | ...")
    assert excerpt.endswith("...")
    assert len(excerpt) < 120


def test_tokens_are_words_names_strings_and_characters() -> None:
    """White space and comments are no tokens; words are folded and quoted names unquoted."""
    result = list(tokens('Ünit -- a\n"A""b"(E\'\\\'\', $1) /* b */ $$x$$ 1'))

    assert result == [
        Token("word", "Ünit"),
        Token("quoted", 'A"b'),
        Token("other", "("),
        Token("string", "E'\\''"),
        Token("other", ","),
        Token("other", "$1"),
        Token("other", ")"),
        Token("string", "$$x$$"),
        Token("other", "1"),
    ]


# Random statements. A gap begins with a space, so that no operator turns into a comment.

_any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_line_text = _any_text.map(lambda text: text.replace("\n", "").replace("\r", ""))
_block = st.recursive(
    _any_text.map(lambda text: f"/*{text.replace('*', '-').replace('/', '-')}*/"),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"/* {' '.join(parts)} */"),
    max_leaves=3,
)
_gap = st.lists(
    st.sampled_from([" ", "\n", "\r\n", "\t", "\r"])
    | _line_text.map(lambda text: f"--{text}\n")
    | _block,
    max_size=3,
).map(lambda parts: " " + "".join(parts))


def _escaped(text: str) -> str:
    doubled = text.replace("\\", "\\\\")
    return "E'" + doubled.replace("'", "\\'" if len(text) % 2 else "''") + "'"


def _closes_at_its_end(quoted: tuple[str, str]) -> bool:
    tag, body = quoted
    return (body + tag).index(tag) == len(body)


_dollar_quoted = (
    st.tuples(st.sampled_from(["$$", "$a$", "$_1$", "$ä$"]), _any_text | st.just("$b$;$$a$c"))
    .filter(_closes_at_its_end)
    .map(lambda quoted: quoted[0] + quoted[1] + quoted[0])
)
_piece = st.one_of(
    st.sampled_from(["a", "E", "tablE", "a$b$c", "é", "\u00a0x", "x$$", "_", "begin", "end"]),
    st.sampled_from(["1", "1.5", "$1", "*"]),
    _any_text.map(lambda text: "'" + text.replace("'", "''") + "'"),
    _any_text.map(lambda text: '"' + text.replace('"', '""') + '"'),
    _any_text.map(_escaped),
    _any_text.map(lambda text: "U&'" + text.replace("'", "''") + "'"),
    _dollar_quoted,
)
_operator = st.sampled_from([",", "+", "-", "/", "*", "<>", "::", "->>", ".", "[", "]", "@", ":"])


@st.composite
def _expression(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    parts = [draw(inner)]
    for _ in range(draw(st.integers(0, 3))):
        parts += [draw(_operator), draw(inner)]
    return "".join(part + draw(_gap) for part in parts[:-1]) + parts[-1]


_statement = st.recursive(
    _expression(_piece),
    lambda inner: _expression(
        inner | st.lists(inner, max_size=2).map(lambda i: f"({';'.join(i)})")
    ),
    max_leaves=6,
).flatmap(lambda body: _gap.map(lambda gap: f"SELECT{gap}{body}"))
_end = st.tuples(_gap, _gap).map(lambda gaps: f"{gaps[0]};{gaps[1]}")

# Text that is SQL only by accident: mostly what opens, closes, escapes and continues.
_shards = st.sampled_from(
    [
        *"'\"$;()\\-/*\n\r aEeé1_\u00a0.,",
        *("''", '""', "$$", "$a$", "E'", "U&'", "--", "/*", "*/", "\\'", "\r\n", ";\n"),
        *("SELECT ", "COPY t FROM ", "STDIN", "CREATE FUNCTION f() ", "BEGIN ATOMIC "),
        *("CASE ", "END", " END;"),
    ]
)
_soup = st.lists(_shards, max_size=40).map("".join) | st.text()


@given(st.lists(st.tuples(_statement, _end), max_size=5), _gap)
def test_any_statements_come_back_as_they_were(parts: list[tuple[str, str]], first: str) -> None:
    """Statements of any tokens, with any white space and comments in and between them."""
    text = first + "".join(statement + end for statement, end in parts)

    assert [statement.text for statement in split(text)] == [statement for statement, _ in parts]


@given(_soup)
@example("SELECT 1E'\\';'")
def test_any_text_is_split_or_refused(text: str) -> None:
    """Nothing but SqlFileError comes out, whatever goes in, and it has a place and a way out."""
    error = None
    try:
        split(text, "1_a.up.sql")
    except SqlFileError as caught:
        error = caught

    if error is not None:
        lines = text.split("\n")
        assert error.file == "1_a.up.sql"
        assert error.line is not None
        assert error.column is not None
        assert lines[error.line - 1][error.column - 1 :]
        assert error.outcome == NOTHING_CHANGED
        assert error.hint


def _split_if_possible(text: str) -> list[tuple[int, int]]:
    try:
        found = split(text)
    except SqlFileError:
        return []
    return [(statement.offset, statement.offset + len(statement.text)) for statement in found]


@given(_soup)
def test_nothing_but_gaps_lies_between_statements(text: str) -> None:
    """No token gets lost: what is left over holds no statement, but a semicolon."""
    spans = _split_if_possible(text)

    edges = [0, *(edge for span in spans for edge in span), len(text)]
    gaps = [text[start:end] for start, end in list(pairwise(edges))[::2]] if spans else []
    assert [split(gap) for gap in gaps] == [()] * len(gaps)
    assert all(";" in gap for gap in gaps[1:-1])


@given(_soup)
def test_a_statement_alone_is_one_statement(text: str) -> None:
    """What is sent would be split no further."""
    pieces = [text[start:end] for start, end in _split_if_possible(text)]

    assert [[inner.text for inner in split(piece)] for piece in pieces] == [[p] for p in pieces]


@given(_soup)
def test_large_steps_find_the_same_as_small_ones(text: str) -> None:
    """Splitting jumps over most tokens; reading them one by one gives the same tokens."""
    try:
        pieces = [statement.text for statement in split(text)]
    except SqlFileError:
        return

    semicolon = Token("other", ";")
    in_pieces = [token for piece in pieces for token in tokens(piece) if token != semicolon]
    assert in_pieces == [token for token in tokens(text) if token != semicolon]


@given(_soup)
def test_places_agree_with_the_text(text: str) -> None:
    """Offset, line and column lead to the statement's own first character."""
    file = from_text("1_a.up.sql", text)
    try:
        statements = file.statements
    except SqlFileError:
        return

    for statement in statements:
        end = statement.offset + len(statement.text)
        assert file.text[statement.offset : end] == statement.text
        before = file.text[: statement.offset]
        assert statement.line == before.count("\n") + 1
        assert statement.column == len(before) - before.rfind("\n")


@given(_soup.map(lambda text: text.replace("\r", "")))
def test_line_ends_change_neither_checksum_nor_statements(text: str) -> None:
    """A checkout on Windows is the same migration."""
    unix = from_text("1_a.up.sql", text)
    windows = from_text("1_a.up.sql", text.replace("\n", "\r\n"))

    assert windows.checksum == unix.checksum
    assert len(_split_if_possible(windows.text)) == len(_split_if_possible(unix.text))
