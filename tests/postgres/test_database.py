"""Flights keep each answer apart, errors point at their place, and connecting explains itself."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from bench.proxy import target_of, through
from lfmigrate.errors import ConnectionFailed, Interrupted, StatementFailed, UsageError
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, Query, roll_back
from lfmigrate.postgres.wire import point_at
from lfmigrate.source.sqlfile import from_text
from tests.helpers.faults import Cutter, Gated, free_port, gated_server, wait_until

Write = Callable[..., Path]


@pytest.fixture
def conn(database: str) -> Iterator[Connection]:
    """Return an open connection to an empty database."""
    with closing(lfmigrate.connect(database)) as open_one:
        yield open_one


@pytest.fixture(scope="session")
def gated() -> Iterator[Gated]:
    """Return a server that asks for passwords."""
    with gated_server() as server:
        yield server


def number(sql: str) -> Query[int]:
    """Return a question for a number."""
    return Query(f"SELECT to_jsonb(({sql}))", (), int)


def failure_of(conn: Connection, text: str) -> StatementFailed:
    """Run the statements of a file and return how they failed."""
    flight = Flight(conn)
    for statement in from_text("001_a.up.sql", text).statements:
        flight.run(statement)
    with pytest.raises(StatementFailed) as caught:
        flight.go()
    return caught.value


# ------------------------------------------------------------------------------------------------
# Flights
# ------------------------------------------------------------------------------------------------


def test_each_question_of_a_flight_gets_its_own_answer(conn: Connection) -> None:
    """Answers come back to who asked, in any order of reading."""
    flight = Flight(conn)
    answers = [flight.ask(number(f"{n} * {n}")) for n in range(50)]
    flight.go()

    assert [answer.value for answer in reversed(answers)] == [n * n for n in reversed(range(50))]


def test_a_question_that_was_not_answered_has_no_value(conn: Connection) -> None:
    """A value is never made up: neither before the flight nor after a failure."""
    flight = Flight(conn)
    flight.do("SELECT 1/0")
    asked = flight.ask(number("1"))
    with pytest.raises(StatementFailed):
        flight.go()

    with pytest.raises(LookupError):
        _ = asked.value
    assert not asked.landed


def test_an_empty_flight_is_harmless(conn: Connection) -> None:
    """Nothing to send is no failure, and the connection can be used afterwards."""
    Flight(conn).go()

    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_parameters_are_sent_separately_from_the_text(conn: Connection) -> None:
    """Quotes, per cents and NULL in a parameter are what they are."""
    flight = Flight(conn)
    asked = flight.ask(
        Query("SELECT to_jsonb(concat_ws('|', $1::text, $2::text))", ("it's 5 % Ω", None), str)
    )
    flight.go()

    assert asked.value == "it's 5 % Ω"


def test_a_statement_of_a_file_may_hold_per_cents(conn: Connection) -> None:
    """What looks like a placeholder in a file is just text."""
    flight = Flight(conn)
    for statement in from_text(
        "a.sql", "DO $$BEGIN RAISE NOTICE '100 %% %', '%s';END$$"
    ).statements:
        answer = flight.run(statement)
    flight.go()

    assert [notice.message for notice in answer.notices] == ["100 % %s"]


def test_a_failure_skips_the_rest_of_its_group_and_not_the_next_group(conn: Connection) -> None:
    """Groups stand on their own: what is skipped did not run, what follows did."""
    conn.execute("CREATE TABLE ran (n int)")
    flight = Flight(conn)
    flight.do("SELECT 1/0")
    skipped = flight.do("INSERT INTO ran VALUES (1)")
    flight.sync()
    followed = flight.do("INSERT INTO ran VALUES (2)")
    with pytest.raises(StatementFailed):
        flight.go()

    assert conn.execute("SELECT n FROM ran").fetchall() == [(2,)]
    assert not skipped.landed
    assert skipped.error is None
    assert followed.landed


def test_a_tolerated_failure_is_kept_and_not_raised(conn: Connection) -> None:
    """Who expects a failure reads it from the answer."""
    flight = Flight(conn)
    asked = flight.ask(Query("SELECT to_jsonb(n) FROM nowhere", (), int))
    flight.sync("42P01")
    after = flight.ask(number("7"))
    flight.go()

    assert asked.error is not None
    assert asked.error.sqlstate == "42P01"
    assert after.value == 7


def test_only_the_named_failures_of_a_group_are_tolerated(conn: Connection) -> None:
    """Another SQLSTATE in the same group is raised, and so is the same one in another group."""
    for tolerated, sql in (("42P01", "SELECT 1/0"), ("3F000", "SELECT * FROM nowhere")):
        flight = Flight(conn)
        flight.do(sql)
        flight.sync(tolerated)
        flight.do("SELECT * FROM nowhere_else")
        with pytest.raises(StatementFailed) as caught:
            flight.go()

        assert caught.value.sqlstate in {"22012", "42P01"}
        assert "nowhere_else" not in caught.value.message


def test_the_first_failure_that_is_not_tolerated_is_the_one_that_is_raised(
    conn: Connection,
) -> None:
    """Of several failed groups the earliest explains the others."""
    flight = Flight(conn)
    flight.do("SELECT * FROM tolerated_one")
    flight.sync("42P01")
    flight.do("SELECT 1/0")
    flight.sync()
    flight.do("SELECT * FROM third")
    with pytest.raises(StatementFailed) as caught:
        flight.go()

    assert caught.value.sqlstate == "22012"


def test_the_connection_can_be_used_after_a_failed_flight(conn: Connection) -> None:
    """The pipeline does not stay on."""
    failure_of(conn, "SELECT 1/0")
    roll_back(conn)

    assert conn.execute("SELECT 1").fetchone() == (1,)
    assert conn.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF


def test_a_flight_on_a_closed_connection_says_that_it_is_lost(conn: Connection) -> None:
    """A library user's closed connection gives our error, not psycopg's."""
    conn.close()
    flight = Flight(conn)
    flight.do("SELECT 1")

    with pytest.raises(ConnectionFailed, match="lost"):
        flight.go()


def test_progress_is_reported_for_the_statements_of_files_that_succeeded(conn: Connection) -> None:
    """Our own statements, failed and skipped ones are no progress."""
    seen: list[str] = []
    flight = Flight(conn, lambda answer: seen.append(answer.sql))
    flight.do("SELECT 'ours'")
    for statement in from_text(
        "a.sql", "SELECT 'a'; SELECT 'b'; SELECT 1/0; SELECT 'c'"
    ).statements:
        flight.run(statement)
    with pytest.raises(StatementFailed):
        flight.go()

    assert seen == ["SELECT 'a'", "SELECT 'b'"]


def test_progress_is_reported_while_later_statements_still_run(
    conn: Connection, database: str
) -> None:
    """The second statement waits for a lock that is let go once the first one was reported."""
    with psycopg.connect(database) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(1)")
        reported: list[str] = []

        def on_progress(answer: object) -> None:
            if not reported:
                holder.rollback()
            reported.append(str(answer))

        flight = Flight(conn, on_progress)
        text = "SELECT 1; SELECT pg_advisory_lock(1)"
        for statement in from_text("a.sql", text).statements:
            flight.run(statement)
        flight.go()

    assert len(reported) == 2


def test_50000_rows_in_the_midst_of_a_flight_do_not_get_in_the_way(conn: Connection) -> None:
    """A file may hold a SELECT; its rows are taken and forgotten."""
    flight = Flight(conn)
    before = flight.ask(number("1"))
    for statement in from_text(
        "a.sql", "SELECT repeat('x', 100) FROM generate_series(1, 50000)"
    ).statements:
        flight.run(statement)
    after = flight.ask(number("2"))
    flight.go()

    assert (before.value, after.value) == (1, 2)


def test_answers_that_come_while_we_still_send_do_not_block(conn: Connection) -> None:
    """5 MB are on their way up while 20 MB of rows and notices come down: no deadlock."""
    loud = "DO $$BEGIN FOR i IN 1..5000 LOOP RAISE NOTICE '%', repeat('n', 1000); END LOOP; END$$"
    wide = "SELECT repeat('x', 1000) FROM generate_series(1, 1000)"
    flight = Flight(conn)
    first = flight.do(loud)
    others = [flight.do(f"{wide} /* {'c' * 50_000} */") for _ in range(100)]
    last = flight.ask(number("3"))
    flight.go()

    assert len(first.notices) == 5000
    assert all(answer.landed for answer in others)
    assert last.value == 3


def test_one_statement_of_30_mb_is_sent_to_its_end(conn: Connection) -> None:
    """The server says nothing before it has all of it, so we must not wait for its words."""
    flight = Flight(conn)
    asked = flight.ask(Query(f"SELECT to_jsonb(length('{'x' * 30_000_000}'))", (), int))
    flight.go()

    assert asked.value == 30_000_000


# ------------------------------------------------------------------------------------------------
# Notices
# ------------------------------------------------------------------------------------------------


def test_a_notice_belongs_to_the_statement_that_raised_it(conn: Connection) -> None:
    """Among 300 statements of which every third raises up to four notices, none is misplaced."""
    flight = Flight(conn)
    expected = []
    answers = []
    for n in range(300):
        said = [f"{n}.{i}" for i in range(n % 5)] if n % 3 == 0 else []
        raised = " ".join(f"RAISE NOTICE '{words}';" for words in said)
        sql = f"DO $$BEGIN {raised} END$$" if n % 2 or said else f"SELECT {n}"
        answers.append(flight.do(sql))
        expected.append(said)
    flight.go()

    assert [[n.message for n in answer.notices] for answer in answers] == expected


def test_notices_are_distinguished_with_progress_too(conn: Connection) -> None:
    """A flush after each statement changes nothing in who said what."""
    text = ";".join(
        f"DO $$BEGIN RAISE NOTICE '{n}'; END$$; DROP TABLE IF EXISTS t{n}" for n in range(50)
    )
    flight = Flight(conn, lambda _: None)
    answers = [flight.run(statement) for statement in from_text("a.sql", text).statements]
    flight.go()

    assert [len(answer.notices) for answer in answers] == [1] * 100
    assert [answers[n * 2].notices[0].message for n in range(50)] == [str(n) for n in range(50)]


def test_a_skipped_relation_is_a_notice_of_its_statement(conn: Connection) -> None:
    """IF NOT EXISTS that skips is recognized by SQLSTATE 42P07, to the statement that skipped."""
    conn.execute("CREATE TABLE there (n int)")
    flight = Flight(conn)
    made = flight.do("CREATE TABLE IF NOT EXISTS fresh (n int)")
    skipped = flight.do("CREATE TABLE IF NOT EXISTS there (n int)")
    made_index = flight.do("CREATE INDEX IF NOT EXISTS there_n_idx ON there (n)")
    flight.go()

    assert [n.sqlstate for n in skipped.notices] == ["42P07"]
    assert made.notices == made_index.notices == []


def test_notices_of_a_failed_statement_are_kept(conn: Connection) -> None:
    """What was said before the failure belongs to the statement that failed."""
    flight = Flight(conn)
    quiet = flight.do("SELECT 1")
    failed = flight.do("DO $$BEGIN RAISE NOTICE 'last words'; PERFORM 1/0; END$$")
    with pytest.raises(StatementFailed):
        flight.go()

    assert [n.message for n in failed.notices] == ["last words"]
    assert quiet.notices == []


def test_a_flight_leaves_no_notice_handler_behind(conn: Connection) -> None:
    """A later notice on the same connection does not reach an old flight's answers."""
    flight = Flight(conn)
    answer = flight.do("DO $$BEGIN RAISE NOTICE 'now'; END$$")
    flight.go()
    conn.execute("DO $$BEGIN RAISE NOTICE 'later'; END$$")

    assert [n.message for n in answer.notices] == ["now"]


# ------------------------------------------------------------------------------------------------
# The place of an error
# ------------------------------------------------------------------------------------------------


def place(text: str, needle: str) -> tuple[int, int, list[str]]:
    """Return where the first statement that holds a word is said to have failed at that word."""
    statement = next(s for s in from_text("a.sql", text).statements if needle in s.text)
    return point_at(statement, statement.text.index(needle) + 1)


def test_the_caret_stands_below_the_place() -> None:
    """Line and column count from the file's beginning, and the excerpt shows that line."""
    line, column, excerpt = place("SELECT 1;\n\n  SELECT nope;\n", "nope")

    assert (line, column) == (3, 10)
    # The excerpt is of the statement, which begins behind the indentation.
    assert excerpt == ["3 | SELECT nope", "           ^"]


def test_a_place_in_a_later_line_of_a_statement_counts_from_that_line() -> None:
    """The statement's own column matters in its first line only."""
    line, column, excerpt = place("      SELECT a,\n  b,\n    nope\nFROM t", "nope")

    assert (line, column) == (3, 5)
    assert excerpt == ["3 |     nope", "        ^"]


def test_crlf_counts_as_one_line_end_and_is_not_shown() -> None:
    """A file from Windows has the same lines and columns."""
    line, column, excerpt = place("SELECT 1;\r\nSELECT a,\r\n  nope,\r\n  b", "nope")

    assert (line, column) == (3, 3)
    assert excerpt == ["3 |   nope,", "      ^"]


def test_tabs_are_kept_so_that_the_caret_stands_right() -> None:
    """A tab is one character of the column, and is repeated above the caret's line."""
    line, column, excerpt = place("SELECT\n\t\ta,\tnope", "nope")

    assert (line, column) == (2, 6)
    assert excerpt == ["2 | \t\ta,\tnope", "    \t\t  \t^"]


def test_columns_are_characters_not_bytes(conn: Connection) -> None:
    """What the server counts and what an editor shows are the same for letters beyond ASCII."""
    error = failure_of(conn, "SELECT 1;\nSELECT 'äöü€𝄞', nope")

    assert (error.line, error.column) == (2, 17)
    assert error.facts[1].index("^") == error.facts[0].index("nope")


def test_the_servers_position_is_right_behind_crlf_and_comments(conn: Connection) -> None:
    """The statement that is sent is the text of the file, so nothing shifts."""
    error = failure_of(conn, "-- é\r\nSELECT /* ü\r\n */ 1;\r\n\r\nSELECT 'ß',\r\n\t\tnope\r\n;")

    assert (error.file, error.line, error.column) == ("001_a.up.sql", 6, 3)
    assert error.facts == ("6 | \t\tnope", "    \t\t^")


def test_without_a_position_the_statements_beginning_is_the_place(conn: Connection) -> None:
    """An error that the server cannot place still has file, line and column, and no caret."""
    error = failure_of(conn, "SELECT 1;\n    SELECT\n 1/0;")

    assert (error.file, error.line, error.column) == ("001_a.up.sql", 2, 5)
    assert error.facts == ("2 | SELECT",)


def test_two_statements_in_one_line_are_distinguished_by_column(conn: Connection) -> None:
    """The column is the file's, not the statement's."""
    error = failure_of(conn, "SELECT 1; SELECT nope;")

    assert (error.line, error.column) == (1, 18)


def test_detail_and_context_of_the_server_are_passed_on(conn: Connection) -> None:
    """What the server knows about an error is not lost."""
    error = failure_of(
        conn,
        "CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t VALUES (1);"
        "DO $$BEGIN INSERT INTO t VALUES (1); END$$",
    )

    assert error.sqlstate == "23505"
    assert "Key (n)=(1) already exists." in error.facts
    assert any("PL/pgSQL function" in line for line in error.facts)


def test_the_servers_hint_is_passed_on_unless_it_recommends_cascade(conn: Connection) -> None:
    """A misspelt column is suggested; a cascade never is."""
    conn.execute("CREATE TABLE t (amount int); CREATE VIEW v AS SELECT * FROM t")
    misspelt = failure_of(conn, "SELECT amout FROM t")
    roll_back(conn)
    needed = failure_of(conn, "DROP TABLE t")

    assert misspelt.hint is not None
    assert '"t.amount"' in misspelt.hint
    assert needed.hint is None
    assert any("view v depends on table t" in line for line in needed.facts)


# ------------------------------------------------------------------------------------------------
# Signals
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes", [0, 20])
def test_an_interrupt_cancels_what_runs_and_closes_the_connection(
    conn: Connection, database: str, megabytes: int
) -> None:
    """Waiting or still sending: the statement is cancelled on the server, not left running."""
    flight = Flight(conn)
    flight.do("SELECT pg_sleep(600)")
    flight.do(f"SELECT 1 /* {'c' * megabytes * 1_000_000} */")
    with psycopg.connect(database, autocommit=True) as observer:

        def sleeps() -> bool:
            found = observer.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event = 'PgSleep'"
            )
            return found.fetchone() is not None

        def interrupt() -> None:
            wait_until(sleeps, "the statement runs")
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(Interrupted):
            flight.go()

        wait_until(lambda: not sleeps(), "the statement was cancelled")
    assert conn.closed


# ------------------------------------------------------------------------------------------------
# Connecting
# ------------------------------------------------------------------------------------------------


def refusal_of(url: str, *, wait_s: float = 0) -> tuple[ConnectionFailed, list[str]]:
    """Return how connecting failed, and the reasons for waiting that were reported."""
    waited: list[str] = []
    with pytest.raises(ConnectionFailed) as caught:
        lfmigrate.connect(url, wait_s=wait_s, on_wait=waited.append)
    return caught.value, waited


def test_a_closed_port_is_called_so() -> None:
    """Nothing listens: the message says where, and what to do."""
    port = free_port()
    error, _ = refusal_of(f"postgresql://me@127.0.0.1:{port}/x")

    assert error.message == f"connection to 127.0.0.1:{port} refused"
    assert error.hint is not None
    assert "--embedded" in error.hint
    assert error.exit_code == 4


def test_a_missing_socket_is_called_so(tmp_path: Path) -> None:
    """A folder without a socket in it is a server that does not run."""
    error, _ = refusal_of(f"host={tmp_path} dbname=x")

    assert error.message == f"no server listens on a socket in {tmp_path}"


def test_an_unknown_host_is_called_so() -> None:
    """The name is repeated, because it is usually misspelt."""
    error, _ = refusal_of("postgresql://me@no-such-host.invalid/x")

    assert error.message == 'host "no-such-host.invalid" was not found'


def test_a_server_that_does_not_answer_is_called_so() -> None:
    """A port that lets in and then says nothing runs into the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error, _ = refusal_of(f"postgresql://me@127.0.0.1:{port}/x?connect_timeout=2")

    assert error.message == f"127.0.0.1:{port} did not answer in time"


def test_a_missing_database_is_called_so(database: str) -> None:
    """The name that was asked for, and how to make it."""
    error, _ = refusal_of(make_conninfo(database, dbname="no_such_database"))

    assert error.message.startswith('database "no_such_database" does not exist on ')
    assert error.hint is not None
    assert "createdb no_such_database" in error.hint


@pytest.mark.parametrize("name", ["guest", "no_database_user"])
def test_a_missing_role_is_called_so(gated: Gated, name: str) -> None:
    """A role is a role, whatever words its name is made of."""
    error, _ = refusal_of(f"postgresql://{name}@127.0.0.1:{gated.port}/postgres")

    assert error.message == f'role "{name}" does not exist on 127.0.0.1:{gated.port}'


def test_a_wrong_password_is_called_so(gated: Gated) -> None:
    """The message names the role and never the password."""
    error, _ = refusal_of(f"postgresql://clerk:wrong@127.0.0.1:{gated.port}/postgres")
    said = " ".join([error.message, *error.facts, error.hint or ""])

    assert error.message == f'127.0.0.1:{gated.port} rejected the password of role "clerk"'
    assert "wrong" not in said
    assert "percent-encoded" in said


def test_an_absent_password_is_called_so(gated: Gated) -> None:
    """None given is another mistake than a wrong one."""
    error, _ = refusal_of(f"postgresql://clerk@127.0.0.1:{gated.port}/postgres")

    assert error.message == (
        f'127.0.0.1:{gated.port} requires a password for role "clerk", and none is given'
    )


def test_a_right_password_lets_in(gated: Gated) -> None:
    """The counterpart, so that the refusals above mean something."""
    with closing(
        lfmigrate.connect(f"postgresql://clerk:s3cret@127.0.0.1:{gated.port}/postgres")
    ) as conn:
        assert conn.info.user == "clerk"


def test_a_server_that_wants_tls_is_called_so(gated: Gated) -> None:
    """A pg_hba.conf entry for TLS only, and a URL that switches TLS off."""
    error, _ = refusal_of(
        f"postgresql://secretive:s3cret@127.0.0.1:{gated.port}/postgres?sslmode=disable"
    )

    assert error.message == f"127.0.0.1:{gated.port} requires TLS"
    assert error.hint is not None
    assert "sslmode=require" in error.hint


def test_a_server_without_tls_is_called_so(gated: Gated) -> None:
    """A URL that insists on TLS gets the other advice."""
    error, _ = refusal_of(
        f"postgresql://clerk:s3cret@127.0.0.1:{gated.port}/postgres?sslmode=require"
    )

    assert (
        error.message
        == f"server 127.0.0.1:{gated.port} does not support TLS, but the URL requires it"
    )


def test_a_wrong_password_is_not_tried_again(gated: Gated) -> None:
    """Trying again would lock the role out; the wait is for servers that wake up."""
    error, waited = refusal_of(
        f"postgresql://clerk:wrong@127.0.0.1:{gated.port}/postgres", wait_s=5
    )

    assert "password" in error.message
    assert waited == []


def test_a_wrong_password_is_not_tried_again_where_another_host_is_down(gated: Gated) -> None:
    """As with localhost, where ::1 refuses and 127.0.0.1 asks for the password."""
    closed = free_port()
    error, waited = refusal_of(
        f"host=127.0.0.1,127.0.0.1 port={closed},{gated.port} user=clerk password=wrong"
        " dbname=postgres",
        wait_s=5,
    )

    assert "password" in error.message
    assert waited == []


def test_a_missing_database_is_not_waited_for(database: str) -> None:
    """A server that answers is awake."""
    _, waited = refusal_of(make_conninfo(database, dbname="no_such_database"), wait_s=5)

    assert waited == []


def test_waiting_ends_when_the_port_opens(database: str) -> None:
    """The reason is reported once, and the server is used as soon as it is there."""
    opened: list[Cutter] = []
    waited: list[str] = []
    port = free_port()

    def on_wait(reason: str) -> None:
        waited.append(reason)
        # What wakes up is a real server behind a port that was closed until now.
        opened.append(stack.enter_context(Cutter(target_of(database), b"never", port=port)))

    with (
        ExitStack() as stack,
        closing(lfmigrate.connect(through(database, port), wait_s=60, on_wait=on_wait)) as conn,
    ):
        found = conn.execute("SELECT 1").fetchone()

    assert found == (1,)
    assert len(opened) == 1
    assert waited == [f"connection to 127.0.0.1:{port} refused"]


def test_a_server_that_shuts_down_is_waited_for() -> None:
    """It accepts no connection while a session is left, and is often about to come back."""
    with gated_server() as server, psycopg.connect(server.url, autocommit=True) as left:
        row = left.execute("SHOW data_directory").fetchone()
        assert row is not None
        postmaster = int((Path(row[0]) / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGTERM)  # smart: it waits for the session

        error, waited = refusal_of(server.url, wait_s=0.5)

    assert len(waited) == 1
    assert "the database system is shutting down" in " ".join(error.facts)


def test_waiting_gives_up_and_says_why() -> None:
    """After the time is over the last reason is the error."""
    port = free_port()
    started = time.monotonic()
    error, waited = refusal_of(f"postgresql://me@127.0.0.1:{port}/x", wait_s=0.7)

    assert waited == [error.message]
    assert time.monotonic() - started >= 0.2


def test_a_connection_of_ours_works_through_transaction_poolers(conn: Connection) -> None:
    """No startup options, no named prepared statements, and no transaction of psycopg's own."""
    assert conn.prepare_threshold is None
    assert conn.autocommit
    assert "options" not in conn.info.get_parameters()
    assert conn.info.parameter_status("application_name") == "lfmigrate"


# ------------------------------------------------------------------------------------------------
# Connections of library users
# ------------------------------------------------------------------------------------------------


def test_a_connection_with_an_open_transaction_is_refused(database: str, folder: Write) -> None:
    """Our transaction would be a part of theirs, and a promise about it would be void."""
    files = lfmigrate.read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with psycopg.connect(database) as conn:
        conn.execute("CREATE TABLE theirs (n int)")
        for verb in (lfmigrate.up, lfmigrate.verify, lfmigrate.status):
            with pytest.raises(UsageError, match="open transaction"):
                verb(conn, files)

        conn.commit()
        assert conn.execute("SELECT to_regclass('theirs') IS NOT NULL").fetchone() == (True,)
        assert conn.execute("SELECT to_regclass('a')").fetchone() == (None,)


def test_a_connection_with_a_failed_transaction_is_refused(database: str, folder: Write) -> None:
    """A failed transaction is an open one."""
    files = lfmigrate.read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with psycopg.connect(database) as conn:
        with pytest.raises(psycopg.errors.DivisionByZero):
            conn.execute("SELECT 1/0")

        with pytest.raises(UsageError, match="open transaction"):
            lfmigrate.up(conn, files)
        conn.rollback()


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_connection_of_psycopgs_default_kind_works(
    database: str, folder: Write, *, autocommit: bool
) -> None:
    """With and without autocommit; afterwards it is idle and usable, and all is committed."""
    files = lfmigrate.read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    with psycopg.connect(database, autocommit=autocommit) as conn:
        report = lfmigrate.up(conn, files)
        assert conn.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert lfmigrate.verify(conn, files).ok

        assert [m.status for m in report.migrations] == ["applied"]
        assert conn.autocommit == autocommit
        conn.rollback()
        assert conn.execute("SELECT to_regclass('a') IS NOT NULL").fetchone() == (True,)


def test_a_connection_with_another_encoding_is_refused(database: str, folder: Write) -> None:
    """The server would read each letter beyond ASCII as two others, and store those."""
    files = lfmigrate.read_folder(
        folder({"001_a.up.sql": "CREATE TABLE a (n int); COMMENT ON TABLE a IS 'é'"})
    )
    with psycopg.connect(database, client_encoding="latin1", autocommit=True) as conn:
        with pytest.raises(UsageError, match="encoding is LATIN1, and SQL files are UTF-8"):
            lfmigrate.up(conn, files)

        assert conn.execute("SELECT to_regclass('a')").fetchone() == (None,)


def test_text_beyond_ascii_arrives_as_it_is(database: str, folder: Write) -> None:
    """The counterpart: on a UTF-8 connection the letter is stored as one letter."""
    files = lfmigrate.read_folder(
        folder({"001_a.up.sql": "CREATE TABLE a (n int); COMMENT ON TABLE a IS 'é'"})
    )
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.up(conn, files)
        found = conn.execute("SELECT ascii(obj_description('a'::regclass))").fetchone()

    assert found == (0xE9,)


def test_a_role_that_was_set_stays_set(database: str, folder: Write) -> None:
    """Settings of the session are neither used up nor changed by a run."""
    files = lfmigrate.read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)"}))
    label = f"app-{uuid4().hex[:6]}"
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("SET lock_timeout = '7s'")
        conn.execute(f"SET application_name = '{label}'")
        lfmigrate.up(conn, files)

        assert conn.execute("SHOW lock_timeout").fetchone() == ("7s",)
        assert conn.execute("SHOW application_name").fetchone() == (label,)
