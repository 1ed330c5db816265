"""The command line: parse, open, call the verb, render, exit. No SQL here, and no decisions.

What is slow to import (psycopg, rich) is imported by the commands that need it, so that
``--version``, ``--help`` and shell completion answer at once.
"""

from __future__ import annotations

import functools
import inspect
import io
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from lfmigrate import __version__, config
from lfmigrate.config import Flags
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    ConnectionLost,
    DifferenceFound,
    Interrupted,
    LfmigrateError,
    Refused,
    UsageError,
)

if TYPE_CHECKING:
    from lfmigrate.database import Connection, Scope
    from lfmigrate.document import Report
    from lfmigrate.report import Screen, Working
    from lfmigrate.sqlfile import Folder

T = TypeVar("T")

app = typer.Typer(
    name="lfmigrate",
    help="Run raw SQL migrations on PostgreSQL, and tell the truth about it.",
    # Typer's own frames would read "[env: DATABASE_URL]" as markup and drop it; plain help also
    # needs no rich, fits a narrow terminal and can be copied.
    rich_markup_mode=None,
    # A traceback is a bug; `main` prints it, without passwords.
    pretty_exceptions_enable=False,
)

# The root of what Typer raises for a command line that it cannot read. It is click's in older
# versions and Typer's own in newer ones, and has a public name in neither.
_Unreadable: type[Any] = typer.BadParameter.__mro__[1]

_OPTIONS: dict[str, Any] = {
    "database_url": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where: postgresql://... or libpq keywords. [env: DATABASE_URL, or .env]",
        ),
    ],
    "embedded": Annotated[
        bool | None,
        typer.Option(
            "--embedded",
            help="Use a private PostgreSQL under .lfmigrate/. [env: LFMIGRATE_EMBEDDED=1]",
            show_default=False,
        ),
    ],
    "sql_dir": Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of SQL files; default: those shipped. [env: LFMIGRATE_SQL_DIR]",
        ),
    ],
    "schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The schema that unqualified names go to; default: the connection's own."
            " [env: LFMIGRATE_SCHEMA]",
        ),
    ],
    "history_schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The schema of lfmigrate's own table; default: lfmigrate."
            " [env: LFMIGRATE_HISTORY_SCHEMA]",
        ),
    ],
    "lock_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to queue behind other sessions; default: 5s, 0 for ever."
            " [env: LFMIGRATE_LOCK_TIMEOUT]",
        ),
    ],
    "statement_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long one statement may run, such as 10min; default: no limit."
            " [env: LFMIGRATE_STATEMENT_TIMEOUT]",
        ),
    ],
    # Text, so that `config` reports it together with whatever else is wrong.
    "wait": Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to try to connect while the server wakes up; default: 15."
            " [env: LFMIGRATE_WAIT]",
        ),
    ],
    "json": Annotated[bool, typer.Option("--json", help="Print one JSON document.")],
    "quiet": Annotated[bool, typer.Option("-q", "--quiet", help="Print only what is wrong.")],
    "verbose": Annotated[
        bool, typer.Option("-v", "--verbose", help="Print every statement with its time.")
    ],
}
_EVERYWHERE = ("json", "quiet", "verbose")


def _takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command common options; it gets them as one `Flags`, its parameter ``flags``."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for name, p in signature.parameters.items() if name != "flags"]
        defaults = {f.name: f.default for f in fields(Flags)}
        common = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[name],
                annotation=_OPTIONS[name],
            )
            for name in names
        ]

        @functools.wraps(function)
        def command(**options: Any) -> None:  # noqa: ANN401 (each option has its own type)
            flags = Flags(**{name: options.pop(name) for name in names})
            function(flags, **options)

        # Typer reads both.
        command.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]  # functions take it
        command.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
        return command

    return decorate


_on_a_database = _takes(*_OPTIONS)


@dataclass
class _Call:
    """One call of a command that talks to a database."""

    command: str | None
    flags: Flags
    screen: Screen
    document: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    def show(self, report: Report) -> None:
        from lfmigrate.document import to_json  # noqa: PLC0415

        self.document |= to_json(report)
        if hasattr(report, "schema"):
            self.document["schema"] = report.schema
        self.screen.show(report, elapsed_ms=self.elapsed_ms)

    def end(self, error: LfmigrateError | None) -> None:
        from lfmigrate.document import error_json  # noqa: PLC0415

        head: dict[str, Any] = {
            "command": self.command,
            "ok": error is None,
            "exit_code": error.exit_code if error else 0,
            "database": None,
            "schema": None,
            "elapsed_ms": round(self.elapsed_ms),
        }
        if error is not None:
            self.document["error"] = error_json(error)
            self.screen.fail(error)
        self.screen.document(head | self.document)


@contextmanager
def _call(command: str, flags: Flags) -> Iterator[_Call]:
    """Run a command's body; show its error, print its document and exit with its code."""
    from lfmigrate.report import Screen  # noqa: PLC0415

    screen = Screen(
        as_json=flags.json,
        quiet=flags.quiet,
        verbose=flags.verbose,
        clean=functools.partial(config.redact, hidden=_hidden()),
    )
    call = _Call(command, flags, screen)
    try:
        with _signals_as_exceptions():
            yield call
        call.end(None)
    except LfmigrateError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            error.exit_code = _exit_code(error.__cause__)
        if error.report is not None:
            call.show(error.report)  # type: ignore[arg-type]  # a verb's own report
        call.end(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt as signal_came:
        stopped = Interrupted("interrupted")
        stopped.exit_code = _exit_code(signal_came)
        call.end(stopped)
        raise typer.Exit(stopped.exit_code) from None


def _run(call: _Call, verb: Callable[[Connection, Folder, Scope], T]) -> T:
    """Open a connection and call a verb; once more, if the connection is lost and nothing is done.

    Only what cannot have been committed is tried again: the error says so.
    """
    try:
        with _connected(call) as given:
            return verb(*given)
    except ConnectionLost as error:
        if NOTHING_CHANGED not in error.detail:
            raise
        call.screen.say(f"{error.message}, and nothing was changed; trying once more")
    with _connected(call) as given:
        return verb(*given)


@contextmanager
def _connected(call: _Call) -> Iterator[tuple[Connection, Folder, Scope]]:
    """Read the settings and the folder, and open the connection."""
    from lfmigrate import embedded  # noqa: PLC0415
    from lfmigrate.database import Scope, connect  # noqa: PLC0415
    from lfmigrate.sqlfile import read_folder, shipped_folder  # noqa: PLC0415

    settings = config.load(call.flags, os.environ, _dotenv())
    if (warning := _dotenv_warning()) is not None:
        call.screen.warn(warning)
    folder = read_folder(settings.sql_dir or shipped_folder())
    url = settings.database_url

    def on_wait(reason: str) -> None:
        call.screen.say(f"{reason}; trying again for {settings.wait_s:g} s")

    try:
        if url is None:
            call.screen.say("using the private PostgreSQL in .lfmigrate/")
            url = embedded.start()
        call.document["database"] = config.address(url)
        conn = connect(url, wait_s=settings.wait_s, on_wait=on_wait)
    except ConnectionFailed as error:
        error.detail = (*error.detail, NOTHING_CHANGED)
        raise
    except KeyboardInterrupt as signal_came:
        stopped = Interrupted("interrupted before a connection was made", detail=[NOTHING_CHANGED])
        stopped.exit_code = _exit_code(signal_came)
        raise stopped from None
    with closing(conn):
        info = conn.info
        call.document["database"] = {"host": info.host, "port": info.port, "name": info.dbname}
        yield (
            conn,
            folder,
            Scope(
                schema=settings.schema,
                history_schema=settings.history_schema,
                lock_timeout_ms=settings.lock_timeout_ms,
                statement_timeout_ms=settings.statement_timeout_ms,
            ),
        )


@app.command(
    short_help="Run every pending migration and changed view.",
    epilog="Example: lfmigrate up --dry-run --database-url postgresql://me@host/name",
)
@_on_a_database
def up(
    flags: Flags,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The last version to run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it all, show it, and roll back.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Roll back and exit 3 if anything has drifted.")
    ] = False,
    per_migration: Annotated[
        bool, typer.Option("--per-migration", help="Commit after each file, not once.")
    ] = False,
    allow_out_of_order: Annotated[
        bool,
        typer.Option("--allow-out-of-order", help="Run versions below an applied one, too."),
    ] = False,
) -> None:
    """Run every pending migration and changed view, in one transaction.

    A file with "-- lfmigrate: no-transaction" in its header runs statement by statement.
    """
    from lfmigrate.verbs import up as verb  # noqa: PLC0415

    with _call("up", flags) as call:
        with call.screen.progress() as working:
            report = _run(
                call,
                lambda conn, folder, scope: verb.up(
                    conn,
                    folder,
                    scope=scope,
                    to=to,
                    dry_run=dry_run,
                    strict=strict,
                    per_migration=per_migration,
                    allow_out_of_order=allow_out_of_order,
                    progress=working.statement,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Compare the live schema with the files.",
    epilog="Example: lfmigrate verify --json",
)
@_on_a_database
def verify(
    flags: Flags,
    *,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Run the files in a scratch schema to know what to expect."),
    ] = False,
) -> None:
    """Compare the live schema with the files, down to each column. Changes nothing."""
    from lfmigrate.verbs import verify as verb  # noqa: PLC0415

    with _call("verify", flags) as call:
        report = _run(
            call,
            lambda conn, folder, scope: verb.verify(
                conn, folder, scope=scope, replay_files=replay, on_wait=call.screen.say
            ),
        )
        call.show(report)
        if not report.ok:
            wrong = sum(1 for v in report.relations if v.status != "ok")
            are = "is" if wrong == 1 else "are"
            raise DifferenceFound(
                f"{wrong} of {len(report.relations)} relations {are} not as the files say",
                hint='"lfmigrate up" makes what is missing; it never alters what is there.',
            )


@app.command(
    short_help="List the migrations, applied and pending.",
    epilog="Example: lfmigrate status --exit-code",
)
@_on_a_database
def status(
    flags: Flags,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 3 if anything is pending.")
    ] = False,
) -> None:
    """List the migrations: applied when, by whom; pending, edited, missing."""
    from lfmigrate.verbs import status as verb  # noqa: PLC0415

    with _call("status", flags) as call:
        report = _run(call, lambda conn, folder, scope: verb.status(conn, folder, scope=scope))
        call.show(report)
        if exit_code and report.pending:
            raise DifferenceFound(
                "1 migration or view is pending"
                if report.pending == 1
                else f"{report.pending} migrations or views are pending",
                hint='Run "lfmigrate up".',
            )


_Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@app.command(
    short_help="Undo the newest migration, after a backup.",
    epilog="Example: lfmigrate rollback --dry-run",
)
@_on_a_database
def rollback(
    flags: Flags,
    *,
    yes: _Yes = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Undo all above this version; 0 undoes all."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be lost, and stop.")
    ] = False,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Drop what depends on it, too; the backup keeps it.")
    ] = False,
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Run the down text of when the migration was applied."),
    ] = False,
    backup_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the backup's folder is made; default: lfmigrate-backups."
        ),
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup.")] = False,
) -> None:
    """Undo the newest applied migration: show what is lost, ask, save it, and drop it."""
    from lfmigrate.archive import DEFAULT_PARENT  # noqa: PLC0415
    from lfmigrate.verbs import rollback as verb  # noqa: PLC0415

    with _call("rollback", flags) as call:
        if no_backup and backup_dir is not None:
            raise UsageError(
                "--no-backup and --backup-dir contradict one another", detail=[NOTHING_CHANGED]
            )

        with call.screen.progress() as working:
            confirm = _asking(call, working, "Undo this?")
            report = _run(
                call,
                lambda conn, folder, scope: verb.rollback(
                    conn,
                    folder,
                    scope=scope,
                    to=to,
                    dry_run=dry_run,
                    cascade=cascade,
                    recorded=recorded,
                    backup_dir=None if no_backup else backup_dir or DEFAULT_PARENT,
                    confirm=None if yes else confirm,
                    progress=working.statement,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


def _asking(call: _Call, working: Working, question: str) -> Callable[[Report], None]:
    """Return what shows a preview and asks, in the middle of a command's work."""

    def confirm(preview: Report) -> None:
        working.hide()
        call.show(preview)
        _confirm(call, question)

    return confirm


def _confirm(call: _Call, question: str) -> None:
    """Ask on a terminal; what is no clear yes is a no.

    Raises:
        Refused: It was not confirmed.
    """
    if call.flags.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(
            "not confirmed", detail=[NOTHING_CHANGED], hint="Add --yes to do what is shown."
        )
    try:
        answer = typer.confirm(question, default=False, err=True)
    except typer.Abort:
        answer = False
    if not answer:
        raise Refused("not confirmed", detail=[NOTHING_CHANGED])


@app.command(
    short_help="Load initial data from CSV files.",
    epilog="Example: lfmigrate seed --from our-data --dry-run",
)
@_on_a_database
def seed(
    flags: Flags,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="The folder of CSV files; default: seed/ of the SQL files.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty the tables first, after a backup of them.")
    ] = False,
    yes: _Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load it all, show it, and roll back.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Load nothing; exit 3 unless seed/checks/*.sql all hold."),
    ] = False,
) -> None:
    """Load initial data from CSV files, in one transaction; rows that are there are kept."""
    from lfmigrate.verbs import seed as verb  # noqa: PLC0415

    with _call("seed", flags) as call:
        if check:
            if source is not None or replace or dry_run:
                raise UsageError(
                    "--check loads nothing, so it takes no --from, --replace or --dry-run",
                    detail=[NOTHING_CHANGED],
                )
            checked = _run(
                call, lambda conn, folder, scope: verb.check_seed(conn, folder, scope=scope)
            )
            call.show(checked)
            if not checked.ok:
                failed = sum(1 for each in checked.checks if each.count)
                do = "does" if failed == 1 else "do"
                raise DifferenceFound(
                    f"{failed} of {len(checked.checks)} checks {do} not hold",
                    hint="The rows that offend are listed above; each check's file says more.",
                )
            return
        with call.screen.progress() as working:
            confirm = _asking(call, working, "Empty these and load?")
            report = _run(
                call,
                lambda conn, folder, scope: verb.seed(
                    conn,
                    folder,
                    scope=scope,
                    source=source,
                    replace=replace,
                    dry_run=dry_run,
                    confirm=None if yes else confirm,
                    progress=working.statement,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Save the rows of the migrations' tables.",
    epilog="Example: lfmigrate backup --out /srv/backups/before-the-import",
)
@_on_a_database
def backup(
    flags: Flags,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder to make; default: lfmigrate-backups/<database>-<time in UTC>.",
        ),
    ] = None,
) -> None:
    """Save every row of the migrations' tables, as CSV files with a manifest. Only reads."""
    from lfmigrate.verbs import backup as verb  # noqa: PLC0415

    with _call("backup", flags) as call:
        with call.screen.progress() as working:
            report = _run(
                call,
                lambda conn, folder, scope: verb.backup(
                    conn,
                    folder,
                    scope=scope,
                    out=out,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Bring back the rows of a backup.",
    epilog="Example: lfmigrate restore lfmigrate-backups/app-2026-11-24T081500Z",
)
@_on_a_database
def restore(
    flags: Flags,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty the tables first, after a backup of them.")
    ] = False,
    yes: _Yes = False,
) -> None:
    """Bring back the rows of a backup, all or none, into tables that are empty."""
    from lfmigrate.verbs import restore as verb  # noqa: PLC0415

    with _call("restore", flags) as call:
        if replace and not yes:
            _confirm(call, "Replace the rows that are there?")
        with call.screen.progress() as working:
            report = _run(
                call,
                lambda conn, folder, scope: verb.restore(
                    conn,
                    folder,
                    path,
                    scope=scope,
                    replace=replace,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Prove the files on a throw-away database.",
    epilog="Example: lfmigrate check --sql-dir migrations",
)
@_takes("database_url", "sql_dir", "wait", *_EVERYWHERE)
def check(flags: Flags) -> None:
    """Prove on a throw-away database that the files go up, down, and up again."""
    from lfmigrate.verbs import check as verb  # noqa: PLC0415

    if flags.database_url is None:
        # Not the DATABASE_URL of the environment: that is no server to make databases on.
        flags = replace(flags, embedded=True)
    with _call("check", flags) as call:
        report = _run(
            call, lambda conn, folder, _: verb.check(conn, folder, progress=call.screen.say)
        )
        call.show(report)
        if not report.ok:
            raise DifferenceFound(
                "the files do not hold what they promise",
                hint="What was tried is listed above, up to what broke.",
            )


@app.command(
    short_help="Make the next numbered pair of files.",
    epilog='Example: lfmigrate new "add risk scores" --sql-dir migrations',
)
@_takes("sql_dir", *_EVERYWHERE)
def new(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="What the migration is about.")],
) -> None:
    """Make the next numbered pair of files, with headers to fill in."""
    from lfmigrate.sqlfile import shipped_folder  # noqa: PLC0415
    from lfmigrate.verbs import new as verb  # noqa: PLC0415

    with _call("new", flags) as call:
        folder = config.sql_dir(flags, os.environ, _dotenv())
        call.show(verb.new(folder or shipped_folder(), name))


@app.command(
    short_help="Run the private PostgreSQL until Ctrl-C.",
    epilog="Example: lfmigrate embedded",
)
def embedded() -> None:
    """Run the private PostgreSQL in the foreground, until Ctrl-C."""
    from lfmigrate import embedded as private  # noqa: PLC0415

    with _call("embedded", Flags()) as call:
        url = private.start()
        call.screen.print(f"DATABASE_URL={url}")
        call.screen.say("Ctrl-C stops it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            call.screen.say("stopping")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (how Typer calls it)
    if wanted:
        typer.echo(f"lfmigrate {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 (its callback has done it)
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)


def main() -> NoReturn:
    """Run the command line, and exit; a bug is told without passwords, with exit code 1."""
    _mend_streams()
    if sys.argv[1:] == ["--version"]:
        # Before every command's options are built, which scripts that only ask this need not wait
        # for; beside other words it is Typer's, as the help shows.
        typer.echo(f"lfmigrate {__version__}")
        sys.exit(0)
    try:
        code = app(prog_name="lfmigrate", standalone_mode=False)
    except _Unreadable as problem:
        code = _misused(problem)
    except Exception as bug:  # noqa: BLE001 (whatever it is, it may quote a password)
        code = 1
        words = config.redact(traceback.format_exc(), _hidden())
        sys.stderr.write(words)
        sys.stderr.write("This is a bug in lfmigrate; please report it with the lines above.\n")
        if "--json" in sys.argv:
            told = LfmigrateError(f"a bug in lfmigrate: {type(bug).__name__}")
            _Call(_command(), Flags(json=True), _plain_screen()).end(told)
    sys.exit(code or 0)


def _misused(problem: Any) -> int:  # noqa: ANN401 (see _Unreadable)
    """Tell what is wrong with the command line, as every other error is told."""
    message = problem.format_message().rstrip(".")
    path = problem.ctx.command_path if problem.ctx is not None else "lfmigrate"
    error = UsageError(
        message[:1].lower() + message[1:],
        detail=[NOTHING_CHANGED],
        hint=f'Run "{path} --help" to see what there is.',
    )
    _Call(_command(), Flags(json="--json" in sys.argv), _plain_screen()).end(error)
    return error.exit_code


def _command() -> str | None:
    """Return the command that was meant, when the command line could not be read."""
    names = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    return next((word for word in sys.argv[1:] if word in names), None)


def _plain_screen() -> Screen:
    from lfmigrate.report import Screen  # noqa: PLC0415

    return Screen(
        as_json="--json" in sys.argv, clean=functools.partial(config.redact, hidden=_hidden())
    )


def _hidden() -> tuple[str, ...]:
    """Collect the passwords that must not be printed, wherever they were given."""
    try:
        dotenv = _dotenv()
    except UsageError:
        dotenv = {}  # whoever needs it will tell
    # On the command line, a URL may stand where it does not belong and be quoted for that.
    words = [w for w in sys.argv[1:] if "@" in w or "password" in w.lower()]
    return config.secrets(
        *(re.sub(r"^-[\w-]*=", "", word) for word in words),
        *(variables.get("DATABASE_URL") for variables in (os.environ, dotenv)),
        environment=os.environ,
    )


def _mend_streams() -> None:
    """Make standard output and error usable, whatever they are."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, as by ">&-"
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (till the end)
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to fail after the work is done.
            stream.reconfigure(errors="backslashreplace")


class _Stopped(KeyboardInterrupt):
    """SIGTERM and SIGHUP, made to end a command as Ctrl-C does: cancelled and rolled back."""


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def stop(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _exit_code(signal_came: KeyboardInterrupt) -> int:
    # 128 + the signal's number is what a shell reports for a process that a signal ended.
    number = signal_came.args[0] if isinstance(signal_came, _Stopped) else signal.SIGINT
    return 128 + int(number)


def _dotenv_path() -> Path | None:
    from dotenv import find_dotenv  # noqa: PLC0415

    found = find_dotenv(usecwd=True)
    return Path(found) if found else None


@functools.cache
def _dotenv() -> dict[str, str | None]:
    from dotenv import dotenv_values  # noqa: PLC0415

    try:
        path = _dotenv_path()
        return {} if path is None else dotenv_values(path)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(
            f"the .env file cannot be read: {reason}", detail=[NOTHING_CHANGED]
        ) from None


def _dotenv_warning() -> str | None:
    """Return what to say if others can read a password in the ``.env`` file."""
    path = _dotenv_path()
    if path is None or os.name == "nt":  # Windows keeps no such bits
        return None
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077 or not config.secrets(_dotenv().get("DATABASE_URL"), environment={}):
        return None
    return f"{path} holds a password, and others can read it (mode {mode:o}): chmod 600 {path}"


if __name__ == "__main__":
    main()
