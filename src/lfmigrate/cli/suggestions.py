"""What was probably meant by a word that is no command: other tools' words, and misspellings."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from lfmigrate.errors import UsageError

# What other tools call it, and what to type here: first the command, then its options.
_OTHERS = {
    "up": "apply deploy forward latest migrate migrate:up run sync up-by-one update upgrade",
    "up --to": "goto migrate:to up-to upto",
    "up --dry-run": "dry-run dryrun plan",
    "rollback": "back backward down downgrade migrate:down migrate:rollback revert undo unapply",
    "rollback --to": "down-to downto",
    "rollback --to 0": "clean fresh reset",
    "verify": "compare diff drift validate",
    "status": "current history info list log ls migrate:status pending show state",
    "accept": "fix rehash repair resolve set-checksum",
    "adopt": "baseline fake import init introspect stamp",
    "export": "eject",
    "new": "add create gen generate make migrate:make migration revision",
    "check": "ci lint test",
    "sql": "preview print script sqlmigrate",
    "wait": "is-ready ready wait-for",
    "seed": "fixtures load-data populate",
    "embedded": "database db local postgres postgresql server start",
    "serve": "dashboard ui web",
    "--help": "help",
    "--version": "version",
}
_MEANINGS = {word: line for line, words in _OTHERS.items() for word in words.split()}


def unknown_command(word: str, commands: Collection[str]) -> UsageError:
    """Return the error for a word that is no command, with what was probably meant.

    Args:
        word: What was typed.
        commands: The names of all commands.
    """
    found = suggestion(word, commands)
    if found is not None:
        hint = f'Did you mean "lfmigrate {found}"? '
    elif re.match(r"postgres(ql)?://", word):
        hint = "Name the database with --database-url, after the command. "
    else:
        hint = ""
    return UsageError(
        f'no such command "{word}"', hint=f'{hint}Run "lfmigrate --help" for all commands.'
    )


def suggestion(word: str, commands: Collection[str]) -> str | None:
    """Return what to type instead of a word, such as ``rollback``; None if nothing is similar."""
    lines = {
        other: line
        for other, line in _MEANINGS.items()
        if line.startswith("-") or line.partition(" ")[0] in commands
    }
    lines |= {name: name for name in commands}
    plain = word.lower().replace("_", "-")
    if plain in lines:
        return lines[plain]
    close = get_close_matches(plain, lines, n=1, cutoff=0.7)
    return lines[close[0]] if close else None
