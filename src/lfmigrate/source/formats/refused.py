"""What is refused: migrations that are programs, and the folders of tools that are not read."""

from __future__ import annotations

import re

from lfmigrate.errors import SqlFileError
from lfmigrate.source.reader import Reader, entries

_PROGRAM = re.compile(
    r"(?:[0-9]+[-_].+|[VUR][0-9._]*__.+)\.(?P<language>go|py|rb|js|cjs|mjs|ts|java|kt|php|exs)",
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
    """Refuse a folder that has migrations which lfmigrate cannot read.

    Raises:
        SqlFileError: It is liquibase's, sqitch's or Alembic's; or migrations are programs.
    """
    if "sqitch.plan" in reader.others:
        raise SqlFileError(
            f'"{reader.folder}" is a folder of sqitch\'s, which lfmigrate does not read',
            hint="Copy the files of deploy/ and revert/ to files such as 001_name.up.sql and"
            " 001_name.down.sql, in the order of sqitch.plan, without their BEGIN and COMMIT.",
        )
    changelogs = [name for name in reader.others if _CHANGELOG.fullmatch(name)]
    changelogs += [name for name in reader.sql if _LIQUIBASE.match(reader.text(name))]
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
    for name in reader.others:
        if program := _PROGRAM.fullmatch(name):
            language = _LANGUAGES.get(program["language"], "JavaScript")
            reader.problem(
                f"{name} is a migration in {language}, which lfmigrate does not run",
                hint=_PLAIN_SQL,
            )
