"""How the command line is read, and how its help is laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from lfmigrate.cli.suggestions import unknown_command
from lfmigrate.errors import UsageError

# How lfmigrate and each command appears.
APPEARANCE: Mapping[str, Any] = {
    # Typer's own frames would read "[env: DATABASE_URL]" as markup and drop it; plain help also
    # needs no rich, fits a narrow terminal and can be copied.
    "rich_markup_mode": None,
    # A traceback is a bug; `main` prints it, without passwords.
    "pretty_exceptions_enable": False,
    # Typer's own options for it ignore which shell is named.
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

# Those of lfmigrate itself that take a shell's name, or none.
SHELL_OPTIONS = frozenset({"--show-completion", "--install-completion"})


class Command(TyperCommand):
    """A command whose help has its own options first, and then the common ones in blocks.

    The block of an option is its ``rich_help_panel``, which Typer leaves to rich.
    """

    # Typer's classes for a context and the like have no public name.
    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (as above)
        blocks: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            block = getattr(param, "rich_help_panel", None) or "Options"
            name = "Arguments" if param.param_type_name == "argument" else block
            blocks.setdefault(name, []).append(record)
        for name, records in blocks.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


@dataclass(frozen=True, slots=True)
class Entry:
    """A command in the list of commands.

    Attributes:
        name: Its name, also of its function, and of the module in `cli.commands` that has it.
        summary: Its line in the list.
        example: A use of it, for the end of its help.
    """

    name: str
    summary: str
    example: str

    def load(self) -> Any:  # noqa: ANN401 (as above)
        """Import the command, and return it with its options."""
        function = getattr(import_module(f"lfmigrate.cli.commands.{self.name}"), self.name)
        single = typer.Typer(**APPEARANCE)
        add = single.command(
            self.name,
            cls=Command,
            short_help=self.summary,
            epilog=f"Example: lfmigrate {self.example}",
        )
        add(function)
        return typer.main.get_command(single)


class Group(TyperGroup):
    """All commands: their options may precede them, and a word that is none has a suggestion.

    A command is imported when it is used. The list in the help needs none of them.
    """

    entries: ClassVar[Mapping[str, Entry]]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 (as above)
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 (as above)
        return self._loaded(cmd_name) if cmd_name in self.entries else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 (as above)
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in self.entries.values()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (as above)
        own = {opt for param in self.get_params(ctx) for opt in param.opts}
        ordered = with_command_first(args, own, cache(self.options), trying=ctx.resilient_parsing)
        return super().parse_args(ctx, ordered)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 (as above)
        if args[0] not in self.entries and not ctx.resilient_parsing:
            raise unknown_command(args[0], self.entries)
        return super().resolve_command(ctx, args)

    def options(self) -> dict[str, bool]:
        """Return every option of every command, and whether a value follows it."""
        return {
            opt: not getattr(param, "is_flag", False)
            for name in self.entries
            for param in self._loaded(name).params
            if param.param_type_name == "option"
            for opt in (*param.opts, *param.secondary_opts)
        }

    def _loaded(self, name: str) -> Any:  # noqa: ANN401 (as above)
        if name not in self.commands:
            self.commands[name] = self.entries[name].load()
        return self.commands[name]


def with_command_first(
    args: list[str],
    own: set[str],
    options: Callable[[], Mapping[str, bool]],
    *,
    trying: bool = False,
) -> list[str]:
    """Return a command line with the options of a command behind it, if they preceded it.

    Args:
        args: The command line.
        own: The options of lfmigrate itself.
        options: Returns those of its commands, and whether a value follows; called if one precedes.
        trying: Whether it is not complete yet: a shell asks what may follow.

    Raises:
        UsageError: There are such options, and no command.
    """
    kept: list[str] = []
    moved: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in {"-", "--"}:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if name in own:
            kept.append(word)
            if name in SHELL_OPTIONS and not equals:
                kept.append(rest.pop(0) if rest and not rest[0].startswith("-") else "")
        elif name in options():
            moved.append(word)
            if options()[name] and not equals and rest:
                moved.append(rest.pop(0))
        elif not word.startswith("--") and all(
            options().get(f"-{letter}") is False for letter in word[1:]
        ):
            moved.append(word)  # several in one word, such as -qv
        else:
            return [*kept, *([] if trying else [word]), *rest]
    if moved and not rest and not kept and not trying:
        raise UsageError("no command is given", hint='Run "lfmigrate --help" for all commands.')
    return [*kept, *rest[:1], *(moved if rest else ()), *rest[1:]]
