"""What another tool's table has to say of a database, and whether it finds the files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from lfmigrate.errors import Refused, UsageError, join
from lfmigrate.history import states
from lfmigrate.history.events import Event, History
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.formats import flyway, sqlx
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.repeatable import RepeatableFile

Row = Mapping[str, str | int | bool | None]

# The greatest bigint.
_GREATEST = (1 << 63) - 1

# Flyway shortens longer ones.
_MOST_DESCRIPTION = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What a tool's table says already.

    Attributes:
        numbers: The migrations that it has as applied.
        repeatables: The names of the repeatable files that it has as they are in the folder.
        exists: Whether it exists.
    """

    numbers: Collection[int] = ()
    repeatables: Collection[str] = ()
    exists: bool = False


@dataclass(frozen=True, slots=True)
class Handover:
    """What the history says of a folder, for a tool's table.

    Attributes:
        applied: The applied migrations in the order of their versions, each with its event.
        repeatables: The repeatable files that have run as they are in the folder, likewise.
        known: What the table says already.
    """

    applied: tuple[tuple[Migration, Event], ...]
    repeatables: tuple[tuple[RepeatableFile, Event], ...]
    known: Known

    @property
    def new(self) -> tuple[tuple[Migration, Event], ...]:
        """Return the migrations that the table does not have."""
        return tuple(each for each in self.applied if each[0].number not in self.known.numbers)


@dataclass(frozen=True, slots=True)
class Target:
    """A tool that a database can be handed over to.

    Attributes:
        table: The name of its table.
        columns: The columns that people are shown.
        formats: Whose folders it reads.
        files: The names of the files that it finds.
        wanted: Returns such a name for a migration.
        rows: Returns the rows that its table lacks, in order, by the names of their columns.
        late: The option that makes it run a pending migration below an applied one: empty if it
            needs none, None if its table cannot say that there is one.
        least: The lowest version that it accepts.
        replaces: Whether its table has one row, which is replaced.
    """

    table: str
    columns: tuple[str, ...]
    formats: Collection[str]
    files: re.Pattern[str]
    wanted: Callable[[Migration], str]
    rows: Callable[[Handover], list[Row]]
    late: str | None = ""
    least: int = 0
    replaces: bool = False


def target(tool: str) -> Target:
    """Return a tool by its name.

    Raises:
        UsageError: There is none.
    """
    if tool not in TARGETS:
        raise UsageError(
            f'lfmigrate cannot export to "{tool}"', hint=f"The tools are {', '.join(TARGETS)}."
        )
    return TARGETS[tool]


def handover(tool: str, folder: Folder, history: History, known: Known) -> Handover:
    """Return what the history says, if the tool can go on from there.

    Args:
        tool: The tool.
        folder: The files.
        history: The events so far.
        known: What the tool's table says already.

    Raises:
        DifferenceFound: An applied file was edited, or is missing.
        Refused: Nothing is applied, a migration has not finished, the tool would not find the
            files, or its table cannot say what is applied.
    """
    _refuse_unreadable(tool, folder)
    states.refuse_conflicts(folder, history)
    _refuse_unsettled(folder, history)
    late = _late(folder, history)
    if late and target(tool).late is None:
        raise Refused(
            f"{tool} keeps one version, and {late[0].label} is pending below it",
            detail=(f"also pending: {m.label}" for m in late[1:]),
            hint='Run it first: "lfmigrate up --allow-out-of-order".',
        )
    applied = [m for m in folder.migrations if m.number in history.applied]
    repeatables = states.repeatable_states(folder, history)
    return Handover(
        tuple((m, history.applied[m.number]) for m in applied),
        tuple((r.repeatable, r.event) for r in repeatables if r.event and r.status == "applied"),
        known,
    )


def notes(tool: str, folder: Folder, history: History) -> tuple[str, ...]:
    """Return what the tool will do otherwise than lfmigrate, a line each."""
    chosen = target(tool)
    lines = []
    late = _late(folder, history)
    if late and chosen.late:
        lines.append(
            f"{late[0].label} is pending below an applied migration; {tool} runs it only with"
            f" {chosen.late}"
        )
    if folder.repeatables and folder.format != "flyway":
        files = ", ".join(each.file.name for each in folder.repeatables)
        lines.append(f"{tool} does not run {files}")
    if tool in PAIRS:
        lines += _outside(tool, folder)
    return tuple(lines)


def _outside(tool: str, folder: Folder) -> Iterator[str]:
    """Say which files have lfmigrate's directive, which the tool does not know."""
    for migration in folder.migrations:
        if not migration.up.no_transaction:
            continue
        if tool == "sqlx" and not migration.content.startswith(sqlx.FIRST_LINE.encode()):
            yield (
                f'{migration.up.name} needs the first line "{sqlx.FIRST_LINE}" for sqlx, which'
                " changes its checksum: add it before the export"
            )
        if tool == "golang-migrate" and len(migration.up.statements) > 1:
            yield (
                f"golang-migrate sends {migration.up.name} as a whole, which the server then runs"
                " in a transaction: give each statement a file"
            )


def _late(folder: Folder, history: History) -> list[Migration]:
    """Return the pending migrations below the newest applied one."""
    newest = max(history.applied, default=-1)
    return [m for m in folder.migrations if m.number < newest and m.number not in history.applied]


def _refuse_unreadable(tool: str, folder: Folder) -> None:
    """Refuse a folder of which the tool would not find all files."""
    chosen = target(tool)
    if folder.format not in chosen.formats:
        possible = [name for name, each in TARGETS.items() if folder.format in each.formats]
        others = f" As it is, it can be exported to {' or '.join(possible)}." if possible else ""
        raise Refused(
            f"{tool} would not find the migrations: the files in {folder.path} are"
            f" {folder.format}'s",
            hint="First rename and rewrite them like the files that"
            f' "lfmigrate new --format {tool}" creates.{others}',
        )
    unseen = [m for m in folder.migrations if not chosen.files.fullmatch(m.up.name)]
    if unseen:
        raise Refused(
            f"{tool} would not find {unseen[0].up.name}"
            if len(unseen) == 1
            else f"{tool} would not find {len(unseen)} of {len(folder.migrations)} files",
            detail=[f"rename {m.up.name} to {chosen.wanted(m)}" for m in unseen],
            hint="Rename them and export again; for lfmigrate, they stay what they are.",
        )
    wrong = [m for m in folder.migrations if not chosen.least <= m.number <= _GREATEST]
    if wrong:
        raise Refused(
            f"{tool} does not accept the version {wrong[0].version}",
            hint=f"It accepts {chosen.least} to {_GREATEST}.",
        )


def _refuse_unsettled(folder: Folder, history: History) -> None:
    """Refuse a database that is not what applied files have made of it."""
    for events in history.begun.values():
        raise Refused(f"{events[-1].label} has not finished", hint='Finish it with "lfmigrate up".')
    if not history.applied:
        raise Refused(
            "no migration is applied here",
            hint='Run "lfmigrate up" or, if the schema exists already, "lfmigrate adopt".',
        )
    # What only lfmigrate runs does not matter to the tool.
    files = states.FileStates(states.migration_states(folder, history), (), ())
    if problems := tuple(files.problems(pending=False)):
        raise join(problems)


def _golang_migrate(handover: Handover) -> list[Row]:
    newest, _ = handover.applied[-1]
    return [{"version": newest.number, "dirty": False}] if handover.new else []


def _dbmate(handover: Handover) -> list[Row]:
    return [{"version": migration.version} for migration, _ in handover.new]


def _sqlx(handover: Handover) -> list[Row]:
    return [
        {
            "version": migration.number,
            "description": migration.name.replace("_", " "),
            "installed_on": event.executed_at,
            "success": True,
            "checksum": sqlx.checksum(migration),
            "execution_time": event.elapsed_ms * 1_000_000,
        }
        for migration, event in handover.new
    ]


def _goose(handover: Handover) -> list[Row]:
    # Its own first row: nothing is applied.
    first: list[Row] = [{"version_id": 0, "is_applied": True, "tstamp": None}]
    return ([] if handover.known.exists else first) + [
        {"version_id": migration.number, "is_applied": True, "tstamp": event.executed_at}
        for migration, event in handover.new
    ]


def _flyway(handover: Handover) -> list[Row]:
    # It numbers them as they were applied, the repeatable ones after all.
    new = sorted(handover.new, key=lambda each: datetime.fromisoformat(each[1].executed_at))
    rows = [
        _flyway_row(m.version, m.name, m.up.name, flyway.checksum(m), event) for m, event in new
    ]
    for each, event in handover.repeatables:
        if each.name not in handover.known.repeatables:
            name = each.file.name
            description = name.removeprefix("R__").removesuffix(".sql")
            checksum = flyway.checksum_of(each.file.text)
            rows.append(_flyway_row(None, description, name, checksum, event))
    return rows


def _flyway_row(version: str | None, name: str, script: str, checksum: str, event: Event) -> Row:
    description = name.replace("_", " ")
    if len(description) > _MOST_DESCRIPTION:
        description = f"{description[: _MOST_DESCRIPTION - 3]}..."
    return {
        "version": version,
        "description": description,
        "type": "SQL",
        "script": script,
        "checksum": int(checksum),
        "installed_by": event.executed_by,
        "installed_on": event.executed_at,
        "execution_time": event.elapsed_ms,
        "success": True,
    }


def _own_name(migration: Migration) -> str:
    return migration.up.name


TARGETS: Mapping[str, Target] = {
    "golang-migrate": Target(
        "schema_migrations",
        ("version", "dirty"),
        PAIRS,
        re.compile(r"[0-9]+_.*\.up\.sql", re.DOTALL),
        lambda migration: f"{migration.label}.up.sql",
        _golang_migrate,
        late=None,
        replaces=True,
    ),
    "dbmate": Target(
        "schema_migrations",
        ("version",),
        {"dbmate"},
        re.compile(r"[0-9]+.*\.sql", re.DOTALL),
        _own_name,
        _dbmate,
    ),
    "sqlx": Target(
        "_sqlx_migrations",
        ("version", "description", "success", "checksum"),
        PAIRS,
        re.compile(r"[0-9]+_.*\.sql", re.DOTALL),
        lambda migration: f"{migration.label}{'.up' if migration.down else ''}.sql",
        _sqlx,
    ),
    "goose": Target(
        "goose_db_version",
        ("version_id", "is_applied"),
        {"goose"},
        re.compile(r"[0-9]+_.*\.sql", re.DOTALL),
        _own_name,
        _goose,
        late="-allow-missing",
        least=1,
    ),
    "flyway": Target(
        "flyway_schema_history",
        ("version", "description", "type", "script", "checksum", "success"),
        {"flyway"},
        re.compile(r"V.*\.sql", re.DOTALL),
        _own_name,
        _flyway,
        late="-outOfOrder=true",
    ),
}
