"""A small folder of each format, with what is in it; every one creates tables a and b.

Each has its migrations in an order that is not that of the names, and uses what the format has:
sections, placeholders, files without a transaction, files that are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lfmigrate.history.events import History
from lfmigrate.history.plan import pending_migrations
from lfmigrate.source.folder import Folder, read_folder

INDEX = "CREATE INDEX CONCURRENTLY b_id ON b (id);\n"


def read_to_run(path: Path, *, format: str | None = None) -> Folder:  # noqa: A002 (the option)
    """Read a folder of which nothing is applied, and refuse what must not run."""
    folder = read_folder(path, format=format)
    pending_migrations(folder, History(), to=None, allow_out_of_order=False)
    return folder


class Case(NamedTuple):
    """A folder, and how it is to be read.

    Attributes:
        files: The texts, by name.
        labels: The migrations in order.
        downs: The versions that can be rolled back.
        outside: Those that run outside a transaction.
        notes: Parts of the warnings.
        variables: The values of placeholders.
        path: Where the folder has to be, if that matters.
    """

    files: dict[str, str]
    labels: list[str]
    downs: list[str]
    outside: Sequence[str] = ()
    notes: Sequence[str] = ()
    variables: Mapping[str, str] = MappingProxyType({})
    path: str = ""


A = "CREATE TABLE a (id int PRIMARY KEY);\n"
B = "CREATE TABLE b (id int REFERENCES a);\n"

CASES = {
    "golang-migrate": Case(
        {
            "9_a.up.sql": f"-- first\nBEGIN;\n{A}COMMIT;\n",
            "9_a.down.sql": "begin transaction;\nDROP TABLE a;\nend transaction;\n",
            "10_b.up.sql": B,
            "11_c.up.sql": INDEX,
        },
        ["9_a", "10_b", "11_c"],
        ["9"],
        ["11"],
    ),
    "sqlx": Case(
        {
            "1_a.up.sql": A,
            "1_a.down.sql": "DROP TABLE a;",
            "2_b.sql": B,
            "3_c.sql": f"-- no-transaction\n{INDEX}",
        },
        ["1_a", "2_b", "3_c"],
        ["1"],
        ["3"],
    ),
    "supabase": Case(
        {"20240501120000_a.sql": A, "20240501120001_b.sql": B},
        ["20240501120000_a", "20240501120001_b"],
        [],
        path="supabase/migrations",
    ),
    "diesel": Case(
        {
            "00000000000000_diesel_initial_setup/up.sql": "SELECT 1;",
            "00000000000000_diesel_initial_setup/down.sql": "SELECT 2;",
            "2024-05-01-120000_a/up.sql": A,
            "2024-05-01-120000_a/down.sql": "DROP TABLE a;",
            "2024-05-01-120000-0001_b/up.sql": B,
            "2024-05-01-120001_c/up.sql": INDEX,
            "2024-05-01-120001_c/metadata.toml": "run_in_transaction = false\n",
            ".diesel_lock": "",
        },
        [
            "00000000000000_diesel_initial_setup",
            "2024-05-01-120000_a",
            "2024-05-01-120000-0001_b",
            "2024-05-01-120001_c",
        ],
        ["00000000000000", "2024-05-01-120000"],
        ["2024-05-01-120001"],
    ),
    "prisma": Case(
        {
            "migration_lock.toml": '# a comment\nprovider = "postgresql"\n',
            "0_init/migration.sql": A,
            "20240501120000_b/migration.sql": "BEGIN;\nSELECT 1;\nCOMMIT;\n",
            "20240501120000_a/migration.sql": B,
            "20240501120001_c/migration.sql": INDEX,
        },
        ["0_init", "20240501120000_a", "20240501120000_b", "20240501120001_c"],
        [],
        ["20240501120001_c"],
    ),
    "goose": Case(
        {
            "00001_a.sql": f"-- +goose Up\n{A}\n-- +goose Down\nDROP TABLE a;\n",
            "00002_b.sql": "-- lfmigrate: rerunnable\n-- +goose Up\n-- +goose ENVSUB ON\n"
            "CREATE TABLE ${NAME:-b} (id int REFERENCES ${PARENT});\n-- +goose ENVSUB OFF\n"
            "-- +goose StatementBegin\nDO $$ BEGIN PERFORM '${NOT_ONE}'; END $$;\n"
            "-- +goose StatementEnd\n-- +goose Down\nDROP TABLE b;\n",
            "00010_c.sql": f"-- +goose NO TRANSACTION\n-- +goose up\n{INDEX}"
            "-- +goose down\nDROP INDEX CONCURRENTLY b_id;\n",
        },
        ["00001_a", "00002_b", "00010_c"],
        ["00001", "00002", "00010"],
        ["00010"],
        variables={"PARENT": "a"},
    ),
    "dbmate": Case(
        {
            "20240501120000_a.sql": f"-- migrate:up\n{A}\n-- migrate:down\nDROP TABLE a;\n",
            "20240501120001-b.sql": f"-- about b\n\n-- migrate:up\nBEGIN;\n{B}COMMIT;\n",
            "20240501120002_c.sql": f"-- migrate:up transaction:false\n{INDEX}"
            "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY b_id;\n",
        },
        ["20240501120000_a", "20240501120001_b", "20240501120002_c"],
        ["20240501120000", "20240501120002"],
        ["20240501120002"],
    ),
    "flyway": Case(
        {
            "V1__a.sql": "CREATE TABLE ${table} (id int PRIMARY KEY);\nSELECT '${table}';\n",
            "U1__a.sql": "DROP TABLE a;\n",
            "V1_9__b.sql": B,
            "V1.10__c.sql": INDEX,
            "V2__d.sql": f"{INDEX.replace('b_id', 'b_id2')}SELECT 1;\n",
            "V2__d.sql.conf": "executeInTransaction=false\n",
            "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM ${table};\n",
        },
        ["1_a", "1.9_b", "1.10_c", "2_d"],
        ["1"],
        ["1.10", "2"],
        variables={"table": "a"},
    ),
    "drizzle": Case(
        {
            "meta/_journal.json": '{"version": "7", "dialect": "postgresql", "entries": ['
            '{"idx": 0, "version": "7", "when": 1714564800000, "tag": "0000_a"},'
            '{"idx": 1, "version": "7", "when": 1714564800001, "tag": "20240501_b"}]}',
            "0000_a.sql": f"{A}--> statement-breakpoint\nSELECT 1;",
            "20240501_b.sql": B,
            "0001_old.sql": "nonsense",
        },
        ["0000_a", "0001_20240501_b"],
        [],
        notes=["0001_old.sql is ignored"],
    ),
    "sql-migrate": Case(
        {
            "1.sql": f"-- +migrate Up\n{A}-- +migrate Down\nDROP TABLE a;\n",
            "2_b.sql": f"-- +migrate Up\n{B}",
            "10_c.sql": f"-- +migrate Up notransaction\n{INDEX}"
            "-- +migrate Down notransaction\nDROP INDEX CONCURRENTLY b_id;\n",
            "last.sql": "-- +migrate Up\n-- +migrate StatementBegin\nSELECT 1;\n"
            "-- +migrate StatementEnd\n",
        },
        ["1.sql", "2_b.sql", "10_c.sql", "last.sql"],
        ["1.sql", "10_c.sql"],
        ["10_c.sql"],
    ),
    "node-pg-migrate": Case(
        {
            "1714564800000_a.sql": f"-- Up Migration\n{A}\n-- Down Migration\nDROP TABLE a;\n",
            "1714564800001_b.sql": f"--up  MIGRATION: b\n{B}-- - down migration b\nDROP TABLE b;\n",
            "20240501120001000_c.sql": "SELECT 1;\n",
        },
        ["1714564800000_a", "1714564800001_b", "20240501120001000_c"],
        ["1714564800000", "1714564800001"],
    ),
    "graphile-migrate": Case(
        {
            "committed/000001.sql": f"--! Previous: -\n--! Hash: sha1:1\n\n{A}",
            "committed/000002-b.sql": "--! Previous: sha1:1\n--! Hash: sha1:2\n--! Message: b\n\n"
            f"{B}GRANT SELECT ON b TO :VISITOR;\nSELECT now()::text, ':OTHER';\n",
            "committed/000003-c.sql": "--! Previous: sha1:2\n--! Hash: sha1:3\n\n"
            f"--! no-transaction\n{INDEX}",
            "current.sql": "nonsense",
        },
        ["000001", "000002_b", "000003_c"],
        [],
        ["000003"],
        variables={"VISITOR": "PUBLIC"},
    ),
    "tern": Case(
        {
            "001_a.sql": f"{A}\n---- create above / drop below ----\n\nDROP TABLE a;\n",
            "002_b.sql": B,
            "003_c.sql": f"---- tern: disable-tx ----\n{INDEX}",
        },
        ["001_a", "002_b", "003_c"],
        ["001"],
        ["003"],
    ),
    "postgres-migrations": Case(
        {
            "1-a.sql": A,
            "0002_b.sql": B,
            "3-c.sql": f"-- postgres-migrations disable-transaction\n{INDEX}",
        },
        ["1_a", "0002_b", "3_c"],
        [],
        ["3"],
    ),
    "pop": Case(
        {
            "1_a.up.sql": "nonsense",
            "1_a.postgres.up.sql": A,
            "1_a.mysql.up.sql": "nonsense",
            "1_a.down.sql": "DROP TABLE a;",
            "2_b.up.sql": B,
            "3_c.autocommit.up.sql": INDEX,
        },
        ["1_a", "2_b", "3_c"],
        ["1"],
        ["3"],
    ),
    "mybatis": Case(
        {
            "20240501120000_a.sql": f"-- // a\n{A}\n-- //@UNDO\nDROP TABLE a;\n",
            "20240501120001_b.sql": f"{B.replace('a);', '${parent});')}",
            "bootstrap.sql": "nonsense",
        },
        ["20240501120000_a", "20240501120001_b"],
        ["20240501120000"],
        notes=["bootstrap.sql is ignored"],
        variables={"parent": "a"},
    ),
}

# Distinguished from diesel's by name only.
CASES["hasura"] = Case(
    {
        "9_a/up.sql": A,
        "9_a/down.sql": "DROP TABLE a;",
        "10_b/up.sql": B,
    },
    ["9_a", "10_b"],
    ["9"],
)
