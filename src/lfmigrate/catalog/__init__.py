"""Questions to the system catalogs. They only read; the SQL of each is in `queries/`.

Each function returns a `Query`, which is sent with `Flight.ask`.
"""

from lfmigrate.catalog.objects import Index, dependents, hidden_members, indexes, inventory, items
from lfmigrate.catalog.query import query_text
from lfmigrate.catalog.relations import (
    committed,
    existing_parts,
    fingerprints,
    recreated_properties,
    relations,
    snapshot,
    stamp,
)
from lfmigrate.catalog.sequences import SequencePosition, moved_sequences, sequence_positions
from lfmigrate.catalog.sessions import Server, blockers, server, session_state
from lfmigrate.catalog.tables import (
    CheckConstraint,
    Column,
    ForeignKey,
    Sequence,
    StagingTable,
    Table,
    Trigger,
    UniqueKey,
    Written,
    check_constraint,
    staging,
    tables,
    unique_key,
    written_rows,
)
from lfmigrate.catalog.traces import (
    Measured,
    Rows,
    Traces,
    WrittenTable,
    existing,
    measure,
    measured,
    rows_left,
    traces,
    type_users,
)

__all__ = [
    "CheckConstraint",
    "Column",
    "ForeignKey",
    "Index",
    "Measured",
    "Rows",
    "Sequence",
    "SequencePosition",
    "Server",
    "StagingTable",
    "Table",
    "Traces",
    "Trigger",
    "UniqueKey",
    "Written",
    "WrittenTable",
    "blockers",
    "check_constraint",
    "committed",
    "dependents",
    "existing",
    "existing_parts",
    "fingerprints",
    "hidden_members",
    "indexes",
    "inventory",
    "items",
    "measure",
    "measured",
    "moved_sequences",
    "query_text",
    "recreated_properties",
    "relations",
    "rows_left",
    "sequence_positions",
    "server",
    "session_state",
    "snapshot",
    "staging",
    "stamp",
    "tables",
    "traces",
    "type_users",
    "unique_key",
    "written_rows",
]
