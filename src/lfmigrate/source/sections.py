"""Files of several sections, such as up and down, and the placeholders in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lfmigrate.errors import SqlFileError
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.scanner import lexemes, placed_tokens


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


@dataclass(frozen=True, slots=True)
class Markers:
    """The lines at which the sections of a file begin.

    Attributes:
        exact: Matches a line that the tool takes for one; its groups are the section's name and
            the options.
        almost: Is found in a line that is meant to be one, and that the tool passes over or
            rejects; what is exact may match, too.
        example: One of them, for messages.
    """

    exact: re.Pattern[str]
    almost: re.Pattern[str]
    example: str


def sections(file: SqlFile, markers: Markers) -> dict[str, Section]:
    """Return the sections of a file by the lower-case name in their markers.

    What is before the first marker is the section ``""``. If it is nothing but comments, which may
    be directives, the first section has it as well, with the marker; so a file without a second
    section is recorded as it is. No other text is in two sections.

    Raises:
        SqlFileError: A section begins twice, a line is almost a marker, or one is inside a string
            or a comment.
    """
    heads: dict[str, tuple[str, int]] = {"": ("", 0)}
    kept: dict[str, list[str]] = {"": []}
    current, offset = "", 0
    for line in file.text.split("\n"):
        if found := _marker(file, line, offset, markers):
            name, options = (group or "" for group in found.group(1, 2))
            current = name.lower()
            if current in kept:
                raise file.refusal(
                    f'a second "{line.strip()}"', offset, "Leave each section in one piece."
                )
            heads[current] = options.strip(), offset
            if len(kept) == 1 and not _has_tokens("\n".join(kept[""])):
                kept[current] = [*kept[""], line]
            else:
                kept[current] = [""] * (file.text.count("\n", 0, offset) + 1)
        else:
            kept[current].append(line)
        offset += len(line) + 1
    _refuse_inside_tokens(file, [heads[name][1] for name in kept if name])
    only = current if len(kept) <= len(("before", "one")) else None
    return {
        name: Section("\n".join(kept[name]) if name == only else _joined(kept[name]), *head)
        for name, head in heads.items()
    }


def _marker(file: SqlFile, line: str, offset: int, markers: Markers) -> re.Match[str] | None:
    found = markers.exact.fullmatch(line.rstrip("\r"))
    if found is None and markers.almost.search(line):
        raise file.refusal(
            f'"{line.strip()}" is almost the beginning of a section',
            offset + len(line) - len(line.lstrip()),
            f'Write it like "{markers.example}", in a line of its own, or reword it if it is none.',
        )
    return found


def _has_tokens(text: str) -> bool:
    """Return whether a text has more than comments; one that is never closed is more."""
    try:
        return next(placed_tokens(text), None) is not None
    except SqlFileError:
        return True


def _refuse_inside_tokens(file: SqlFile, offsets: Sequence[int]) -> None:
    """Refuse markers inside what is one token, or one comment; the tool cuts it in two.

    Raises:
        SqlFileError: There is one.
    """
    wanted = {at + _indentation(file.text, at) for at in offsets}
    last = max(wanted, default=-1)
    for _, start, end in lexemes(file.text, file.name) if wanted else ():
        wanted.discard(start)
        if inside := [at for at in wanted if start < at < end]:
            raise file.refusal(
                "a section begins here, in the middle of a string or a comment",
                min(inside),
                "Reword the line, so that it is no marker.",
            )
        if end > last:
            break


def _indentation(text: str, offset: int) -> int:
    line = text[offset:].partition("\n")[0]
    return len(line) - len(line.lstrip())


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


def refuse_order(file: SqlFile, parts: Mapping[str, Section], first: str, marker: str) -> None:
    """Refuse a file whose other section comes first, which the tool rejects.

    Raises:
        SqlFileError: The section is missing, or not the first one.
    """
    begins = [name for name in parts if name]
    if first not in parts:
        raise file.refusal(f'there is no "{marker}"', 0, "Write it above what applies it.")
    if begins[0] != first:
        raise file.refusal(
            f'a section begins before "{marker}"',
            parts[begins[0]].offset,
            f'Write "{marker}" and what applies the migration first.',
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


def filled_between(
    file: SqlFile, regions: re.Pattern[str], pattern: re.Pattern[str], values: Mapping[str, str]
) -> SqlFile:
    """Return a file with the placeholders replaced that are in some regions of it.

    Args:
        file: The file.
        regions: Matches a region, which is its first group.
        pattern: As in `filled`, like the values.
        values: What the placeholders stand for.

    Raises:
        SqlFileError: One has no value.
    """
    text, done = "", 0
    for region in regions.finditer(file.text):
        blank = re.sub(r"[^\n]", " ", file.text[: region.start(1)])
        part = SqlFile(file.name, file.path, blank + region[1])
        text += file.text[done : region.start(1)]
        text += filled(part, pattern, values).text[len(blank) :]
        done = region.end(1)
    return SqlFile(file.name, file.path, text + file.text[done:])
