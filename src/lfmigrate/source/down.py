"""Down files: the form in which a rollback runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.actions import Action, actions
from lfmigrate.syntax.scanner import Statement, placed_tokens

# What DROP drops at once or not at all.
_WITHOUT_CASCADE = frozenset({"DATABASE", "GROUP", "ROLE", "TABLESPACE", "USER"})


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
    """Return whether a statement may drop more than it names.

    A comment or ``ON DELETE CASCADE`` does not; what a block drops is not known.
    """
    return any(map(_cascades, file.statements))


def _cascades(statement: Statement) -> bool:
    if statement.head[:1] == ("DO",):
        return re.search(r"(?i)\bcascade\b", statement.text) is not None
    return any(
        token.kind == "word" and token.value == "cascade"
        for action in _drops(statement)
        for token, _, _ in action
    )


def _drops(statement: Statement) -> Iterator[Action]:
    """Return the parts of a statement that drop something, each as its tokens."""
    head = statement.head
    if head[:1] == ("DROP",):
        yield list(placed_tokens(statement.text))
        return
    for action in actions(statement):
        if [token.value for token, _, _ in action[:1] if token.kind == "word"] == ["drop"]:
            yield action


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
    if statement.head[:1] == ("DROP",) and (
        not statement.head[1:2] or statement.head[1] in _WITHOUT_CASCADE
    ):
        return
    for action in _drops(statement):
        values = [token.value for token, _, _ in action if token.kind == "word"]
        if values[1:2] not in (["not"], ["default"]):  # of a domain
            _, _, end = action[-1]
            if values[-1] not in {"cascade", "restrict"}:
                yield end


def dropped_names(files: list[SqlFile]) -> set[str]:
    """Return the words of DROP statements, in lower case and without schema: what they may name."""
    return {
        word.strip('";,').rpartition(".")[2].strip('"')
        for file in files
        for statement in file.statements
        if statement.head[:1] == ("DROP",)
        for word in statement.text.lower().replace(",", " ").split()
    }
