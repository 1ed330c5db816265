"""CSV of a list of a document (RFC 4180). Pure."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

# A spreadsheet would take such a text for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

# With it, spreadsheets read UTF-8.
_BOM = "\ufeff"


def to_csv(document: str, key: str, columns: list[str]) -> bytes:
    """Return the rows of a document's list.

    Args:
        document: The JSON document.
        key: The name of the list, or of a single object.
        columns: The fields, in order; they are the header.

    Returns:
        UTF-8 with a byte order mark, CRLF at the ends of the lines; null is an empty field.
    """
    rows = json.loads(document, parse_float=Decimal)[key]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows if isinstance(rows, list) else [rows]:
        writer.writerow([_cell(row[name]) for name in columns])
    return (_BOM + text.getvalue()).encode()


def _cell(value: Any) -> object:  # noqa: ANN401 (a value of JSON)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return _cell("; ".join(each["categoryName"] for each in value))
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value
