"""Supabase: lfmigrate's own naming, in supabase/migrations."""

from __future__ import annotations

from lfmigrate.source.format import Format
from lfmigrate.source.pairs import read_pairs
from lfmigrate.source.reader import Reader


def _matches(reader: Reader) -> bool:
    path = reader.folder.absolute()
    return (path.parent.name, path.name) == ("supabase", "migrations")


FORMAT = Format("supabase", _matches, read_pairs, has_repeatables=True)
