"""The shadow database, in which files are replayed so that they cannot reach the live database.

It is the one that the caller has named, one that is created on the live server, or one that is
created on the private server.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.catalog.shadow import ShadowNeeds, shadow_facts
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.temporary_database import (
    connect_if_possible_directly,
    temporary_database,
)
from lfmigrate.errors import ConnectionFailed, DatabaseError, UsageError
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection, address_of, is_idle
from lfmigrate.postgres.pipeline import Flight, Query, roll_back
from lfmigrate.postgres.programs import major_version
from lfmigrate.postgres.release import Defaults
from lfmigrate.syntax.names import quote_name

# For the words of CREATE DATABASE; the column came with 15, and builtin with 17.
_PROVIDERS = {"i": "icu", "b": "builtin"}
_HAS_PROVIDERS = 15

# Limits of the role or the database that could end a replay.
_NO_LIMITS = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
}


@dataclass(frozen=True, slots=True)
class Shadow:
    """A database to replay files in.

    Attributes:
        conn: A connection to it, without an open transaction; one that is open in the end is rolled
            back.
        defaults: The settings under which files run in it.
        is_given: Whether the caller has named it, so that it may have to be emptied first.
        is_live_server: Whether it was created on the server of the live database.
        roles: The roles that exist on its server, of those that the files name.
        role: The role that the files run as.
    """

    conn: Connection
    defaults: Defaults
    is_given: bool
    is_live_server: bool
    roles: frozenset[str]
    role: str


class NoShadowDatabase(DatabaseError):  # noqa: N818 (what is missing, as in ConnectionFailed)
    """There is no database to replay files in; the details say why, the hint what would help."""

    code = "no_shadow_database"


class _Unavailable(Exception):  # noqa: N818 (why a choice is not available)
    pass


@contextmanager
def shadow_database(
    session: Session,
    state: DatabaseState,
    needs: ShadowNeeds,
    *,
    roles: frozenset[str],
    holds_shared: bool,
) -> Iterator[Shadow]:
    """Choose a database to replay files in, and drop it afterwards if it was created.

    Args:
        session: The command; a transaction may be open on its connection.
        state: The live database.
        needs: What the shadow database must have in common with it.
        roles: The roles that the files name.
        holds_shared: Whether the open transaction may have changed what all databases of the
            server share. A replay on the same server would wait for it.

    Raises:
        NoShadowDatabase: There is none.
        UsageError: The database that was named cannot be used.
        ConnectionFailed: It cannot be reached.
    """
    choice = _Choice(session, state, needs, roles)
    if session.scope.shadow_url is not None:
        with choice.given(session.scope.shadow_url) as shadow:
            yield shadow
        return
    reasons: list[str] = []
    with ExitStack() as stack:
        for where, source in (
            ("this server", choice.same_server(holds_shared=holds_shared)),
            ("the private PostgreSQL", choice.private_server()),
        ):
            try:
                shadow = stack.enter_context(source)
            except _Unavailable as why:
                reasons.append(f"not on {where}: {why}")
                continue
            yield shadow
            return
    raise NoShadowDatabase(
        "the files cannot be replayed, because there is no shadow database",
        detail=reasons,
        hint="Name a database that may be emptied with --shadow-url, let a superuser run ALTER ROLE"
        f" {quote_name(state.server.role)} CREATEDB, or install the private PostgreSQL, if it has"
        " the same major version: pip install 'lfmigrate[embedded]'.",
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The databases that may serve."""

    session: Session
    state: DatabaseState
    needs: ShadowNeeds
    roles: frozenset[str]

    @contextmanager
    def given(self, url: str) -> Iterator[Shadow]:
        """Use the database that was named."""
        with closing(connect_if_possible_directly(url, self.state.server.version)) as conn:
            try:
                yield self._shadow(conn, is_given=True)
            finally:
                if not conn.closed and not is_idle(conn):
                    roll_back(conn)

    @contextmanager
    def same_server(self, *, holds_shared: bool) -> Iterator[Shadow]:
        """Create a database on the live server."""
        server = self.state.server
        if server.standby:
            raise _Unavailable("it is a standby, which is read-only")
        if not self.needs.may_create:
            raise _Unavailable(f'role "{server.role}" may not create databases')
        if holds_shared:
            raise _Unavailable("the run has changed what all of its databases share, such as roles")
        address = address_of(self.session.conn)
        options = [_options(self.needs, server.major)]
        with self._created(
            address, options, version=server.version, role=server.role_setting
        ) as conn:
            yield self._shadow(conn, is_live_server=True)

    @contextmanager
    def private_server(self) -> Iterator[Shadow]:
        """Create a database on the private server."""
        major, wanted = major_version(), self.state.server.major
        if major is None:
            raise _Unavailable("it is not installed")
        if major != wanted:
            raise _Unavailable(f"its major version is {major}, and not {wanted}")
        from lfmigrate.postgres import embedded  # noqa: PLC0415 (rarely needed)

        try:
            address = embedded.start(say=self.session.say)
        except (ConnectionFailed, UsageError) as error:
            raise _Unavailable(error.message) from None
        # This machine may not have the locale of the live server.
        encoding = self.needs.database["encoding"]
        options = [_options(self.needs, major), f"ENCODING {_quote(encoding)} LOCALE 'C'"]
        with self._created(address, options, version=major * 10_000) as conn:
            yield self._shadow(conn)

    @contextmanager
    def _created(
        self, address: str, options: Sequence[str], *, version: int, role: str = "none"
    ) -> Iterator[Connection]:
        with ExitStack() as stack:
            try:
                conn = stack.enter_context(
                    temporary_database(
                        address, options, self.session.say, version=version, role=role
                    )
                )
            except DatabaseError as error:
                raise _Unavailable(error.message) from None
            yield conn

    def _shadow(
        self, conn: Connection, *, is_given: bool = False, is_live_server: bool = False
    ) -> Shadow:
        """Read what a database allows, and refuse one that was named and cannot be used."""
        live = self.state.server
        wanted = {**self.needs.settings, **live.session_settings, **_NO_LIMITS}
        key = str(secrets.randbits(62))
        flight = Flight(conn)
        flight.do("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
        flight.limit(self.session.scope)
        flight.do("SELECT pg_advisory_xact_lock($1::bigint)", key)
        process = flight.ask(Query("SELECT to_jsonb(pg_backend_pid())", (), int))
        server = flight.ask(catalog.server())
        facts = flight.ask(
            shadow_facts(wanted, self.roles, ledger=ledger.table(self.session.scope))
        )
        if not is_given:
            flight.do("ROLLBACK")
        flight.go()
        own = server.value
        if is_given:
            if own.major != live.major:
                raise UsageError(
                    f"the shadow database is on PostgreSQL {own.major}, and the live one on"
                    f" {live.major}",
                    hint="Definitions read differently there: name one on the same major version.",
                )
            if self._is_live(key, process.value) or facts.value.has_history:
                raise UsageError(
                    f'the shadow database "{own.database}" is not one that may be emptied: it '
                    + ("has a history" if facts.value.has_history else "is the live database"),
                    hint="Name one that is for replays and nothing else.",
                )
            roll_back(conn)
        path = live.search_path
        if own.role != live.role:
            path = path.replace('"$user"', quote_name(live.role))
        settings = {name: text for name, text in wanted.items() if name in facts.value.settable}
        defaults = (live if is_live_server else own).defaults
        return Shadow(
            conn,
            # The session is lfmigrate's own, whatever the caller's had.
            defaults._replace(search_path=path, jit=live.jit, settings=settings, own=()),
            is_given,
            is_live_server,
            facts.value.roles,
            own.role,
        )

    def _is_live(self, key: str, process: int) -> bool:
        """Return whether a lock of the shadow session is one in the live database."""
        flight = self.session.flight()
        asked = flight.ask(
            Query(
                "SELECT to_jsonb(EXISTS (SELECT FROM pg_locks AS k JOIN pg_database AS d"
                " ON d.oid = k.database WHERE d.datname = current_database() AND k.objsubid = 1"
                " AND k.locktype = 'advisory' AND k.pid = $1::int"
                " AND (k.classid::bigint << 32) | k.objid::bigint = $2::bigint))",
                (str(process), key),
                bool,
            )
        )
        flight.go()
        return asked.value


def _options(needs: ShadowNeeds, major: int) -> str:
    """Return the encoding and the locale of the live database, for CREATE DATABASE."""
    database = needs.database
    words = [
        f"{word} {_quote(database[name])}"
        for word, name in (
            ("ENCODING", "encoding"),
            ("LC_COLLATE", "lc_collate"),
            ("LC_CTYPE", "lc_ctype"),
        )
    ]
    provider = _PROVIDERS.get(database["provider"] or "")
    if provider is not None:
        words.append(f"LOCALE_PROVIDER {provider}")
        words.append(f"{provider.upper()}_LOCALE {_quote(database['locale'])}")
        if database["rules"] is not None:
            words.append(f"ICU_RULES {_quote(database['rules'])}")
    elif major >= _HAS_PROVIDERS:
        words.append("LOCALE_PROVIDER libc")
    return " ".join(words)


def _quote(text: str | None) -> str:
    """Return a name or the rules of a locale as a literal, whatever the server's settings are."""
    return "E'" + (text or "").replace("\\", "\\\\").replace("'", "''") + "'"
