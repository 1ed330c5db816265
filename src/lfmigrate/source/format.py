"""What all formats are made of: a name, how a folder is recognized, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple

from lfmigrate.errors import SqlFileError
from lfmigrate.source import rules
from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import number
from lfmigrate.syntax.transaction_block import placement


class Parts(NamedTuple):
    """A file, taken apart. Each text has the line breaks of the whole file before it.

    Attributes:
        up: What applies the migration.
        down: What reverts it; None if nothing does.
        outside: Whether the first runs outside a transaction.
        down_outside: Whether the second does.
    """

    up: str
    down: str | None = None
    outside: bool = False
    down_outside: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A format of folders.

    Attributes:
        name: What `--format` calls it.
        matches: Whether a folder is one, by what is in it.
        read: Returns its migrations, in order, and notes the problems of the folder.
        checksum: Computes what the tool itself has recorded of an applied migration, so that
            it can be compared; None if it records none.
        files: The names of a new migration's files, from ``{version}`` and ``{name}``, with
            their texts; none if lfmigrate cannot create one.
        has_repeatables: Whether ``views`` and ``repeatable`` are read as well.
        key: What the tool's table calls a migration, if that is no part of the file's name.
    """

    name: str
    matches: Callable[[Reader], bool]
    read: Callable[[Reader], list[Migration]]
    checksum: Callable[[Migration], str] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    has_repeatables: bool = False
    key: Callable[[Migration], str] | None = None


class Found:
    """The migrations that a format has found so far."""

    def __init__(
        self, reader: Reader, no_transaction: str, *, alone: Literal["single", "all"] | None = None
    ) -> None:
        """Begin without any.

        Args:
            reader: The folder.
            no_transaction: How a file of the format says that it runs outside a transaction.
            alone: Which files run outside one without saying so: those with a ``single`` statement
                that has to, because the tool sends files as they are, or ``all`` that have no
                other statements; None for none.
        """
        self.reader = reader
        self._hint = no_transaction
        self._alone = alone
        self._found: dict[int, Migration] = {}

    def add(
        self,
        version: str,
        name: str,
        file: str,
        take: Callable[[SqlFile], Parts],
        *,
        down: str | None = None,
        undo: Callable[[SqlFile], Parts] = lambda file: Parts(file.text),
    ) -> None:
        """Add a migration, or note what is wrong with it.

        Args:
            version: What identifies it.
            name: The rest of its name; may be empty.
            file: The file.
            take: Takes its text apart.
            down: The file that reverts it, if it is another one.
            undo: Takes the text of that one apart, of which all reverts the migration.
        """
        reader = self.reader
        read = reader.read(file, lambda each: self._ready(each, take(each)))
        if down is not None:
            reverting = reader.read(down, lambda each: self._undoing(each, undo(each)))
        if read is None:
            return
        if why := rules.why_not_to_run(read[0]):
            reader.unrunnable.append((number(version), why))
        migration = Migration(version, name, read[0], reverting if down is not None else read[1])
        other = self._found.setdefault(number(version), migration)
        if other is not migration:
            reader.problem(
                f"version {version} is used more than once: {other.up.name}, {file}",
                hint="Give the one that no database has applied another number.",
            )

    def misnamed(self, file: str, wanted: str) -> None:
        """Refuse a file that the tool would skip: it looks as if it were to run."""
        self.reader.problem(
            f"{file} would be skipped: its name is not that of a migration",
            hint=f"Name it like {wanted}, or move it elsewhere.",
        )

    def migrations(self) -> list[Migration]:
        """Return them in order."""
        return [self._found[key] for key in sorted(self._found)]

    def in_order_of_text(self, tool: str) -> list[Migration]:
        """Return them in order, which has to be that of their versions as text, too."""
        found = self.migrations()
        for low, high in pairwise(found):
            if low.version.replace("-", "") > high.version.replace("-", ""):
                self.reader.problem(
                    f"{tool} runs {high.up.name} before {low.up.name}, because it sorts as text",
                    hint="Write their versions with the same number of digits.",
                )
        return found

    def _ready(self, file: SqlFile, parts: Parts) -> tuple[SqlFile, SqlFile | None]:
        text = parts.up if parts.outside else rules.without_transaction(parts.up)
        up = SqlFile(file.name, file.path, text)
        if parts.outside or self._is_alone(up):
            up = SqlFile(file.name, file.path, rules.outside_transaction(text))
        rules.refuse_isolation_level(up)
        try:
            up.refuse_outside()
        except SqlFileError as error:
            if not up.no_transaction:
                error.hint = f"Give it a migration of its own {self._hint}."
            raise
        if parts.down is None:
            return up, None
        return up, _down(file, parts.down, outside=parts.down_outside)

    def _undoing(self, file: SqlFile, parts: Parts) -> SqlFile:
        down = _down(file, parts.up, outside=parts.outside)
        with suppress(SqlFileError):  # it is reported when the text is to run
            if not parts.outside and self._is_alone(down):
                return _down(file, parts.up, outside=True)
        return down

    def _is_alone(self, file: SqlFile) -> bool:
        """Return whether a file runs outside a transaction without saying so."""
        return (
            self._alone is not None
            and {placement(s) for s in file.statements} == {"outside"}
            and (self._alone == "all" or len(file.statements) == 1)
        )


def _down(file: SqlFile, text: str, *, outside: bool) -> SqlFile:
    """Return what reverts a migration; it is looked at when it is needed."""
    with suppress(SqlFileError):  # it is reported when the text is to run
        text = rules.outside_transaction(text) if outside else rules.without_transaction(text)
    return SqlFile(file.name, file.path, text)
