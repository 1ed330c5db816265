"""Repeatable files: they run again whenever something changed, ordered by dependency."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.schema.relation import ROUTINE_KINDS, VIEW_KINDS
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import NAME_BYTES, Cursor, Name, stored_name
from lfmigrate.syntax.reads import relations_read
from lfmigrate.syntax.scanner import Statement, tokens, word

# The folder of files that create one view each, and that of any others.
VIEWS = "views"
REPEATABLE = "repeatable"

_MODIFIERS = frozenset(
    {"create", "or", "replace", "local", "global", "temp", "temporary", "recursive", "materialized"}
    | {"unlogged", "foreign"}
)

_KINDS = frozenset(
    {"aggregate", "domain", "function", "procedure", "schema", "sequence", "table", "type", "view"}
)

_REPEATABLE_VIEWS = frozenset({"CREATE OR REPLACE VIEW", "CREATE OR REPLACE RECURSIVE VIEW"})

_ROUTINES = frozenset({"FUNCTION", "PROCEDURE"})

# What a run may drop, because its file creates it again.
_RE_CREATABLE = ROUTINE_KINDS | VIEW_KINDS

# Something does not exist: a relation, a column, a type or the like, a routine, a schema, a cast.
_MISSING = frozenset({"42P01", "42703", "42704", "42883", "3F000", "42846"})

# Names in a message of the server or in a string: it quotes what is not a plain word.
_NAME = re.compile(r'(?:("(?:[^"]|"")+"|\w+)\.)?("(?:[^"]|"")+"|\w+)')

# The names and keywords of a text, and the schemas that each is qualified by; None where it is not.
Mentioned = Mapping[str, Collection[str | None]]


@dataclass(frozen=True, slots=True)
class Creation:
    """A statement of a repeatable file that creates a view, a materialized view or a routine.

    Attributes:
        kind: ``view``, ``materialized view``, ``function``, ``procedure`` or ``aggregate``.
        name: Its name, unquoted; that of a routine without the arguments.
        schema: The schema that the statement names; None if it leaves that to the server.
        statement: The statement.
        drops_it_first: Whether the file drops something of that name before.
    """

    kind: str
    name: str
    schema: str | None
    statement: Statement
    drops_it_first: bool


@dataclass(frozen=True, slots=True)
class RepeatableFile:
    """A file that can run any number of times, and runs again when something has changed.

    Attributes:
        name: What the history calls it: the view of a view file, unquoted, or the file's name.
        file: The file.
    """

    name: str
    file: SqlFile

    @property
    def is_view(self) -> bool:
        """Return whether it is a view file, which has the name of its view."""
        return self.name != self.file.name

    @property
    def is_self_contained(self) -> bool:
        """Return whether each statement is about something that the file creates.

        What another one does, such as a GRANT on all tables or a trigger on a table, is lost if a
        table is dropped and re-created, and missing on a new one.
        """
        names = self.names
        return all(
            _created(statement) is not None
            or any(
                token.kind in {"word", "quoted"} and token.value in names
                for token in takewhile(lambda t: t != word("execute"), tokens(statement.text))
            )
            for statement in self.file.statements
        )

    @property
    def creations(self) -> tuple[Creation, ...]:
        """Return what creates its views and routines, temporary ones excepted, in order."""
        found: list[Creation] = []
        for statement in self.file.statements:
            created = _created(statement)
            if created is None:
                continue
            words, name = created[0].split(), created[1]
            kind = words[-1].lower()
            if kind == "view" and "MATERIALIZED" in words:
                kind = "materialized view"
            if kind in _RE_CREATABLE and not {"TEMP", "TEMPORARY"}.intersection(words):
                drops = self._drops(name.name, statement)
                found.append(Creation(kind, name.name, name.schema, statement, drops))
        return tuple(found)

    @property
    def created(self) -> frozenset[Name]:
        """Return the names of what it creates, with the schemas that it says."""
        created = (_created(statement) for statement in self.file.statements)
        return frozenset(each[1] for each in created if each is not None)

    @property
    def names(self) -> frozenset[str]:
        """Return the names of what it creates, without schemas."""
        return frozenset(name.name for name in self.created)

    @property
    def drops_its_own(self) -> bool:
        """Return whether it drops what it creates, with what others have made on that."""
        names = self.names
        return any(
            statement.head[:1] == ("DROP",) and names.intersection(words_of(statement))
            for statement in self.file.statements
        )

    @property
    def mentioned(self) -> Mentioned:
        """Return every name that it mentions, and its keywords; the bodies of routines included."""
        return mentioned_by(self.file.statements)

    def _drops(self, name: str, creation: Statement) -> bool:
        return any(
            statement.head[:1] == ("DROP",)
            and any(token.value == name for token in tokens(statement.text))
            for statement in takewhile(lambda s: s != creation, self.file.statements)
        )


def words_of(statement: Statement) -> frozenset[str]:
    """Return the names and keywords of a statement, folded as the server folds them."""
    return frozenset(t.value for t in tokens(statement.text) if t.kind in {"word", "quoted"})


def mentioned_by(statements: Iterable[Statement]) -> Mentioned:
    """Return the names and keywords of statements, with the schemas that they are qualified by."""
    found: dict[str, set[str | None]] = {}
    for statement in statements:
        has_body = statement.head[:1] == ("DO",) or _ROUTINES.intersection(statement.head)
        for token in tokens(statement.text):
            if token.kind in {"word", "quoted"}:
                found.setdefault(token.value, set())
            elif token.kind == "string" and has_body:
                for schema, name in names_in(token.value):
                    found.setdefault(name, set()).add(schema)
        for each in Cursor(statement).names():
            found.setdefault(each.name, set()).add(each.schema)
    return found


def may_mean(mentioned: Mentioned, name: Name) -> bool:
    """Return whether a text may be about an object: not, if it names another schema's alone."""
    schemas = mentioned.get(name.name)
    if schemas is None:
        return False
    return not schemas or None in schemas or name.schema is None or name.schema in schemas


def names_in(text: str) -> frozenset[tuple[str | None, str]]:
    """Return the names in a message of the server or in a string, unquoted, with their schemas.

    The schema is None where the text has none. A message quotes the parts of a name or the whole.
    """
    found: set[tuple[str | None, str]] = set()
    for first, last in _NAME.findall(text):
        found.add((_unquoted(first) if first else None, _unquoted(last)))
        if first:
            found.add((None, _unquoted(first)))
        elif last.startswith('"'):
            # relation "s.v" does not exist
            schema, dot, name = _unquoted(last).partition(".")
            found |= {(schema, name)} if dot else set()
    return frozenset(found)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def repeatable_file(file: SqlFile) -> RepeatableFile:
    """Return a file as a repeatable file, or refuse it."""
    file.refuse_no_transaction("repeatable files run in one transaction")
    file.refuse_outside()
    if not file.statements:
        raise SqlFileError(
            "this repeatable file is empty",
            hint="Delete it, and drop what it has created in a migration.",
            file=file.name,
            line=1,
            column=1,
        )
    return RepeatableFile(file.name, file)


def view_file(file: SqlFile) -> RepeatableFile:
    """Return a file as a view file, or refuse it."""
    file.refuse_no_transaction("view files run in one transaction")
    wanted = Path(file.name).stem
    others = []
    for statement in file.statements:
        created = _created(statement)
        if created is None or created[0].split()[-1] != "VIEW":
            continue
        what, name = created[0], created[1].name
        # A file system may return a name in another normalization form than it was given.
        if unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", stored_name(wanted)):
            others.append(f'it creates "{name}"')
        elif what not in _REPEATABLE_VIEWS:
            raise file.refusal(
                f"{what} is not repeatable",
                statement.offset,
                "Write CREATE OR REPLACE VIEW; a temporary view belongs in a migration, a"
                f" materialized one in {REPEATABLE}/.",
            )
        elif len(wanted.encode()) > NAME_BYTES:
            raise file.refusal(
                f"the view's name is longer than PostgreSQL's limit of {NAME_BYTES} bytes",
                statement.offset,
                "Give the view and its file a shorter name.",
            )
        else:
            return RepeatableFile(name, file)
    missing = f'no CREATE OR REPLACE VIEW "{wanted}" in this file'
    raise SqlFileError(
        missing if file.statements else "this view file is empty",
        detail=others,
        hint="A view file creates one view and is named after it, capitals included.",
        file=file.name,
        line=1,
        column=1,
    )


def _created(statement: Statement) -> tuple[str, Name] | None:
    """Return the words before the name in a CREATE statement, and the name of what it creates."""
    if statement.head[:1] != ("CREATE",):
        return None
    found = Cursor(statement)
    words = found.skip(_MODIFIERS)
    kind = found.peek()
    if kind is None or kind.kind != "word" or kind.value not in _KINDS:
        return None
    found.take()
    found.accept("if", "not", "exists")
    name = found.name()
    return None if name is None else (" ".join([*words, kind.value]).upper(), name)


def in_order(files: Sequence[RepeatableFile]) -> list[RepeatableFile]:
    """Sort files so that each follows those whose objects it mentions, and by name otherwise.

    Those that create nothing come last: they may be about whatever exists, as grants are.
    Where files mention each other, one of them only has a column or an alias of that name: then
    what counts is where nothing but a relation can be named. The server has the last word; see
    `RunOrder`.
    """
    by_name = {
        each.name: each for each in sorted(files, key=lambda each: (not each.names, each.name))
    }
    makers: dict[str, set[tuple[Name, str]]] = {}
    for name, each in by_name.items():
        for made in each.created:
            makers.setdefault(made.name, set()).add((made, name))
    needs: dict[str, set[str]] = {}
    for name, each in by_name.items():
        found = each.mentioned
        makers_of = (makers[word] for word in found.keys() & makers.keys())
        needs[name] = {
            maker for each_made in makers_of for made, maker in each_made if may_mean(found, made)
        } - {name}
    ordered: list[RepeatableFile] = []
    while needs:
        first = next((n for n, others in needs.items() if not others), None)
        name = _first_in_a_cycle(needs, by_name) if first is None else first
        ordered.append(by_name[name])
        del needs[name]
        for others in needs.values():
            others.discard(name)
    return ordered


def _first_in_a_cycle(needs: Mapping[str, set[str]], files: Mapping[str, RepeatableFile]) -> str:
    """Return the first name, in their order, of a cycle that needs nothing else.

    One that reads none of the others, if there is one.
    """
    reached: dict[str, set[str]] = {}
    for name in needs:
        found: set[str] = set()
        to_visit = [name]
        while to_visit:
            new = needs[to_visit.pop()] - found
            found |= new
            to_visit += new
        reached[name] = found
    cycle = next(
        found for name, found in reached.items() if all(name in reached[other] for other in found)
    )

    def reads_another(name: str) -> bool:
        read = {n for s in files[name].file.statements for n in relations_read(s)}
        return any(not read.isdisjoint(files[other].names) for other in cycle - {name})

    return min(cycle, key=lambda name: (reads_another(name), name))


class RunOrder:
    """The order in which repeatable files run: as the text suggests, until the server objects.

    The words of a text are only the first guess: the server decides. A file that fails because
    something does not exist is put after the file that seems to create it; if none of the later
    ones seems to, or that did not help, after all others, because a file may create what its text
    does not name, such as the types of an extension. Only if that fails as well, or would move the
    file where it was moved before, is the error reported.
    """

    def __init__(self, files: Sequence[RepeatableFile]) -> None:
        self._files = list(files)
        # Each file that was moved, and the one that it was put after; None for the last one.
        self._moved: set[tuple[str, str | None]] = set()

    def place(self, file: str) -> int:
        """Return the place of a file, by its name; -1 if it is not one of them."""
        return next((i for i, each in enumerate(self._files) if each.file.name == file), -1)

    def learn(self, file: str | None, sqlstate: str | None, message: str) -> bool:
        """Change the order because of an error, so that the same error need not come again.

        Args:
            file: The file that failed.
            sqlstate: The error's.
            message: The server's.

        Returns:
            Whether the order has changed.
        """
        at = self.place(file or "")
        if at < 0 or sqlstate not in _MISSING:
            return False
        failed, later = self._files[at], self._files[at + 1 :]
        named = {name for _, name in names_in(message)}
        mentioned = failed.mentioned
        makers = [
            *(each for each in later if not each.names.isdisjoint(named)),
            *(each for each in later if any(may_mean(mentioned, n) for n in each.created)),
            # Nothing is known of what a DO block creates.
            *(each for each in later if not each.names),
        ]
        maker = next((m for m in makers if (failed.name, m.name) not in self._moved), None)
        move = failed.name, None if maker is None else maker.name
        if move in self._moved or not later:
            return False
        self._moved.add(move)
        del self._files[at]
        after = len(self._files) if maker is None else self._files.index(maker) + 1
        self._files.insert(after, failed)
        return True
