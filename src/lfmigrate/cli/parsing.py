"""How the command line is read, and how its help is laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand, TyperGroup

from lfmigrate.cli.suggestions import unknown_command
from lfmigrate.errors import UsageError

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


class Group(TyperGroup):
    """All commands: their options may precede them, and a word that is none has a suggestion."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (as above)
        own = {opt for param in self.get_params(ctx) for opt in param.opts}
        ordered = with_command_first(args, own, self.options(), trying=ctx.resilient_parsing)
        return super().parse_args(ctx, ordered)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 (as above)
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            raise unknown_command(args[0], self.commands)
        return super().resolve_command(ctx, args)

    def options(self) -> dict[str, bool]:
        """Return every option of every command, and whether a value follows it."""
        return {
            opt: not getattr(param, "is_flag", False)
            for command in self.commands.values()
            for param in command.params
            if param.param_type_name == "option"
            for opt in (*param.opts, *param.secondary_opts)
        }


def with_command_first(
    args: list[str], own: set[str], options: Mapping[str, bool], *, trying: bool = False
) -> list[str]:
    """Return a command line with the options of a command behind it, if they preceded it.

    Args:
        args: The command line.
        own: The options of lfmigrate itself.
        options: Those of its commands, and whether a value follows.
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
        elif name in options:
            moved.append(word)
            if options[name] and not equals and rest:
                moved.append(rest.pop(0))
        elif not word.startswith("--") and all(
            options.get(f"-{letter}") is False for letter in word[1:]
        ):
            moved.append(word)  # several in one word, such as -qv
        else:
            return [*kept, *([] if trying else [word]), *rest]
    if moved and not rest and not kept and not trying:
        raise UsageError("no command is given", hint='Run "lfmigrate --help" for all commands.')
    return [*kept, *rest[:1], *(moved if rest else ()), *rest[1:]]
