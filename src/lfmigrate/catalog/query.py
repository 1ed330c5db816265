"""Loads the queries in `queries/`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^ *-- include (\w+)\.sql(?: if (\w+))?$", re.MULTILINE)


@cache
def query_text(name: str, *wanted: str) -> str:
    """Return the text of ``queries/<name>.sql``, with what it includes in place.

    Args:
        name: Its name without the suffix.
        wanted: The words for which a line such as ``-- include part.sql if grants`` includes the
            file. A part that is left out is not even planned.
    """

    def included(line: re.Match[str]) -> str:
        return query_text(line[1], *wanted) if line[2] is None or line[2] in wanted else ""

    file = files("lfmigrate").joinpath("catalog", "queries", f"{name}.sql")
    return _INCLUDE.sub(included, file.read_text(encoding="utf-8"))
