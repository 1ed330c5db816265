"""What is done to a text whatever tool it was written for, and what is refused. Pure."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.scanner import Token, placed_tokens

_MARKED = "-- lfmigrate: no-transaction"

# Only a text that begins and ends like this is looked at token by token.
_ENDS = re.compile(r"\b(?:commit|end)\b", re.IGNORECASE)
_BEGINS = re.compile(r"\b(?:begin|start)\b", re.IGNORECASE)

_TEMPLATE = re.compile(r"\{\{|\$\{")

# A comment that is nothing but a heading, such as "-- Down", "-- !Downs" or "==== DOWN ====". What
# has more words, such as "-- Down: drops the table", is prose.
_DOWN = re.compile(
    r"""^[ \t]*(?:--|\#|/\*|={2,})[ \t]*[-=+!@\#/*: \t]*
    (?:(?:rambler|micrate|migrate|migration|goose|dbmate|sql|begin|section)[ \t:]+)?
    (?:downs?|undo|rollback|revert)(?:[ \t]+(?:migration|section|script))?
    [ \t]*[-=*/:!]*[ \t]*$""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE | re.ASCII,
)
_UNDOES = frozenset({"DROP", "DELETE", "TRUNCATE", "REVOKE", "ALTER", "UPDATE"})


def outside_transaction(text: str) -> str:
    """Return a text with the directive no-transaction in its header; its lines stay where they are.

    The directive ends with a carriage return, which ends a comment but not a line.
    """
    return f"{_MARKED}{text}" if text.startswith(("\n", "\r\n")) else f"{_MARKED}\r{text}"


def as_in_file(text: str) -> str:
    """Return a text without the directive that `outside_transaction` has put in front of it."""
    marked = f"{_MARKED}\r"
    return text.removeprefix(marked) if not text.startswith(f"{marked}\n") else text


def without_transaction(text: str) -> str:
    """Return a text without the BEGIN and the COMMIT around all of it, if it has them.

    They become blanks, so that lines and columns stay. What is in the middle is left alone, and
    refused with all other transaction control.

    Raises:
        SqlFileError: Something in it is never closed.
    """
    if not (_BEGINS.search(text) and _ENDS.search(text)):
        return text
    found = list(placed_tokens(text))
    begin = _transaction_words(found, "begin") or _transaction_words(found, "start")
    if not begin:
        return text
    end = len(found) - 1 if found[-1][0] == Token("other", ";") else len(found)
    words = [token.value if token.kind == "word" else "" for token, _, _ in found[:end]]
    start = end - (2 if words[-1] in {"work", "transaction"} else 1)
    if start < begin or words[start] not in {"commit", "end"}:
        return text
    if found[start - 1][0] != Token("other", ";"):
        return text
    text = _blank(text, found[0][1], found[begin - 1][2])
    return _blank(text, found[start][1], found[-1][2])


def _transaction_words(found: list[tuple[Token, int, int]], first: str) -> int:
    """Return how many tokens begin a transaction, with the semicolon; 0 if they do not."""
    values = [token.value for token, _, _ in found[:3]]
    if values[:2] == [first, ";"] and first == "begin":
        return 2
    return 3 if values[:1] == [first] and values[1:] in _TRANSACTION[first] else 0


_TRANSACTION = {
    "begin": (["work", ";"], ["transaction", ";"]),
    "start": (["transaction", ";"],),
}


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + re.sub(r"[^\n\r]", " ", text[start:end]) + text[end:]


def refuse_templates(file: SqlFile) -> None:
    """Refuse placeholders that some program should have replaced.

    Raises:
        SqlFileError: There is one outside of strings, dollar quotes and comments.
    """
    if not _TEMPLATE.search(file.text):
        return
    for token, start, _ in placed_tokens(file.text):
        if token == Token("other", "{") and (
            file.text[start - 1 : start] in {"$", "{"} or file.text[start + 1 : start + 2] == "{"
        ):
            line = file.text[start:].partition("\n")[0]
            raise file.refusal(
                f"a template: {line[:40].strip()}",
                start,
                "Write the SQL that it stands for, or name its value with --define NAME=VALUE if"
                " the folder's format has placeholders.",
            )


def refuse_unknown_down(file: SqlFile) -> None:
    """Refuse what looks like a down section by a marker that is not known.

    Raises:
        SqlFileError: A heading such as ``-- Down`` is followed by what undoes something.
    """
    for mark in _DOWN.finditer(file.text):
        if mark.group().lstrip().startswith(("=", "#")):  # which is no SQL
            raise _down(file, mark)
        for statement in file.statements:
            if statement.offset + len(statement.text) > mark.start():
                is_behind = statement.offset > mark.start()  # and not in a function's body
                if is_behind and statement.head[:1] and statement.head[0] in _UNDOES:
                    raise _down(file, mark)
                break


def refuse_isolation_level(file: SqlFile) -> None:
    """Refuse another isolation level than that of a run.

    Raises:
        SqlFileError: The server would refuse it, because the transaction has begun by then.
    """
    if file.no_transaction:
        return
    for statement in file.statements:
        head, level = statement.head[:4], statement.head[4:6]
        if head == ("SET", "TRANSACTION", "ISOLATION", "LEVEL") and level != ("READ", "COMMITTED"):
            raise file.refusal(
                f"{' '.join(statement.head)} comes too late: the transaction is that of the whole"
                " run, at the level READ COMMITTED",
                statement.offset,
                "Delete it. While files run, LOCK TABLE keeps others from changing what they read.",
            )


def _down(file: SqlFile, mark: re.Match[str]) -> SqlFileError:
    return file.refusal(
        f'"{mark.group().strip()}" looks like the beginning of a down section, which would run'
        " right after the migration",
        mark.start() + len(mark.group()) - len(mark.group().lstrip()),
        "Move what follows to a .down.sql file, or reword the comment if it is none.",
    )
