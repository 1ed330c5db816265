"""A backup's folder: names, permissions, what reaches the disk, and a manifest that was edited."""

from __future__ import annotations

import copy
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lfmigrate.errors import ArchiveError
from lfmigrate.rows import archive
from lfmigrate.rows.files import incomplete
from lfmigrate.rows.saved import About, Archive, SavedSequence

ABOUT = About("backup", "app", "public", ("001_a",), "1.0", 180_000)

# Every name that PostgreSQL accepts; each has to get a file of its own, on every file system.
NAMES = [
    "-x", "--", "-", ".", "..", ".x", "x", "X", "x.", "a/b", "a\\b", "/", "a'b", 'a"b', "a\nb",
    "CON", "con", "Nul", "aux.x", "COM1", "lpt9.csv", "console", "manifest.json", "x-2", " ", "~",
    "\u00e9" * 31, "\u4e2d" * 21, "\U0001f418" * 15, "y" * 63, "Y" * 63, "a:b", "a*b?", "$(x)",
]  # fmt: skip


def write(target: Path, tables: list[str], sequences: tuple[SavedSequence, ...] = ()) -> Archive:
    """Write a backup of tables with one row."""
    with archive.write(target) as writer:
        for table in tables:
            own = SavedSequence("public", f"{table}_id_seq", "id", 1, is_called=True)
            file = writer.add("public", table, [("id", "integer")], [own])
            with file.written(None) as write_lines:
                write_lines(b"id\n1\n", 2)
        return archive.finish(writer, target, ABOUT, sequences)


def test_every_table_has_a_file_that_any_file_system_takes(tmp_path: Path) -> None:
    """Whatever its name is, and where letters of either case are the same."""
    saved = write(tmp_path / "out", NAMES)

    files = [table.file for table in archive.read(tmp_path / "out").tables]
    assert files == [table.file for table in saved.tables]
    assert len({file.casefold() for file in files}) == len(NAMES)
    for file in files:
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*\.csv", file)
        assert file.split(".")[0] not in {"con", "nul", "aux", "com1", "lpt9"}


def test_a_backup_with_a_name_of_before_is_read(tmp_path: Path) -> None:
    """Tables whose names begin with a dash had files that begin with one."""
    write(tmp_path / "out", ["x"])
    (tmp_path / "out" / "x.csv").rename(tmp_path / "out" / "-x.csv")
    edit(tmp_path / "out", ("tables", 0, "file"), "-x.csv")

    assert archive.read(tmp_path / "out").tables[0].file == "-x.csv"


def test_a_file_that_cannot_be_read_any_more_is_named(tmp_path: Path) -> None:
    """Checking the manifest does not open it; the disk fails when its rows are needed."""
    write(tmp_path / "out", ["x"])
    saved = archive.read(tmp_path / "out", content=False)
    (tmp_path / "out" / "x.csv").unlink()

    with pytest.raises(ArchiveError, match=r"x\.csv cannot be read: No such file"):
        list(archive.blocks(saved, saved.tables[0]))


def test_every_new_folder_is_private_and_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their entries in the folders above, which were there before."""
    synced: set[Path] = set()

    def fsync(number: int, real: Any = os.fsync) -> None:
        synced.add(Path(f"/proc/self/fd/{number}").readlink())
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    old = os.umask(0o022)
    try:
        write(tmp_path / "a" / "b" / "c", ["x"])
    finally:
        os.umask(old)

    new = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in new] == [0o700] * 3
    assert synced >= {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    # Under their temporary name.
    assert {path.name for path in synced} >= {"x.csv", "manifest.json"}
    assert any(path.name.endswith(".partial") for path in synced)


def edit(path: Path, place: tuple[str | int, ...], value: object) -> None:
    """Replace a value in a manifest, and its checksum."""
    manifest = path / "manifest.json"
    manifest.write_text(edited(manifest.read_text(), place, json.dumps(value)))


def edited(manifest: str, place: tuple[str | int, ...], text: str) -> str:
    """Return a manifest with a text in the place of a value, and a checksum that fits."""
    document = json.loads(manifest)
    document.pop("sha256")
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@@"
    content = json.dumps(document).replace('"@@"', text)
    try:
        checksum = archive._checksum(json.loads(content))  # noqa: SLF001 (an editor has it, too)
    except (ValueError, RecursionError):
        checksum = ""
    return content[:-1] + f', "sha256": "{checksum}"}}'


def places(document: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Return where the values of a parsed JSON document are."""
    if place:
        yield place
    inner: Any = ()
    if isinstance(document, dict):
        inner = document.items()
    elif isinstance(document, list):
        inner = enumerate(document)
    for key, value in inner:
        yield from places(value, (*place, key))


HOSTILE = [
    "Infinity", "-Infinity", "NaN", "1e400", "1.5", "null", "true", "-1", "9" * 25, "9" * 5000,
    '"x"', '""', '"\\ud800"', '"a\\u0000b"', '"../x.csv"', "[]", "{}", "[[]]",
    "[" * 900 + "]" * 900,
]  # fmt: skip


def test_whatever_is_edited_in_a_manifest_is_refused_or_read(tmp_path: Path) -> None:
    """Each of its values replaced by each of these, with a checksum that fits: no traceback."""
    path = tmp_path / "out"
    write(path, ["x"], (SavedSequence("public", "free", None, 5, is_called=False),))
    original = (path / "manifest.json").read_text()
    document = json.loads(original)
    del document["sha256"], document["created_at"]  # nothing reads the latter
    accepted = []
    for place in places(copy.deepcopy(document)):
        for text in HOSTILE:
            (path / "manifest.json").write_text(edited(original, place, text))
            try:
                archive.read(path)
            except ArchiveError:
                continue
            else:
                accepted.append((place[-1], text))
    texts = {'"x"', '""', '"../x.csv"'}
    assert {text for _, text in accepted} <= texts | {"-1", "9" * 25, "true", "null", "[]"}
    assert ("last_value", "9" * 25) not in accepted
    assert ("last_value", "true") not in accepted


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("tables", 1, "name"), "x", "table public.x is in it twice"),
        (("tables", 1, "file"), "x.csv", "file x.csv is in it twice"),
        (("tables", 0, "columns"), [["id", "int"], ["id", "int"]], "column id is in it twice"),
        (("tables", 0, "sequences", 0, "last_value"), 1 << 63, "is not a position of a sequence"),
        (("sequences", 0, "last_value"), -(1 << 63) - 1, "is not a position of a sequence"),
    ],
)
def test_a_manifest_that_contradicts_itself_says_where(
    place: tuple[str | int, ...], value: object, words: str, tmp_path: Path
) -> None:
    """Two tables in one file would be loaded twice."""
    path = tmp_path / "out"
    write(path, ["x", "y"], (SavedSequence("public", "free", None, 5, is_called=False),))
    edit(path, place, value)

    with pytest.raises(ArchiveError, match="is not the manifest of a backup") as caught:
        archive.read(path)
    assert words in caught.value.detail[0]


def test_an_incomplete_backup_is_called_so(tmp_path: Path) -> None:
    """It has the hidden name that it keeps if its process is killed."""
    path = tmp_path / "out"
    write(path, ["x"])
    left = path.rename(incomplete(path))

    with pytest.raises(ArchiveError, match="is an incomplete backup") as caught:
        archive.read(left)
    assert caught.value.hint is not None
    assert archive.read(left.rename(path)).tables
