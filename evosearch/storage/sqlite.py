"""The one place that knows SQLite: how its file is created, opened and checked, and what its errors mean."""

import sqlite3
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from os import O_RDONLY, close, fsync
from os import open as open_descriptor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, insert, select

from evosearch.errors import CannotRunError, JournalError
from evosearch.storage.database import Database
from evosearch.storage.header import APPLICATION_ID, Header
from evosearch.storage.locks import Farewells, FileLocks
from evosearch.storage.mounts import JournalMode
from evosearch.storage.rescue import FileGuard, Unguarded
from evosearch.storage.tables import SCHEMA, meta, metadata

BUSY_SECONDS = 30.0
"""Longest wait for another process's transaction."""

ADVICE = (
    "the journal lies on a network file system, where a driver that dies is noticed only after a minute and a file "
    "can be damaged by its server; PostgreSQL is made for this: --storage postgresql://user@host/database"
)
"""What is said of a journal in a file that several machines share."""

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_NOTADB,
}  # ERROR: a table is not there
_UNUSABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


def create(path: Path, mode: JournalMode) -> None:
    """Put an empty journal at `path`, complete from its first instant; where another process was first, its
    journal stays.

    Raises:
        CannotRunError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=".new-journal-") as folder:
            fresh = Path(folder, path.name)
            engine = _engine(fresh, {"mode": "rwc"}, mode, path)
            with engine.begin() as connection:
                metadata.create_all(connection)
                connection.execute(insert(meta).values(schema=SCHEMA, evosearch=version("evosearch")))
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
            engine.dispose()
            publish(fresh, path)
    except OSError as error:
        raise CannotRunError(
            f"no journal can be created at {path} ({error.strerror}); choose another home with EVOSEARCH_HOME"
        ) from error


def publish(fresh: Path, path: Path) -> None:
    """Give the complete file `fresh` the name `path` for good, unless something has that name."""
    try:
        path.hardlink_to(fresh)  # atomic, and never replaces what is there
    except FileExistsError:
        return
    except OSError:  # a file system without hard links, for instance exFAT
        if not path.exists():
            fresh.rename(path)
    folder = open_descriptor(path.parent, O_RDONLY)
    try:
        fsync(folder)  # else the name may be lost with the power, and the journal with it
    finally:
        close(folder)


def open_database(path: Path, header: Header, mode: JournalMode) -> Database:
    """The journal at `path`; where it may not be written, it can only be read.

    Raises:
        JournalError: SQLite finds it damaged.
        CannotRunError: it cannot be used.
    """
    access, set_mode = _access(path, header, mode)
    engine = _engine(path, access, set_mode)
    try:
        with engine.connect() as connection:
            connection.execute(select(meta)).all()
        guard = FileGuard(path) if access.get("mode") == "rw" else Unguarded()
    except BaseException as error:
        engine.dispose()
        if isinstance(
            error, sqlite3.Error | UnicodeDecodeError
        ):  # not translated on its way through the engine
            _explain(error, path)
        raise
    network = mode == "DELETE"
    return Database(
        engine,
        engine.execution_options(writes=True),
        str(path),
        path,
        partial(_verify, engine, path),
        (lambda folder, _: Farewells(folder)) if network else (lambda folder, _: FileLocks(folder)),
        ADVICE if network else None,
        guard,
    )


def _access(path: Path, header: Header, mode: JournalMode) -> tuple[Mapping[str, str], JournalMode | None]:
    """SQLite's parameters for opening the file, and the journal mode to set if any."""
    try:
        path.open("r+b").close()
    except OSError:
        # WAL keeps two files beside the journal even for readers. Where they are not there and cannot be made,
        # nobody writes, and SQLite may be told so (https://sqlite.org/wal.html#read_only_databases).
        unattended = header.wal and not path.with_name(f"{path.name}-wal").exists()
        return {"immutable": "1"} if unattended else {"mode": "ro"}, None
    return {"mode": "rw"}, mode


def _engine(
    path: Path, access: Mapping[str, str], mode: JournalMode | None, place: Path | None = None
) -> Engine:
    """`place`: what messages call the file, where that is not `path`."""
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"uri": "true", **access})
    # isolation_level None: Python's driver begins no transactions of its own, `begin` below does
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if mode:
            connection.execute(f"PRAGMA journal_mode = {mode}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that has read before cannot wait for another writer.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        _explain(context.original_exception, place or path)

    return engine


def _explain(error: BaseException, path: Path) -> None:
    """Raise our own error for what a user can mend; anything else stays as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension of the code
    # Python's driver fails to read SQLite's own message of damage
    if code in _DAMAGED or isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error):
        raise _damage(path, error) from error
    if code in _UNUSABLE:
        raise CannotRunError(
            f"the journal {path} cannot be used ({error}); see to its disk, permissions and other users"
        ) from error


def _damage(place: object, found: object) -> JournalError:
    return JournalError(f"the journal {place} is damaged ({found}); restore it from a copy")


def _verify(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise _damage(path, found)
