"""What a replay of files leaves out, because it would be felt outside the shadow database. Pure.

A rollback does not undo what a statement does to another server, to a file or to another session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lfmigrate.syntax.scanner import Statement, Token, tokens, word
from lfmigrate.syntax.transaction_block import inside_form

# Functions that reach other sessions, other servers, files, or what no transaction holds.
_REACHING = (
    r"dblink\w*"
    r"|lo_(?:export|import)"
    r"|pg_(?:terminate|cancel)_backend"
    r"|pg_(?:reload_conf|rotate_logfile\w*|promote|log_backend_memory_contexts)"
    r"|pg_(?:read_(?:binary_)?file|stat_file|ls_\w+|logdir_ls|file_\w+)"
    r"|pg_(?:switch_wal|create_restore_point|logical_emit_message|export_snapshot)"
    r"|pg_(?:start|stop)_backup|pg_backup_(?:start|stop)|pg_wal_replay_\w+"
    r"|pg_(?:create|drop|copy)_\w*replication_slot|pg_replication_(?:slot|origin)_\w+"
    r"|pg_logical_slot_\w+|pg_sync_replication_slots|binary_upgrade_\w+"
    r"|pg_stat_reset\w*|pg_stat_statements_reset|pg_prewarm|autoprewarm\w*"
)

_BUILT_IN = re.compile(rf"\b(?:{_REACHING})\b", re.IGNORECASE | re.ASCII)

_IS_BUILT_IN = re.compile(_REACHING, re.ASCII)

# In the body of a routine: a call, and a COPY from or to a file or a program of the server.
_CALL = re.compile(r'([A-Za-z_][\w$]*)"?\s*\(')

_NAME = re.compile(r"[A-Za-z_][\w$]*")

_COPY = re.compile(
    r"\bcopy\b[^;]*?(?:\b(?:from|to)\s+(?:E?'|\$)|\bprogram\b)", re.IGNORECASE | re.DOTALL
)

_SHARED = re.compile(
    r"\b(?:create|alter|drop)\s+(?:role|user(?!\s+mapping)|group|database|tablespace)\b"
    r"|\b(?:drop|reassign)\s+owned\b",
    re.IGNORECASE,
)

# Objects of the whole cluster, as the words after CREATE, ALTER, DROP or ON.
_SHARED_KINDS = frozenset({"ROLE", "USER", "GROUP", "DATABASE", "TABLESPACE"})

_ROLE_KINDS = frozenset({"ROLE", "USER", "GROUP"})

# Words that stand for a role that exists.
CURRENT_ROLES = frozenset({"current_role", "current_user", "session_user", "all"})

# Statements that only define or describe something: what they mention does not run.
_DEFINING = frozenset(
    {"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "SECURITY", "SET", "RESET", "LOCK"}
)

_DOT = Token("other", ".")

_PARENTHESIS = Token("other", "(")


@dataclass(frozen=True, slots=True)
class Replayable:
    """A statement, and how a replay runs it.

    Attributes:
        statement: What a replay runs; its text may differ from the file's, its place does not.
        left_out: Why it is left out; None if it is not.
    """

    statement: Statement
    left_out: str | None = None


def for_replay(statements: Iterable[Statement]) -> tuple[Replayable, ...]:
    """Return how a replay runs some statements.

    Where CONCURRENTLY is the reason why a statement cannot run in a transaction, it runs without.
    A table or a materialized view whose query reaches outside is created without its rows.

    Args:
        statements: All that are replayed, in order: what an earlier one defines may reach outside
            when a later one calls it.
    """
    reach = _Reach()
    return tuple(_for_replay(statement, reach) for statement in statements)


def _for_replay(statement: Statement, reach: _Reach) -> Replayable:
    why = _why_never(statement)
    if why is not None:
        return Replayable(statement, why)
    text = inside_form(statement) or ""
    if text != statement.text:
        statement = replace(statement, text=text)
    cause = reach.cause(statement)
    if cause is None:
        return Replayable(statement)
    if _creates_from_query(statement):
        return Replayable(replace(statement, text=_without_rows(statement.text)))
    head = statement.head
    if head[:1] and head[0] in _DEFINING and head[:3] != ("CREATE", "EVENT", "TRIGGER"):
        reach.define(statement)
        return Replayable(statement)
    return Replayable(statement, f"it reaches outside the database through {cause}")


def _why_never(statement: Statement) -> str | None:
    """Return why a statement is left out of a replay whatever the others are; None if it is not."""
    head = statement.head
    label = " ".join(head[:2])
    if inside_form(statement) is None:
        return f"{label} cannot run in a transaction"
    if "SUBSCRIPTION" in head[1:2]:
        return f"{label} reaches another server"
    if head[:1] == ("COPY",):
        return "COPY reaches a file or a program of the server"
    if _is_on_database(statement):
        return "it is about a database, and not about what is in it"
    return None


def is_cluster_wide(statement: Statement) -> bool:
    """Return whether a statement changes what all databases of a server share, such as a role."""
    head = statement.head
    verb = head[0] if head else ""
    if _runs_code(head):
        return _SHARED.search(statement.text) is not None
    if verb in {"CREATE", "ALTER", "DROP", "REASSIGN"}:
        is_mapping = head[1:3] == ("USER", "MAPPING")
        return head[1:2] == ("OWNED",) or (bool(_SHARED_KINDS & set(head[1:2])) and not is_mapping)
    if verb in {"COMMENT", "SECURITY"}:
        return bool(set(_after_on(head)) & _SHARED_KINDS)
    if verb in {"GRANT", "REVOKE"}:
        found = [token.value for token in tokens(statement.text) if token.kind == "word"]
        # Without it, membership in a role.
        return "on" not in found or found[found.index("on") + 1] in {"database", "tablespace"}
    return False


def _after_on(head: tuple[str, ...]) -> tuple[str, ...]:
    return head[head.index("ON") + 1 :][:1] if "ON" in head else ()


def roles_named(statement: Statement) -> tuple[str, ...]:
    """Return the roles that a statement creates, alters or drops; none for any other statement."""
    head = statement.head
    if (
        head[:1]
        and head[0] in {"CREATE", "ALTER", "DROP"}
        and set(head[1:2]) <= _ROLE_KINDS
        and head[1:3] != ("USER", "MAPPING")
    ):
        found = list(tokens(statement.text))[2:]
        if found[:2] == [word("if"), word("exists")]:
            found = found[2:]
        if head[0] != "DROP":
            found = found[:1]
        return tuple(token.value for token in found if token.kind in {"word", "quoted"})
    return ()


def created_names(statements: Iterable[Statement], kind: str) -> dict[str, bool]:
    """Return which schemas or extensions some statements create.

    Args:
        statements: Those of the files.
        kind: ``schema`` or ``extension``.

    Returns:
        Their names, and whether it is with IF NOT EXISTS each time.
    """
    created: dict[str, bool] = {}
    for statement in statements:
        if statement.head[:2] == ("CREATE", kind.upper()):
            found = list(tokens(statement.text))[2:]
            optional = found[:3] == [word("if"), word("not"), word("exists")]
            found = found[3:] if optional else found
            found = found[1:] if found[:1] == [word("authorization")] else found
            if found and found[0].kind in {"word", "quoted"}:
                name = found[0].value
                created[name] = optional and created.get(name, True)
        elif statement.head[:1] == ("DO",):
            pattern = rf"create\s+{kind}\s+(if\s+not\s+exists\s+)?\"?([A-Za-z_][\w$-]*)"
            for match in re.finditer(pattern, statement.text, re.IGNORECASE):
                created.setdefault(match[2], True)
    return created


@dataclass(slots=True)
class _Reach:
    """What reaches outside: routines by their names, and relations, so far."""

    routines: set[str] = field(default_factory=set)
    relations: set[str] = field(default_factory=set)

    def cause(self, statement: Statement) -> str | None:
        """Return the name through which a statement reaches outside; None if it does not."""
        if statement.head[:3] == ("CREATE", "FOREIGN", "TABLE"):
            return "a foreign table"
        if not self._may_reach(statement.text):
            return None
        for name in _called(statement):
            if name in self.routines or _IS_BUILT_IN.fullmatch(name):
                return name
        if _runs_code(statement.head) and _COPY.search(statement.text):
            return "COPY"
        if self.relations:
            for name in _mentioned(statement):
                if name in self.relations:
                    return name
        return None

    def _may_reach(self, text: str) -> bool:
        """Return whether it is worthwhile to scan a text, which takes time."""
        if _BUILT_IN.search(text) or _COPY.search(text):
            return True
        lowered = text.lower()
        return any(name.lower() in lowered for name in (*self.routines, *self.relations))

    def define(self, statement: Statement) -> None:
        """Note what a statement defines that reaches outside when it is used."""
        found = list(tokens(statement.text))
        head = [part for part in statement.head[1:] if part not in {"OR", "REPLACE"}]
        kinds = set(head[:3])
        if kinds & {"TRIGGER", "RULE"}:
            on = word("on") if "TRIGGER" in kinds else word("to")
            if on in found:
                self._add(self.relations, found[found.index(on) + 1 :])
        elif kinds & {"FUNCTION", "PROCEDURE"}:
            at = next(i for i, t in enumerate(found) if t.value in {"function", "procedure"})
            self._add(self.routines, found[at + 1 :])
        elif kinds & {"VIEW", "TABLE"} and statement.head[0] == "CREATE":
            at = next(i for i, t in enumerate(found) if t.value in {"view", "table"})
            rest = found[at + 1 :]
            optional = rest[:3] == [word("if"), word("not"), word("exists")]
            self._add(self.relations, rest[3:] if optional else rest)

    @staticmethod
    def _add(known: set[str], found: list[Token]) -> None:
        place = next((i for i, t in enumerate(found[:5]) if t.kind in {"word", "quoted"}), None)
        if place is None:
            return
        while found[place + 1 : place + 2] == [_DOT] and len(found) > place + 2:
            place += 2  # what qualifies the name
        known.add(found[place].value)


def _runs_code(head: tuple[str, ...]) -> bool:
    """Return whether a statement has code in a string."""
    return head[:1] == ("DO",) or (
        head[:1] == ("CREATE",) and bool({"FUNCTION", "PROCEDURE"} & set(head[1:4]))
    )


def _called(statement: Statement) -> Iterator[str]:
    found = list(tokens(statement.text))
    for token, after in pairwise(found):
        if after == _PARENTHESIS and token.kind in {"word", "quoted"}:
            yield token.value
    if _runs_code(statement.head):
        for token in found:
            if token.kind == "string":
                yield from (match.lower() for match in _CALL.findall(token.value))


def _mentioned(statement: Statement) -> Iterator[str]:
    code = _runs_code(statement.head)
    for token in tokens(statement.text):
        if token.kind in {"word", "quoted"}:
            yield token.value
        elif code and token.kind == "string":
            yield from (match.lower() for match in _NAME.findall(token.value))


def _is_on_database(statement: Statement) -> bool:
    head = statement.head
    if head[:2] == ("ALTER", "DATABASE"):
        return True
    if head[:1] in {("COMMENT",), ("SECURITY",)}:
        return _after_on(head) == ("DATABASE",)
    if head[:1] in {("GRANT",), ("REVOKE",)}:
        found = list(tokens(statement.text))
        return any(pair == (word("on"), word("database")) for pair in pairwise(found))
    return False


def _creates_from_query(statement: Statement) -> bool:
    """Return whether a statement creates a table or a materialized view from a query."""
    head = statement.head
    if head[:2] == ("CREATE", "MATERIALIZED"):
        return True
    if head[:1] != ("CREATE",) or "TABLE" not in head[1:4]:
        return False
    depth = 0
    for token in tokens(statement.text):
        depth += (token == _PARENTHESIS) - (token == Token("other", ")"))
        if depth == 0 and token == word("as"):
            return True
    return False


def _without_rows(text: str) -> str:
    """Return CREATE TABLE AS or CREATE MATERIALIZED VIEW with WITH NO DATA at its end."""
    last = [token.value for token in tokens(text)][-3:]
    if last == ["with", "no", "data"]:
        return text
    if last[-2:] == ["with", "data"]:
        return re.sub(r"(\S+)$", r"NO \1", text)
    # On a line of its own, because a comment may be the last thing of the text.
    return f"{text}\nWITH NO DATA"
