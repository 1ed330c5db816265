"""URLs as frameworks write them, and that no part of a password is ever quoted."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from lfmigrate.errors import UsageError
from lfmigrate.postgres.url import read

PLAIN = {"host": "h", "dbname": "d"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("pgbouncer=true&connection_limit=1&pool_timeout=0", {}),
        ("sslmode=require&pgbouncer=true", {"sslmode": "require"}),
        ("connect_timeout=5&socket_timeout=3", {"connect_timeout": "5"}),
        ("sslmode=no-verify", {"sslmode": "require"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ssl=false", {"sslmode": "disable"}),
        ("ssl=verify-full", {"sslmode": "verify-full"}),
        ("ssl=true&sslmode=verify-ca", {"sslmode": "verify-ca"}),
        ("sslaccept=accept_invalid_certs", {"sslmode": "require"}),
        ("sslmode=disable&sslaccept=accept_invalid_certs", {"sslmode": "disable"}),
        ("sslmode=require&sslaccept=strict", {"sslmode": "verify-full", "sslrootcert": "system"}),
        (
            "sslrootcert=ca.pem&sslaccept=strict",
            {"sslmode": "verify-full", "sslrootcert": "ca.pem"},
        ),
        ("sslmode=disable&sslaccept=strict", {"sslmode": "disable"}),
        ("options=endpoint%3Dx-1&channel_binding=require", {"options": "endpoint=x-1"}),
        ("x-migrations-table=m&x-multi-statement=true", {}),
        ("pool=5&prepared_statements=false", {}),
        ("", {}),
    ],
)
def test_parameters_of_frameworks_become_libpqs(
    monkeypatch: pytest.MonkeyPatch, written: str, expected: dict[str, str]
) -> None:
    """Or are left out, if they are about a pool."""
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)

    found = conninfo_to_dict(read(f"postgresql://h/d?{written}").url)

    assert found.items() >= (PLAIN | expected).items()
    assert found.keys() - PLAIN - expected.keys() <= {"channel_binding"}


@pytest.mark.parametrize("name", ["schema", "search_path", "currentSchema"])
def test_a_schema_in_the_url_is_returned(name: str) -> None:
    """It is no parameter of libpq's; several schemas have no place to go."""
    found = read(f"postgresql://h/d?{name}=my%20app&pgbouncer=true")

    assert (found.schema, found.ignored) == ("my app", ("pgbouncer",))
    assert conninfo_to_dict(found.url) == PLAIN
    with pytest.raises(UsageError, match=f'unknown value of the parameter "{name}"'):
        read(f"postgresql://h/d?{name}=a,b")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg2", "postgresql+asyncpg"])
@pytest.mark.parametrize("around", ["{}", '"{}"', "'{}'", "{}\n", ' "{}" \r\n', "\t{}"])
def test_what_is_around_a_url_is_left_out(scheme: str, around: str) -> None:
    """Docker's --env-file keeps quotes, `$(cat file)` in some tools a newline."""
    url = around.format(f"{scheme}://me:a%20b@h:1/d?sslmode=disable")

    assert conninfo_to_dict(read(url).url) == PLAIN | {
        "user": "me",
        "password": "a b",
        "port": "1",
        "sslmode": "disable",
    }


def test_the_last_blank_of_a_keyword_string_stays() -> None:
    r"""It may belong to the password: ``password=a\ ``."""
    assert conninfo_to_dict(read("host=h password=a\\ ").url)["password"] == "a "  # noqa: S105 (a test's)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sslmod=require", '"sslmod"'),
        ("sslmode=require&pgbuoncer=true", '"pgbuoncer"'),
        ("ssl=maybe", '"ssl"'),
        ("sslmode=requird", '"sslmode"'),
        ("sslaccept=Zebra", '"sslaccept"'),
    ],
)
def test_an_unknown_parameter_is_named(query: str, named: str) -> None:
    """It is no secret; its value might be."""
    with pytest.raises(UsageError) as refused:
        read(f"postgresql://h/d?{query}")

    assert named in refused.value.message
    assert "Percent-encode" not in str(refused.value.hint)
    assert "Zebra" not in str(refused.value)


@pytest.mark.parametrize("name", ["sslmode", "connect_timeout", "target_session_attrs"])
def test_the_end_of_a_password_is_no_value_of_a_parameter(name: str) -> None:
    """Libpq would quote it when it connects."""
    with pytest.raises(UsageError) as refused:
        read(f"postgresql://u:p@12/x?{name}=Zebra@h/d")

    assert "Zebra" not in str(refused.value)
    assert conninfo_to_dict(read("postgresql://h/d?application_name=a@b").url)["host"] == "h"


QUERIES = ("", "?sslmode=require", "?pgbouncer=true&schema=s", "?sslmod=x", "?ssl=perhaps")
# Whatever may be quoted; and words that a password may share with the messages themselves.
NAMES = {"sslmod", "ssl"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
@example("a b+c%d")
@example("?sslmode=require")
def test_an_encoded_password_survives(password: str) -> None:
    """Whatever is in it, and whatever else is left out of the URL."""
    for query in ("", "?pgbouncer=true&schema=s", "?sslmode=no-verify"):
        found = read(f'"postgresql+psycopg2://u:{quote(password, safe="")}@h/d{query}"\n')

        assert conninfo_to_dict(found.url)["password"] == password
        assert found.has_password
        assert "postgresql" not in repr(found)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    st.sampled_from(QUERIES),
)
@example("12/x?Zebra=3", "")
@example("p@12/x?Zebra=3", "")
@example("12/x?sslmode=Zebra", "")
@example("12?ssl=Zebra&Giraffe=1", "?sslmod=x")
def test_a_password_that_is_not_encoded_is_never_quoted(password: str, query: str) -> None:
    """What libpq would take for a host, a port or a parameter may be a part of it."""
    found, quoted = None, set()
    try:
        found = read(f"postgresql://u:{password}@h/d{query}")
    except UsageError as error:
        quoted = set(re.findall(r'"([^"]*)"', f"{error.message} {error.detail}"))

    # The names are those behind the last @, where no password is.
    assert quoted <= (NAMES if query else set())
    if found is not None:
        place = conninfo_to_dict(found.url)
        assert (place["host"], place["dbname"]) == ("h", "d")
