"""Whose files may say what is run, and where."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lfmigrate.errors import UsageError

_ADMINISTRATOR = 0


def refuse_foreign(path: Path, working_directory: Path) -> None:
    """Refuse a file that was found, and that belongs to another user.

    Files are looked for up to the root, so in a folder that all users may write, such as ``/tmp``,
    another user could choose the database, or the SQL that runs. The owner of the working directory
    may: a container often works as the administrator in the folder of another user.

    Args:
        path: The file, or a link to one.
        working_directory: Where it was looked for.

    Raises:
        UsageError: It belongs neither to this user, nor to the administrator, nor to the owner of
            the working directory.
    """
    if os.name == "nt":  # Windows has other permissions
        return
    trusted = {_ADMINISTRATOR, os.geteuid()}
    with suppress(OSError):  # it may have been removed
        trusted.add(working_directory.stat().st_uid)
    if {path.lstat().st_uid, path.stat().st_uid} <= trusted:
        return
    raise UsageError(
        f"{path} belongs to another user, who could choose the database and the SQL that runs",
        hint="Work in a directory of your own, or take the file over with chown.",
    )
