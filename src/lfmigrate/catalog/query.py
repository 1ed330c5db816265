"""Loads the queries in `queries/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def query_text(name: str) -> str:
    """Return the text of ``queries/<name>.sql``."""
    return (
        files("lfmigrate").joinpath("catalog", "queries", f"{name}.sql").read_text(encoding="utf-8")
    )
