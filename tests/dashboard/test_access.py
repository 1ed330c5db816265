"""Who may call, what every answer carries, and what none ever contains."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lfmigrate.dashboard import create_app
from lfmigrate.errors import UsageError
from lfmigrate.settings import Serving
from tests.dashboard.conftest import Api
from tests.helpers.databases import execute

pytestmark = pytest.mark.any_version

TOKEN = "a-token-of-thirty-characters-x"  # noqa: S105 (made up)

PATHS = (
    "/",
    "/deep-dive",
    "/deep-dive/acute-rehab",
    "/recommendations",
    "/recommendations/3",
    "/api/performance-insights",
    "/api/recommendations",
    "/api/health",
    "/api/openapi.json",
    "/api/none",
)


def word(answer: Any) -> str:
    """Return the word of a problem."""
    return str(answer.json()["type"].rpartition(":")[2])


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers(api: Api, seeded_to_read: str, path: str) -> None:
    """And pages a policy that lets nothing in from elsewhere."""
    answer = api(seeded_to_read).get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]
    if not path.startswith("/api/"):
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )


def test_static_files_may_be_kept(api: Api, seeded_to_read: str) -> None:
    """Their address changes with them; others are not there."""
    client = api(seeded_to_read)
    page = client.get("/").text
    start = page.index("/static/")
    address = page[start : page.index('"', start)]
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    # A page of another site does not know the digest.
    name = address.rpartition("/")[2]
    moved = client.get(f"/static/{name}", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (307, address)
    assert moved.headers["cache-control"] == "no-cache"
    for path in ("/static/", "/static/x/dashboard.css", address + "/../../app.py", "/static/none"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.2", "", "[::1"]
)
def test_another_name_is_refused(api: Api, seeded_to_read: str, host: str) -> None:
    """Or a page of another site could read everything after changing its own name's address."""
    answer = api(seeded_to_read).get("/api/health", headers={"Host": host})
    assert (answer.status_code, word(answer)) == (421, "host-refused")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8002", "[::1]:8002", "LOCALHOST", "dash.example:443"]
)
def test_names_of_its_own(api: Api, seeded_to_read: str, host: str) -> None:
    """This machine's, and those that are allowed."""
    client = api(seeded_to_read, hosts=("Dash.example",))
    assert client.get("/api/health", headers={"Host": host}).status_code == 200


def test_a_token_is_needed(api: Api, seeded_to_read: str) -> None:
    """As a Bearer token, or as a password; for everything but the state of health."""
    client = api(seeded_to_read, token=TOKEN)
    assert client.get("/api/health").status_code == 200
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for path in set(PATHS) - {"/api/health", "/api/none"}:
        for value in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Basic {basic}"):
            assert client.get(path, headers={"Authorization": value}).status_code == 200
    wrong = base64.b64encode(b"anyone:wrong").decode()
    for value in (
        "",
        "Bearer wrong",
        f"Basic {wrong}",
        "Basic \xe9",
        "Basic %",
        f"Digest {TOKEN}",
    ):
        answer = client.get("/", headers={b"Authorization": value.encode("latin-1")})
        assert (answer.status_code, word(answer)) == (401, "sign-in-needed")
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert TOKEN not in answer.text


def test_another_site_may_not_write(api: Api, seeded: str) -> None:
    """A browser names the site; a program that names none may."""
    client = api(seeded, origins=("https://dash.example",))

    def patch(origin: str | None) -> Any:
        headers = {} if origin is None else {"Origin": origin}
        return client.patch("/api/recommendations/3", json={"status": "rejected"}, headers=headers)

    for origin in (
        "https://evil.example",
        "null",
        "http://localhost",
        "http://[",
        "http://localhost:80",
    ):
        answer = patch(origin)
        assert (answer.status_code, word(answer)) == (403, "origin-refused")
    for own in (None, "http://localhost:8002", "https://dash.example"):
        assert patch(own).status_code == 200


def test_an_allowed_site_may_read(api: Api, seeded_to_read: str) -> None:
    """It alone, and never with credentials; the browser asks before it sends a change."""
    client = api(seeded_to_read, origins=("https://dash.example",), token=TOKEN)
    signed = {"Authorization": f"Bearer {TOKEN}"}
    own = client.get("/api/recommendations", headers={"Origin": "https://dash.example", **signed})
    assert own.headers["access-control-allow-origin"] == "https://dash.example"
    assert "access-control-allow-credentials" not in own.headers
    other = client.get("/api/recommendations", headers={"Origin": "https://x.example", **signed})
    assert "access-control-allow-origin" not in other.headers
    asked = {
        "Origin": "https://dash.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = client.options("/api/recommendations/3", headers=asked)
    assert allowed.status_code == 200
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    refused = client.options(
        "/api/recommendations/3", headers=asked | {"Origin": "https://x.example"}
    )
    assert refused.status_code == 400


def test_a_password_is_in_no_answer_and_no_log(
    seeded_to_read: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when something unexpected quotes it."""
    url = make_conninfo(seeded_to_read, password="s3cret-word")  # noqa: S106 (made up)

    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot use {url}")

    with TestClient(create_app(url, Serving()), base_url="http://localhost") as client:
        answers = [client.get(path) for path in PATHS]
        monkeypatch.setattr("lfmigrate.dashboard.reads.query", broken)
        failed = client.get("/api/recommendations")
    assert (failed.status_code, word(failed)) == (500, "unexpected")
    said = capfd.readouterr()
    assert failed.json()["instance"] in said.err
    assert "RuntimeError" in said.err
    for text in (said.out, said.err, failed.text, *(answer.text for answer in answers)):
        assert "s3cret-word" not in text


def test_a_line_for_each_request(seeded_to_read: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Method, path, status, time and id; no query, which may have names."""
    with TestClient(create_app(seeded_to_read, Serving()), base_url="http://localhost") as client:
        problem = client.get("/api/recommendations/999?categoryName=Doe").json()
    line = capfd.readouterr().err
    assert line.startswith("GET /api/recommendations/999 404 ")
    assert line.rstrip().endswith(f" ms {problem['instance']} recommendation-not-found")
    assert "Doe" not in line


@pytest.mark.parametrize("token", ["x ", "fifteen-letters"])
def test_a_token_that_is_too_short(
    seeded_to_read: str, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """Wherever it comes from."""
    with pytest.raises(UsageError, match="shorter than 16"):
        create_app(seeded_to_read, Serving(token=token))
    monkeypatch.setenv("LFMIGRATE_SERVE_TOKEN", f"{token}\n")
    with pytest.raises(UsageError, match="shorter than 16"):
        create_app(seeded_to_read)


@pytest.mark.parametrize("name", ["n" * 256, "a\nb", "a\x00b"])
def test_a_name_that_cannot_be_stored(api: Api, seeded_to_read: str, name: str) -> None:
    """A sign-in with it is refused, or a change would fail."""
    value = base64.b64encode(f"{name}:{TOKEN}".encode()).decode()
    client = api(seeded_to_read, token=TOKEN)
    assert client.get("/", headers={"Authorization": f"Basic {value}"}).status_code == 401
    with pytest.raises(UsageError, match="printable"):
        create_app(seeded_to_read, Serving(changed_by=name))


def test_health_of_a_mounted_application_needs_no_token(seeded_to_read: str) -> None:
    """Its path has the one that it is mounted at; links within it have, too."""
    outer = Starlette()
    outer.mount("/costs", create_app(seeded_to_read, Serving(quiet=True, token=TOKEN)))
    with TestClient(outer, base_url="http://localhost") as client:
        assert client.get("/costs/api/health").status_code == 200
        assert client.get("/costs/api/recommendations").status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        answer = client.get("/costs/api/recommendations?limit=2")
        assert client.get(answer.links["next"]["url"]).json()["totalCount"] > 2
        page = client.get("/costs/").text
        start = page.index("/costs/static/")
        assert client.get(page[start : page.index('"', start)]).status_code == 200


def test_a_line_of_the_log_is_one_line(
    seeded_to_read: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever the path has in it."""
    with TestClient(create_app(seeded_to_read, Serving()), base_url="http://localhost") as client:
        client.get("/%0aGET%20/made-up%20200%20%1b%5b31m%00")
    said = capfd.readouterr().err
    assert said.startswith("GET /%0AGET%20/made-up%20200%20%1B%5B31m%00 404 ")
    assert said.count("\n") == 1


def test_markup_in_the_data_stays_text(api: Api, seeded: str) -> None:
    """In JSON it is what it is; no page is made from data on the server."""
    execute(seeded, "UPDATE recommendations SET title = '<img src=x onerror=alert(1)>'")
    client = api(seeded)
    assert client.get("/api/recommendations/3").json()["title"].startswith("<img")
    assert "onerror" not in client.get("/recommendations/3").text
