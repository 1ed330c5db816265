"""The files that settings come from, and the order of all places."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lfmigrate.errors import UsageError
from lfmigrate.postgres.url import read
from lfmigrate.settings import Flags, Settings
from lfmigrate.settings.config import Config, find_config
from lfmigrate.settings.dotenv import DotEnv, find_dotenv, read_dotenv
from lfmigrate.settings.layers import layers_of
from lfmigrate.settings.merge import load

URL = "postgresql://localhost/app"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def settle(
    config: Config | None = None,
    environment: dict[str, str] | None = None,
    dotenv: DotEnv | None = None,
    **flags: Any,
) -> Settings:
    given = Flags(**flags)
    layers = layers_of(given, {"DATABASE_URL": URL} | (environment or {}), dotenv, config)
    return load(given, layers, read_url=read)


# --------------------------------------------------------------------------------------------------
# The configuration file
# --------------------------------------------------------------------------------------------------

OWN = """\
sql_dir = "db"
schema = "app"
wait = 3
define = { a = "1", b = "2" }

[env.test]
schema = "test"
database_url = "postgresql://localhost/test"
define = { b = "3" }
"""


@pytest.mark.parametrize("name", ["lfmigrate.toml", "pyproject.toml"])
def test_a_configuration_file_is_found_above(tmp_path: Path, name: str) -> None:
    """Paths in it are relative to it, from wherever the command runs."""
    shared = name == "pyproject.toml"
    text = OWN.replace("[env.test]", "[tool.lfmigrate.env.test]") if shared else OWN
    write(tmp_path / name, f"[tool.lfmigrate]\n{text}" if shared else text)
    below = tmp_path / "a" / "b"
    write(below / "pyproject.toml", '[project]\nname = "not-lfmigrate"\n')

    found = settle(find_config(below))

    assert found.sql_dir == tmp_path / "db"
    assert (found.scope.schema, found.wait_s) == ("app", 3.0)
    assert found.variables == {"a": "1", "b": "2"}
    assert found.origins["folder"] == f"sql_dir in {tmp_path / name}"


def test_each_place_comes_before_the_next(tmp_path: Path) -> None:
    """Options, the chosen environment, variables, the .env, the rest of the file."""
    config = find_config(write(tmp_path / "lfmigrate.toml", OWN).parent)
    dotenv = DotEnv(tmp_path / ".env", {"LFMIGRATE_SCHEMA": "dotenv"})
    variables = {"LFMIGRATE_SCHEMA": "variable"}

    def schema(*places: Any, **flags: Any) -> str | None:
        return settle(*places, **flags).scope.schema

    assert schema(config, variables, dotenv, schema="option", env="test") == "option"
    assert schema(config, variables, dotenv, env="test") == "test"
    assert schema(config, variables, dotenv) == "variable"
    assert schema(config, {}, dotenv) == "dotenv"
    assert schema(config) == "app"


def test_a_chosen_environment_comes_before_database_url(tmp_path: Path) -> None:
    """``--env test`` must not reach what DATABASE_URL was set to for production."""
    config = find_config(write(tmp_path / "lfmigrate.toml", OWN).parent)

    by_option = settle(config, env="test", define=("c=4",))
    by_variable = settle(config, {"LFMIGRATE_ENV": "test"})
    in_dotenv = settle(config, {}, DotEnv(tmp_path / ".env", {"LFMIGRATE_ENV": "test"}))

    assert by_option.database_url == by_variable.database_url == in_dotenv.database_url
    assert by_option.database_url == "postgresql://localhost/test"
    assert by_option.variables == {"a": "1", "b": "3", "c": "4"}
    assert by_option.origins["database"] == (
        f"database_url of [env.test] in {tmp_path / 'lfmigrate.toml'}"
    )
    assert settle(config).database_url == URL


def test_a_url_may_be_in_a_variable_that_the_file_names(tmp_path: Path) -> None:
    """Of the environment or the .env; a missing one is an error that says where it is named."""
    text = '[env.p]\ndatabase_url = "${PROD}"\nshadow_url = "$SHADOW"\n'
    config = find_config(write(tmp_path / "lfmigrate.toml", text).parent)
    dotenv = DotEnv(tmp_path / ".env", {"SHADOW": "postgresql://localhost/shadow"})

    found = settle(config, {"PROD": "postgresql://localhost/prod"}, dotenv, env="p")
    with pytest.raises(UsageError) as refused:
        settle(config, {"SHADOW": "postgresql://localhost/shadow"}, env="p")

    assert found.database_url == "postgresql://localhost/prod"
    assert found.scope.shadow_url == "postgresql://localhost/shadow"
    assert "names the variable PROD, which is not set" in refused.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('sql-dir = "x"', 'unknown key "sql-dir"'),
        ('[env.a]\nshema = "x"', 'unknown key "env.a.shema"'),
        ('[env.a.env.b]\nschema = "x"', 'unknown key "env.a.env"'),
        ("schema = 1", "schema has to be a text"),
        ('schema = ""', "schema is empty"),
        ('embedded = "yes"', "embedded has to be true or false"),
        ("wait = true", "wait has to be a number of seconds"),
        ("define = { a = 1 }", "define has to be a table of texts"),
        ('env = "x"', "env has to be a table of environments"),
        ('env.a = "x"', "env.a has to be a table"),
        ("schema = ", "it is not valid TOML (at "),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, expected: str) -> None:
    """File and key; nothing is skipped in silence."""
    path = write(tmp_path / "lfmigrate.toml", text)

    with pytest.raises(UsageError) as refused:
        find_config(tmp_path)

    assert str(path) in refused.value.message
    assert expected in refused.value.message


def test_two_files_in_one_folder_are_refused(tmp_path: Path) -> None:
    """It cannot be known which one was meant; a pyproject.toml without the table is no second."""
    write(tmp_path / "lfmigrate.toml", 'schema = "x"')
    write(tmp_path / "pyproject.toml", '[project]\ndependencies = ["lfmigrate"]\n')
    assert find_config(tmp_path) is not None
    write(tmp_path / "pyproject.toml", '[tool.lfmigrate]\nschema = "y"\n')

    with pytest.raises(UsageError, match=r"both .* configure lfmigrate"):
        find_config(tmp_path)


@pytest.mark.parametrize(("config", "expected"), [(OWN, "environments: test"), ("", "no config")])
def test_an_environment_that_is_not_there_is_refused(
    tmp_path: Path, config: str, expected: str
) -> None:
    """It must not fall back to another database."""
    found = find_config(write(tmp_path / "lfmigrate.toml", config).parent) if config else None

    with pytest.raises(UsageError) as refused:
        settle(found, env="tset")

    assert expected in " ".join([refused.value.message, *refused.value.detail])


def test_a_password_command_of_another_user_is_not_run(tmp_path: Path) -> None:
    """A file in /tmp, above the working directory, may be anyone's."""
    path = write(tmp_path / "lfmigrate.toml", 'password_command = "printf x"')
    assert settle(find_config(tmp_path)).password_command
    path.chmod(0o666)

    with pytest.raises(UsageError, match="other users can write the file"):
        settle(find_config(tmp_path))


@pytest.fixture
def other_user() -> int:
    """Return the id of another user, to whom only the administrator can give files."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only the administrator can give files away")
    return 65534


@pytest.mark.parametrize("find", [find_config, find_dotenv])
def test_a_file_of_another_user_decides_nothing(
    tmp_path: Path, other_user: int, find: Callable[[Path], object]
) -> None:
    """Found above a directory of one's own, it could choose the SQL that runs."""
    path = write(tmp_path / ("lfmigrate.toml" if find is find_config else ".env"), "")
    below = tmp_path / "below"
    below.mkdir()
    assert find(below) is not None

    os.chown(path, other_user, -1)

    with pytest.raises(UsageError, match="belongs to another user"):
        find(below)
    # A container often works as the administrator in the folder of another user.
    os.chown(below, other_user, -1)
    assert find(below) is not None


def test_a_link_of_another_user_decides_nothing(tmp_path: Path, other_user: int) -> None:
    """Not even to a file of this user's."""
    (tmp_path / ".env").symlink_to(write(tmp_path / "other.env", "A=1"))
    os.chown(tmp_path / ".env", other_user, -1, follow_symlinks=False)

    with pytest.raises(UsageError, match="belongs to another user"):
        find_dotenv(tmp_path)


@pytest.mark.parametrize("written", ["./pw.sh 'a b'", "'./pw.sh' 'a b'", '"../a b/pw.sh" "a b"'])
def test_the_program_of_a_password_command_is_next_to_its_file(
    tmp_path: Path, written: str
) -> None:
    """From any directory below; what is on PATH is not."""
    path = write(tmp_path / "a b" / "lfmigrate.toml", f"password_command = {json.dumps(written)}")
    below = path.parent / "below"
    below.mkdir()

    program, *rest = shlex.split(settle(find_config(below)).password_command or "")

    assert Path(program).resolve() == path.parent / "pw.sh"
    assert rest == ["a b"]
    write(path, 'password_command = "pw.sh x"')
    assert shlex.split(settle(find_config(below)).password_command or "") == ["pw.sh", "x"]


def test_a_password_in_the_file_is_noticed(tmp_path: Path) -> None:
    """In any section; a variable's name is none."""
    for text, expected in (
        ('database_url = "postgresql://u:Zebra-77@h/d"', True),
        ('[env.a]\nshadow_url = "host=h password=Zebra-77"', True),
        ('database_url = "$NAME"', False),
        ('database_url = "postgresql://u@h/d"', False),
    ):
        config = find_config(write(tmp_path / "lfmigrate.toml", text).parent)

        assert config is not None
        assert config.has_password is expected
        assert "Zebra" not in repr(config)


# --------------------------------------------------------------------------------------------------
# The .env
# --------------------------------------------------------------------------------------------------


def test_paths_in_a_dotenv_file_are_relative_to_it(tmp_path: Path) -> None:
    """It is found from folders below."""
    text = "LFMIGRATE_SQL_DIR=db\nLFMIGRATE_SHADOW_SETUP=setup.sql\nPGPASSFILE=pass\nPGHOST=h\n"
    write(tmp_path / ".env", text)
    write(tmp_path / "setup.sql", "")
    path = find_dotenv(tmp_path / "not" / "there")
    assert path is not None
    dotenv = read_dotenv(path)

    found = load(Flags(), layers_of(Flags(), {}, dotenv, None), read_url=read)

    assert found.sql_dir == tmp_path / "db"
    assert found.scope.shadow_setup == tmp_path / "setup.sql"
    assert (found.database_url, found.origins["database"]) == ("", f"PGHOST in {path}")
    assert found.libpq == {"PGPASSFILE": str(tmp_path / "pass"), "PGHOST": "h"}


def test_libpqs_variables_of_a_dotenv_file_do_not_go_to_another_database(tmp_path: Path) -> None:
    """A password for the development database is not sent to the one on the command line."""
    dotenv = DotEnv(tmp_path / ".env", {"PGPASSWORD": "Zebra-77", "PGHOST": "h"})

    assert settle(None, {}, dotenv, database_url=URL).libpq == {}
    assert settle(None, {"DATABASE_URL": URL}, dotenv).libpq == {}
    layers = layers_of(Flags(), {"PGHOST": "other"}, dotenv, None)
    assert load(Flags(), layers, read_url=read).libpq == {"PGPASSWORD": "Zebra-77"}


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"])
def test_a_variable_of_libpqs_is_sufficient(name: str) -> None:
    """Whatever else is missing, libpq has a default for."""
    layers = layers_of(Flags(), {name: "x"}, None, None)

    found = load(Flags(), layers, read_url=read)

    assert (found.database_url, found.origins["database"]) == ("", name)


@pytest.mark.parametrize("name", ["PGUSER", "PGPASSWORD", "PGPORT", "PGPASSFILE"])
def test_a_variable_that_names_no_database_is_not(name: str) -> None:
    """A password in someone's profile does not mean the database of the same machine."""
    with pytest.raises(UsageError, match="no database URL is configured"):
        load(Flags(), layers_of(Flags(), {name: "1"}, None, None), read_url=read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DATABASE_URL=\n", "was read, and DATABASE_URL is empty in it"),
        ("DATABASE_URL\n", "was read, and DATABASE_URL is empty in it"),
        ("OTHER=1\n", "was read, and it has no DATABASE_URL"),
    ],
)
def test_a_missing_url_says_what_was_read(tmp_path: Path, text: str, expected: str) -> None:
    """Most often it is another .env than the one that was edited."""
    dotenv = read_dotenv(write(tmp_path / ".env", text))

    with pytest.raises(UsageError) as refused:
        load(Flags(), layers_of(Flags(), {}, dotenv, None), read_url=read)

    assert f"{tmp_path / '.env'} {expected}" in refused.value.detail


def test_a_line_that_cannot_be_read_has_its_number(tmp_path: Path) -> None:
    """An error if it may be one of lfmigrate's; otherwise it is another program's."""
    path = write(tmp_path / ".env", "A=1\n=x y\nDATABASE_URL=postgresql://h/d\n")

    found = read_dotenv(path)
    write(path, "A=1\n\nDATABASE_URL='postgresql://u:Zebra@h/d\nB=2\n")
    with pytest.raises(UsageError) as refused:
        read_dotenv(path)

    assert (found.ignored_lines, found.values["DATABASE_URL"]) == ((2,), "postgresql://h/d")
    assert refused.value.message == f"line 3 of {path} cannot be read"
    assert "Zebra" not in str(refused.value)


def test_a_byte_order_mark_belongs_to_no_name(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfDATABASE_URL=postgresql://h/d\r\n")

    assert read_dotenv(tmp_path / ".env").values == {"DATABASE_URL": "postgresql://h/d"}
