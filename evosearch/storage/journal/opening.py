"""From what a user names to an open journal."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from evosearch.errors import EvosearchError, InputError, JournalError
from evosearch.permissions import make_folder
from evosearch.storage.backups.salvage import salvage
from evosearch.storage.disks import JournalMode, journal_mode
from evosearch.storage.holding.holder import Onlooker, undriven
from evosearch.storage.journal import postgres, sqlite
from evosearch.storage.journal.database import Database
from evosearch.storage.journal.header import read_journal_header
from evosearch.storage.journal.journal import Journal
from evosearch.storage.journal.tables import SCHEMA
from evosearch.storage.urls import is_place, real_path, user_path, without_password

_MOUNTS = Path("/proc/mounts")
_FORMS = "write sqlite:////folder/journal.db or postgresql://user@host/database"


def _silence(_: str) -> None:
    """For who wants no word of it."""


def open_journal(
    where: str | Path | URL,
    *,
    must_exist: bool,
    cache: Path | None = None,
    note: Callable[[str], None] = _silence,
) -> Journal:
    """Open the journal at `where`: a path, `sqlite:////folder/journal.db` or `postgresql://user@host/database`.

    One of an older schema stays as it is until it is written to; readers get a copy that follows it.

    Args:
        where: the journal.
        must_exist: whether a journal that is not there is an error or is created.
        cache: the folder that keeps such a copy for the next time; None: it is made again each time.
        note: called with a line about an upgrade.

    Raises:
        InputError: the URL is none, or of a database that is not supported.
        JournalError: there is no journal, or something else is there, which is left as it is.
        CannotRunError: the journal cannot be created or used there.
    """
    found = where if isinstance(where, URL) else parse_place(where)
    if isinstance(found, URL):
        copy_of = partial(_open_copy, cache)
        return Journal(
            postgres.open_database(found, must_exist=must_exist, copy_of=copy_of),
            partial(undriven, onlooker=Onlooker(note)),
            note,
        )
    path = real_path(found)
    mode = _mode_in(path.parent)
    if must_exist and not exists(path):
        raise JournalError(
            f"there is no journal at {path}; start a search first, or say where it is with "
            "EVOSEARCH_HOME or --storage"
        )
    if not exists(path):
        sqlite.create(path, mode)
    header = read_journal_header(path)
    schema = header.schema if header.schema == SCHEMA else sqlite.find_schema(path)
    if schema == SCHEMA:
        return Journal(
            sqlite.open_database(path, header, mode, _SALVAGE),
            partial(undriven, onlooker=Onlooker(note)),
            note,
        )
    identity = path.stat()
    copy = _open_copy(cache, f"{identity.st_dev:x}-{identity.st_ino:x}")
    return Journal(
        sqlite.open_older(path, mode, schema, copy, _SALVAGE),
        partial(undriven, onlooker=Onlooker(note)),
        note,
    )


def _create(file: Path) -> Journal:
    return open_journal(file, must_exist=False)


_SALVAGE = partial(salvage, create=_create)


def _mode_in(folder: Path) -> JournalMode:
    # names of mount points are bytes, like all names of files
    return journal_mode(os.fsdecode(_MOUNTS.read_bytes()) if _MOUNTS.exists() else "", folder)


def _open_copy(cache: Path | None, name: str) -> Database:
    """A journal of this schema for readers: a file in `cache`, else one that is gone when it is closed."""
    if cache is not None:
        with suppress(OSError, EvosearchError):  # another user's, or damaged, or no space is left
            make_folder(cache)
            return _open_private(cache.resolve() / f"journal-{SCHEMA}-{name}.db")
    folder = TemporaryDirectory(prefix="evosearch-")
    copy = _open_private(Path(folder.name).resolve() / "journal.db")

    def close() -> None:
        copy.close()
        folder.cleanup()

    return replace(copy, close=close)


def _open_private(file: Path) -> Database:
    """The journal at `file`, made where there is none, or none that can be read."""
    mode = _mode_in(file.parent)
    sqlite.create(file, mode)
    try:
        return sqlite.open_copy(file, mode)
    except JournalError:
        sqlite.remove(file)
    sqlite.create(file, mode)
    return sqlite.open_copy(file, mode)


def parse_place(where: str | Path) -> Path | URL:
    """The file of an SQLite journal, or the URL of one on a server.

    Raises:
        InputError: it is blank, or the URL is none, or of a database that is not supported.
    """
    if isinstance(where, Path):
        return where
    if not is_place(where):
        raise InputError(f"{without_password(where)!r} is no journal; {_FORMS}")
    if "://" not in where:
        return user_path(where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise InputError(f"{without_password(where)!r} is no journal; {_FORMS}") from error
    if url.drivername in {"postgresql", "postgresql+psycopg"} and url.database:
        return url
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        return Path(str(url.database))
    raise InputError(f"{without_password(where)!r} is no journal of this version; {_FORMS}")


def exists(path: Path) -> bool:
    """Whether something is at `path`, or may be."""
    try:
        return path.exists()
    except PermissionError:  # of a folder above
        return True
