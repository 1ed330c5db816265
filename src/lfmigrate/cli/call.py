"""One call of a command: settings, connection, report, exit code."""

from __future__ import annotations

import functools
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from lfmigrate import redaction
from lfmigrate.cli.publish import in_actions, is_wanted, publish
from lfmigrate.cli.signals import exit_code_of, signals_as_exceptions
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    ConnectionLost,
    Interrupted,
    LfmigrateError,
    UsageError,
)
from lfmigrate.settings import Flags, Scope, Settings

if TYPE_CHECKING:
    from lfmigrate.cli.which import Chosen
    from lfmigrate.output.screen import Screen
    from lfmigrate.output.working import Working
    from lfmigrate.postgres.connecting import Connecting
    from lfmigrate.postgres.connection import Connection
    from lfmigrate.source.folder import Folder

# Where a command's module has another name: as a name of the library, "sql" would say too little.
_MODULES = {"sql": "script"}

# How many new objects make Python look for garbage, and how many such looks at young and at older
# ones make it look at older ones, too.
_NEW_OBJECTS = 50_000, 20, 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """What a command works on, and what it calls meanwhile."""

    conn: Connection
    folder: Folder
    scope: Scope
    working: Working


@dataclass
class Call:
    """One call of a command: where it prints, and what its JSON document will say.

    Attributes:
        command: The command; None if the command line names none.
        flags: The common options.
        document: What the JSON document will have.
        started: When it began.
        folder: The SQL folder, as soon as it is known.
        source: What a report says of it.
        places: Where folder, format and database were configured, a line each.
        seed: The folder of the CSV files, if it is another one.
        reports: What was shown of what has been done.
        published: Whether a CI has got its summary.
    """

    command: str | None
    flags: Flags
    document: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    folder: Path | None = None
    source: str = ""
    places: dict[str, str] = field(default_factory=dict)
    seed: Path | None = None
    reports: list[object] = field(default_factory=list)
    published: bool = False

    @functools.cached_property
    def screen(self) -> Screen:
        """Return where it prints. Made when it is first needed: rich is slow to import."""
        from lfmigrate.output.screen import Screen  # noqa: PLC0415 (slow; --help needs none)

        return Screen(
            as_json=self.flags.json,
            quiet=self.flags.quiet,
            verbose=self.flags.verbose,
            clean=functools.partial(redaction.redact, hidden=hidden_words()),
            in_actions=in_actions(),
        )

    def say(self, line: str) -> None:
        """Print a line of progress or advice."""
        self.screen.say(line)

    @contextmanager
    def progress(self) -> Iterator[Working]:
        """Show that the command works, where that can be seen."""
        from lfmigrate.output.working import Working  # noqa: PLC0415 (as above)

        if self.flags.verbose or sys.stderr.isatty():
            with self.screen.progress() as working:
                yield working
        else:
            yield Working()

    @property
    def origins(self) -> dict[str, str]:
        """Return where folder, format and database were configured, as far as that is known."""
        found: dict[str, str] = self.document.setdefault("origins", {})
        return found

    def use_folder(self, path: Path, origin: str) -> None:
        """Note which folder it is about, and where that was configured."""
        self.folder = path
        self.document["folder"] = str(path)
        self.origins["folder"] = origin

    @property
    def elapsed_ms(self) -> float:
        """Return how long it has taken."""
        return (time.perf_counter() - self.started) * 1000

    def show(self, report: object, *, preview: bool = False) -> None:
        """Print a report, and remember it for the JSON document.

        Args:
            report: A command's report.
            preview: Whether a question follows, and nothing has been done yet.
        """
        from lfmigrate.output.dispatch import to_json  # noqa: PLC0415 (as above)

        if not preview:
            self.reports.append(report)
        self.document |= to_json(report)
        if hasattr(report, "schema"):
            self.document["schema"] = report.schema
        self.screen.show(
            report,
            elapsed_ms=self.elapsed_ms,
            preview=preview,
            source=self.source,
            origins=[f"{name}: {place}" for name, place in self.places.items()],
        )

    def succeed(self) -> None:
        """Print the JSON document, if that is wanted.

        Raises:
            UsageError: Standard output cannot be written.
        """
        self._print_document(None)

    def fail(self, error: LfmigrateError) -> None:
        """Print an error, what its report says, and the JSON document, if that is wanted.

        If standard output cannot be written, the error still decides the exit code.
        """
        try:
            screen = self.screen
        except Exception:  # noqa: BLE001 (a module that was interrupted cannot be imported again)
            sys.stderr.write(f"error: {error.message}\n")
            return
        with suppress(UsageError):
            if error.report is not None:
                self.show(error.report)
        screen.fail(error)
        with suppress(UsageError):
            self._print_document(error)

    def _print_document(self, error: LfmigrateError | None) -> None:
        if not self.published and is_wanted(self):
            self.published = True  # even if the document cannot be printed
            publish(self, error)
        from lfmigrate.output.document import document  # noqa: PLC0415 (as above)

        self.screen.document(document(self.command, self.document, error, self.elapsed_ms))


@contextmanager
def calling(command: str, flags: Flags) -> Iterator[Call]:
    """Run a command's body; print its error and its document, and exit with its code."""
    call = Call(command, flags)
    try:
        with signals_as_exceptions():
            yield call
        call.succeed()
    except LfmigrateError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            error.exit_code = exit_code_of(error.__cause__)
        call.fail(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt as signal_came:
        stopped = Interrupted("interrupted")
        stopped.exit_code = exit_code_of(signal_came)
        call.fail(stopped)
        raise typer.Exit(stopped.exit_code) from None


def run(
    call: Call,
    work: Callable[[Target], T],
    *,
    read: Callable[[Chosen, Settings], Folder] | None = None,
) -> T:
    """Open a connection and do a command's work; once more, if the connection drops.

    It is repeated only if nothing can have been committed, which the error says.

    Args:
        call: The call.
        work: The work.
        read: Reads the folder that was chosen, if it is not to be read as it is.
    """
    # A command needs nearly all that it reads until it ends: with 10,000 files, looking for garbage
    # as often as usual takes a third of its time, and finds none.
    gc.set_threshold(*_NEW_OBJECTS)
    try:
        with _target(call, read) as target:
            return work(target)
    except ConnectionLost as error:
        if error.outcome != NOTHING_CHANGED:
            raise
        if error.backup is not None:
            from lfmigrate.rows import archive  # noqa: PLC0415 (as above)

            archive.remove(error.backup)
        call.say(f"{error.message}; nothing was changed; retrying once")
    with _target(call, read) as target:
        return work(target)


@contextmanager
def _target(call: Call, read: Callable[[Chosen, Settings], Folder] | None) -> Iterator[Target]:
    """Read the settings and the files, and open the connection.

    While the server answers, the files are read and what the command needs is imported.
    """
    from lfmigrate.source.setup import read_setup  # noqa: PLC0415 (as above)

    settings = read_settings(call)
    with ExitStack() as stack:
        with _still_unchanged(settings):
            # For files that cannot be run, no private server is started, and no password printed.
            is_early = settings.database_url is not None and settings.password_command is None
            early = stack.enter_context(_connecting(call, settings)) if is_early else None
            folder = read_files(call, settings, read)
            if (setup := settings.scope.shadow_setup) is not None:
                read_setup(setup)
            connecting = early or stack.enter_context(_connecting(call, settings))
            working = stack.enter_context(call.progress())
            module = _MODULES.get(call.command or "", call.command)
            import_module(f"lfmigrate.commands.{module}")
            conn = _connected(call, settings, connecting)
        # What prints the report is imported while the server works.
        _import_meanwhile("lfmigrate.output.screen", f"lfmigrate.output.{module}")
        yield Target(conn, folder, settings.scope, working)


def _import_meanwhile(*names: str) -> None:
    """Import modules in another thread; one that cannot be will fail where it is needed."""

    def load() -> None:
        with suppress(Exception):
            for name in names:
                import_module(name)

    Thread(target=load, name="importing", daemon=True).start()


def read_files(
    call: Call,
    settings: Settings,
    read: Callable[[Chosen, Settings], Folder] | None = None,
) -> Folder:
    """Read the folder, and refuse it unless all files can be run.

    Args:
        call: The call.
        settings: Its settings, which choose the folder.
        read: Reads it, if it is not to be read as it is.

    Raises:
        SqlFileError: One cannot be, or there are none.
    """
    from lfmigrate.cli.which import choose_folder, describe  # noqa: PLC0415 (as above)
    from lfmigrate.source.folder import read_folder  # noqa: PLC0415 (as above)

    chosen = choose_folder(settings)
    call.use_folder(chosen.path, chosen.origin)
    folder = (
        read_folder(chosen.path, format=settings.format, variables=settings.variables)
        if read is None
        else read(chosen, settings)
    )
    folder = replace(folder, is_fallback=chosen.is_shipped and not chosen.is_asked_for)
    call.document["format"] = folder.format
    call.origins["format"] = settings.origins.get("format", "detected")
    call.source = describe(chosen, folder)
    call.places["folder"] = f"{chosen.path}, {chosen.origin}"
    call.places["format"] = f"{folder.format}, {call.origins['format']}"
    return folder


def read_settings(call: Call) -> Settings:
    """Read the settings, and warn of passwords that others can read.

    Raises:
        UsageError: Some of them are not valid.
    """
    from lfmigrate.cli import which  # noqa: PLC0415 (as above)

    settings, warnings = which.read_settings(call.flags)
    call.origins["database"] = settings.origins["database"]
    for warning in warnings:
        call.screen.warn(warning)
    if call.flags.verbose:
        for note in settings.notes:
            call.say(note)
    return settings


def find_database(call: Call, settings: Settings) -> str:
    """Return the URL of the database, and start the private server if there is no other."""
    from lfmigrate.postgres import embedded  # noqa: PLC0415 (as above)

    if settings.database_url is not None:
        return settings.database_url
    call.say("using the private PostgreSQL in .lfmigrate/")
    return embedded.start(say=call.say)


@contextmanager
def opened(
    call: Call, settings: Settings, *, limit_s: float | None = None
) -> Iterator[tuple[Connection, str]]:
    """Open the connection, and yield it with the URL to which it was made.

    Args:
        call: The call.
        settings: Which database, and for how long to retry.
        limit_s: How many seconds each attempt may take; None for what is usual.
    """
    with ExitStack() as stack:
        with _still_unchanged(settings):
            connecting = stack.enter_context(_connecting(call, settings, limit_s=limit_s))
            conn = _connected(call, settings, connecting)
        yield conn, connecting.url


def _connecting(call: Call, settings: Settings, *, limit_s: float | None = None) -> Connecting:
    """Begin to open the connection; arguments as in `opened`."""
    from lfmigrate.postgres.connecting import Connecting  # noqa: PLC0415 (slow: the driver)
    from lfmigrate.postgres.url import address  # noqa: PLC0415 (as above)

    url = find_database(call, settings)
    call.document["database"] = address(url)
    return Connecting(
        url, wait_s=settings.wait_s, limit_s=limit_s, password_command=settings.password_command
    )


def _connected(call: Call, settings: Settings, connecting: Connecting) -> Connection:
    """Wait for the connection, and note where it leads."""

    def on_wait(reason: str) -> None:
        call.say(f"{reason}; retrying for {settings.wait_s:g} s")

    conn = connecting.result(on_wait)
    info = conn.info
    call.document["database"] = {"host": info.host, "port": info.port, "name": info.dbname}
    place = f"{info.host}:{info.port}/{info.dbname}"
    call.places["database"] = f"{place}, {settings.origins['database']}"
    return conn


@contextmanager
def _still_unchanged(settings: Settings) -> Iterator[None]:
    """Let an error before the connection say that nothing was changed, and which database it is."""
    try:
        yield
    except ConnectionFailed as error:
        error.outcome = NOTHING_CHANGED
        if not (origin := settings.origins["database"]).startswith("--"):
            error.detail = (*error.detail, f"the database is configured by {origin}")
        raise
    except KeyboardInterrupt as signal_came:
        stopped = Interrupted("interrupted before a connection was made", outcome=NOTHING_CHANGED)
        stopped.exit_code = exit_code_of(signal_came)
        raise stopped from None


def hidden_words() -> tuple[str, ...]:
    """Collect the passwords that must not be printed, from wherever they were given."""
    from lfmigrate.cli import which  # noqa: PLC0415 (as above)

    return which.hidden_words()
