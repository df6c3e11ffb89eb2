"""The one place that knows SQLite: how its file is created, opened and checked, and what its errors mean."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from os import O_RDONLY, close, fsync
from os import open as open_descriptor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, insert

from evosearch.errors import CannotRunError, EvosearchError, JournalBusyError, JournalError
from evosearch.permissions import file_mode, make_folder, new_file
from evosearch.storage.backups.rescue import FileGuard, Guard, Salvage, Unguarded
from evosearch.storage.disks import JournalMode
from evosearch.storage.holding.locks import Farewells, FileLocks, Locks
from evosearch.storage.journal.adoption import follow, follows
from evosearch.storage.journal.database import Database
from evosearch.storage.journal.header import APPLICATION_ID, Header, read_journal_header
from evosearch.storage.journal.tables import SCHEMA, meta, metadata
from evosearch.storage.journal.upgrade import Check, schema_of, upgrade

Value = TypeVar("Value")

BUSY_SECONDS = 30.0
"""Longest wait for another process's transaction."""

BRIEF_SECONDS = 5.0
"""The same, of who tries again and has other things to see to between two tries."""

SYNCHRONOUS = "FULL"
"""What is committed survives a loss of power."""

ADVICE = (
    "the journal is on a network file system, where a driver that dies is noticed only after a minute and a file "
    "can be damaged by its server; PostgreSQL is made for this: --storage postgresql://user@host/database"
)
"""What is said of a journal in a file that several machines share."""

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_NOTADB,
}  # ERROR: a table is not there
_UNUSABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


_TRIES = 3


class MovedError(Exception):
    """A journal that nobody had open was written to while it was read."""


def create(path: Path, mode: JournalMode) -> None:
    """Put an empty journal at `path`, complete from its first instant; where another process was first, its
    journal stays.

    Raises:
        CannotRunError: the folder cannot be written to.
    """
    try:
        make_folder(path.parent)
        with TemporaryDirectory(dir=path.parent, prefix=".new-journal-") as folder:
            fresh = Path(folder, path.name)
            new_file(fresh)  # the files beside it get its mode
            fresh.chmod(file_mode(path.parent))
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


def open_database(path: Path, header: Header, mode: JournalMode, salvage: Salvage) -> Database:
    """The journal at `path`; where it may not be written, it can only be read. `salvage`: as
    `FileGuard`.

    Raises:
        JournalError: SQLite finds it damaged.
        CannotRunError: it cannot be used.
    """
    access, set_mode = _access(path, header, mode)
    engine = _engine(path, access, set_mode)
    try:
        with engine.connect() as connection:
            schema_of(connection, str(path))
        if header.schema < SCHEMA and set_mode:  # who upgraded it was killed before its end
            settle(engine)
        guard = FileGuard(path, salvage) if access.get("mode") == "rw" else Unguarded()
    except BaseException as error:
        engine.dispose()
        if isinstance(
            error, sqlite3.Error | UnicodeDecodeError
        ):  # not translated on its way through the engine
            _explain(error, path)
        raise
    return _database(engine, path, mode, guard)


def open_copy(path: Path, mode: JournalMode) -> Database:
    """The journal at `path`, which can be made again at any time.

    Raises:
        JournalError, CannotRunError: as `open_database`.
    """
    engine = _engine(path, *_access(path, read_journal_header(path), mode))
    try:
        with engine.connect() as connection:
            schema_of(connection, str(path))
    except BaseException:
        engine.dispose()
        raise
    return _database(engine, path, mode, Unguarded())


def open_older(path: Path, mode: JournalMode, schema: int, copy: Database, salvage: Salvage) -> Database:
    """A journal of an older `schema` at `path`; `copy`: a journal that follows it from now on, for readers.

    Raises:
        JournalError: it is damaged.
        CannotRunError: it cannot be used.
    """

    def upgrade_file(check: Check) -> Database:
        engine = _engine(path, {"mode": "rw"}, mode)
        try:
            with engine.execution_options(writes=True).begin() as connection:
                if upgrade(connection, str(path), check):
                    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
            settle(engine)
            if copy.file:
                remove(copy.file)
            return _database(engine, path, mode, FileGuard(path, salvage))
        except BaseException:
            engine.dispose()
            raise

    return Database(
        copy.reader,
        copy.writer,
        str(path),
        path,
        partial(steady, partial(_verify_untouched, path)),
        _locks(mode),
        copy.close,
        ADVICE if mode == "DELETE" else None,
        Unguarded(),
        lambda: steady(partial(_refresh, path, copy)),
        upgrade_file,
        schema,
    )


def settle(engine: Engine) -> None:
    """Bring all that was committed into the file itself, so that its header shows its schema; as far as readers let."""
    connection = engine.raw_connection()  # outside any transaction
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def checkpoint(engine: Engine) -> None:
    """Bring what was committed into the file itself, as far as nobody has to wait for it."""
    with suppress(
        sqlite3.Error, EvosearchError
    ):  # the next one does it, and the next write shows a full disk
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()


@contextmanager
def looking(path: Path) -> Iterator[Connection]:
    """The journal at `path`, whose file and those beside it stay as they are.

    Raises:
        JournalError, CannotRunError: as `open_database`.
        MovedError: a writer came meanwhile, so that what was read is not certain.
    """
    header, before = read_journal_header(path), path.stat()
    access = _read_access(path, header)
    if _is_torn(path):  # SQLite fixes it as whoever opens it next would
        access = {"mode": "rw"}
    engine = _engine(path, access, None)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
    now = path.stat()
    moved = (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or _is_attended(path)
    if "immutable" in access and moved:
        raise MovedError


def find_schema(path: Path) -> int:
    """The schema of the journal at `path`, which its header need not know yet; nothing is touched.

    Raises:
        JournalError, CannotRunError: as `open_database`.
    """

    def read() -> int:
        with looking(path) as connection:
            return schema_of(connection, str(path))

    return steady(read)


def remove(path: Path) -> None:
    """Remove a journal with all that is beside it; it may be gone."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def steady(read: Callable[[], Value]) -> Value:
    """What `read` gives, which is done again where it raises `MovedError`."""
    for _ in range(_TRIES):
        with suppress(MovedError):
            return read()
    raise CannotRunError("the journal is just being opened by another process; run the command again")


def _refresh(path: Path, copy: Database) -> None:
    with looking(path) as source, copy.reader.connect() as to:
        schema_of(source, str(path))
        if follows(source, to):
            return
    with copy.writer.begin() as to, looking(path) as source:  # in this order: what is not certain is not kept
        follow(source, to, f"the journal {path}")


def _database(engine: Engine, path: Path, mode: JournalMode, guard: Guard) -> Database:
    writer = engine.execution_options(writes=True)
    advice = ADVICE if mode == "DELETE" else None
    verify = partial(_verify, engine, path)
    return Database(
        engine,
        writer,
        str(path),
        path,
        verify,
        _locks(mode),
        engine.dispose,
        advice,
        guard,
        checkpoint=partial(checkpoint, engine),
    )


def _locks(mode: JournalMode) -> Callable[[Path, str], Locks]:
    if mode == "DELETE":
        return lambda folder, _: Farewells(folder)
    return lambda folder, _: FileLocks(folder)


def _access(path: Path, header: Header, mode: JournalMode) -> tuple[Mapping[str, str], JournalMode | None]:
    """SQLite's parameters for opening the file, and the journal mode to set if any."""
    try:
        path.open("r+b").close()
    except OSError:
        return _read_access(path, header), None
    return {"mode": "rw"}, mode


def _read_access(path: Path, header: Header) -> Mapping[str, str]:
    """WAL keeps two files beside the journal even for readers. Where they are not there nobody writes, and SQLite may
    be told so (https://sqlite.org/wal.html#read_only_databases): then none are made, which may be impossible.
    """
    return {"immutable": "1"} if header.wal and not _is_attended(path) else {"mode": "ro"}


def _is_torn(path: Path) -> bool:
    """Whether a writer is at work without WAL, or was killed there: then only who may write can read."""
    beside = path.with_name(f"{path.name}-journal")
    return beside.exists() and beside.stat().st_size > 0


def _is_attended(path: Path) -> bool:
    """Whether a process has the journal open in WAL mode, or one that had was killed."""
    return path.with_name(f"{path.name}-wal").exists()


def _engine(
    path: Path, access: Mapping[str, str], mode: JournalMode | None, place: Path | None = None
) -> Engine:
    """`place`: what messages call the file, where that is not `path`."""
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"uri": "true", **access})
    # isolation_level None: Python's driver begins no transactions of its own, `begin` below does
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if mode:
            connection.execute(f"PRAGMA journal_mode = {mode}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that has read before cannot wait for another writer.
        options = connection.get_execution_options()
        writes = options.get("writes")
        patience = BRIEF_SECONDS if options.get("briefly") else BUSY_SECONDS
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> None:
        _explain(context.original_exception, place or path)

    return engine


def _explain(error: BaseException, path: Path) -> None:
    """Raise our own error for what a user can fix; anything else stays as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension of the code
    # Python's driver fails to read SQLite's own message of damage
    if code in _DAMAGED or isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error):
        raise _damage(path, error) from error
    if code == sqlite3.SQLITE_BUSY:
        raise JournalBusyError(
            f"the journal {path} is locked by another program; end it, or what it does there (`fuser {path}` names it)"
        ) from error
    if code in _UNUSABLE:
        raise CannotRunError(
            f"the journal {path} cannot be used ({error}); see to its disk, permissions and other users"
        ) from error


def _damage(place: object, found: object) -> JournalError:
    return JournalError(f"the journal {place} is damaged ({found}); restore it from a copy")


def _verify(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        _quick_check(connection, path)


def _verify_untouched(path: Path) -> None:
    with looking(path) as connection:
        _quick_check(connection, path)


def _quick_check(connection: Connection, path: Path) -> None:
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        raise _damage(path, found)
