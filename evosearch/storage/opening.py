"""From what a user names to an open journal."""

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from evosearch.errors import InputError, JournalError
from evosearch.storage.header import read_journal_header
from evosearch.storage.journal import Journal
from evosearch.storage.mounts import journal_mode
from evosearch.storage.sqlite import connect, create

_MOUNTS = Path("/proc/mounts")


def open_journal(where: str | Path, *, must_exist: bool) -> Journal:
    """Open the journal at `where`, a path or a URL `sqlite:////folder/journal.db`.

    Args:
        where: the journal.
        must_exist: whether a journal that is not there is an error or is created.

    Raises:
        InputError: the URL is none, or of a database that is not supported.
        JournalError: there is no journal, or something else lies there, which is left as it is.
        CannotRunError: the journal cannot be created or used there.
    """
    path = _path(where).expanduser().resolve()
    mode = journal_mode(_MOUNTS.read_text() if _MOUNTS.exists() else "", path.parent)
    if must_exist and not _exists(path):
        raise JournalError(
            f"there is no journal at {path}; start a search first, or say where it lies with "
            "EVOSEARCH_HOME or --storage"
        )
    if not _exists(path):
        create(path, mode)
    header = read_journal_header(path)
    return Journal(connect(path, header, mode), str(path))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # of a folder above
        return True


def _path(where: str | Path) -> Path:
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    try:
        url = make_url(where)
    except ArgumentError as error:
        raise InputError(f"{where!r} is no journal; write sqlite:////folder/journal.db") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise InputError(
            f"{url.render_as_string()!r} is no journal of this version, which keeps them in SQLite files; "
            "write sqlite:////folder/journal.db"
        )
    return Path(url.database)
