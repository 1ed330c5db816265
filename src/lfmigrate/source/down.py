"""Down files: the form in which a rollback runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.scanner import Statement, Token, placed_tokens, word

# What DROP drops at once or not at all.
_WITHOUT_CASCADE = frozenset({"DATABASE", "GROUP", "ROLE", "TABLESPACE", "USER"})

# What has parts that can be dropped.
_WITH_ACTIONS = frozenset({("ALTER", "TABLE"), ("ALTER", "TYPE"), ("ALTER", "DOMAIN")})

_BEFORE_NAME = (word("if"), word("exists"), word("only"))


def in_one_transaction(down: SqlFile) -> tuple[SqlFile, str | None]:
    """Return a down file with the same effect that runs in one transaction, and a note.

    Returns:
        The file, and what to warn of; None if it is unchanged.

    Raises:
        SqlFileError: A statement cannot run in a transaction.
    """
    down.refuse_outside()
    found = down.in_one_transaction()
    kept = {statement.offset for statement in found.statements}
    for statement in down.statements:
        if statement.offset not in kept:
            raise down.refusal(
                f"{' '.join(statement.head[:3])} cannot run in the transaction of a rollback",
                statement.offset,
                "Leave it out of the down file, and run it by hand afterwards.",
            )
    if any(a.text != b.text for a, b in zip(down.statements, found.statements, strict=True)):
        return found, f"{down.name} was run without CONCURRENTLY, in one transaction"
    return found, None


def cascades(file: SqlFile) -> bool:
    """Return whether a statement may drop more than it names."""
    return any(re.search(r"(?i)\bcascade\b", statement.text) for statement in file.statements)


def cascading(file: SqlFile) -> SqlFile:
    """Return a down file whose DROPs also drop what depends on what they name."""
    text = ""
    done = 0
    for statement in file.statements:
        text += file.text[done : statement.offset]
        done = statement.offset
        for end in _ends_of_drops(statement):
            text += file.text[done : statement.offset + end] + " CASCADE"
            done = statement.offset + end
    return from_text(file.name, text + file.text[done:])


def _ends_of_drops(statement: Statement) -> Iterator[int]:
    """Return where a statement's DROPs end that could say CASCADE, and say nothing.

    There are several in ``ALTER TABLE a DROP COLUMN b, DROP CONSTRAINT c``.
    """
    head = statement.head
    found = list(placed_tokens(statement.text))
    if head[:1] == ("DROP",):
        actions = [found] if head[1:2] and head[1] not in _WITHOUT_CASCADE else []
    elif head[:2] in _WITH_ACTIONS or head[:3] == ("ALTER", "FOREIGN", "TABLE"):
        actions = _actions(found[2 if head[1] != "FOREIGN" else 3 :])
    else:
        actions = []
    for action in actions:
        values = [token.value for token, _, _ in action if token.kind == "word"]
        if values[:1] == ["drop"] and values[1:2] not in (["not"], ["default"]):  # of a domain
            _, _, end = action[-1]
            if values[-1] not in {"cascade", "restrict"}:
                yield end


def _actions(found: list[tuple[Token, int, int]]) -> list[list[tuple[Token, int, int]]]:
    """Return the actions of an ALTER statement, which begins with the name of what is altered."""
    place = 0
    while place < len(found) and found[place][0] in _BEFORE_NAME:
        place += 1
    place += 1
    while found[place : place + 1] and found[place][0] == Token("other", "."):
        place += 2
    actions: list[list[tuple[Token, int, int]]] = [[]]
    depth = 0
    for token, begin, end in found[place:]:
        if token.kind == "other":
            depth += (token.value in "([") - (token.value in ")]")
            if token.value == "*" and not actions[0]:
                continue  # after the name: with child tables
            if token.value == "," and depth == 0:
                actions.append([])
                continue
        actions[-1].append((token, begin, end))
    return actions


def dropped_names(files: list[SqlFile]) -> set[str]:
    """Return the words of DROP statements, in lower case and without schema: what they may name."""
    return {
        word.strip('";,').rpartition(".")[2].strip('"')
        for file in files
        for statement in file.statements
        if statement.head[:1] == ("DROP",)
        for word in statement.text.lower().replace(",", " ").split()
    }
