"""A dump becomes the first migration of a folder, in its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import NOTHING_CHANGED, Refused, SqlFileError, UsageError
from lfmigrate.source.baseline import Baseline, read_baseline
from lfmigrate.source.folder import Folder, read_folder
from tests.unit.formats.folders import CASES

Write = Callable[[Mapping[str, str | bytes]], Path]

DUMP = r"""--
-- PostgreSQL database dump
--

\restrict aBc123

SET statement_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET row_security = off;

CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$
SELECT 'ALTER TABLE a OWNER TO b;
\restrict me'
$$;
ALTER FUNCTION public.f() OWNER TO "the boss";
CREATE TABLE public.d (id integer NOT NULL);
ALTER TABLE ONLY public.d ADD CONSTRAINT d_pkey PRIMARY KEY (id);
GRANT SELECT ON TABLE public.d TO app;

\unrestrict aBc123
"""

CLEAN = """--
-- PostgreSQL database dump
--

SET check_function_bodies = false;

CREATE SCHEMA IF NOT EXISTS public;

CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$
SELECT 'ALTER TABLE a OWNER TO b;
\\restrict me'
$$;

CREATE TABLE public.d (id integer NOT NULL);
ALTER TABLE ONLY public.d ADD CONSTRAINT d_pkey PRIMARY KEY (id);
GRANT SELECT ON TABLE public.d TO app;
"""


def made(path: Path, dump: str | bytes, **options: str) -> tuple[Folder, Baseline]:
    """Write a dump and make it the baseline of a folder."""
    file = path.parent / "dump.sql"
    file.write_bytes(dump if isinstance(dump, bytes) else dump.encode())
    return read_baseline(path, file, **options)  # type: ignore[arg-type]  # only formats


def test_what_is_not_the_schemas_is_left_out(tmp_path: Path) -> None:
    """Settings, owners and psql's lines; a function's body is left alone."""
    folder, baseline = made(tmp_path / "sql", DUMP)

    assert baseline.text == CLEAN
    assert baseline.path == tmp_path / "sql" / "001_baseline.sql"
    assert [m.label for m in folder.migrations] == ["001_baseline"]
    assert "2 statements that give an object its owner" in baseline.notes[0]
    assert not (tmp_path / "sql").exists()


FORMATS = {
    "golang-migrate": "0_baseline.up.sql",
    "sqlx": "0_baseline.up.sql",
    "supabase": "00000000000000_baseline.sql",
    "prisma": "00000000000000_baseline/migration.sql",
    "goose": "00000_baseline.sql",
    "dbmate": "00000000000000_baseline.sql",
    "flyway": "V0__baseline.sql",
    "sql-migrate": "0_baseline.sql",
    "node-pg-migrate": "0000000000000_baseline.sql",
    "pop": "0_baseline.up.sql",
    "mybatis": "00000000000000_baseline.sql",
    "hasura": "0_baseline/up.sql",
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_is_in_the_format_of_the_folder(folder: Write, name: str) -> None:
    """Before all others, read as it will be read, and without a down section."""
    case = CASES[name]
    files = {k: v for k, v in case.files.items() if not k.startswith(("0_init", "0000000"))}
    path = folder(files)

    options = {"format": name, "variables": case.variables}
    found, baseline = made(path, DUMP, **options)  # type: ignore[arg-type]  # a mapping

    assert baseline.path == path / FORMATS[name]
    assert found.migrations[0] is baseline.migration
    assert baseline.migration.down is None
    with baseline.written():
        pass
    again = read_folder(path, format=name, variables=case.variables)
    assert again.migrations[0].up.checksum == baseline.migration.up.checksum
    assert [m.label for m in again.migrations] == [m.label for m in found.migrations]


@pytest.mark.parametrize("name", ["drizzle", "graphile-migrate"])
def test_a_tool_that_keeps_a_list_gets_no_file(folder: Write, name: str) -> None:
    """Only the tool can add to it."""
    case = CASES[name]

    with pytest.raises(UsageError, match="has to be created by it"):
        made(folder(case.files), DUMP, variables=case.variables)  # type: ignore[arg-type]  # a mapping


@pytest.mark.parametrize(
    ("dump", "word"),
    [
        ("COPY public.a (id) FROM stdin;\n1\n\\.\n", "has rows"),
        ("CREATE TABLE a (); INSERT INTO a DEFAULT VALUES;", "has rows"),
        ("SELECT pg_catalog.setval('public.s', 1, true);", "has rows"),
        ("\\connect shop\nCREATE TABLE a ();", "has \\\\connect"),
        ("SET client_encoding = 'LATIN1'; CREATE TABLE a ();", "is in LATIN1"),
        ("CREATE TABLE lfmigrate.lfmigrate_history (id bigint);", "has lfmigrate's history"),
        (b"PGDMP\x01\x0e", "is an archive"),
        ("SET statement_timeout = 0;", "creates nothing"),
        ("CREATE TABLE a ();\n\\i other.sql\n", "psql"),
    ],
)
def test_what_belongs_in_no_baseline_is_refused(
    tmp_path: Path, dump: str | bytes, word: str
) -> None:
    """With how to make the dump."""
    with pytest.raises(SqlFileError, match=word) as caught:
        made(tmp_path / "sql", dump)
    assert caught.value.hint


def test_a_folder_without_a_version_for_it_is_refused(folder: Write) -> None:
    """A baseline is the first migration."""
    with pytest.raises(UsageError, match=r"used more than once|would not be the first"):
        made(folder({"0_a.sql": "SELECT 1;"}), DUMP)


@pytest.mark.parametrize("name", ["001_baseline.sql", "20240101000000_baseline/migration.sql"])
def test_there_is_one_baseline(folder: Write, name: str) -> None:
    """A second one would create the same."""
    with pytest.raises(UsageError, match="has a baseline already"):
        made(folder({name: "SELECT 1;"}), DUMP)


def test_the_file_goes_if_it_is_not_recorded(tmp_path: Path) -> None:
    """And so do the folders that were made for it."""
    path = tmp_path / "sql"
    _, baseline = made(path, DUMP)

    def fail() -> None:
        with baseline.written():
            assert baseline.path.exists()
            raise Refused("x", outcome=NOTHING_CHANGED)

    with pytest.raises(Refused):
        fail()

    assert not path.exists()


def test_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    """It may have been written meanwhile."""
    path = tmp_path / "sql"
    _, baseline = made(path, DUMP)
    path.mkdir()
    baseline.path.write_text("mine")

    with pytest.raises(UsageError, match="cannot write"), baseline.written():
        pass

    assert baseline.path.read_text() == "mine"
