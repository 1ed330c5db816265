"""Questions to the system catalogs. They only read; the SQL of each is in `queries/`.

Each function returns a `Query`, which is sent with `Flight.ask`.
"""

from lfmigrate.catalog.objects import Index, dependents, hidden_members, indexes, inventory, items
from lfmigrate.catalog.query import query_text
from lfmigrate.catalog.relations import (
    committed,
    existing_parts,
    fingerprints,
    relations,
    snapshot,
    view_properties,
)
from lfmigrate.catalog.sequences import (
    SequencePosition,
    missing_sequences,
    moved_sequences,
    sequence_positions,
)
from lfmigrate.catalog.sessions import Server, blockers, server, session_state
from lfmigrate.catalog.tables import (
    ChangedValues,
    CheckConstraint,
    Column,
    ForeignKey,
    Member,
    NotValid,
    Sequence,
    StagingTable,
    Table,
    Trigger,
    Written,
    changed_rows,
    changed_values,
    check_constraint,
    not_valid,
    staging,
    tables,
    written_rows,
)

__all__ = [
    "ChangedValues",
    "CheckConstraint",
    "Column",
    "ForeignKey",
    "Index",
    "Member",
    "NotValid",
    "Sequence",
    "SequencePosition",
    "Server",
    "StagingTable",
    "Table",
    "Trigger",
    "Written",
    "blockers",
    "changed_rows",
    "changed_values",
    "check_constraint",
    "committed",
    "dependents",
    "existing_parts",
    "fingerprints",
    "hidden_members",
    "indexes",
    "inventory",
    "items",
    "missing_sequences",
    "moved_sequences",
    "not_valid",
    "query_text",
    "relations",
    "sequence_positions",
    "server",
    "session_state",
    "snapshot",
    "staging",
    "tables",
    "view_properties",
    "written_rows",
]
