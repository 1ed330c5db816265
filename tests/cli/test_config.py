"""Settings: where each comes from, what is refused, and which texts hide a password."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lfmigrate.errors import UsageError
from lfmigrate.postgres.url import address, read
from lfmigrate.redaction import redact, secrets
from lfmigrate.settings import Flags, Scope, Settings, duration_ms
from lfmigrate.settings.config import checked_config
from lfmigrate.settings.dotenv import DotEnv
from lfmigrate.settings.layers import Layers, layers_of
from lfmigrate.settings.merge import load as load_settings
from tests.conftest import Cli

# Settings are read before there is a connection.
pytestmark = pytest.mark.any_version

URL = "postgresql://me@host/name"
ONE, TWO, THREE = (f"postgresql://host/{n}" for n in ("one", "two", "three"))

# The setting, its flag, its variable, three values as they are written, and as they are read.
SOURCES: list[tuple[str, str, str, tuple[str, str, str], tuple[Any, Any, Any]]] = [
    ("database_url", "database_url", "DATABASE_URL", (ONE, TWO, THREE), (ONE, TWO, THREE)),
    ("schema", "schema", "LFMIGRATE_SCHEMA", ("a", "b", "c"), ("a", "b", "c")),
    (
        "history_schema",
        "history_schema",
        "LFMIGRATE_HISTORY_SCHEMA",
        ("a", "b", "c"),
        ("a", "b", "c"),
    ),
    (
        "lock_timeout_ms",
        "lock_timeout",
        "LFMIGRATE_LOCK_TIMEOUT",
        ("1s", "2s", "3s"),
        (1000, 2000, 3000),
    ),
    (
        "statement_timeout_ms",
        "statement_timeout",
        "LFMIGRATE_STATEMENT_TIMEOUT",
        ("1s", "2s", "3s"),
        (1000, 2000, 3000),
    ),
    ("wait_s", "wait", "LFMIGRATE_WAIT", ("1", "2", "3"), (1.0, 2.0, 3.0)),
    ("sql_dir", "sql_dir", "LFMIGRATE_SQL_DIR", ("a", "b", "c"), (Path("a"), Path("b"), Path("c"))),
]


def layers(
    flags: Flags, environment: dict[str, str], dotenv: dict[str, str | None], config: str = ""
) -> Layers:
    """Return the places that settings come from, with both files in the working directory."""
    table = tomllib.loads(config)
    path = Path.cwd() / "lfmigrate.toml"
    return layers_of(
        flags,
        environment,
        DotEnv(Path.cwd() / ".env", dotenv),
        checked_config(path, table) if config else None,
    )


def load(
    flags: Flags, environment: dict[str, str], dotenv: dict[str, str | None], config: str = ""
) -> Settings:
    return load_settings(flags, layers(flags, environment, dotenv, config), read_url=read)


def settle(
    flags: dict[str, Any], environment: dict[str, str], dotenv: dict[str, str | None]
) -> Settings:
    if not any("DATABASE_URL" in source for source in (environment, dotenv)):
        flags = {"database_url": URL} | flags
    return load(Flags(**flags), environment, dotenv)


@pytest.mark.parametrize(
    ("setting", "flag", "variable", "written", "read"), SOURCES, ids=[s[0] for s in SOURCES]
)
def test_a_flag_comes_before_the_environment_before_a_dotenv_file(
    setting: str,
    flag: str,
    variable: str,
    written: tuple[str, str, str],
    read: tuple[Any, Any, Any],
) -> None:
    """For each setting; an empty variable counts as one that is not set."""
    first: Any = Path(written[0]) if flag == "sql_dir" else written[0]
    dotenv: dict[str, str | None] = {variable: written[2]}

    by_flag = settle({flag: first}, {variable: written[1]}, dotenv)
    by_environment = settle({}, {variable: written[1]}, dotenv)
    by_dotenv = settle({}, {}, dotenv)
    by_dotenv_again = settle({}, {variable: ""}, dotenv)

    for found, expected in (
        (by_flag, read[0]),
        (by_environment, read[1]),
        (by_dotenv, read[2]),
        (by_dotenv_again, read[2]),
    ):
        holder = found.scope if hasattr(found.scope, setting) else found
        assert getattr(holder, setting) == expected


def test_what_is_not_set_has_a_default() -> None:
    """Five seconds of patience with locks, none with a server that says no."""
    found = settle({}, {}, {})

    assert found == Settings(
        database_url=URL,
        sql_dir=None,
        scope=Scope(
            schema=None, history_schema="lfmigrate", lock_timeout_ms=5000, statement_timeout_ms=0
        ),
        wait_s=15.0,
    )


@pytest.mark.parametrize(
    ("flags", "environment", "dotenv", "expected"),
    [
        (Flags(embedded=True), {}, {}, None),
        (Flags(embedded=True), {"DATABASE_URL": ONE}, {"DATABASE_URL": TWO}, None),
        (Flags(database_url=ONE), {"LFMIGRATE_EMBEDDED": "1"}, {}, ONE),
        (Flags(), {"LFMIGRATE_EMBEDDED": "yes"}, {"DATABASE_URL": TWO}, None),
        (Flags(), {"DATABASE_URL": ONE}, {"LFMIGRATE_EMBEDDED": "1"}, ONE),
        (Flags(), {"DATABASE_URL": ONE, "LFMIGRATE_EMBEDDED": "0"}, {}, ONE),
        (Flags(), {"LFMIGRATE_EMBEDDED": ""}, {"LFMIGRATE_EMBEDDED": "1"}, None),
        (
            Flags(),
            {"LFMIGRATE_EMBEDDED": "0"},
            {"LFMIGRATE_EMBEDDED": "1", "DATABASE_URL": TWO},
            TWO,
        ),
    ],
)
def test_the_embedded_server_and_a_url_are_chosen_by_who_comes_first(
    flags: Flags, environment: dict[str, str], dotenv: dict[str, str | None], expected: str | None
) -> None:
    """What is nearer decides, whichever of the two it names."""
    found = load(flags, environment, dotenv)

    assert found.database_url == expected


@pytest.mark.parametrize(
    ("flags", "environment", "dotenv", "where"),
    [
        (Flags(database_url=ONE, embedded=True), {}, {}, "the command line"),
        (Flags(), {"DATABASE_URL": ONE, "LFMIGRATE_EMBEDDED": "1"}, {}, "the environment"),
        (Flags(), {}, {"DATABASE_URL": ONE, "LFMIGRATE_EMBEDDED": "on"}, ".env"),
    ],
)
def test_asking_for_both_in_one_place_is_refused(
    flags: Flags, environment: dict[str, str], dotenv: dict[str, str | None], where: str
) -> None:
    """It cannot be known which of the two was meant."""
    with pytest.raises(UsageError, match="sets both") as refused:
        load(flags, environment, dotenv)

    assert refused.value.message.startswith(f"{where} sets both ")


def test_an_empty_flag_does_not_fall_back_to_another_database() -> None:
    """``--database-url "$STAGING"`` with STAGING unset must not migrate what .env names."""
    with pytest.raises(UsageError, match="--database-url is empty"):
        load(Flags(database_url=""), {"DATABASE_URL": ONE}, {})


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    """One correction, not five."""
    flags = Flags(lock_timeout="soon", statement_timeout="-1s", wait="nan", schema="")

    with pytest.raises(UsageError) as refused:
        load(flags, {"LFMIGRATE_EMBEDDED": "maybe"}, {})

    reported = "\n".join(refused.value.facts)
    assert refused.value.message == "5 invalid settings"
    for name in ("--lock-timeout", "--statement-timeout", "--wait", "--schema", "_EMBEDDED"):
        assert name in reported


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/d",
        "postgres://me:pw@h:5432/d",
        "POSTGRESQL://h/d",
        "  postgresql://h/d\n",
        "'postgresql://h/d'",
        "postgresql+psycopg://h/d",
        "postgresql+asyncpg://h/d",
        "postgresql://me:a%40b@h/d?sslmode=require&application_name=x@y",
        "postgresql://me:a?b#c:d@h/d",
        "postgresql://[::1]:5432/d",
        "postgresql://a:1,b:2/d",
        "postgresql://%2Ftmp/d",
        "postgresql:///d?host=/tmp/a@b",
        "host=h dbname=d",
        "host=h options='-c x=y://z'",
    ],
)
def test_every_spelling_of_a_postgresql_url_is_taken(url: str) -> None:
    """SQLAlchemy's too; libpq reads what comes out."""
    found = load(Flags(database_url=url), {}, {})

    assert found.database_url is not None
    assert conninfo_to_dict(found.database_url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:Zebra-77@h/d",
        "me:Zebra-77@h/d",
        "Zebra-77",
        "postgresql:me:Zebra-77@h",
        "postgresql://me:Ze@bra-77@h/d",
        "postgresql://me:Ze/bra-77@h/d",
        "postgresql://me:Ze?b@r/a-77@h/d",
        "postgresql://me:Ze/b?r=a-77@h/d",
        "postgresql://me:Ze%zzbra-77@h/d",
        "postgresql://me:Zebra-77@h:port/d",
        "postgresql://h/d?pasword=Zebra-77",
        "password='Zebra-77 host=h",
        "mysql://h/d?x=y",
        "Ze://bra-77",
    ],
)
def test_what_is_no_postgresql_url_is_refused_without_quoting_it(url: str) -> None:
    """Not even the part that libpq would take for a host."""
    with pytest.raises(UsageError) as refused:
        load(Flags(database_url=url), {}, {})

    reported = " ".join([refused.value.message, *refused.value.facts, str(refused.value.hint)])
    assert "bra" not in reported
    assert "77" not in reported


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("5s", 5000),
        ("1.5s", 1500),
        (" 2 min ", 120_000),
        ("1h", 3_600_000),
        ("0.1ms", 1),
        ("596h", 2_145_600_000),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text: str, milliseconds: int) -> None:
    """A limit that was asked for never becomes 0, which is none."""
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "-1s", "s", "1e3s", "597h", "5S", "1s 2ms"])
def test_what_is_no_duration_says_what_one_looks_like(text: str) -> None:
    """A bare 5 might be seconds or milliseconds, so it is neither."""
    with pytest.raises(ValueError, match=r"invalid duration .*: use 500ms|is too long"):
        duration_ms(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon", "1e9", ""])
def test_wait_is_a_number_of_seconds(text: str) -> None:
    """Within a day: no one waits longer for a server."""
    with pytest.raises(UsageError, match=r"invalid number of seconds|--wait is empty"):
        settle({"wait": text}, {}, {})


def test_a_dotenv_file_is_found_in_a_folder_above(cli: Cli, tmp_path: Path) -> None:
    """People work in sub-folders."""
    (tmp_path / ".env").write_text("DATABASE_URL=mysql://from-dotenv/db\n", encoding="utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    done = cli("status", cwd=below)
    overridden = cli("status", cwd=below, env={"DATABASE_URL": "oracle://from-environment/db"})

    assert 'begins with "mysql://"' in done.stderr
    assert 'begins with "oracle://"' in overridden.stderr


def test_an_address_names_host_port_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """With libpq's own defaults, those of the environment included."""
    monkeypatch.setenv("PGHOST", "from-environment")
    monkeypatch.delenv("PGPORT", raising=False)

    assert address("postgresql://me:pw@h:6543/d") == {"host": "h", "port": 6543, "name": "d"}
    assert address("user=me") == {"host": "from-environment", "port": 5432, "name": "me"}
    assert address("postgresql://a:1,b:2/d") == {"host": "a,b", "port": "1,2", "name": "d"}


# --------------------------------------------------------------------------------------------------
# Redaction
# --------------------------------------------------------------------------------------------------


def clean(text: str, url: str) -> str:
    return redact(text, secrets(url, environment={}))


# What a password may hold: anything but NUL, which no process can be given.
PASSWORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
)
ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in quotes": repr,
    "in JSON": json.dumps,
    "in JSON with letters": lambda text: json.dumps(text, ensure_ascii=False),
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "in ASCII": ascii,
}


@given(PASSWORDS)
@example("%")
@example("%25")
@example("@")
@example("postgresql")
@example("a b\\'\"\n")
def test_a_percent_encoded_password_never_survives(password: str) -> None:
    """Any password at all, in any echo of its URL."""
    encoded = quote(password, safe="")
    url = f"postgresql://u:{encoded}@h:1/n"

    for echo in ECHOES.values():
        shown = clean(echo(url), url)

        assert encoded not in shown.replace("postgresql", "").replace("***", "") or len(encoded) < 3
        assert f":{encoded}@" not in shown
        assert ":***@" in shown


# A password that is also written elsewhere in the string is not masked: see `redaction.secrets`.
KEYWORDS = {"host", "password", "user"}


@given(
    PASSWORDS.filter(lambda text: len(text) >= 4 and text not in KEYWORDS),
    st.sampled_from(sorted(ECHOES)),
)
@example("Ze bra\\'\"\n\t77", "in JSON in JSON")
@example("ÄÖÜß", "in ASCII")
def test_a_password_never_survives_outside_its_url(password: str, how: str) -> None:
    """A driver may quote the password alone, decoded, in any spelling."""
    url = f"postgresql://u:{quote(password, safe='')}@h:1/n"
    keywords = make_conninfo(user="u", password=password, host="h")
    echo = ECHOES[how]

    for given_as in (url, keywords):
        shown = clean(f"[ {echo(password)} ]", given_as)

        assert "***" in shown
        assert echo(password).strip("\"'") not in shown.replace("***", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:Zebra@Giraffe@h/d",
        "postgresql://me:Zebra/Giraffe@h/d",
        "postgresql://me:Zebra:Giraffe@h/d",
        "postgresql://me@corp.com:Zebra Giraffe@h/d",
        "postgresql://h/d?user=me&password=Zebra%20Giraffe&sslmode=require",
        "postgresql://h/d?sslpassword=Zebra&password=Giraffe",
        "mysql://me:Zebra-Giraffe@h/d",
        "me:Zebra-Giraffe@h/d",
        "host=h password=Zebra&Giraffe user=me",
        r"host=h password=Zebra\ Giraffe user=me",
        "host=h password = 'Zebra Giraffe' user=me",
        r"host=h password='Zebra\' Giraffe' user=me",
        "host=h password='Zebra Giraffe",
        "password=Zebra'Giraffe host=h",
        "PASSWORD=Zebra-Giraffe host=h",
    ],
)
def test_a_password_is_found_however_it_is_written(url: str) -> None:
    """In its place, and as a word alone."""
    words = re.findall("Zebra.*Giraffe|Zebra|Giraffe", url)

    shown = clean(f"{url}\n{words}\n{url!r}", url)

    assert "Zebra" not in shown
    assert "Giraffe" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at postgresql://me:secret@h/d.", "at postgresql://me:***@h/d."),
        ("password=secret host=h", "password=*** host=h"),
        ("CREATE ROLE a PASSWORD 'it''s' LOGIN", "CREATE ROLE a PASSWORD '***' LOGIN"),
        ("ALTER ROLE a PASSWORD E'x", "ALTER ROLE a PASSWORD E'***'"),
        ("ALTER ROLE a PASSWORD U&'x' LOGIN", "ALTER ROLE a PASSWORD U&'***' LOGIN"),
        ("ALTER ROLE a PASSWORD $q$x$y$q$ LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        ("ALTER ROLE a PASSWORD $$x", "ALTER ROLE a PASSWORD '***'"),
        ("ALTER ROLE a PASSWORD 'x'\n  'y' LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        ("OPTIONS (user 'u', SET passwd 'x')", "OPTIONS (user 'u', SET passwd '***')"),
        ("EXECUTE 'CREATE ROLE a PASSWORD ''x'''", "EXECUTE 'CREATE ROLE a PASSWORD '***'"),
        ("'ALTER ROLE a PASSWORD ''x''''y'' LOGIN'", "'ALTER ROLE a PASSWORD '***' LOGIN'"),
        ("WHERE password = crypt(entered)", "WHERE password = crypt(entered)"),
        ("http://host:8080/path", "http://host:8080/path"),
        ("postgresql://me@h:5432/d", "postgresql://me@h:5432/d"),
    ],
)
def test_what_stands_where_a_password_would_is_hidden_unknown_or_not(
    text: str, expected: str
) -> None:
    """Other people's passwords too, and nothing else."""
    assert redact(text, ()) == expected


def test_a_password_that_is_also_a_name_is_hidden_in_its_place_only() -> None:
    """``role "***"`` would show that the role's name is the password, and help no one."""
    url = "postgresql://postgres:postgres@localhost/postgres"

    shown = clean(f'{url}: role "postgres" of database "postgres"', url)

    assert shown == (
        'postgresql://postgres:***@localhost/postgres: role "postgres" of database "postgres"'
    )


def test_a_password_that_is_a_word_is_hidden_as_a_word() -> None:
    """Not as a part of another one."""
    shown = clean("sequel is not equal to a sequel's sequels", "postgresql://u:sequel@h/d")

    assert shown == "*** is not equal to a ***'s sequels"


def test_pgpassword_is_hidden() -> None:
    """It need not stand in any URL."""
    hidden = secrets(None, environment={"PGPASSWORD": "Zebra-77"})

    assert redact("it was Zebra-77", hidden) == "it was ***"


def test_settings_do_not_show_their_url() -> None:
    """A repr ends up in logs."""
    found = load(Flags(database_url="postgresql://me:Zebra-77@h/d"), {}, {})

    assert "Zebra" not in repr(found)
