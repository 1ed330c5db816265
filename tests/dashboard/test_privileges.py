"""The GRANTs in the docs are enough for everything that the dashboard does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests.dashboard.conftest import Api
from tests.helpers.databases import execute

pytestmark = pytest.mark.any_version

DOCS = Path(__file__).parents[2] / "docs"
READS = (
    "/api/performance-insights",
    "/api/cost-categories",
    "/api/cost-categories/acute-rehab",
    "/api/recommendations",
    "/api/recommendations/3",
)


def grants(page: str) -> list[str]:
    """Return the statements of the block of a page that grants to change statuses."""
    blocks = re.findall(
        r"^```sql\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (block,) = (each for each in blocks if "status_changed_by" in each)
    return re.findall(r"^GRANT .*?;$", block, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("page", "grantee"), [("privileges.md", "app"), ("dashboard.md", "dashboard")]
)
def test_the_grants_of_the_docs_are_enough(
    api: Api, role: str, seeded: str, page: str, grantee: str
) -> None:
    """All but the last one to read, the last one to change a status."""
    *reading, changing = [each.replace(f" TO {grantee};", f" TO {role};") for each in grants(page)]
    client = api(make_conninfo(seeded, user=role))
    change = {"status": "rejected"}
    try:
        for grant in reading:
            execute(seeded, grant)
        assert [client.get(path).status_code for path in READS] == [200] * len(READS)
        assert client.get("/api/recommendations").json()["canChangeStatus"] is False
        assert client.patch("/api/recommendations/3", json=change).status_code == 403
        execute(seeded, changing)
        assert client.get("/api/recommendations").json()["canChangeStatus"] is True
        assert client.patch("/api/recommendations/3", json=change).status_code == 200
    finally:
        execute(seeded, f"DROP OWNED BY {role}")
