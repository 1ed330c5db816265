"""Files of several sections, such as up and down, and the placeholders in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.scanner import placed_tokens


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a file.

    Attributes:
        text: Its text, with the line breaks of all that is before it.
        options: What is behind the word in its marker.
        offset: Where the marker is.
    """

    text: str
    options: str
    offset: int


def sections(file: SqlFile, marker: re.Pattern[str]) -> dict[str, Section]:
    """Return the sections of a file by the lower-case name in their markers.

    What is before the first marker is the section ``""``. The first section has it as well, with
    the marker: it is nothing but comments, which may be directives, and a file without a second
    section is recorded as it is.

    Args:
        file: The file.
        marker: Matches a whole line; its groups are the section's name and the options.

    Raises:
        SqlFileError: A section begins twice.
    """
    heads: dict[str, tuple[str, int]] = {"": ("", 0)}
    kept: dict[str, list[str]] = {"": []}
    current, offset = "", 0
    for line in file.text.split("\n"):
        if found := marker.fullmatch(line.rstrip("\r")):
            name, options = (group or "" for group in found.group(1, 2))
            current = name.lower()
            if current in kept:
                raise file.refusal(
                    f'a second "{line.strip()}"', offset, "Leave each section in one piece."
                )
            heads[current] = options.strip(), offset
            before = file.text.count("\n", 0, offset)
            kept[current] = [*kept[""], line] if len(kept) == 1 else [""] * (before + 1)
        else:
            kept[current].append(line)
        offset += len(line) + 1
    only = current if len(kept) <= len(("before", "one")) else None
    return {
        name: Section("\n".join(kept[name]) if name == only else _joined(kept[name]), *head)
        for name, head in heads.items()
    }


def _joined(lines: list[str]) -> str:
    """Return a text whose end does not depend on how many blank lines are before the next one."""
    text = "\n".join(lines).rstrip()
    return text + "\n" if text else ""


def refuse_statements(file: SqlFile, header: Section, marker: str) -> None:
    """Refuse SQL before the first section, which the tool does not run.

    Raises:
        SqlFileError: There is some.
    """
    for _, start, _ in placed_tokens(header.text):
        raise file.refusal(
            f"this is before {marker}, so it would not run",
            start,
            f"Move it below {marker}.",
        )


def filled(
    file: SqlFile, pattern: re.Pattern[str], values: Mapping[str, str], *, what: str = "--define"
) -> SqlFile:
    """Return a file with its placeholders replaced.

    Args:
        file: The file.
        pattern: Matches a placeholder; its group ``name`` is its name, ``default``, if there is
            such a group, what it stands for without a value.
        values: What they stand for.
        what: What gives a placeholder its value.

    Raises:
        SqlFileError: One has no value.
    """

    def value_of(found: re.Match[str]) -> str:
        value = values.get(found["name"], found.groupdict().get("default"))
        if value is None:
            raise file.refusal(
                f"the placeholder {found.group()} has no value",
                found.start(),
                f"Give it one with {what} {found['name']}=VALUE.",
            )
        return value

    return SqlFile(file.name, file.path, pattern.sub(value_of, file.text))
