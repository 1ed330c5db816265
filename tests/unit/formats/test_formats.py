"""A folder of each format is recognized, and read as its tool reads it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import SqlFileError
from lfmigrate.source.folder import Folder, Migration, read_folder
from lfmigrate.source.formats.detect import FORMATS
from lfmigrate.source.sqlfile import from_text
from tests.unit.formats.folders import CASES, A, B, Case, read_to_run

Write = Callable[[Mapping[str, str | bytes]], Path]


def read(folder: Write, case: Case, name: str | None = None) -> Folder:
    """Write a folder and read it."""
    path = folder({f"{case.path}/{file}".lstrip("/"): text for file, text in case.files.items()})
    return read_folder(path / case.path, format=name, variables=case.variables)


def refusal(folder: Write, files: dict[str, str], name: str | None = None) -> SqlFileError:
    """Return why a folder is refused."""
    with pytest.raises(SqlFileError) as caught:
        read_to_run(folder(files), format=name)
    assert caught.value.hint
    return caught.value


def one(folder: Write, files: dict[str, str], name: str | None = None) -> Migration:
    """Return the only migration of a folder."""
    (migration,) = read_folder(folder(files), format=name).migrations
    return migration


def test_every_format_has_a_folder_here() -> None:
    """And a row in the documentation."""
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")

    assert {*CASES} | {"lfmigrate"} == {*FORMATS}
    assert [name for name in FORMATS if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", [name for name in CASES if name != "hasura"])
def test_a_folder_is_recognized(folder: Write, name: str) -> None:
    """By what is in it."""
    assert read(folder, CASES[name]).format == name


@pytest.mark.parametrize("name", CASES)
def test_migrations_are_those_of_the_tool(folder: Write, name: str) -> None:
    """In its order, with what reverts them, and outside a transaction where it says so."""
    case = CASES[name]

    found = read(folder, case, name)

    assert [m.label for m in found.migrations] == case.labels
    assert [m.version for m in found.migrations if m.down is not None] == case.downs
    assert [m.version for m in found.migrations if m.up.no_transaction] == [*case.outside]
    assert len(found.notes) == len(case.notes)
    for note, part in zip(found.notes, case.notes, strict=True):
        assert part in note


@pytest.mark.parametrize("name", CASES)
def test_what_is_recorded_is_complete(folder: Write, name: str) -> None:
    """A replay of the recorded text runs the same statements, in the same way."""
    for migration in read(folder, CASES[name], name).migrations:
        for file in (migration.up, migration.down):
            if file is None:
                continue
            recorded = from_text(file.name, file.text)

            assert recorded.statements == file.statements
            assert recorded.no_transaction == file.no_transaction
            assert recorded.checksum == file.checksum


@pytest.mark.parametrize("name", CASES)
def test_statements_have_the_lines_of_the_file(folder: Write, name: str) -> None:
    """An error points into the file that people have."""
    case = CASES[name]
    for migration in read(folder, case, name).migrations:
        for file in (migration.up, migration.down):
            for statement in file.statements if file is not None else ():
                lines = case.files[statement.file].split("\n")
                first = statement.text.split("\n")[0].split("(")[0][:8]
                assert lines[statement.line - 1].startswith(first)


@pytest.mark.parametrize("name", CASES)
def test_windows_line_ends_make_no_difference(folder: Write, name: str) -> None:
    """A checkout on another system has the same checksums."""
    case = CASES[name]
    other = case._replace(files={k: v.replace("\n", "\r\n") for k, v in case.files.items()})

    plain, windows = (read(folder, each, name).migrations for each in (case, other))

    assert [m.up.checksum for m in windows] == [m.up.checksum for m in plain]
    assert [m.down and m.down.checksum for m in windows] == [
        m.down and m.down.checksum for m in plain
    ]


def test_a_change_of_the_down_section_is_no_edit(folder: Write) -> None:
    """What was applied is as it was."""
    text = f"-- migrate:up\n{A}-- migrate:down\nDROP TABLE a;\n"

    before = one(folder, {"1_a.sql": text})
    after = one(folder, {"1_a.sql": text.replace("DROP TABLE", "DROP TABLE IF EXISTS")})

    assert before.up.checksum == after.up.checksum
    assert before.down is not None
    assert after.down is not None
    assert before.down.checksum != after.down.checksum


@pytest.mark.parametrize(
    "text",
    ["-- migrate:up\n{}", "-- +goose Up\n{}\n", "-- about it\n-- Up Migration\n{}"],
)
def test_a_file_without_a_down_section_is_recorded_as_it_is(folder: Write, text: str) -> None:
    """As if it were lfmigrate's own, so that a history of it stays what it is."""
    path = folder({"1714564800000_a.sql": text.format(A)})

    (other,), (own,) = (read_folder(path, format=f).migrations for f in (None, "lfmigrate"))

    assert read_folder(path).format != "lfmigrate"
    assert (other.number, other.name, other.up) == (own.number, own.name, own.up)


def test_a_down_section_that_is_added_later_is_no_edit(folder: Write) -> None:
    """What was applied is as it was."""
    text = f"-- migrate:up\n{A}"

    before = one(folder, {"1_a.sql": text})
    after = one(folder, {"1_a.sql": f"{text}\n\n-- migrate:down\nDROP TABLE a;\n"})

    assert after.down is not None
    assert before.up.checksum == after.up.checksum


def test_the_checksums_are_those_of_the_tools(folder: Write) -> None:
    """They are compared with its table."""
    sums = {
        name: FORMATS[name].checksum
        for name in ("prisma", "sqlx", "drizzle", "flyway", "postgres-migrations")
    }
    up = {name: read(folder, CASES[name]).migrations[0] for name in (*sums, "graphile-migrate")}

    def of(name: str) -> str:
        compute = FORMATS[name].checksum
        assert compute is not None
        return compute(up[name])

    first = A.encode()
    assert of("prisma") == hashlib.sha256(first).hexdigest()
    assert of("sqlx") == hashlib.sha384(first).hexdigest()
    assert of("drizzle") == hashlib.sha256(up["drizzle"].content).hexdigest()
    assert of("postgres-migrations") == hashlib.sha1(b"1-a.sql" + first).hexdigest()  # noqa: S324 (the tool's)
    line = up["flyway"].content.replace(b"\n", b"")
    assert int(of("flyway")) % (1 << 32) == zlib.crc32(line)
    assert of("graphile-migrate") == "sha1:1"


def test_the_file_for_postgresql_takes_precedence(folder: Write) -> None:
    """Wherever it is in a listing."""
    migration = one(
        folder,
        {
            "1_a.up.sql": "nonsense",
            "1_a.postgres.up.sql": A,
            "1_a.mysql.up.sql": "nonsense",
            "1_a.down.sql": "nonsense",
            "1_a.postgres.down.sql": "DROP TABLE a;",
        },
    )

    assert migration.down is not None
    assert (migration.up.text, migration.down.text) == (A, "DROP TABLE a;")


def test_two_formats_are_named(folder: Write) -> None:
    """Which one is meant is not guessed; the option decides."""
    files = {
        "1_a.sql": f"-- migrate:up\n{A}-- migrate:down\n",
        "2_b.sql": f"-- +goose Up\n{B}-- +goose Down\n",
    }

    error = refusal(folder, files)

    assert "two formats: goose and dbmate" in error.message
    assert "--format goose" in (error.hint or "")


def test_an_unknown_format_is_refused_with_those_there_are(folder: Write) -> None:
    """A misspelt name is no reason to guess."""
    error = refusal(folder, {"1_a.sql": A}, "gose")

    assert error.message == 'there is no format "gose"'
    assert "goose" in error.detail[0]


def test_own_folders_are_never_another_tools(folder: Write) -> None:
    """A directive or a subfolder of lfmigrate's says whose it is; its rules stay."""
    wrapped = {"1_a.up.sql": f"BEGIN;\n{A}COMMIT;\n", "1_a.down.sql": "DROP TABLE a;"}
    view = {"views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS a;"}
    marked = {"2_b.sql": f"-- lfmigrate: rerunnable\n{B}"}

    assert read_folder(folder(wrapped)).format == "golang-migrate"
    for own in (view, marked):
        assert refusal(folder, wrapped | own).message.startswith("BEGIN is transaction control")


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("goose", {"1_a.sql": "CREATE TABLE a ();\n-- +goose Up\n"}, "before -- +goose Up"),
        ("goose", {"1_a.sql": "-- +goose Up\n-- +goose Sideways\n"}, "unknown annotation"),
        ("goose", {"1_a.sql": "-- +goose Up\n-- +goose Up\n"}, "a second"),
        ("goose", {"1_a.sql": "-- +goose Down\n"}, 'no "-- +goose Up"'),
        ("goose", {"1_a.sql": "-- +goose Up\n", "1.sql": "-- +goose Up\n"}, "would be skipped"),
        ("goose", {"1_a.sql": "-- +goose Up\n", "2_b.go": ""}, "migration in Go"),
        (
            "goose",
            {"1_a.sql": "-- +goose Up\n-- +goose ENVSUB ON\nSELECT ${NO_SUCH_VARIABLE};"},
            "${NO_SUCH_VARIABLE} has no value",
        ),
        ("goose", {"1_a.sql": "-- +goose Up\nVACUUM;"}, "cannot run in a transaction"),
        ("dbmate", {"1_a.sql": "-- migrate:up transaction:no\n"}, "unknown option"),
        ("dbmate", {"1_a.sql": "SELECT 1;\n-- migrate:up\n"}, "before -- migrate:up"),
        ("dbmate", {"a.sql": "-- migrate:up\n"}, "would be skipped"),
        ("dbmate", {"9_a.sql": "-- migrate:up\n", "10_b.sql": "-- migrate:up"}, "sorts as text"),
        ("dbmate", {"1_a.sql": "-- migrate:up\n", "1_b.sql": "-- migrate:up"}, "more than once"),
        ("sql-migrate", {"1_a.sql": "-- +migrate Up fast\n"}, "unknown option"),
        ("prisma", {"1_a/migration.sql": A, "2_b/b.sql": B}, "2_b/ would be skipped"),
        ("prisma", {"1_a/migration.sql": A, "2_b.sql": B}, "2_b.sql would be skipped"),
        (
            "prisma",
            {"1_a/migration.sql": A, "migration_lock.toml": 'provider = "mysql"'},
            "are for mysql",
        ),
        ("prisma", {"1_a/migration.sql": "VACUUM;VACUUM;"}, "cannot run in a transaction"),
        ("diesel", {"1_a/up.sql": A, "b/up.sql": B}, "b/ would be skipped"),
        ("diesel", {"1_a/up.sql": A, "2_b/down.sql": B}, "2_b/ would be skipped"),
        ("diesel", {"9_a/up.sql": A, "10_b/up.sql": B}, "sorts as text"),
        ("diesel", {"1_a/up.sql": A, "1_a/metadata.toml": "x"}, "not valid TOML"),
        ("flyway", {"V1__a.sql": "SELECT ${x};"}, "${x} has no value"),
        ("flyway", {"V1__a.sql": A, "V1.0__b.sql": B}, "more than once"),
        ("flyway", {"V1__a.sql": A, "U2__b.sql": B}, "has no migration of its version"),
        ("flyway", {"V1__a.sql": A, "V2_b.sql": B}, "V2_b.sql would be skipped"),
        ("flyway", {"V1__a.sql": A, "more/V2__b.sql": B}, "more/ has migrations"),
        ("flyway", {"V1__a.sql": A, "V2__B.java": ""}, "migration in Java"),
        ("drizzle", {"meta/_journal.json": "[]", "0000_a.sql": A}, "not a journal"),
        ("drizzle", {"meta/_journal.json": '{"entries": [{"tag": 1}]}'}, "without a tag"),
        ("drizzle", {"meta/_journal.json": '{"entries": [{"tag": "../a"}]}'}, "no file's name"),
        (
            "drizzle",
            {"meta/_journal.json": '{"entries": [{"tag": "0_a"}, {"tag": "0_a"}]}', "0_a.sql": A},
            "the same tag twice",
        ),
        (
            "drizzle",
            {"meta/_journal.json": '{"dialect": "mysql", "entries": [{"tag": "a"}]}', "a.sql": A},
            "are for mysql",
        ),
        ("drizzle", {"meta/_journal.json": '{"entries": [{"tag": "0_a"}]}'}, "cannot be read"),
        ("node-pg-migrate", {"a.sql": "-- Up Migration\n"}, "would be skipped"),
        ("node-pg-migrate", {"1_a.sql": "SELECT 1;\n-- Up Migration\n"}, "this is before"),
        (
            "node-pg-migrate",
            {"1714564800001_a.sql": A, "20240501120000000_b.sql": B},
            "runs 20240501120000000_b.sql before 1714564800001_a.sql",
        ),
        (
            "graphile-migrate",
            {"1.sql": "--! Previous: -\n--! Hash: x\n", "2.sql": "--! Previous: y\n"},
            "does not follow the file before it",
        ),
        ("tern", {"1_a.sql": A, "3_c.sql": B}, "there is no migration 2"),
        ("tern", {"1_a.sql": "SELECT {{.x}};"}, "a template"),
        ("postgres-migrations", {"1-a.sql": A, "b.sql": B}, "would be skipped"),
        ("pop", {"1_a.up.fizz": ""}, "written in fizz"),
        ("pop", {"1_a.up.sql": A, "2_b.down.sql": B}, "has no migration of its version"),
        ("pop", {"1_a.up.sql": "SELECT {{ .x }};"}, "a template"),
        ("mybatis", {"1_a.sql": "SELECT ${x};"}, "${x} has no value"),
        ("mybatis", {"a.sql": A}, "would be skipped"),
    ],
)
def test_what_a_format_does_not_have_is_refused(
    folder: Write, name: str, files: dict[str, str], message: str
) -> None:
    """And never skipped."""
    error = refusal(folder, files, name)

    assert message in "\n".join([error.message, *error.detail])


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({"sqitch.plan": "", "deploy/a.sql": ""}, "sqitch", "sqitch.plan"),
        ({"db.changelog-master.xml": ""}, "liquibase", "update-sql"),
        ({"a.sql": "--liquibase formatted sql\n"}, "liquibase", "update-sql"),
        ({"env.py": "", "versions/1a_x.py": ""}, "1 migrations in Python", "--sql"),
        ({"0001_initial.py": ""}, "Python", "SQL"),
        ({"1_a.sql": A, "2_b.go": ""}, "2_b.go is a migration in Go", "SQL"),
        ({"1714564800000_a.js": ""}, "JavaScript", "SQL"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(
    folder: Write, files: dict[str, str], message: str, hint: str
) -> None:
    """Programs are not run, and other grammars are not guessed."""
    error = refusal(folder, files)

    assert message in error.message
    assert hint in (error.hint or "")


def test_a_program_without_a_number_is_no_migration(folder: Write) -> None:
    """It is what embeds the folder."""
    assert one(folder, {"1_a.sql": A, "migrations.go": "", "__init__.py": ""}).label == "1_a"


def test_only_line_breaks_end_a_line_for_flyway(folder: Write) -> None:
    """Its readLine knows no others; Python's splitlines does."""
    text = "\ufeffCREATE TABLE a (id int); -- \x0c \x85 \u2028\r\n\n-- end"
    migration = one(folder, {"V1__a.sql": text})

    compute = FORMATS["flyway"].checksum

    assert compute is not None
    assert int(compute(migration)) % (1 << 32) == (
        zlib.crc32("CREATE TABLE a (id int); -- \x0c \x85 \u2028-- end".encode())
    )
