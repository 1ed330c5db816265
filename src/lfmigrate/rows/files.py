"""Files and folders that only their owner can read, and that are on disk when they are closed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

_INCOMPLETE = ".partial"


def incomplete(path: Path) -> Path:
    """Return a hidden name for a folder, which it has until it is complete."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}{_INCOMPLETE}"


def is_incomplete(path: Path) -> bool:
    """Return whether a folder has a name that `incomplete` has given it."""
    name = path.resolve().name
    return name.startswith(".") and name.endswith(_INCOMPLETE)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file that only its owner can read, and sync it to disk at the end."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def create_folders(path: Path) -> None:
    """Create a folder and those above it, which only their owner can enter, and sync each."""
    missing = list(takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(PermissionError):  # a folder of others may not be readable
            sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot sync a folder
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
