"""The setup of a shadow database: what the migrations need and do not create."""

from __future__ import annotations

from pathlib import Path

from lfmigrate.source.sqlfile import SqlFile, read_file


def read_setup(path: Path) -> SqlFile:
    """Read the file. Only reads.

    Raises:
        SqlFileError: It cannot be read, split, or run in a transaction.
    """
    file = read_file(path.parent, path.name)
    file.refuse_no_transaction("the setup of a shadow database runs in one transaction")
    return file
