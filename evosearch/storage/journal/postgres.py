"""The one place that knows PostgreSQL: how a journal is made and opened there, and what its errors mean."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
)

from evosearch.errors import CannotRunError, InputError, JournalAwayError, JournalError
from evosearch.storage.backups.rescue import ServerGuard
from evosearch.storage.holding.advisory import AdvisoryLocks
from evosearch.storage.journal.adoption import follow, follows
from evosearch.storage.journal.database import Database
from evosearch.storage.journal.tables import SCHEMA, TRUTH_TABLES, meta, metadata
from evosearch.storage.journal.upgrade import Check, schema_of, upgrade
from evosearch.storage.urls import without_password

LOCK_SECONDS = 40
"""Longest wait for a row that another writer has locked."""

FROZEN_SECONDS = 30
"""A writer that stands still in the middle of a transaction for longer loses it: one that is frozen or cut off
must not keep the next driver out.
"""

DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # a link that is cut is noticed after half a minute instead of never
    "client_encoding": "utf8",
    "fallback_application_name": "evosearch",
}
"""Parameters of libpq where the URL does not give them."""

UPGRADE_LOCK_SECONDS = 10
"""Longest wait of an upgrade for readers to end; it keeps all others out meanwhile."""

_CREATION = int.from_bytes(b"evosear")
_GONE = ("08", "57P")  # classes of SQLSTATE: connection exceptions; the server shuts down or starts
_FOREIGN = {"42P01", "42703"}  # no such table, no such column
_LOCKED = "55P03"  # no lock within the time
_DAMAGED = {"XX001", "XX002"}
_REFUSED = ("does not exist", "authentication failed", "no password supplied", "no pg_hba.conf entry")


def open_database(url: URL, *, must_exist: bool, copy_of: Callable[[str], Database]) -> Database:
    """The journal in the database at `url`, made there unless it `must_exist`.

    `copy_of`: gives the copy of a journal of an older schema, by a name of its own, for readers.

    Raises:
        JournalError: there is no journal, no such database, or the user is refused.
        JournalAwayError: the server cannot be reached.
        CannotRunError: it does not let a journal be made; psycopg is missing.
    """
    place = without_password(url.render_as_string(hide_password=False))
    engine = _engine(url, place)
    reader = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        if not _holds_journal(reader):
            if must_exist:
                raise JournalError(
                    f"there is no journal in {place}; start a search first, or say where it is with --storage"
                )
            _create(engine, place)
        with reader.connect() as connection:
            schema = schema_of(connection, place)
        present = Database(
            reader,
            engine,
            place,
            None,
            verify=_verify,
            locks=lambda _, name: AdvisoryLocks(engine, name),
            close=engine.dispose,
            guard=ServerGuard(place),
        )
        if schema == SCHEMA:
            return present
        return replace(_older(present, copy_of(sha256(place.encode()).hexdigest()[:16])), schema=schema)
    except BaseException:
        engine.dispose()
        raise


def _older(journal: Database, copy: Database) -> Database:
    """What can be done with `journal`, which is of an older schema; `copy` follows it."""

    def close() -> None:
        copy.close()
        journal.close()

    return replace(
        journal,
        reader=copy.reader,
        close=close,
        refresh=partial(_refresh, journal, copy),
        upgrade=partial(_upgrade, journal),
    )


def _refresh(journal: Database, copy: Database) -> None:
    with journal.reader.connect() as source:
        schema_of(source, journal.place)
        with copy.reader.connect() as to:
            if follows(source, to):
                return
        with copy.writer.begin() as to:
            follow(source, to, f"the journal {journal.place}")


def _upgrade(journal: Database, check: Check) -> Database:
    tables = ", ".join(table.name for table in TRUTH_TABLES)
    try:
        with journal.writer.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{UPGRADE_LOCK_SECONDS}s'")
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
            if schema_of(connection, journal.place) < SCHEMA:
                connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
                upgrade(connection, journal.place, check)
    except CannotRunError as error:
        if getattr(error.__cause__, "sqlstate", None) != _LOCKED:
            raise
        raise CannotRunError(
            f"the journal {journal.place} is in use, so that it could not be upgraded within "
            f"{UPGRADE_LOCK_SECONDS} s; run the command again"
        ) from error
    return journal


def _verify() -> None:
    """PostgreSQL looks through its own files (`initdb --data-checksums`, pg_amcheck)."""


def _engine(url: URL, place: str) -> Engine:
    if "@" in (url.host or ""):  # the rest of a password, which no message may show
        raise InputError("the password in the URL of the journal holds an '@'; write it as %40")
    given = {name: value for name, value in DEFAULTS.items() if name not in url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # a server that was restarted since costs nothing
            connect_args=given,
        )
    except ImportError as error:
        raise CannotRunError(
            f"a journal in PostgreSQL needs the package psycopg, which cannot be loaded ({error}); "
            "install it with: pip install 'psycopg[binary]'"
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        if not context.is_pre_ping:  # else the pool connects again
            _explain(context, place)

    return engine


def _explain(context: ExceptionContext, place: str) -> None:
    """Raise our own error for what a user can fix; anything else, a row that is there twice, stays as it is."""
    error = context.original_exception
    state = getattr(error, "sqlstate", None) or ""
    told = " ".join(str(error).split())  # PostgreSQL's words run over several lines
    if context.connection is None and any(word in told for word in _REFUSED):
        raise JournalError(
            f"the journal {place} cannot be opened ({told}); fix the URL, create the database, or give "
            "its password in PGPASSWORD or ~/.pgpass"
        ) from error
    if context.connection is None or context.is_disconnect or state.startswith(_GONE):
        raise JournalAwayError(
            f"the journal {place} cannot be reached ({told}); see that its server runs and lets this machine "
            "in, then resume: a search goes on where its journal ends"
        ) from error
    if state in _FOREIGN:
        raise JournalError(
            f"{place} holds no journal of evosearch ({told}); name another database"
        ) from error
    if state in _DAMAGED:
        raise JournalError(f"the journal {place} is damaged ({told}); restore it from a copy") from error
    if _is_operational(context):
        raise CannotRunError(
            f"the journal {place} cannot be used ({told}); see to its disk, permissions and other users"
        ) from error


def _is_operational(context: ExceptionContext) -> bool:
    """No permission, read-only, out of resources, locked by others, or a fault of the server's own."""
    state = getattr(context.original_exception, "sqlstate", None) or ""
    return state == "42501" or state[:2] in {"25", "40", "53", "54", "55", "57", "58", "XX"}


def _holds_journal(engine: Engine) -> bool:
    with engine.connect() as connection:
        return inspect(connection).has_table(meta.name)


def _create(engine: Engine, place: str) -> None:
    """Make every table; where another process is first, its journal stays."""
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION)))
        tables = inspect(connection)
        if tables.has_table(meta.name):
            return
        if taken := sorted(set(tables.get_table_names()) & set(metadata.tables)):
            raise JournalError(
                f"{place} holds no journal of evosearch but another program's table {taken[0]!r}; name "
                "another database"
            )
        _check_encoding(connection, place)
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(meta).values(schema=SCHEMA, evosearch=version("evosearch")))


def _check_encoding(connection: Connection, place: str) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding not in {"UTF8", "SQL_ASCII"}:  # the latter keeps any bytes
        raise JournalError(
            f"the database {place} keeps texts as {encoding}, which cannot hold every message; create one with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
