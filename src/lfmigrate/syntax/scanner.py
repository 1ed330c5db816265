"""Splits SQL text into statements exactly as the server's scanner does.

The rules are those of PostgreSQL 14 to 18 with ``standard_conforming_strings`` on. Every byte above
127 is part of an identifier there, so every character above 127 is one here, a no-break space
included; only ASCII letters are folded to lower case, and only ASCII white space is white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, NamedTuple

from lfmigrate.errors import SqlFileError, excerpt, locate

# Enough to recognize a statement: CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS and a name.
_HEAD_WORDS = 8

_WHITE = " \t\n\r\f\v"
_SPACE = r"[ \t\n\r\f\v]"

# Written as complements, which are all ASCII: such a set is a single lookup in a bitmap.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_TAG_LETTER = r"[^\x00-/:-@\[-^`{-\x7f]"
_WORD_LETTER = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_WORD = rf"{_LETTER}{_WORD_LETTER}*+"

_TOKEN = re.compile(
    rf"""
      (?P<gap> {_SPACE}++ | --[^\n\r]*+ )
    | (?P<comment> /\* )
    | (?P<escape> [eE]' )
    | (?P<string> (?:[nNbBxX]|[uU]&)?' )
    | (?P<quoted> (?:[uU]&)?" )
    | (?P<word> {_WORD} )
    | (?P<dollar> \$(?:{_LETTER}{_TAG_LETTER}*+)?\$ )
    | (?P<other> \$[0-9]++ | [0-9]++ | . )
    """,
    re.VERBOSE | re.DOTALL,
)

# Matches as much text as possible that cannot end a statement: this is what makes large files fast.
# No two alternatives begin with the same character and each is possessive, so there is no
# backtracking. The limits bound the memory of one match; the loop continues with the next.
_REST = r"[\x00-!#%&*-,.0-:<-@\[\]^`{-\x7f]*+"

_ATOM = rf"""
    (?: [^\x00-@\[-^`{{-\x7fEe]{_WORD_LETTER}*+
      | [Ee](?!'){_WORD_LETTER}*+
      | '[^']*+(?:''[^']*+){{0,1000}}'(?!')
      | "[^"]*+(?:""[^"]*+){{0,1000}}"(?!")
      | -(?!-)
      | /(?!\*)
    ) {_REST}
"""

_PARENTHESES = rf"\( {_REST} (?:{_ATOM}){{0,1000}} \) {_REST}"

_RUN = re.compile(
    rf"""
    {_REST}
    (?: {_ATOM} | \( {_REST} (?: {_ATOM} | {_PARENTHESES} ){{0,1000}} \) {_REST} ){{0,1000}}
    """,
    re.VERBOSE,
)

# A letter that is the prefix of a string is not a word.
_BARE = rf"(?![eEnNbBxX]'|[uU]&['\"]){_WORD}"
_BARE_WORD = re.compile(_BARE)
_BARE_WORDS = re.compile(rf"{_BARE}(?:{_SPACE}++{_BARE}){{0,{_HEAD_WORDS - 1}}}{_SPACE}*+")

_GAP = re.compile(rf"(?:{_SPACE}++|--[^\n\r]*+){{0,1000}}")
_COMMENT_BEGINS = ("--", "/*")
_GAP_BEGINS = (*_WHITE, *_COMMENT_BEGINS)
_GAPS = frozenset({"gap", "comment"})

_STRING_END = re.compile(r"''|'")
_QUOTED_END = re.compile(r'""|"')
# Behind a name in U&"": the escape character that it uses instead of the backslash.
_UESCAPE = re.compile(rf"{_SPACE}*+UESCAPE{_SPACE}*+'(.)'", re.IGNORECASE)
_ESCAPE_END = re.compile(r"\\.|''|'", re.DOTALL)
# A string continues after white space with a line break in it; backslashes keep their meaning.
_CONTINUED = re.compile(rf"[ \t\f\v]*+(?:--[^\n\r]*+)?[\n\r](?:{_SPACE}++|--[^\n\r]*+[\n\r])*'")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BACKSLASH_COMMAND = re.compile(r"\\(?:[A-Za-z_]+|[^ \t\n\r])?")

_ASCII_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)

_UNCLOSED = {
    "string": "Close it with a quote; a quote inside a string is written twice.",
    "quoted name": "Close it with a double quote.",
    "dollar-quoted string": "Close it with the same tag, in the same case.",
    "comment": "Close it with */, once for every /* in it.",
    "parenthesis": "Close it, or remove it.",
    "BEGIN ATOMIC": "Close it with END, and every statement in it with a semicolon.",
}

_TRANSACTION_CONTROL = frozenset(
    {"BEGIN", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
)
_TRANSACTION_CONTROL_PAIRS = frozenset({("START", "TRANSACTION"), ("PREPARE", "TRANSACTION")})

_ROUTINES = frozenset({"FUNCTION", "PROCEDURE"})

_MOVE_ROWS = "Write the rows as INSERT, or load them with psql."

_BACKSLASH_HINTS = {
    command: hint
    for commands, hint in {
        r"\c \connect": "Delete the line: --database-url names the database.",
        r"\i \ir \include \include_relative": "Insert the text of that file here, or make it a"
        " separate migration.",
        r"\copy \.": _MOVE_ROWS,
        r"\restrict \unrestrict": "Delete the line; pg_dump wrote it for psql only.",
    }.items()
    for command in commands.split()
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its position in the file.

    Attributes:
        text: From its first token to its last, without the semicolon. This is what is sent.
        file: The file's name for messages, such as ``002_x.up.sql`` or ``views/v_x.sql``.
        offset: The number of characters of the file's text before it.
        line: The line of its first character, from 1.
        column: The column of its first character, in characters, from 1.
        head: Its first words in upper case, at most eight; it ends before the first token that is
            not a bare word, such as a quoted name, a dot or a parenthesis.
    """

    text: str
    file: str
    offset: int
    line: int
    column: int
    head: tuple[str, ...]


class Token(NamedTuple):
    """A token of a statement.

    Attributes:
        kind: ``word`` for a keyword or an unquoted name, ``quoted`` for a quoted name, ``string``
            for a string of any kind, ``other`` for a number, a parameter or one character.
        value: A word in lower case, a quoted name without its quotes, anything else unchanged.
    """

    kind: Literal["word", "quoted", "string", "other"]
    value: str


def word(value: str) -> Token:
    """Return the token of a keyword, given in lower case."""
    return Token("word", value)


def split(text: str, file: str = "<text>") -> tuple[Statement, ...]:
    """Split SQL text into its statements.

    Args:
        text: SQL without a byte order mark.
        file: The name used in statements and errors.

    Returns:
        The statements in order; empty ones are left out.

    Raises:
        SqlFileError: Something is opened and never closed, or the text contains what a migration
            must not: transaction control, a psql command, or ``COPY`` from or to the client.

    Source:
        PostgreSQL, "Lexical Structure", and the scanners of the server and of psql.
    """
    refuse_nul(text, file)
    scanner = _Scanner(text, file)
    found: list[Statement] = []
    pos, line, line_start, counted = 0, 1, 0, 0
    while (start := scanner.after_gap(pos)) < len(text):
        if text[start] == ";":
            pos = start + 1
            continue
        head = scanner.head(start)
        scanner.refuse_head(start, head)
        end, pos = scanner.statement(start, head)
        if breaks := text.count("\n", counted, start):
            line += breaks
            line_start = text.rindex("\n", counted, start) + 1
        counted = start
        found.append(Statement(text[start:end], file, start, line, start - line_start + 1, head))
    return tuple(found)


def tokens(text: str) -> Iterator[Token]:
    """Return the tokens of a statement, without white space and comments, one at a time."""
    return (token for token, _, _ in placed_tokens(text))


def placed_tokens(text: str) -> Iterator[tuple[Token, int, int]]:
    """Return the tokens of a statement, each with the offsets of its begin and its end."""
    for kind, start, end in _Scanner(text, "<text>").tokens():
        if kind == "word":
            yield Token("word", text[start:end].translate(_ASCII_LOWER)), start, end
        elif kind == "quoted":
            quote = text.index('"', start)
            inner = text[quote + 1 : end - 1].replace('""', '"')
            yield (
                Token("quoted", inner if quote == start else _decoded(inner, text, end)),
                start,
                end,
            )
        elif kind not in _GAPS:
            yield Token("other" if kind == "other" else "string", text[start:end]), start, end


def _decoded(name: str, text: str, end: int) -> str:
    """Return what a name in U&"" stands for.

    Args:
        name: What is between the quotes.
        text: The statement, which may name another escape character behind it.
        end: Where the name ends in it.
    """
    named = _UESCAPE.match(text, end)
    escape = re.escape(named[1] if named else "\\")
    return re.sub(
        rf"{escape}(?:([0-9a-fA-F]{{4}})|\+([0-9a-fA-F]{{6}})|({escape}))",
        lambda found: found[3] or chr(int(found[1] or found[2], 16)),
        name,
    )


def lexemes(text: str, file: str) -> Iterator[tuple[str, int, int]]:
    """Return the kind of each token, comment and white space, where it begins and where it ends.

    Raises:
        SqlFileError: One of them is never closed.
    """
    return _Scanner(text, file).tokens()


def leading_comments(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Return the line comments before the first token, each with its offset, one at a time.

    Raises:
        SqlFileError: A comment, or what the first token opens, is never closed.
    """
    for kind, start, end in _Scanner(text, file).tokens():
        if kind not in _GAPS:
            return
        if text.startswith("--", start):
            yield start, text[start:end]


def refusal(
    message: str, text: str, file: str, offset: int, *, hint: str | None = None
) -> SqlFileError:
    """Return an error that points at a character of a file."""
    line, column, source = locate(text, offset)
    detail = [f"{line} | {excerpt(source, column)[0]}"]
    return SqlFileError(message, detail=detail, hint=hint, file=file, line=line, column=column)


def refuse_nul(text: str, file: str) -> None:
    """Refuse text that contains a NUL character, at which libpq would stop reading."""
    if (offset := text.find("\0")) >= 0:
        raise refusal(
            "a NUL character", text, file, offset, hint="Remove it; the file may not be UTF-8 text."
        )


class _Scanner:
    """Scans a text from given offsets."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file

    def token(self, pos: int) -> tuple[str, int]:
        """Return the kind of the token at an offset (white space is one) and where it ends."""
        match = _TOKEN.match(self.text, pos)
        if match is None:  # not reached: the last alternative matches any character
            raise AssertionError(pos)
        kind, end = match.lastgroup or "", match.end()
        if kind == "string":
            end = self._quote_end(_STRING_END, end, "string")
        elif kind == "quoted":
            end = self._quote_end(_QUOTED_END, end, "quoted name")
        elif kind == "escape":
            end = self._quote_end(_ESCAPE_END, end, "string")
            while more := _CONTINUED.match(self.text, end):
                end = self._quote_end(_ESCAPE_END, more.end(), "string")
        elif kind == "dollar":
            tag = match.group()
            end = self.text.find(tag, end) + len(tag)
            if end < match.end():
                raise self._unclosed("dollar-quoted string", pos, tag)
        elif kind == "comment":
            end = self._comment_end(pos)
        return kind, end

    def tokens(self, pos: int = 0) -> Iterator[tuple[str, int, int]]:
        """Return the kind of each token from an offset on, where it begins and where it ends."""
        while pos < len(self.text):
            kind, end = self.token(pos)
            yield kind, pos, end
            pos = end

    def words(self, pos: int) -> Iterator[tuple[str, int, int]]:
        """Return the same without white space and comments, a keyword instead of its kind.

        A keyword is in upper case; any other character is itself, and what is quoted is empty.
        """
        for kind, start, end in self.tokens(pos):
            if kind not in _GAPS:
                bare = kind in {"word", "other"}
                yield self.text[start:end].translate(_ASCII_UPPER) if bare else "", start, end

    def after_gap(self, pos: int) -> int:
        """Return the offset of the next token that is neither white space nor a comment."""
        while self.text.startswith(_GAP_BEGINS, pos):
            if self.text[pos] == "/":
                pos = self._comment_end(pos)
            elif match := _GAP.match(self.text, pos):
                pos = match.end()
        return pos

    def head(self, start: int) -> tuple[str, ...]:
        words: list[str] = []
        pos = start
        while match := _BARE_WORDS.match(self.text, pos):
            words += _capitals(match.group())
            pos = match.end()
            if len(words) >= _HEAD_WORDS or not self.text.startswith(_COMMENT_BEGINS, pos):
                break
            pos = self.after_gap(pos)
        return tuple(words[:_HEAD_WORDS])

    def statement(self, start: int, head: tuple[str, ...]) -> tuple[int, int]:
        """Return where the statement's last token ends, and where to continue."""
        if _is_routine(head):
            return self._routine(start)
        text, pos, last = self.text, start, start
        opened: list[int] = []
        while pos < len(text):
            run = _RUN.match(text, pos)
            if run is not None and run.end() > pos:
                if code := len(run.group().rstrip(_WHITE)):
                    last = pos + code
                pos = run.end()
            if pos == len(text) or (text[pos] == ";" and not opened):
                break
            kind, end = self.token(pos)
            if kind == "other":
                self._count(pos, opened)
            if kind not in _GAPS:
                last = end
            pos = end
        if opened:
            raise self._unclosed("parenthesis", opened[-1])
        return last, pos + 1

    def _routine(self, start: int) -> tuple[int, int]:
        """Return the same for a routine, whose body may be BEGIN ATOMIC with semicolons in it.

        In such a body every statement ends with a semicolon, so an END after anything else
        belongs to a CASE or is a label.
        """
        last, following = start, len(self.text)
        opened: list[int] = []
        begin, atomic, before = start, False, ""
        for value, pos, end in self.words(start):
            if not opened:
                if value == ";" and not atomic:
                    following = end
                    break
                if value == "BEGIN" and not atomic:
                    begin = pos
                elif value == "ATOMIC" and before == "BEGIN":
                    atomic = True
                elif value == "END" and before in {";", "ATOMIC"}:
                    atomic = False
            self._count(pos, opened)
            before, last = value, end
        if opened:
            raise self._unclosed("parenthesis", opened[-1])
        if atomic:
            raise self._unclosed("BEGIN ATOMIC", begin)
        return last, following

    def _count(self, pos: int, opened: list[int]) -> None:
        """Keep track of open parentheses, and refuse psql commands."""
        character = self.text[pos]
        if character == "(":
            opened.append(pos)
        elif character == ")" and opened:
            opened.pop()
        elif character == "\\":
            raise self._backslash(pos)

    def _quote_end(self, edge: re.Pattern[str], inside: int, what: str) -> int:
        for match in edge.finditer(self.text, inside):
            if match.end() - match.start() == 1:
                return match.end()
        raise self._unclosed(what, inside - 1)

    def _comment_end(self, start: int) -> int:
        depth = 0
        for match in _COMMENT_EDGE.finditer(self.text, start):
            depth += 1 if match.group() == "/*" else -1
            if depth == 0:
                return match.end()
        raise self._unclosed("comment", start)

    def refuse_head(self, start: int, head: tuple[str, ...]) -> None:
        """Refuse a statement by its first words."""
        if head and (head[0] in _TRANSACTION_CONTROL or head[:2] in _TRANSACTION_CONTROL_PAIRS):
            words = " ".join(head[:2] if head[:2] in _TRANSACTION_CONTROL_PAIRS else head[:1])
            raise self._refusal(
                f"{words} is transaction control, which lfmigrate does itself",
                start,
                "Delete it: a run is one transaction already.",
            )
        if head[:1] == ("COPY",):
            self._refuse_copy(start)

    def _refuse_copy(self, start: int) -> None:
        """Refuse a COPY whose rows would come from the client or go to it."""
        depth, before, direction = 0, "", ""
        for value, _, _ in self.words(start):
            if direction or (value == ";" and depth == 0):
                break
            depth += (value == "(") - (value == ")")
            # Not inside parentheses, which may hold a query, and not a column of that name.
            if value in {"FROM", "TO"} and depth == 0 and before != ".":
                direction = value
            before = value
        # The server accepts either word in either direction.
        if direction and value in {"STDIN", "STDOUT"}:
            export = "Delete it, and export the rows with psql."
            raise self._refusal(
                f"COPY {direction} {value} moves rows between the server and psql",
                start,
                _MOVE_ROWS if direction == "FROM" else export,
            )

    def _backslash(self, pos: int) -> SqlFileError:
        match = _BACKSLASH_COMMAND.match(self.text, pos)
        command = match.group() if match else "\\"
        hint = _BACKSLASH_HINTS.get(command, "Delete the line, or write what it does in SQL.")
        return self._refusal(f"{command} is a psql command, not SQL", pos, hint)

    def _unclosed(self, what: str, start: int, opening: str = "") -> SqlFileError:
        name = f"{what} {opening}" if opening else what
        return self._refusal(f"this {name} is never closed", start, _UNCLOSED[what])

    def _refusal(self, message: str, pos: int, hint: str) -> SqlFileError:
        return refusal(message, self.text, self.file, pos, hint=hint)


def _capitals(words: str) -> list[str]:
    """Return words in upper case by PostgreSQL's rules, which are limited to ASCII."""
    if words.isascii():
        return words.upper().split()
    return [word.translate(_ASCII_UPPER) for word in _BARE_WORD.findall(words)]


def _is_routine(head: tuple[str, ...]) -> bool:
    if head[:1] != ("CREATE",):
        return False
    kind = head[3:4] if head[1:3] == ("OR", "REPLACE") else head[1:2]
    return bool(kind) and kind[0] in _ROUTINES
