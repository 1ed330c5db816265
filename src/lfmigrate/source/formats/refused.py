"""What is refused: migrations that are programs, and the folders of tools that are not read."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.pairs import own_names
from lfmigrate.source.reader import Reader, entries

_PROGRAM = re.compile(
    r"(?:(?P<number>[0-9]+)[-_].+|[VUR][0-9._]*__.+)\.(?P<language>go|py|rb|js|cjs|mjs|ts|java|kt|php|exs)",
    re.DOTALL,
)
_LANGUAGES = {
    "go": "Go",
    "py": "Python",
    "rb": "Ruby",
    "ts": "TypeScript",
    "java": "Java",
    "kt": "Kotlin",
    "php": "PHP",
    "exs": "Elixir",
}
_CHANGELOG = re.compile(r".*changelog.*\.(?:xml|ya?ml|json)", re.IGNORECASE)
_LIQUIBASE = re.compile(r"--[ \t]*liquibase formatted sql", re.IGNORECASE)

_PLAIN_SQL = (
    'Write what it does as SQL, in a file of the folder\'s format; "lfmigrate new" creates one.'
)


def refuse_others(reader: Reader) -> None:
    """Refuse a folder of a tool that is not read; lfmigrate's own may have a file of that name.

    Raises:
        SqlFileError: It is liquibase's, sqitch's or Alembic's.
    """
    changelogs = [name for name in reader.sql if _LIQUIBASE.match(reader.text(name))]
    if own_names(reader) and not changelogs:
        return
    if "sqitch.plan" in reader.others:
        raise SqlFileError(
            f'"{reader.folder}" is a folder of sqitch\'s, which lfmigrate does not read',
            hint="Copy the files of deploy/ and revert/ to files such as 001_name.up.sql and"
            " 001_name.down.sql, in the order of sqitch.plan, without their BEGIN and COMMIT.",
        )
    changelogs += [name for name in reader.others if _CHANGELOG.fullmatch(name)]
    if changelogs:
        raise SqlFileError(
            f"{changelogs[0]} is a changelog of liquibase's, which lfmigrate does not read",
            hint='Let "liquibase update-sql" print the SQL of each changeset, and make each a file'
            " such as 001_name.sql.",
        )
    if "env.py" in reader.others and "versions" in reader.others:
        count = sum(1 for each in entries(reader.folder / "versions") if each.suffix == ".py")
        raise SqlFileError(
            f'"{reader.folder}" is a folder of Alembic\'s: {count} migrations in Python',
            hint='Let "alembic upgrade FROM:TO --sql" print their SQL, and make it a file such as'
            " 001_name.sql.",
        )


def refuse_programs(reader: Reader, *, is_own: bool) -> None:
    """Note the migrations that are programs, as problems.

    In a folder of lfmigrate's own they matter only where one may be the next migration.
    """
    numbers = {int(name.partition("_")[0]) for name in own_names(reader)}
    for name in reader.others:
        if not (program := _PROGRAM.fullmatch(name)):
            continue
        language = _LANGUAGES.get(program["language"], "JavaScript")
        message = f"{name} is a migration in {language}, which lfmigrate does not run"
        if not (is_own and numbers):
            reader.problem(message, hint=_PLAIN_SQL)
        elif program["number"] and int(program["number"]) not in numbers:
            reader.skipped(int(program["number"]), message, hint=_PLAIN_SQL)
