"""One SQL file: its text, statements, directives and checksum."""

from __future__ import annotations

import re
import stat
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lfmigrate.errors import SqlFileError, locate
from lfmigrate.syntax.names import indexing
from lfmigrate.syntax.rerun import is_repeatable
from lfmigrate.syntax.scanner import Statement, leading_comments, refusal, refuse_nul, split
from lfmigrate.syntax.transaction_block import inside_form, placement

_RERUNNABLE = "rerunnable"
_NO_TRANSACTION = "no-transaction"
_LOSES_DATA = "loses-data"
_DIRECTIVES = (_LOSES_DATA, _NO_TRANSACTION, _RERUNNABLE)
_DIRECTIVE = re.compile(r"--[ \t]*lfmigrate:", re.IGNORECASE | re.ASCII)
_DIRECTIVE_WORD = re.compile(r"[^\s,]+")

_BOM = "\ufeff"
_SAVE_AS_UTF_8 = "Save the file as UTF-8."


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file of SQL, or the text of one that is recorded elsewhere.

    Attributes:
        name: The name for messages, such as ``002_x.up.sql`` or ``views/v_x.sql``.
        path: Where it was read from, or None.
        text: Its content without a byte order mark, otherwise unchanged.
    """

    name: str
    path: Path | None
    text: str = field(repr=False)
    # Filled on first use, so that large files are split only once.
    _statements: tuple[Statement, ...] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _directives: frozenset[str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text in hex; CRLF counts as LF."""
        # hashlib loads OpenSSL, which takes time; only commands that compare files need it.
        from hashlib import sha256  # noqa: PLC0415

        return sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Return the statements in order.

        Raises:
            SqlFileError: The text cannot be split, or is not allowed in a migration; see `split`.
        """
        if self._statements is None:
            object.__setattr__(self, "_statements", split(self.text, self.name))
        return self._statements or ()

    @property
    def directives(self) -> frozenset[str]:
        """Return the words of the ``-- lfmigrate: word, word`` lines above the first statement.

        Raises:
            SqlFileError: A word is unknown.
        """
        if self._directives is None:
            # Most files have none, and need no look at each comment.
            found = self._found_directives() if _DIRECTIVE.search(self.text) else ()
            object.__setattr__(self, "_directives", frozenset(found))
        return self._directives or frozenset()

    def _found_directives(self) -> Iterator[str]:
        for offset, comment in leading_comments(self.text, self.name):
            if not (directive := _DIRECTIVE.match(comment)):
                continue
            start = directive.end()
            words = list(_DIRECTIVE_WORD.finditer(comment, start))
            for at, word in [(m.start(), m.group()) for m in words] or [(start, "")]:
                if word.lower() not in _DIRECTIVES:
                    raise self.refusal(
                        f'unknown directive "{word}"',
                        offset + at,
                        f"Known directives are {', '.join(_DIRECTIVES[:-1])} and"
                        f" {_DIRECTIVES[-1]}.",
                    )
                yield word.lower()

    def first_not_rerunnable(self) -> Statement | None:
        """Return the first statement that is not idempotent, or None.

        A DO block counts as idempotent only if the file has the directive ``rerunnable``.
        """
        do_is_safe = _RERUNNABLE in self.directives
        for statement in self.statements:
            if not (is_repeatable(statement) or (do_is_safe and statement.head[:1] == ("DO",))):
                return statement
        return None

    @property
    def no_transaction(self) -> bool:
        """Return whether the file is marked to run statement by statement, each on its own."""
        return _NO_TRANSACTION in self.directives

    @property
    def loses_data(self) -> bool:
        """Return whether the file is marked to lose existing rows on purpose."""
        return _LOSES_DATA in self.directives

    def units(self) -> tuple[SqlFile, ...]:
        """Split the file into parts that can each run separately.

        Returns:
            A file per statement, each of which begins with the preceding SET and RESET, so that no
            part depends on the session state left by an earlier one.
        """
        settings: list[Statement] = []
        found: list[SqlFile] = []
        for statement in self.statements:
            if placement(statement) == "session":
                settings.append(statement)
            else:
                found.append(self.only(*settings, statement))
        return tuple(found)

    def up_to(self, unit: SqlFile) -> SqlFile:
        """Return the file up to and including one of its `units`."""
        last = unit.statements[-1].offset
        return self.only(*(s for s in self.statements if s.offset <= last))

    def in_one_transaction(self) -> SqlFile:
        """Return an equivalent file that can run in a transaction.

        Statements without an equivalent, such as VACUUM, are left out.
        """
        if not self.no_transaction:
            return self
        return self.only(
            *(
                replace(statement, text=text)
                for statement in self.statements
                if (text := inside_form(statement)) is not None
            )
        )

    def refuse_outside(self) -> None:
        """Refuse statements that cannot run in a transaction, unless the file is marked for that.

        Raises:
            SqlFileError: There is one, or the marked file could not be resumed after a failure.
        """
        asked = self.no_transaction
        for statement in self.statements:
            if placement(statement) == "outside" and not asked:
                raise self.refusal(
                    f"{' '.join(statement.head[:3])} cannot run in a transaction",
                    statement.offset,
                    "Give it a migration of its own that begins with the line"
                    f' "-- lfmigrate: {_NO_TRANSACTION}".',
                )
            index = indexing(statement) if asked else None
            if index is not None and index.way == "create" and not index.indexes:
                raise self.refusal(
                    "an index that is built outside a transaction needs a name",
                    statement.offset,
                    "Name it, so that an interrupted run can recognize what it left behind.",
                )

    def refuse_no_transaction(self, why: str) -> None:
        """Refuse the file if it has to run outside a transaction, or is marked for that.

        Args:
            why: Why it cannot, such as ``view files run in one transaction``.
        """
        if self.no_transaction:
            raise SqlFileError(
                f"{why}, but this one is marked {_NO_TRANSACTION}",
                hint="Move the statements that need it to a migration of their own.",
                file=self.name,
                line=1,
                column=1,
            )
        self.refuse_outside()

    def refusal(self, message: str, offset: int, hint: str) -> SqlFileError:
        """Return an error that points at a character of the text."""
        return refusal(message, self.text, self.name, offset, hint=hint)

    def only(self, *statements: Statement) -> SqlFile:
        """Return the file with only some of its statements."""
        part = replace(self)
        object.__setattr__(part, "_statements", statements)
        return part


def from_text(name: str, text: str) -> SqlFile:
    """Return a file from its text alone, such as one recorded in the history."""
    return SqlFile(name, None, text.removeprefix(_BOM))


def diff(recorded: SqlFile, present: SqlFile) -> tuple[str, ...]:
    """Return a unified diff between a text as it was recorded and the present one, line by line."""
    # Only commands that show an edit need it.
    from difflib import unified_diff  # noqa: PLC0415

    return tuple(
        unified_diff(
            recorded.text.splitlines(),
            present.text.splitlines(),
            f"{recorded.name} as applied",
            f"{present.name} in the folder",
            lineterm="",
        )
    )


def read_file(folder: Path, name: str) -> SqlFile:
    """Read one file of a folder. Only reads.

    Args:
        folder: The folder.
        name: The file's path below the folder, which is its name in messages.

    Raises:
        SqlFileError: It cannot be read, is not a regular file, or is not UTF-8.
    """
    path = folder / name
    try:
        return SqlFile(name, path, _decode(_read_bytes(path, name), name))
    except OSError as error:
        raise SqlFileError(
            f"{name} cannot be read: {error.strerror}",
            hint="Make it readable, or move it elsewhere.",
        ) from None


def _read_bytes(path: Path, name: str) -> bytes:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # reading from a pipe or a device might never end
        raise SqlFileError(
            f"{name} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}",
            hint="Rename it, or move it elsewhere.",
        )
    return path.read_bytes()


def _decode(content: bytes, name: str) -> str:
    """Return a file's content as text, without its byte order mark."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise SqlFileError("the file is UTF-16", hint=_SAVE_AS_UTF_8, file=name, line=1, column=1)
    try:
        text = content.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().removeprefix(_BOM)
        line, column, _ = locate(before, len(before))
        raise SqlFileError(
            f"byte 0x{content[error.start]:02X} is not UTF-8",
            hint=_SAVE_AS_UTF_8,
            file=name,
            line=line,
            column=column,
        ) from None
    refuse_nul(text, name)
    return text
