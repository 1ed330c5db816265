"""Prints reports and errors, for people and as JSON. The only package that imports rich.

Each report has a file here with its page, its JSON and, if it is shown before something is
confirmed, its question; they register themselves in `dispatch`. A new report is one file, plus its
import below.
"""

from lfmigrate.output import (  # noqa: F401 (each registers its report)
    accept,
    adopt,
    backup,
    check,
    export,
    new,
    restore,
    rollback,
    script,
    seed,
    seed_check,
    status,
    up,
    verify,
    wait,
)
