"""Find, read, check and fingerprint the SQL files of a folder. Pure: no database, no printing."""

from __future__ import annotations

import heapq
import re
import stat
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

from lfmigrate.errors import NOTHING_CHANGED, SqlFileError, together
from lfmigrate.lexer import Statement, Token, leading_comments, refusal, refuse_nul, split, tokens
from lfmigrate.placement import indexing, inside_form, placement

__all__ = [
    "Folder",
    "Migration",
    "SqlFile",
    "Statement",
    "ViewFile",
    "from_text",
    "read_file",
    "read_folder",
    "refusal",
    "shipped_folder",
    "split",
    "tokens",
]

_RERUNNABLE = "rerunnable"
_NO_TRANSACTION = "no-transaction"
_DIRECTIVES = (_NO_TRANSACTION, _RERUNNABLE)

_BOM = "\ufeff"

# PostgreSQL cuts longer names (NAMEDATALEN), and a cut name is not the file's any more.
_NAME_BYTES = 63

# Versions with so many digits are dates and times, which have holes by nature.
_DATE_DIGITS = 8

# The ending counts in any case: were it to count in small letters only, 2_a.DOWN.sql would be a
# forward migration. ASCII, because a long s would count as an s otherwise.
_MIGRATION = re.compile(
    r"(?P<version>[0-9]+)_(?!\.)(?P<name>.+?)(?:\.(?P<way>up|down))?\.sql",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_DIRECTIVE = re.compile(r"--[ \t]*lfmigrate:", re.IGNORECASE | re.ASCII)
_DIRECTIVE_WORD = re.compile(r"[^\s,]+")

# Where other tools keep the rollback: in the same file, after such a line.
_ROLLBACK_MARK = re.compile(
    r"^--[ \t]*(?:migrate:down|\+goose[ \t]+down|\+migrate[ \t]+down)\b.*$"
    r"|^----[ \t]*create above[ \t]*/[ \t]*drop below[ \t]*----",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)

_SAVE_AS_UTF_8 = "Save the file as UTF-8."
_NAMING = (
    "A migration is two files, 001_first_table.up.sql and 001_first_table.down.sql,"
    " or one without a rollback, 001_first_table.sql."
)

# CREATE of these is harmless a second time if IF NOT EXISTS follows.
_OPTIONAL_KINDS = (
    ("TABLE",),
    ("UNLOGGED", "TABLE"),
    ("FOREIGN", "TABLE"),
    ("INDEX",),
    ("INDEX", "CONCURRENTLY"),
    ("UNIQUE", "INDEX"),
    ("UNIQUE", "INDEX", "CONCURRENTLY"),
    ("SEQUENCE",),
    ("SCHEMA",),
    ("EXTENSION",),
    ("MATERIALIZED", "VIEW"),
    ("STATISTICS",),
)
_REPEATABLE_HEADS = frozenset(
    ("CREATE", *kind, "IF", "NOT", "EXISTS") for kind in _OPTIONAL_KINDS
) | {("CREATE", "OR", "REPLACE"), ("COMMENT", "ON"), ("SET",), ("RESET",)}

_VIEW_MODIFIERS = frozenset(
    {"or", "replace", "local", "global", "temp", "temporary", "recursive", "materialized"}
)
_REPEATABLE_VIEWS = frozenset({"CREATE OR REPLACE VIEW", "CREATE OR REPLACE RECURSIVE VIEW"})
# CREATE, eight modifiers, IF NOT EXISTS and a name of three parts are no more tokens than this.
_VIEW_HEAD_TOKENS = 20


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file of SQL, or the text of one that is recorded elsewhere.

    Attributes:
        name: The name for messages, such as ``002_x.up.sql`` or ``views/v_x.sql``.
        path: Where it was read, or None.
        text: What it holds, without a byte order mark and otherwise as it is.
    """

    name: str
    path: Path | None
    text: str = field(repr=False)
    # Filled when first asked for; large files are not split or searched twice.
    _statements: tuple[Statement, ...] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def checksum(self) -> str:
        """Return the text's SHA-256 in hex, for which CRLF counts as LF."""
        # hashlib loads OpenSSL, which only commands that compare files should wait for.
        from hashlib import sha256  # noqa: PLC0415

        return sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Return the statements in their order.

        Raises:
            SqlFileError: The text cannot be split, or holds what a migration may not; see `split`.
        """
        found = self._statements
        if found is None:
            found = split(self.text, self.name)
            object.__setattr__(self, "_statements", found)
        return found

    @property
    def directives(self) -> frozenset[str]:
        """Return the words of the ``-- lfmigrate: word, word`` lines above the first statement.

        Raises:
            SqlFileError: A word is not known.
        """
        found: set[str] = set()
        for offset, comment in leading_comments(self.text, self.name):
            if not (directive := _DIRECTIVE.match(comment)):
                continue
            start = directive.end()
            words = list(_DIRECTIVE_WORD.finditer(comment, start))
            for at, word in [(m.start(), m.group()) for m in words] or [(start, "")]:
                if word.lower() not in _DIRECTIVES:
                    raise refusal(
                        f'unknown directive "{word}"',
                        self.text,
                        self.name,
                        offset + at,
                        hint=f"Known directives are {' and '.join(_DIRECTIVES)}.",
                    )
                found.add(word.lower())
        return frozenset(found)

    def first_not_rerunnable(self) -> Statement | None:
        """Return the first statement that may do harm when it runs again, or None.

        A DO block counts as harmless only where the file says so with the directive
        ``rerunnable``.
        """
        vouched = _RERUNNABLE in self.directives
        for statement in self.statements:
            if not (_is_repeatable(statement) or (vouched and statement.head[:1] == ("DO",))):
                return statement
        return None

    @property
    def may_set(self) -> bool:
        """Return whether a statement may change a setting of the session."""
        return any(_may_set(statement) for statement in self.statements)

    @property
    def no_transaction(self) -> bool:
        """Return whether the file asks to be run statement by statement, each on its own."""
        return _NO_TRANSACTION in self.directives

    def units(self) -> tuple[SqlFile, ...]:
        """Return the file in parts that can each run on its own.

        Returns:
            A file per statement, each of which begins with the SET and RESET before it, so that no
            part needs what an earlier one has left behind in the session.
        """
        settings: list[Statement] = []
        found: list[SqlFile] = []
        for statement in self.statements:
            if placement(statement) == "session":
                settings.append(statement)
            else:
                found.append(self._only(*settings, statement))
        return tuple(found)

    def up_to(self, unit: SqlFile) -> SqlFile:
        """Return the file without what stands behind one of its `units`."""
        last = unit.statements[-1].offset
        return self._only(*(s for s in self.statements if s.offset <= last))

    def in_one_transaction(self) -> SqlFile:
        """Return a file with the same outcome that can run in a transaction.

        What has no such form, such as VACUUM, is left out.
        """
        if not self.no_transaction:
            return self
        return self._only(
            *(
                replace(statement, text=text)
                for statement in self.statements
                if (text := inside_form(statement)) is not None
            )
        )

    def refuse_outside(self) -> None:
        """Refuse statements that cannot run in a transaction, unless the file asks for none.

        Raises:
            SqlFileError: There is one; or one that asks for none could not be resumed.
        """
        asked = self.no_transaction
        for statement in self.statements:
            if placement(statement) == "outside" and not asked:
                raise refusal(
                    f"{' '.join(statement.head[:3])} cannot run in a transaction",
                    self.text,
                    self.name,
                    statement.offset,
                    hint="Give it a migration of its own that begins with the line"
                    f' "-- lfmigrate: {_NO_TRANSACTION}".',
                )
            index = indexing(statement) if asked else None
            if index is not None and not index.indexes:
                raise refusal(
                    "an index that is built outside of a transaction needs a name",
                    self.text,
                    self.name,
                    statement.offset,
                    hint="Name it, so that a run that was interrupted knows what it left behind.",
                )

    def refuse_no_transaction(self, why: str) -> None:
        """Refuse the file if it needs to run outside of a transaction, or asks for that.

        Args:
            why: What it is, and why it cannot.
        """
        if self.no_transaction:
            raise SqlFileError(
                f"{why}, and this one asks for no transaction",
                detail=[NOTHING_CHANGED],
                hint="Move what needs it to a migration of its own.",
                file=self.name,
                line=1,
                column=1,
            )
        self.refuse_outside()

    def _only(self, *statements: Statement) -> SqlFile:
        part = replace(self)
        object.__setattr__(part, "_statements", statements)
        return part


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered step, and its way back.

    Attributes:
        version: The number as the file name writes it, such as ``002``.
        name: The rest of the file name, such as ``leadership_feedback_tables``.
        up: What it does.
        down: What undoes it, or None for a migration that only goes forward.
    """

    version: str
    name: str
    up: SqlFile
    down: SqlFile | None

    @property
    def number(self) -> int:
        """Return what migrations are ordered and told apart by: ``002`` and ``2`` are the same."""
        return int(self.version)

    @property
    def label(self) -> str:
        """Return version and name, such as ``002_leadership_feedback_tables``."""
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True)
class ViewFile:
    """A view in a file of its own, which runs again whenever its text has changed.

    Attributes:
        name: The view's name, unquoted.
        file: The file, which is named after the view.
    """

    name: str
    file: SqlFile


@dataclass(frozen=True, slots=True)
class Folder:
    """All that was read from a folder of SQL files.

    Attributes:
        path: The folder.
        migrations: In the order of their numbers.
        views: Each after the views that it mentions, and by name otherwise.
        notes: What is worth a warning, a sentence without a full stop each.
    """

    path: Path
    migrations: tuple[Migration, ...]
    views: tuple[ViewFile, ...]
    notes: tuple[str, ...]


def shipped_folder() -> Path:
    """Return the folder of the migration that ships with lfmigrate.

    It is a part of an installed package, and stands at the top level of a checkout.
    """
    here = Path(__file__)
    installed = here.parent / "sql"
    return installed if installed.is_dir() else here.parents[2] / "sql"


def from_text(name: str, text: str) -> SqlFile:
    """Return a file of which only the text is at hand, such as one from the history."""
    return SqlFile(name, None, text.removeprefix(_BOM))


def read_file(folder: Path, name: str) -> SqlFile:
    """Read one file of a folder. Only reads.

    Args:
        folder: The folder.
        name: The file's path below it, which is its name in messages.

    Raises:
        SqlFileError: It cannot be read, is no regular file, or is not UTF-8.
    """
    path = folder / name
    try:
        return SqlFile(name, path, _decode(_read_bytes(path, name), name))
    except OSError as error:
        raise SqlFileError(
            f"{name} cannot be read: {error.strerror}",
            detail=[NOTHING_CHANGED],
            hint="Mend it, or move it elsewhere.",
        ) from None


def read_folder(path: str | Path) -> Folder:
    """Read a folder of migrations and views, and refuse it unless all of it could be sent.

    Only reads. Up files and view files are split here, down files when their statements are asked
    for. Sub-folders other than ``views`` are ignored, and so are hidden files.

    Args:
        path: The folder.

    Returns:
        The migrations and views in the order in which they run.

    Raises:
        SqlFileError: Something is wrong with the folder or with files in it. All of it is
            reported: one problem as itself, several as lines of ``detail``.
    """
    path = Path(path)
    reader = _Reader(path)
    migrations = reader.migrations()
    views = reader.views()
    if not (migrations or views or reader.problems):
        reader.problem(f'no migrations and no views in "{path}"', hint=_NAMING, detail=reader.notes)
    reader.refuse_problems()
    notes = [*reader.notes, *_holes(migrations)]
    return Folder(path, tuple(migrations), tuple(views), tuple(notes))


class _Named(NamedTuple):
    file: str
    version: str
    name: str
    way: str

    @property
    def number(self) -> int:
        return int(self.version)


class _Reader:
    """Reads the files of a folder and keeps what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[SqlFileError] = []
        self.notes: list[str] = []

    def problem(self, message: str, *, hint: str, detail: Iterable[str] = ()) -> None:
        self.problems.append(SqlFileError(message, detail=[*detail, NOTHING_CHANGED], hint=hint))

    def refuse_problems(self) -> None:
        if self.problems:
            raise together(self.problems, f'{len(self.problems)} problems in "{self.folder}"')

    def migrations(self) -> list[Migration]:
        """Return the migrations of the folder in the order of their numbers."""
        ups: dict[int, list[_Named]] = {}
        downs: dict[int, list[_Named]] = {}
        for file in self._list(self.folder):
            match = _MIGRATION.fullmatch(file)
            if match is None:
                if not _is_folder(self.folder / file):
                    self.notes.append(f"{file} is ignored: its name is not that of a migration")
                continue
            named = _Named(file, match["version"], match["name"], (match["way"] or "").lower())
            kind = downs if named.way == "down" else ups
            kind.setdefault(named.number, []).append(named)
        found = []
        for number in sorted(ups.keys() | downs.keys()):
            pair = self._pair(number, ups.get(number, []), downs.get(number, []))
            if pair is not None:
                found.append(pair)
        return found

    def _pair(self, number: int, ups: list[_Named], downs: list[_Named]) -> Migration | None:
        """Return the migration of one number, or None after noting what is wrong with it."""
        for files in (ups, downs):
            if len(files) > 1:
                names = ", ".join(named.file for named in files)
                self.problem(
                    f"version {number} is there more than once: {names}",
                    hint="Leave one of them, or give the others numbers of their own.",
                )
        for down in downs:
            self._check_down(down, ups)
        up = self._read(ups[0].file, _check_up) if ups else None
        down_file = self._read(downs[0].file, _check_directives) if downs else None
        if up is None:
            return None
        return Migration(ups[0].version, ups[0].name, up, down_file)

    def _check_down(self, down: _Named, ups: list[_Named]) -> None:
        if any(up.way == "up" and up.name == down.name for up in ups):
            return
        stem = f"{down.version}_{down.name}"
        if not ups:
            self.problem(
                f"{down.file} has no {stem}.up.sql beside it",
                hint="Add what it undoes, or remove it.",
            )
        else:
            self.problem(
                f"{down.file} does not belong to {ups[0].file}",
                hint="A migration and its rollback are named alike, but for .up.sql and .down.sql.",
            )

    def views(self) -> list[ViewFile]:
        """Return the view files in the order in which they run."""
        found: dict[str, ViewFile] = {}
        folder = self.folder / "views"
        for name in self._list(folder) if _is_folder(folder) else []:
            file = self._read(f"views/{name}", _view_name)
            if file is None:
                continue
            view = ViewFile(_view_name(file), file)
            other = found.setdefault(view.name, view)
            if other is not view:
                self.problem(
                    f"{other.file.name} and {file.name} create the same view", hint="Remove one."
                )
        return _in_order(found)

    def _list(self, folder: Path) -> list[str]:
        """Return the names of a folder that end in .sql, sorted."""
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                message = f'the SQL folder "{folder}" does not exist'
            elif isinstance(error, NotADirectoryError):
                message = f'"{folder}" is not a folder'
            else:
                message = f'the folder "{folder}" cannot be read: {error.strerror}'
            raise SqlFileError(
                message,
                detail=[NOTHING_CHANGED],
                hint="Name the folder of the SQL files with --sql-dir.",
            ) from None
        found = []
        for name in sorted(names):
            if not name.lower().endswith(".sql") or name.startswith("."):
                continue
            try:
                name.encode()
            except UnicodeEncodeError:
                self.problem(f"the file name {name!a} is not UTF-8", hint="Rename the file.")
            else:
                found.append(name)
        return found

    def _read(self, name: str, check: Callable[[SqlFile], object]) -> SqlFile | None:
        """Return a file, or None after noting what is wrong with it."""
        try:
            file = read_file(self.folder, name)
            check(file)
        except SqlFileError as error:
            self.problems.append(error)
        else:
            return file
        return None


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _read_bytes(path: Path, name: str) -> bytes:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # to read from a pipe or a device could take for ever
        raise SqlFileError(
            f"{name} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}",
            detail=[NOTHING_CHANGED],
            hint="Rename it, or move it elsewhere.",
        )
    return path.read_bytes()


def _decode(content: bytes, name: str) -> str:
    """Return the text of a file without its byte order mark."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise SqlFileError(
            "the file is UTF-16",
            detail=[NOTHING_CHANGED],
            hint=_SAVE_AS_UTF_8,
            file=name,
            line=1,
            column=1,
        )
    try:
        text = content.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().removeprefix(_BOM)
        raise SqlFileError(
            f"byte 0x{content[error.start]:02X} is not UTF-8",
            detail=[NOTHING_CHANGED],
            hint=_SAVE_AS_UTF_8,
            file=name,
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        ) from None
    refuse_nul(text, name)
    return text


def _check_directives(file: SqlFile) -> None:
    _ = file.directives


def _check_up(file: SqlFile) -> None:
    """Refuse an up file that cannot be sent, or that would undo itself."""
    _check_directives(file)
    if mark := _ROLLBACK_MARK.search(file.text):
        raise refusal(
            "the rollback in this file would run right after the migration",
            file.text,
            file.name,
            mark.start(),
            hint="Move what follows to a .down.sql file, and name this one .up.sql.",
        )
    file.refuse_outside()


def _view_name(file: SqlFile) -> str:
    """Return the name of the view that a view file creates, or refuse the file."""
    file.refuse_no_transaction("view files run in one transaction")
    wanted = Path(file.name).stem
    others = []
    for statement in file.statements:
        created = _created_view(statement)
        if created is None:
            continue
        what, name = created
        # A file system may hand a name back in another form than the one that was typed.
        if unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", wanted):
            others.append(f'it creates "{name}"')
        elif what not in _REPEATABLE_VIEWS:
            raise refusal(
                f"{what} is not repeatable",
                file.text,
                file.name,
                statement.offset,
                hint="Write CREATE OR REPLACE VIEW; a temporary or materialized view belongs in a"
                " migration.",
            )
        elif len(name.encode()) > _NAME_BYTES:
            raise refusal(
                f"the view's name is longer than the {_NAME_BYTES} bytes that PostgreSQL keeps",
                file.text,
                file.name,
                statement.offset,
                hint="Give the view and its file a shorter name.",
            )
        else:
            return name
    missing = f'no CREATE OR REPLACE VIEW "{wanted}" in this file'
    raise SqlFileError(
        missing if file.statements else "this view file is empty",
        detail=[*others, NOTHING_CHANGED],
        hint="A view file creates one view and is named after it, capitals included.",
        file=file.name,
        line=1,
        column=1,
    )


def _created_view(statement: Statement) -> tuple[str, str] | None:
    """Return what a CREATE VIEW statement says it does, and the view's unquoted name."""
    if statement.head[:1] != ("CREATE",):
        return None
    found = list(islice(tokens(statement.text), _VIEW_HEAD_TOKENS))
    at = 1
    while at < len(found) and found[at].kind == "word" and found[at].value in _VIEW_MODIFIERS:
        at += 1
    if found[at : at + 1] != [_word("view")]:
        return None
    what = " ".join(token.value.upper() for token in found[: at + 1])
    at += 1
    if found[at : at + 3] == [_word("if"), _word("not"), _word("exists")]:
        at += 3
    while found[at + 1 : at + 2] == [Token("other", ".")]:
        at += 2
    if at >= len(found) or found[at].kind not in {"word", "quoted"}:
        return None
    return what, found[at].value


def _word(value: str) -> Token:
    return Token("word", value)


def _in_order(views: Mapping[str, ViewFile]) -> list[ViewFile]:
    """Return views so that each comes after those that it mentions, and by name otherwise."""
    needs = {name: _mentioned(views[name], views.keys()) for name in sorted(views)}
    needed_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, others in needs.items():
        for other in others:
            needed_by[other].append(name)
    ordered: list[ViewFile] = []
    ready = [name for name, others in needs.items() if not others]
    while needs:
        if not ready:
            ready.append(_first_in_a_cycle(needs))
        name = heapq.heappop(ready)
        ordered.append(views[name])
        del needs[name]
        for other in needed_by[name]:
            if other in needs:
                needs[other].discard(name)
                if not needs[other] and other not in ready:
                    heapq.heappush(ready, other)
    return ordered


def _mentioned(view: ViewFile, names: Collection[str]) -> set[str]:
    """Return which of the names stand in a view's statements as identifiers."""
    return {
        token.value
        for statement in view.file.statements
        for token in tokens(statement.text)
        if token.kind in {"word", "quoted"} and token.value in names and token.value != view.name
    }


def _first_in_a_cycle(needs: Mapping[str, set[str]]) -> str:
    """Return the first name, in their order, of which all that it needs also needs it."""
    reached: dict[str, set[str]] = {}
    for name in needs:
        found: set[str] = set()
        to_visit = [name]
        while to_visit:
            new = needs[to_visit.pop()] - found
            found |= new
            to_visit += new
        reached[name] = found
    return next(
        name for name, found in reached.items() if all(name in reached[other] for other in found)
    )


def _holes(migrations: Sequence[Migration]) -> list[str]:
    """Return a note about numbers left out, if the migrations are numbered one by one."""
    numbers = sorted(m.number for m in migrations if len(m.version) < _DATE_DIGITS)
    if not numbers:
        return []
    first, last = numbers[0], numbers[-1]
    missing = last - first + 1 - len(numbers)
    # Numbering by tens is no oversight.
    if not 0 < missing <= len(numbers):
        return []
    ranges = [
        f"{low + 1}" if high - low == 2 else f"{low + 1} to {high - 1}"  # noqa: PLR2004
        for low, high in pairwise(numbers)
        if high - low > 1
    ]
    word = "migration" if missing == 1 else "migrations"
    return [f"no {word} {', '.join(ranges)} between {first} and {last}"]


def _may_set(statement: Statement) -> bool:
    text = statement.text.lower()
    # In a DO block, an UPDATE ... SET is taken for one, too; to reset nothing does no harm.
    in_a_block = statement.head[:1] == ("DO",) and re.search(r"\b(?:re)?set\b", text) is not None
    return statement.head[:1] in {("SET",), ("RESET",)} or "set_config" in text or in_a_block


def _is_repeatable(statement: Statement) -> bool:
    head = statement.head
    if any(head[:length] in _REPEATABLE_HEADS for length in range(1, len(head) + 1)):
        return True
    return head[:2] == ("ALTER", "TABLE") and _only_adds_a_missing_column(statement)


def _only_adds_a_missing_column(statement: Statement) -> bool:
    """Say whether an ALTER TABLE is one ADD COLUMN IF NOT EXISTS and nothing else."""
    found = list(tokens(statement.text))[2:]
    at = 2 if found[:2] == [_word("if"), _word("exists")] else 0
    at += found[at : at + 1] == [_word("only")]
    while found[at + 1 : at + 2] == [Token("other", ".")]:
        at += 2
    at += 2 if found[at + 1 : at + 2] == [Token("other", "*")] else 1
    action = ["add", "column", "if", "not", "exists"]
    if found[at : at + len(action)] != [_word(word) for word in action]:
        return False
    depth = 0
    for token in found[at:]:
        if token.kind == "other":
            depth += (token.value in "([") - (token.value in ")]")
            if token.value == "," and depth == 0:
                return False
    return True
