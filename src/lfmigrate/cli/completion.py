"""What a shell completes: versions, backups, formats. Reads folders, and never a database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import typer

from lfmigrate.errors import UsageError

# Set by the script of a shell when it asks what may follow.
VARIABLE = "_LFMIGRATE_COMPLETE"

_SHELLS = ("bash", "fish", "powershell", "pwsh", "zsh")

# A value, and what is said of it.
_Words = list[tuple[str, str]]


def _silent(
    complete: Callable[[Any, str], Iterator[tuple[str, str]]],
) -> Callable[[typer.Context, str], _Words]:
    """Let a function suggest nothing, where it fails: an error would end up on the prompt."""

    @wraps(complete)
    def words(ctx: typer.Context, incomplete: str) -> _Words:
        try:
            return list(complete(ctx, incomplete))
        except Exception:  # noqa: BLE001 (as above, whatever it is)
            return []

    # Typer reads the parameters and their types from this.
    words.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    del words.__wrapped__  # set by `wraps`
    return words


@_silent
def versions(ctx: Any, incomplete: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (Typer's)
    """Return the versions of the folder that the command would use."""
    from lfmigrate.cli.which import own_folder  # noqa: PLC0415 (only a completion needs them)
    from lfmigrate.settings import Flags  # noqa: PLC0415 (as above)
    from lfmigrate.source.folder import shipped_folder, versions_of  # noqa: PLC0415 (as above)

    names = ("sql_dir", "env_file", "env", "format")
    given = {name: value for name in names if (value := ctx.params.get(name))}
    paths = {name: Path(given[name]) for name in given if name in {"sql_dir", "env_file"}}
    chosen = own_folder(Flags(**given | paths))
    folder = chosen.path if chosen else shipped_folder()
    named = chosen.format if chosen else given.get("format")
    for version, name in versions_of(folder, format=named):
        if version.startswith(incomplete):
            yield version, name


@_silent
def backups(_: Any, incomplete: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (Typer's)
    """Return the backups in the usual place, the newest first, and folders elsewhere."""
    from lfmigrate.rows.archive import DEFAULT_PARENT, MANIFEST  # noqa: PLC0415 (as above)

    manifests = DEFAULT_PARENT.glob(f"*/{MANIFEST}")
    newest = sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)
    found = [str(path.parent) for path in newest if str(path.parent).startswith(incomplete)]
    for path in found:
        yield path, "backup"
    if not found:
        for entry in sorted(Path().glob(f"{_literally(incomplete)}*") if incomplete else ()):
            if entry.is_dir():
                yield f"{entry}/", "folder"


def _literally(path: str) -> str:
    """Return a pattern that matches just this path."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


@_silent
def formats(_: Any, incomplete: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (Typer's)
    """Return the names of the formats."""
    from lfmigrate.source.formats.detect import FORMATS  # noqa: PLC0415 (as above)

    yield from ((name, "") for name in FORMATS if name.startswith(incomplete))


@_silent
def targets(_: Any, incomplete: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (Typer's)
    """Return the names of the tools that a database can be exported to."""
    from lfmigrate.history.exported import TARGETS  # noqa: PLC0415 (as above)

    yield from ((name, "") for name in TARGETS if name.startswith(incomplete))


def is_asked() -> bool:
    """Return whether a shell asks what may follow; all that is printed ends up on the prompt."""
    return VARIABLE in os.environ


def prepare() -> None:
    """Let Typer answer the shell that asks."""
    # Typer calls this itself, where its own options are used.
    from typer._completion_classes import completion_init  # noqa: PLC0415 (as above)

    completion_init()


def _shell(named: str) -> str:
    """Return the shell that was named, or the one that has started lfmigrate.

    Raises:
        UsageError: It is not known, or none for which there is a script.
    """
    shell = named
    if not shell:
        import shellingham  # type: ignore[import-untyped]  # noqa: PLC0415 (Typer's; has no types)

        try:
            shell = shellingham.detect_shell()[0]
        except shellingham.ShellDetectionFailure:
            shell = Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise UsageError(
            f'there is no completion for the shell "{shell}"'
            if shell
            else "which shell it is for is not known",
            hint=f"Name one of {', '.join(_SHELLS)}, as in --show-completion bash.",
        )
    return shell


def show(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> None:
    """Print the script of a shell, and exit."""
    from typer.completion import show_callback  # noqa: PLC0415 (slow; only a completion needs it)

    if value is not None and not context.resilient_parsing:
        show_callback(context, parameter, _shell(value))


def install(context: typer.Context, parameter: typer.CallbackParam, value: str | None) -> None:
    """Write the script of a shell where that finds it, and exit."""
    from typer.completion import install_callback  # noqa: PLC0415 (as above)

    if value is not None and not context.resilient_parsing:
        shell = _shell(value)
        try:
            install_callback(context, parameter, shell)
        except OSError as error:
            raise UsageError(
                f"cannot install the completion for {shell}: {error.strerror}: {error.filename}",
                hint=f'Copy what "lfmigrate --show-completion {shell}" prints to where it looks.',
            ) from None
