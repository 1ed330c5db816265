"""Write docs/schema.md, the tables of the shipped migration, from a database's own catalogs.

``--check`` writes nothing, and fails if the page is not current.
"""

from __future__ import annotations

import getpass
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.postgres import embedded

PAGE = Path(__file__).with_name("schema.md")

HEAD = """\
# The tables of migration 002

Made by `make schema` from the catalogs and comments of a database on which `lfmigrate up` has run;
do not edit. How the numbers belong together is in the checks, `sql/seed/checks/`.
"""

# One row per table, in the order in which the migration makes them; the views come last.
QUERY = """
SELECT c.relname AS name,
       c.relkind = 'v' AS is_view,
       obj_description(c.oid, 'pg_class') AS meaning,
       (SELECT json_agg(json_build_object(
                   'name', a.attname,
                   'type', format_type(a.atttypid, a.atttypmod),
                   'required', a.attnotnull,
                   'key', a.attnum = ANY (p.conkey),
                   'value', CASE WHEN a.attidentity <> '' THEN 'identity'
                                 WHEN a.attgenerated <> '' THEN 'derived'
                                 ELSE pg_get_expr(d.adbin, d.adrelid, true) END,
                   'meaning', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
        FROM pg_attribute AS a
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_constraint AS p ON p.conrelid = a.attrelid AND p.contype = 'p'
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(json_agg(json_build_object(
                   'name', k.conname, 'definition', pg_get_constraintdef(k.oid, true))
                   ORDER BY k.contype <> 'p', k.contype <> 'u', k.contype <> 'f', k.conname), '[]')
        FROM pg_constraint AS k
        -- PostgreSQL 18 lists NOT NULL as constraints as well.
        WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c')) AS constraints,
       (SELECT coalesce(json_agg(pg_get_indexdef(x.indexrelid, 0, true) ORDER BY i.relname), '[]')
        FROM pg_index AS x
        JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid
          AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid
                                                           AND k.contype IN ('p', 'u'))) AS indexes,
       (SELECT coalesce(json_agg(r.relname ORDER BY k.conname), '[]')
        FROM pg_constraint AS k
        JOIN pg_class AS r ON r.oid = k.confrelid
        WHERE k.conrelid = c.oid AND k.contype = 'f') AS parents
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
ORDER BY c.relkind = 'v', c.oid
"""


def read_tables(url: str) -> list[dict[str, Any]]:
    """Return what the page tells, from a database of its own beside the given one."""
    name = f"lf_schema_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
        try:
            with lfmigrate.connect(make_conninfo(url, dbname=name)) as conn:
                lfmigrate.up(conn, lfmigrate.read_folder(lfmigrate.shipped_folder()))
                cursor = conn.cursor(row_factory=psycopg.rows.dict_row)
                return cursor.execute(QUERY.encode()).fetchall()
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def page(tables: list[dict[str, Any]]) -> str:
    """Return the page's text."""
    parts = [HEAD, *diagram([t for t in tables if not t["is_view"]])]
    for table in tables:
        parts += [f"\n## {table['name']}\n", f"{table['meaning']}\n"]
        parts += ["| column | type | null | value | meaning |", "|---|---|---|---|---|"]
        parts += [row(column) for column in table["columns"]]
        rules = [f"- `{k['name']}`: `{one_line(k['definition'])}`" for k in table["constraints"]]
        rules += [f"- `{one_line(index)}`" for index in table["indexes"]]
        if rules:
            parts += ["\nConstraints and indexes:\n", *rules]
    return "\n".join(parts) + "\n"


def row(column: dict[str, Any]) -> str:
    """Return a column's row of its table."""
    value = column["value"] or ""
    if value and value not in {"identity", "derived"}:
        value = f"`{value}`"
    null = "" if column["required"] else "yes"
    meaning = one_line(column["meaning"]).replace("|", "\\|")
    return f"| `{column['name']}` | {column['type']} | {null} | {value} | {meaning} |"


def diagram(tables: list[dict[str, Any]]) -> list[str]:
    """Return the entity diagram, in Mermaid: one line per foreign key, keys and types inside."""
    lines = ["```mermaid", "erDiagram"]
    for table in tables:
        lines += [
            f"    {parent} ||--o{{ {table['name']} : has"
            for parent in dict.fromkeys(table["parents"])
        ]
    for table in tables:
        lines.append(f"    {table['name']} {{")
        for column in table["columns"]:
            # Mermaid takes letters, digits and underscores for a type.
            kind = column["type"].split("(")[0].replace(" ", "_")
            key = " PK" if column["key"] else ""
            lines.append(f"        {kind} {column['name']}{key}")
        lines.append("    }")
    return [*lines, "```"]


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def server_url() -> str:
    """Return the URL of an embedded server: the page shows PostgreSQL 18's own words."""
    return embedded.start(Path(tempfile.gettempdir()) / f"lfmigrate-docs-{getpass.getuser()}")


def main() -> int:
    """Write the page, or hold it against the database; returns the exit code."""
    text = page(read_tables(server_url()))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"error: {PAGE.name} is not current\nhint: Run make schema.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
