"""From what a user names to an open journal."""

from functools import partial
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from evosearch.errors import InputError, JournalError
from evosearch.storage import postgres, sqlite
from evosearch.storage.header import read_journal_header
from evosearch.storage.journal import Journal
from evosearch.storage.mounts import journal_mode
from evosearch.storage.passwords import without_password
from evosearch.storage.places import is_place, user_path
from evosearch.storage.salvage import salvage

_MOUNTS = Path("/proc/mounts")
_FORMS = "write sqlite:////folder/journal.db or postgresql://user@host/database"


def open_journal(where: str | Path | URL, *, must_exist: bool) -> Journal:
    """Open the journal at `where`: a path, `sqlite:////folder/journal.db` or `postgresql://user@host/database`.

    Args:
        where: the journal.
        must_exist: whether a journal that is not there is an error or is created.

    Raises:
        InputError: the URL is none, or of a database that is not supported.
        JournalError: there is no journal, or something else lies there, which is left as it is.
        CannotRunError: the journal cannot be created or used there.
    """
    found = where if isinstance(where, URL) else parse_place(where)
    if isinstance(found, URL):
        return Journal(postgres.open_database(found, must_exist=must_exist))
    path = found.expanduser().resolve()
    mode = journal_mode(_MOUNTS.read_text() if _MOUNTS.exists() else "", path.parent)
    if must_exist and not exists(path):
        raise JournalError(
            f"there is no journal at {path}; start a search first, or say where it lies with "
            "EVOSEARCH_HOME or --storage"
        )
    if not exists(path):
        sqlite.create(path, mode)
    header = read_journal_header(path)
    return Journal(sqlite.open_database(path, header, mode, partial(salvage, create=_create)))


def _create(file: Path) -> Journal:
    return open_journal(file, must_exist=False)


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
