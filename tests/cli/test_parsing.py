"""How the command line is read: options before the command, other tools' words, completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from lfmigrate.cli import suggestions
from lfmigrate.cli.app import COMMANDS, app
from lfmigrate.cli.parsing import Group, with_command_first
from tests.conftest import Cli

ROOT: Any = typer.main.get_command(app)
NAMES = list(COMMANDS)
FILES = {
    "001_notes.up.sql": "CREATE TABLE notes (id integer);",
    "001_notes.down.sql": "DROP TABLE notes;",
    "002_tags.up.sql": "CREATE TABLE tags (id integer);",
}


# --------------------------------------------------------------------------------------------------
# Options before the command
# --------------------------------------------------------------------------------------------------

OWN = {"--version", "--show-completion", "--help", "-h"}
OPTIONS = {"-q": False, "-v": False, "--json": False, "--schema": True, "--to": True}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("up", "up"),
        ("-q up", "up -q"),
        ("-q up --to 3", "up -q --to 3"),
        ("--schema s up", "up --schema s"),
        ("--schema=s --json up -v", "up --schema=s --json -v"),
        ("--schema up status", "status --schema up"),
        ("-qv up", "up -qv"),
        ("--version", "--version"),
        ("-q --help", "--help"),
        ("--help -q up", "--help up -q"),
        ("--show-completion zsh", "--show-completion zsh"),
        ("--show-completion=zsh", "--show-completion=zsh"),
        ("up -- -q", "up -- -q"),
        ("--wrong up", "--wrong up"),
        ("-qx up", "-qx up"),
        ("-q --wrong up", "--wrong up"),
        ("- up", "- up"),
    ],
)
def test_options_of_a_command_may_precede_it(given: str, read: str) -> None:
    """They are read as if they followed it."""
    assert with_command_first(given.split(), OWN, lambda: OPTIONS) == read.split()


def test_no_option_is_a_switch_in_one_command_and_has_a_value_in_another() -> None:
    """Before the command is known, it has to be clear what the next word is."""
    kinds: dict[str, set[bool]] = {}
    for command in (entry.load() for entry in COMMANDS.values()):
        for param in command.params:
            for opt in param.opts if param.param_type_name == "option" else ():
                kinds.setdefault(opt, set()).add(param.is_flag)

    assert isinstance(ROOT, Group)
    assert [opt for opt, kind in kinds.items() if len(kind) > 1] == []
    assert ROOT.options() == {opt: kind == {False} for opt, kind in kinds.items()}


@pytest.mark.any_version  # nothing here depends on the server
def test_a_command_runs_with_options_before_it(
    cli: Cli, database: str, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    """Quiet, on that database; what is given after the command counts more."""
    notes = folder(FILES)

    first = cli("-q", "--database-url", database, "up", "--sql-dir", notes)
    again = cli("--sql-dir=/nowhere", "status", "--sql-dir", notes, "--database-url", database)

    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert "2 applied, 0 pending" in again.stdout


@pytest.mark.parametrize("words", ["-q", "--json -v", "--schema s"])
def test_options_without_a_command_are_refused(cli: Cli, words: str) -> None:
    """A script that lost the command's name must not pass."""
    done = cli(*words.split())

    assert done.returncode == 2
    assert "no command is given" in done.stdout + done.stderr


# --------------------------------------------------------------------------------------------------
# Words that are no command
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("down", "rollback"),
        ("migrate", "up"),
        ("apply", "up"),
        ("revert", "rollback"),
        ("validate", "verify"),
        ("Migrate:Up", "up"),
        ("migrate:rollback", "rollback"),
        ("info", "status"),
        ("down_to", "rollback --to"),
        ("rolback", "rollback"),
        ("stauts", "status"),
        ("vaildate", "verify"),
        ("verfy", "verify"),
        ("help", "--help"),
    ],
)
def test_another_word_suggests_the_command(cli: Cli, word: str, meant: str) -> None:
    """It runs nothing, and says what to type."""
    done = cli(word)

    assert done.returncode == 2
    assert done.stdout == ""
    assert f'no such command "{word}"' in done.stderr
    assert f'Did you mean "lfmigrate {meant}"?' in done.stderr


def test_a_word_like_nothing_suggests_nothing(cli: Cli) -> None:
    """A wild guess would be worse than the list."""
    done = cli("xyzzy")

    assert done.returncode == 2
    assert "Did you mean" not in done.stderr
    assert 'Run "lfmigrate --help" for all commands.' in done.stderr


def test_a_url_instead_of_a_command_names_the_option_without_the_password(cli: Cli) -> None:
    """As psql takes it; lfmigrate does not."""
    done = cli("postgresql://me:s3cret@host/name")

    assert done.returncode == 2
    assert "Name the database with --database-url" in done.stderr
    assert "s3cret" not in done.stderr


def test_only_commands_that_exist_are_suggested() -> None:
    """A table of words must not promise more than there is."""
    words = list(suggestions._MEANINGS)  # noqa: SLF001 (what is tested)

    found = {suggestions.suggestion(word, COMMANDS) for word in words}

    assert {str(line).partition(" ")[0] for line in found - {None}} <= {
        *COMMANDS,
        "--help",
        "--version",
    }
    assert not set(words) & set(COMMANDS)
    assert all(suggestions.suggestion(name, COMMANDS) == name for name in COMMANDS)


# --------------------------------------------------------------------------------------------------
# Help
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_h_is_help(cli: Cli, words: list[str]) -> None:
    """Both are the same, everywhere."""
    short, long = cli(*words, "-h"), cli(*words, "--help")

    assert (short.returncode, short.stderr) == (0, "")
    assert short.stdout == long.stdout
    assert "-h, --help" in short.stdout


@pytest.mark.parametrize("width", [56, 80, 200])
def test_help_has_the_commands_own_options_first_and_fits(cli: Cli, width: int) -> None:
    """The options of the connection are one block."""
    help_text = cli("up", "-h", env={"COLUMNS": str(width)}).stdout
    blocks = [line for line in help_text.splitlines() if line.endswith(":") and line[0] != " "]
    connection = help_text.partition("Connection:")[2].partition("\n\n")[0]

    assert blocks == ["Options:", "Connection:", "SQL files:", "Output:"]
    assert "--dry-run" in help_text.partition("Connection:")[0]
    assert all(word in connection for word in ("--database-url", "--embedded", "--wait"))
    assert max(map(len, help_text.splitlines())) <= width


# --------------------------------------------------------------------------------------------------
# Completion
# --------------------------------------------------------------------------------------------------


def completed(cli: Cli, line: str) -> list[str]:
    """Return what bash is given for the last word of a line, which may be empty."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = cli(env={"_LFMIGRATE_COMPLETE": "complete_bash", **words})
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "fish", "powershell", "pwsh", "zsh"])
def test_the_script_is_that_of_the_shell_that_is_named(cli: Cli, shell: str) -> None:
    """Not of the one that runs lfmigrate."""
    script = cli("--show-completion", shell)
    mark = {"bash": "complete -o", "fish": "complete --command", "zsh": "#compdef"}

    assert script.returncode == 0
    assert mark.get(shell, "Register-ArgumentCompleter") in script.stdout
    assert "_LFMIGRATE_COMPLETE" in script.stdout


def test_a_shell_without_a_script_is_refused(cli: Cli) -> None:
    """With the names of those that have one."""
    done = cli("--show-completion", "ksh")

    assert (done.returncode, done.stdout) == (2, "")
    assert "bash, fish, powershell, pwsh, zsh" in done.stderr


def test_completion_is_installed_for_the_shell_that_is_named(cli: Cli, tmp_path: Path) -> None:
    """In the home folder; where that cannot be written, the error says what to do."""
    home = tmp_path / "home"
    home.mkdir()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")

    done = cli("--install-completion", "fish", env={"HOME": str(home)})
    failed = cli("--install-completion", "fish", env={"HOME": str(blocked)})

    assert done.returncode == 0
    assert (home / ".config/fish/completions/lfmigrate.fish").is_file()
    assert failed.returncode == 2
    assert "--show-completion fish" in failed.stderr


def test_versions_are_completed_from_the_folder(
    cli: Cli, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    """Without a database, whatever is wrong with other files, and wherever the option is."""
    notes = folder({**FILES, "010_broken.up.sql": "SELECT 'unfinished"})

    assert completed(cli, f"lfmigrate up --sql-dir {notes} --to ") == ["001", "002"]
    assert completed(cli, f"lfmigrate --sql-dir {notes} rollback --to 00") == ["001", "002"]
    assert completed(cli, f"lfmigrate accept --sql-dir {notes} 002") == ["002"]
    assert completed(cli, "lfmigrate accept ") == ["002"]


def test_backups_are_completed_with_the_newest_first(cli: Cli, tmp_path: Path) -> None:
    """Then other folders."""
    for age, name in enumerate(("app-3", "app-1", "unfinished")):
        backup = tmp_path / "cwd" / "lfmigrate-backups" / name
        backup.mkdir(parents=True)
        if name != "unfinished":
            (backup / "manifest.json").write_text("{}")
            os.utime(backup / "manifest.json", (1000 - age, 1000 - age))
    (tmp_path / "cwd" / "moved[1]").mkdir()

    assert completed(cli, "lfmigrate restore ") == [
        "lfmigrate-backups/app-3",
        "lfmigrate-backups/app-1",
    ]
    assert completed(cli, "lfmigrate restore lfmigrate-backups/app-1") == [
        "lfmigrate-backups/app-1"
    ]
    assert completed(cli, "lfmigrate restore moved[") == ["moved[1]/"]


def test_versions_are_those_of_the_folder_that_is_found(cli: Cli, tmp_path: Path) -> None:
    """And of the one that a configuration file names."""
    for folder, version in (("migrations", "007"), ("db", "008")):
        (tmp_path / "cwd" / folder).mkdir()
        (tmp_path / "cwd" / folder / f"{version}_a.sql").write_text("SELECT 1;", encoding="utf-8")

    found = completed(cli, "lfmigrate up --to ")
    (tmp_path / "cwd" / "lfmigrate.toml").write_text('sql_dir = "db"\n', encoding="utf-8")

    assert (found, completed(cli, "lfmigrate up --to ")) == (["007"], ["008"])


@pytest.mark.parametrize(
    "line",
    [
        "lfmigrate up --sql-dir /nowhere --to ",
        "lfmigrate up --format wrong --to ",
        "lfmigrate restore /nowhere/",
    ],
)
def test_a_failure_to_complete_is_silent(cli: Cli, line: str) -> None:
    """A message would end up on the prompt."""
    assert completed(cli, line) == []


def test_commands_options_and_formats_are_completed(cli: Cli) -> None:
    """What is known without reading anything."""
    assert completed(cli, "lfmigrate -q st") == ["status"]
    assert completed(cli, "lfmigrate status --exit") == ["--exit-code"]
    assert completed(cli, "lfmigrate up --format goo") == ["goose"]
