"""What is done to a text whatever tool it was written for, and what is refused. Pure."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.scanner import Token, lexemes, placed_tokens

_MARKED = "-- lfmigrate: no-transaction"

# Only a text that begins and ends like this is looked at token by token.
_ENDS = re.compile(r"\b(?:commit|end)\b", re.IGNORECASE)
_BEGINNINGS = (
    ["begin", ";"],
    ["begin", "work", ";"],
    ["begin", "transaction", ";"],
    ["start", "transaction", ";"],
)
_BEGINS = re.compile(r"\b(?:begin|start)\b", re.IGNORECASE)

_TEMPLATE = re.compile(r"\{\{|\$\{")

# A line that is nothing but a heading, such as "-- Down", "-- !Downs" or "==== DOWN ====". What
# has more words, such as "-- Down: drops the table", is prose, unless it is the marker of a tool.
_LINE = r"(?<![^\n\r])[ \t]*(?P<mark>(?:--|\#|/\*|==)[-=+!@\#/*:<>\[\]()~. \t]*"
_ENDING = r"[-=+!@\#/*:<>\[\]()~. \t]*)(?![^\n\r])"
_TOOL = r"(?:(?:rambler|micrate|migrate|migration|goose|dbmate|sql|begin|section)[ \t:]*)?"
_WHAT = r"(?:[ \t]+(?:migration|section|script|sql|part|steps?|statements?))?"
_DOWN = re.compile(
    rf"""{_LINE}(?:
      {_TOOL}(?:downs?|downgrade|undo|rollback|revert){_WHAT}
    | (?<=\+)(?:goose|migrate|micrate)[ \t]*down\b[^\n\r]*
    | migrate:[ \t]*down\b[^\n\r]*
    | (?<=@)undo\b[^\n\r]*
    | create[ \t]+above[ \t]*/[ \t]*drop[ \t]+below
    | sql[ \t]+in[ \t][^\n\r]*\bsection\b[^\n\r]*\brolled[ \t]+back\b[^\n\r]*
    ){_ENDING}""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_UP = re.compile(rf"{_LINE}{_TOOL}(?:ups?|upgrade){_WHAT}{_ENDING}", re.IGNORECASE | re.ASCII)
# What every heading of a down section has; most texts have none of these words.
_UNDOING = ("down", "undo", "rollback", "revert", "below", "rolled")
_UNDOES = frozenset({"DROP", "DELETE", "TRUNCATE", "REVOKE"})


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
    values = [token.value for token, _, _ in found]
    begin = next((len(words) for words in _BEGINNINGS if values[: len(words)] == words), 0)
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


def why_not_to_run(file: SqlFile) -> SqlFileError | None:
    """Return why a file must not run that lfmigrate can read; None if it may.

    What has run already is as it is, so this is for what is pending.

    Raises:
        SqlFileError: It cannot be split.
    """
    _ = file.statements
    try:
        refuse_templates(file)
        refuse_unknown_down(file)
    except SqlFileError as error:
        return error
    return None


def refuse_unknown_down(file: SqlFile) -> None:
    """Refuse what looks like a down section by a marker that is not known.

    It is a heading with statements before and after it, whatever they do. At the top it is the
    title of the file, unless what follows drops something, or is followed by a heading for the up
    section.

    Raises:
        SqlFileError: There is one, in a comment between statements.
    """
    text = file.text.lower()
    if not any(word in text for word in _UNDOING):
        return
    for mark in _headings(file, _DOWN):
        after = [s for s in file.statements if s.offset >= mark.start("mark")]
        if not mark["mark"].startswith(("--", "/*")):  # which is no SQL
            raise _down(file, mark)
        is_title = len(after) == len(file.statements)
        drops = any(word in _UNDOES for each in after[:1] for word in each.head[:1])
        if after and (not is_title or drops or _has_up_section(file)):
            raise _down(file, mark)


def _has_up_section(file: SqlFile) -> bool:
    """Return whether there is a heading for the up section, after the first statement."""
    return any(each.start() > file.statements[0].offset for each in _headings(file, _UP))


def _headings(file: SqlFile, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """Return the headings between statements: not in a string, a comment or a statement."""
    found = {match.start("mark"): match for match in pattern.finditer(file.text)}
    if not found:
        return []
    begins = [start for _, start, _ in lexemes(file.text, file.name) if start in found]
    spans = [(s.offset, s.offset + len(s.text)) for s in file.statements]
    return [
        found[start]
        for start in begins
        if not any(first < start < end for first, end in spans)
        and (file.text.startswith(("--", "/*"), start) or any(start == at for at, _ in spans))
    ]


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
        f'"{mark["mark"].strip()}" looks like the beginning of a down section, which would run'
        " right after the migration",
        mark.start("mark"),
        "Move what follows to a .down.sql file, name the tool that runs these files with --format,"
        " or reword the comment if it is none.",
    )
