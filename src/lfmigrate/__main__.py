"""The entry point of `lfmigrate` and of ``python -m lfmigrate``."""

from __future__ import annotations

import sys
from typing import NoReturn

# 128 + SIGINT, which a shell reports for a process that Ctrl-C ended.
_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; Ctrl-C ends it without a traceback, even while modules are imported."""
    try:
        from lfmigrate.cli.process import main as run  # noqa: PLC0415 (an import can be interrupted)

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
