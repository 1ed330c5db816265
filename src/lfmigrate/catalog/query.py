"""Loads the queries in `queries/`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^ *-- include (\w+)\.sql$", re.MULTILINE)


@cache
def query_text(name: str) -> str:
    """Return the text of ``queries/<name>.sql``, with what it includes in place."""
    file = files("lfmigrate").joinpath("catalog", "queries", f"{name}.sql")
    return _INCLUDE.sub(lambda line: query_text(line[1]), file.read_text(encoding="utf-8"))
