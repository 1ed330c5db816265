"""Flights, poolers, and a database that goes away."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.dashboard import create_app, reads
from lfmigrate.errors import UsageError
from tests.dashboard.conftest import Api
from tests.helpers.databases import execute
from tests.helpers.faults import Cutter, wait_until

READS = (
    "/api/performance-insights",
    "/api/cost-categories",
    "/api/cost-categories/acute-rehab",
    "/api/recommendations",
    "/api/recommendations/3",
    "/api/health",
)


def word(answer: Any) -> str:
    """Return the word of a problem, after checking what all of them have."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["type"].rpartition(":")[2])


@pytest.mark.any_version
def test_a_read_is_one_flight_and_a_change_is_two(api: Api, seeded: str) -> None:
    """However many rows there are."""
    with Proxy(target_of(seeded)) as proxy:
        client = api(through(seeded, proxy.port))
        client.get("/api/health")

        def flights(path: str) -> int:
            before = proxy.flights
            assert client.get(path).status_code == 200
            return proxy.flights - before

        few = [flights(path) for path in READS]
        execute(
            seeded,
            "INSERT INTO recommendations (title) SELECT 'More ' || n FROM generate_series(1, 100)"
            " AS n",
        )
        assert few == [flights(path) for path in READS] == [1] * len(READS)
        before = proxy.flights
        assert client.patch("/api/recommendations/3", json={"status": "rejected"}).is_success
        assert proxy.flights - before == 2


@pytest.mark.pooler
def test_through_a_transaction_pooler(api: Api, seeded: str, pooler_url: str) -> None:
    """Nothing depends on the session."""
    name = str(conninfo_to_dict(seeded)["dbname"])
    client = api(make_conninfo(pooler_url, dbname=name), schema="public")
    for path in (*READS, *READS):
        assert client.get(path).status_code == 200
    for status in ("rejected", "accepted"):
        answer = client.patch("/api/recommendations/3", json={"status": status})
        assert answer.json()["recommendation"]["status"] == status


@pytest.mark.any_version
def test_another_schema(api: Api, database: str) -> None:
    """With the name that the other commands take; none of it is in the search_path."""
    folder = lfmigrate.read_folder(lfmigrate.shipped_folder())
    scope = lfmigrate.Scope(schema='Odd "name"')
    execute(database, 'CREATE SCHEMA "Odd ""name"""')
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, folder, scope=scope)
        lfmigrate.seed(conn, folder, scope=scope)
    client = api(database, schema='Odd "name"')
    assert client.get("/api/recommendations").json()["totalCount"] > 5
    assert client.patch("/api/recommendations/3", json={"status": "rejected"}).is_success
    assert word(api(database).get("/api/recommendations")) == "schema-missing"


@pytest.mark.per_version
def test_no_tables(api: Api, applied: str) -> None:
    """The problem names what is missing and the command; the tables may come later."""
    client = api(applied)
    assert client.get("/api/recommendations").status_code == 200
    folder = lfmigrate.read_folder(lfmigrate.shipped_folder())
    with lfmigrate.connect(applied) as conn:
        lfmigrate.rollback(conn, folder, backup_dir=None)
        answer = client.get("/api/recommendations")
        assert word(answer) == "schema-missing"
        assert answer.json()["missing"] == list(reads.RELATIONS)
        assert "lfmigrate up" in answer.json()["detail"]
        change = client.patch("/api/recommendations/3", json={"status": "rejected"})
        assert word(change) == "schema-missing"
        lfmigrate.up(conn, folder)
    assert client.get("/api/recommendations").status_code == 200


def test_a_dead_connection_is_replaced(api: Api, seeded: str) -> None:
    """As after a restart of the server: no request fails, however many were open."""
    client = api(seeded)
    barrier = threading.Barrier(4)

    def get() -> None:
        barrier.wait()
        client.get("/api/performance-insights")

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(seeded, autocommit=True) as conn:
        ended = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lfmigrate serve' AND datname = current_database()"
        ).fetchall()
    assert ended
    for path in READS:
        assert client.get(path).status_code == 200


@pytest.mark.any_version
def test_a_database_that_goes_away_and_comes_back(api: Api, seeded: str) -> None:
    """503, and 200 as soon as it is there again; the application is not restarted."""
    with Cutter(target_of(seeded), at_byte=-1, meanwhile=lambda: None) as first:
        port = first.port
        client = api(through(seeded, port))
        assert client.get("/api/recommendations").status_code == 200
    assert word(client.get("/api/recommendations")) == "database-unreachable"
    assert word(client.get("/api/health")) == "database-unreachable"
    with Cutter(target_of(seeded), at_byte=-1, meanwhile=lambda: None, port=port):
        answers: list[int] = []

        def is_back() -> bool:
            answers.append(client.get("/api/recommendations").status_code)
            return answers[-1] == 200

        wait_until(is_back, "the database is used again")
    assert set(answers[:-1]) <= {503}


@pytest.mark.any_version
def test_a_network_that_drops_everything(
    api: Api, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which nothing comes back is given up; the next one answers."""
    silent = {"hold_server": True, "hold_client": True}
    with Cutter(target_of(seeded), b"recommendation_list", **silent) as proxy:  # type: ignore[arg-type]  # both are switches
        client = api(through(seeded, proxy.port), statement_timeout_ms=10_000)
        # Ten seconds less than the server's own limit: it does not end the query first.
        monkeypatch.setattr(reads, "_GRACE_S", -9)
        assert client.get("/api/recommendations").status_code == 200
        assert proxy.cuts > 1


@pytest.mark.any_version
def test_a_missing_column(api: Api, seeded: str) -> None:
    """All tables are there, so another command says what is wrong."""
    execute(
        seeded,
        "DROP VIEW v_recommendations_with_categories",
        "ALTER TABLE recommendations DROP COLUMN status_changed_by CASCADE",
        "CREATE VIEW v_recommendations_with_categories AS SELECT",
    )
    answer = api(seeded).get("/api/recommendations")
    assert word(answer) == "schema-missing"
    assert answer.json()["missing"] == []
    assert "lfmigrate verify" in answer.json()["detail"]


@pytest.mark.any_version
@pytest.mark.parametrize("url", ["postgresql://u:s3cret@[::1/db", "postgresql://u:s3c%zret@h/db"])
def test_a_url_that_cannot_be_read(url: str) -> None:
    """The driver's message would quote its password."""
    with pytest.raises(UsageError) as error:
        create_app(url)
    assert "s3c" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


@pytest.mark.any_version
def test_it_starts_without_a_database(api: Api) -> None:
    """A program that mounts it may start first."""
    client = api("host=127.0.0.1 port=1 dbname=nothing connect_timeout=1")
    assert client.get("/").status_code == 200
    assert word(client.get("/api/health")) == "database-unreachable"


@pytest.mark.any_version
def test_a_query_that_takes_too_long(api: Api, seeded: str) -> None:
    """It is cancelled, and the connection is used again."""
    client = api(seeded, statement_timeout_ms=100)
    with psycopg.connect(seeded) as conn:
        conn.execute("LOCK TABLE recommendations")
        assert word(client.get("/api/recommendations")) == "query-timeout"
    # A busy machine may need more time for the query itself, now and then.
    wait_until(lambda: client.get("/api/recommendations").is_success, "the query is in time")


@pytest.mark.any_version
def test_all_connections_are_in_use(api: Api, seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of them; the fifth request waits in vain."""
    monkeypatch.setattr(reads, "_POOL_TIMEOUT_S", 1)
    client = api(seeded, statement_timeout_ms=60_000)
    with psycopg.connect(seeded) as conn, psycopg.connect(seeded, autocommit=True) as observer:
        conn.execute("LOCK TABLE recommendations")
        threads = [
            threading.Thread(target=client.get, args=["/api/recommendations"]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        wait_until(
            lambda: (
                len(
                    observer.execute(
                        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                        " AND datname = current_database()"
                    ).fetchall()
                )
                == 4
            ),
            "four requests wait",
        )
        assert word(client.get("/api/cost-categories")) == "busy"
    for thread in threads:
        thread.join()
    assert client.get("/api/cost-categories").status_code == 200


@pytest.mark.any_version
def test_documents_are_small(api: Api, seeded_to_read: str) -> None:
    """At most 20 kB each for the rows that ship."""
    client = api(seeded_to_read)
    for path in READS:
        answer = client.get(path)
        assert len(answer.content) < 20_000
        json.loads(answer.text)
