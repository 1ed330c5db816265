"""URLs of other databases on the same server."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from lfmigrate.postgres.url import with_database


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (
            "postgresql://u:p%40@h:5432/x?sslmode=require",
            "postgresql://u:p%40@h:5432/n%20w?sslmode=require",
        ),
        ("host=/tmp/a user=bob", "postgresql://bob@/n%20w?host=/tmp/a"),
        ("postgresql:///x", "postgresql:///n%20w"),
        ("postgresql://a@h1:1,h2:2/x", "postgresql://a@h1:1,h2:2/n%20w"),
        ("postgresql://h1,h2/x", "postgresql://h1,h2/n%20w"),
        ("postgresql://[::1]:5/x", "postgresql://[::1]:5/n%20w"),
        ("user=a host=/tmp/a port=6 dbname=x", "postgresql://a@/n%20w?host=/tmp/a&port=6"),
        ("host=h password='a /b'", "postgresql://:a%20%2Fb@h/n%20w"),
        ("port=5433", "postgresql://:5433/n%20w"),
    ],
)
def test_the_url_of_another_database(address: str, url: str) -> None:
    """As SQLAlchemy and others take it; libpq reads the same in it."""
    assert with_database(address, "n w") == url
    assert conninfo_to_dict(url) == conninfo_to_dict(address, dbname="n w")
