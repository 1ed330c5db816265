"""lfmigrate's own folders."""

from __future__ import annotations

from lfmigrate.source.format import Format
from lfmigrate.source.migration import OWN
from lfmigrate.source.pairs import read_pairs

FORMAT = Format(OWN, lambda _: False, read_pairs, has_repeatables=True)
