"""The one write: a recommendation's status, and who changed it."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from starlette.testclient import TestClient

from bench.proxy import target_of, through
from lfmigrate.dashboard import create_app
from lfmigrate.settings import Serving
from tests.dashboard.conftest import Api
from tests.helpers.databases import execute, fetch
from tests.helpers.faults import Cutter, wait_until, wait_until_left

STATUSES = (
    "not_started",
    "acknowledged",
    "accepted",
    "rejected",
    "already_doing",
    "in_progress",
    "completed",
)

AUDIT = "SELECT status, status_changed_by, status_changed_at::text, updated_at::text FROM"


def audit(url: str, number: int = 3) -> Any:
    """Return the audit columns of a recommendation."""
    return fetch(url, f"{AUDIT} recommendations WHERE id = {number}")[0]


def patch(client: TestClient, number: int = 3, **body: Any) -> Any:
    """Change a status."""
    return client.patch(f"/api/recommendations/{number}", json=body)


@pytest.mark.any_version
def test_any_status_may_follow_any(api: Api, seeded: str) -> None:
    """Seven by seven; the audit columns follow, and setting it again changes nothing."""
    client = api(seeded)
    for before in STATUSES:
        for after in STATUSES:
            assert patch(client, status=before, changedBy="first").status_code == 200
            stored = audit(seeded)
            answer = patch(client, status=after, changedBy="second")
            assert answer.status_code == 200, answer.text
            assert answer.json()["success"] is True
            now = answer.json()["recommendation"]
            assert (now["id"], now["status"]) == (3, after)
            assert audit(seeded)[0] == after
            if before == after:
                assert audit(seeded) == stored
            else:
                assert now["statusChangedBy"] == audit(seeded)[1] == "second"
                assert audit(seeded)[2] > stored[2]
                assert audit(seeded)[3] > stored[3]
            shown = client.get("/api/recommendations/3").json()
            assert {k: shown[k] for k in now} == now


@pytest.mark.any_version
def test_three_ways_to_send_it(api: Api, seeded: str) -> None:
    """The id in the path, in the body, or in the query."""
    client = api(seeded)
    assert patch(client, status="rejected").status_code == 200
    body = {"id": 3, "status": "completed"}
    assert client.patch("/api/recommendations", json=body).status_code == 200
    assert audit(seeded)[0] == "completed"
    assert client.put("/api/recommendations?id=3", json={"status": "accepted"}).status_code == 200
    assert audit(seeded)[0] == "accepted"


@pytest.mark.any_version
def test_who_changes_it(api: Api, seeded: str) -> None:
    """The name of the request, else that of the one who signed in, else the server's own."""
    assert patch(api(seeded), status="rejected").status_code == 200
    assert audit(seeded)[1] == "tester"
    token = "a-token-of-thirty-characters-x"  # noqa: S105 (made up)
    client = api(seeded, token=token)
    client.auth = ("m.alvarez", token)
    assert patch(client, status="accepted").status_code == 200
    assert audit(seeded)[1] == "m.alvarez"
    assert patch(client, status="rejected", changedBy="r.lindqvist").status_code == 200
    assert audit(seeded)[1] == "r.lindqvist"


@pytest.mark.any_version
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "x"},
        {"status": None},
        {"status": "accepted", "other": 1},
        {"status": "accepted", "expectedStatus": "x"},
        {"status": "accepted", "changedBy": ""},
        {"status": "accepted", "changedBy": "a\nb"},
        {"status": "accepted", "changedBy": "a\x00b"},
        {"status": "accepted", "changedBy": "\ud800"},
        {"status": "accepted", "changedBy": "x" * 256},
        [],
        "accepted",
    ],
)
def test_a_body_that_is_not_valid(api: Api, seeded_to_read: str, body: Any) -> None:
    """400, and nothing is changed."""
    client = api(seeded_to_read)
    json_type = {"Content-Type": "application/json"}
    answer = client.patch(
        "/api/recommendations/3", content=json.dumps(body).encode(), headers=json_type
    )
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (400, "invalid-body")


@pytest.mark.any_version
@pytest.mark.parametrize("number", [0, 2**31, True, "3", 1.5, None])
def test_an_id_that_is_not_valid(api: Api, seeded_to_read: str, number: Any) -> None:
    """As in the path."""
    client = api(seeded_to_read)
    answer = client.patch("/api/recommendations", json={"id": number, "status": "accepted"})
    assert answer.json()["type"].endswith("invalid-body")


@pytest.mark.any_version
def test_what_is_not_json_is_not_read(api: Api, seeded_to_read: str) -> None:
    """415, 400 for what cannot be parsed, and 413 above 4 KiB."""
    client = api(seeded_to_read)
    path = "/api/recommendations/3"
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = client.patch(path, content='{"status": "accepted"}', headers=headers)
        assert answer.status_code == 415
    for content in (b"{", b"\xff", b"[" * 4000, b""):
        answer = client.patch(path, content=content, headers=json_type)
        assert (answer.status_code, answer.json()["status"]) == (400, 400)
    large = b'{"status": "accepted", "changedBy": "' + b"x" * 4096 + b'"}'
    assert client.patch(path, content=large, headers=json_type).status_code == 413
    chunks = (b" " * 1000 for _ in range(5))
    assert client.patch(path, content=chunks, headers=json_type).status_code == 413


@pytest.mark.any_version
def test_an_unknown_recommendation(api: Api, seeded_to_read: str) -> None:
    """404 for a number that has no row, 400 for what is no number."""
    client = api(seeded_to_read)
    assert patch(client, 999, status="accepted").status_code == 404
    assert client.patch("/api/recommendations/x", json={"status": "accepted"}).status_code == 400


def test_the_faster_one_wins(api: Api, seeded: str) -> None:
    """The other one is shown who was faster, and changes nothing."""
    one, other = api(seeded), api(seeded)
    seen = one.get("/api/recommendations/3").json()["status"]
    assert patch(one, status="rejected", expectedStatus=seen, changedBy="one").status_code == 200
    answer = patch(other, status="completed", expectedStatus=seen, changedBy="other")
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"].endswith("status-changed")
    stored = one.get("/api/recommendations/3").json()
    assert problem["currentStatus"] == stored["status"] == "rejected"
    assert problem["statusChangedBy"] == stored["statusChangedBy"] == "one"
    assert problem["statusChangedAt"] == stored["statusChangedAt"]
    again = patch(other, status="completed", expectedStatus="rejected", changedBy="other")
    assert again.status_code == 200


def test_a_change_that_waits_sees_the_one_before(api: Api, seeded: str) -> None:
    """A row that another session is changing is compared after its commit."""
    # Even where transactions would see one moment, and then fail.
    execute(
        seeded,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L',"
        " current_database(), 'repeatable read'); END $$",
    )
    client = api(seeded)
    answers: list[Any] = []
    with psycopg.connect(seeded) as first, psycopg.connect(seeded, autocommit=True) as observer:
        first.execute(
            "UPDATE recommendations SET status = 'rejected', status_changed_by = 'first'"
            " WHERE id = 3"
        )
        thread = threading.Thread(
            target=lambda: answers.append(
                patch(client, status="completed", expectedStatus="accepted")
            )
        )
        thread.start()
        wait_until(
            lambda: bool(
                observer.execute(
                    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                ).fetchall()
            ),
            "the change waits",
        )
        first.commit()
        thread.join()
    assert (answers[0].status_code, answers[0].json()["currentStatus"]) == (409, "rejected")
    assert audit(seeded)[:2] == ("rejected", "first")


def test_a_role_that_may_only_read(api: Api, role: str, seeded: str) -> None:
    """The document says so, and a change is refused; two columns are all that it needs."""
    execute(
        seeded,
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    )
    client = api(make_conninfo(seeded, user=role))
    assert client.get("/api/recommendations").json()["canChangeStatus"] is False
    assert client.get("/api/recommendations/3").json()["canChangeStatus"] is False
    answer = patch(client, status="rejected")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "read-only")
    execute(seeded, f"GRANT UPDATE (status, status_changed_by) ON recommendations TO {role}")
    assert client.get("/api/recommendations").json()["canChangeStatus"] is True
    assert patch(client, status="rejected").status_code == 200
    execute(seeded, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
    answer = client.get("/api/recommendations")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (
        503,
        "privileges-missing",
    )
    execute(seeded, f"DROP OWNED BY {role}")


@pytest.mark.any_version
def test_read_only(api: Api, seeded_to_read: str) -> None:
    """Whatever the role may do."""
    client = api(seeded_to_read, read_only=True)
    assert client.get("/api/recommendations").json()["canChangeStatus"] is False
    assert patch(client, status="rejected").json()["type"].endswith("read-only")


@pytest.mark.any_version
def test_a_role_whose_transactions_are_read_only(api: Api, role: str, seeded: str) -> None:
    """It is refused like a role without the privilege, and nothing is changed."""
    execute(
        seeded,
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"ALTER ROLE {role} SET default_transaction_read_only = on",
    )
    before = audit(seeded)
    client = api(make_conninfo(seeded, user=role))
    assert client.get("/api/recommendations").json()["canChangeStatus"] is False
    answer = patch(client, status="rejected")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "read-only")
    assert audit(seeded) == before
    execute(seeded, f"DROP OWNED BY {role}")


@pytest.mark.any_version
def test_a_row_that_a_policy_protects(api: Api, role: str, seeded: str) -> None:
    """It can be seen, so it is there: the change is refused, and not the row unknown."""
    execute(
        seeded,
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER TABLE recommendations ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY everyone_reads ON recommendations FOR SELECT USING (true)",
    )
    client = api(make_conninfo(seeded, user=role))
    assert patch(client, status="rejected").json()["type"].endswith("read-only")
    assert patch(client, 999, status="rejected").json()["type"].endswith("recommendation-not-found")
    execute(seeded, f"DROP OWNED BY {role}")


@pytest.mark.any_version
def test_a_trigger_that_prevents_a_change(api: Api, seeded: str) -> None:
    """It is no success."""
    execute(
        seeded,
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER a_never BEFORE UPDATE ON recommendations"
        " FOR EACH ROW EXECUTE FUNCTION never()",
    )
    before = audit(seeded)
    answer = patch(api(seeded), status="rejected")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "read-only")
    assert audit(seeded) == before


@pytest.mark.any_version
def test_an_older_table_with_an_enum(api: Api, seeded: str) -> None:
    """Its words are compared as text; filters and changes work."""
    words = ", ".join(f"'{word}'" for word in STATUSES)
    execute(
        seeded,
        "DROP VIEW v_recommendations_with_categories, v_current_cost_categories",
        f"CREATE TYPE decision AS ENUM ({words})",
        "CREATE TYPE light AS ENUM ('red', 'yellow', 'green')",
        "ALTER TABLE recommendations DROP CONSTRAINT recommendations_status_check,"
        " DROP CONSTRAINT recommendations_status_changed_at_check, ALTER status DROP DEFAULT,"
        " ALTER status TYPE decision USING status::decision",
        "ALTER TABLE cost_categories DROP CONSTRAINT cost_categories_performance_status_check,"
        " ALTER performance_status TYPE light USING performance_status::light",
    )
    client = api(seeded)
    assert client.get("/api/cost-categories?status=red").json()["totalCount"] == 4
    assert client.get("/api/recommendations?status=accepted").json()["totalCount"] > 0
    assert client.get("/api/recommendations?status=none").json()["totalCount"] == 0
    assert client.get("/api/performance-insights").status_code == 200
    assert patch(client, status="rejected", expectedStatus="accepted").status_code == 200
    assert audit(seeded)[0] == "rejected"


@pytest.mark.any_version
def test_a_lock_that_does_not_come(api: Api, role: str, seeded: str) -> None:
    """The database was reachable, and nothing was changed."""
    execute(
        seeded,
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"ALTER ROLE {role} SET lock_timeout = '100ms'",
        f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'",
    )
    client = api(make_conninfo(seeded, user=role))
    with psycopg.connect(seeded) as conn:
        conn.execute("SELECT FROM recommendations WHERE id = 3 FOR UPDATE")
        answer = patch(client, status="rejected")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "query-timeout")
    wait_until(lambda: patch(client, status="rejected").is_success, "the row is free")
    execute(seeded, f"DROP OWNED BY {role}")


def test_the_connection_is_lost_before_the_commit(api: Api, seeded: str) -> None:
    """Nothing was changed, and the answer says that the database cannot be reached."""
    before = audit(seeded)
    with Cutter(target_of(seeded), b"UPDATE recommendations") as proxy:
        answer = patch(api(through(seeded, proxy.port)), status="rejected")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (
        503,
        "database-unreachable",
    )
    assert answer.headers["retry-after"]
    wait_until_left(seeded)
    assert audit(seeded) == before


@pytest.mark.parametrize("arrives", [True, False])
def test_the_connection_is_lost_around_the_commit(api: Api, seeded: str, *, arrives: bool) -> None:
    """Whether it was changed is not known; it is not tried again."""
    before = audit(seeded)
    with Cutter(target_of(seeded), b"\x0bCOMMIT\0", passes=arrives) as proxy:
        answer = patch(api(through(seeded, proxy.port)), status="rejected")
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (
            503,
            "outcome-unknown",
        )
        assert proxy.cuts == 1
    wait_until_left(seeded)
    assert (audit(seeded)[0] == "rejected") is arrives
    assert arrives or audit(seeded) == before


@pytest.mark.any_version
def test_a_system_user_without_a_name(seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number: the change still says where it came from."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    with TestClient(create_app(seeded, Serving(quiet=True)), base_url="http://localhost") as client:
        assert patch(client, status="rejected").status_code == 200
    assert audit(seeded)[1] == "lfmigrate serve"
