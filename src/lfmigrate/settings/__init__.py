"""Settings: which there are, where they come from, and what they result in.

An option comes before the environment's section of a configuration file that was chosen with
``--env``, that before a variable of the environment, that before a ``.env``, and that before the
rest of the configuration file.
"""

from lfmigrate.settings.values import (
    DEFAULT_WAIT_S,
    DatabaseUrl,
    Flags,
    Scope,
    Serving,
    Settings,
)
from lfmigrate.settings.written import duration_ms, utf8

__all__ = [
    "DEFAULT_WAIT_S",
    "DatabaseUrl",
    "Flags",
    "Scope",
    "Serving",
    "Settings",
    "duration_ms",
    "utf8",
]
